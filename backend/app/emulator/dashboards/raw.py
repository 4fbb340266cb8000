"""Dashboards as JSON: kept as they came, because exports of the console hold fields that the published proto lacks."""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
from google.cloud import monitoring_dashboard_v1
from google.protobuf import json_format

from ..status import invalid

Raw = dict[str, Any]
DashboardMessage = monitoring_dashboard_v1.Dashboard.pb()
_OURS = ("name", "etag")


def to_message(raw: Raw) -> Any:
    """The dashboard as the published proto knows it; fields it lacks are left out.

    Raises:
        ApiError: INVALID_ARGUMENT when a field that it knows has a wrong value.
    """
    unknown_fields(raw)
    message = DashboardMessage()
    try:
        json_format.ParseDict(raw, message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, ValueError, TypeError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    return message


def from_message(message: Any) -> Raw:
    raw: Raw = json_format.MessageToDict(message)
    return raw


def etag_of(raw: Raw) -> str:
    """The same for the same content, whatever its name."""
    content = {key: value for key, value in raw.items() if key not in _OURS}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def unknown_fields(raw: Raw) -> list[str]:
    """Paths of the fields that the published proto lacks, such as `mosaicLayout.tiles[0].widget.xyChart.apiSource`.

    Raises:
        ApiError: INVALID_ARGUMENT for a value that is no object where one belongs.
    """
    return list(_unknown(DashboardMessage.DESCRIPTOR, raw, ""))


def _unknown(descriptor: Any, value: Raw, path: str) -> Iterator[str]:
    known = {field.json_name: field for field in descriptor.fields} | {field.name: field for field in descriptor.fields}
    for key, child in value.items():
        here = f"{path}.{key}" if path else key
        field = known.get(key)
        if field is None:
            yield here
            continue
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry or kind.full_name.startswith("google.protobuf."):
            continue
        for place, one in _objects(field, child, here):
            yield from _unknown(kind, one, place)


def _objects(field: Any, value: Any, path: str) -> Iterator[tuple[str, Raw]]:
    """The objects in a field, with their paths; json_format takes a list for an object without a word."""
    values = value if field.is_repeated and isinstance(value, list) else [value]
    for index, one in enumerate(values):
        place = f"{path}[{index}]" if field.is_repeated else path
        if not isinstance(one, dict):
            raise invalid(f"Invalid JSON payload received. {place} must be an object.")
        yield place, one
