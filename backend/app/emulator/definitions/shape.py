"""A decoded document against Google's own message: every unknown field, wrong enum and wrong duration."""

import base64
import binascii
import difflib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .document import child

_DURATION = re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s")
_INTEGERS = {
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
}
_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
_FREE = {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Any"}
_TEXT = {"google.protobuf.Timestamp", "google.protobuf.FieldMask"}
_WRAPPER = re.compile(r"google\.protobuf\.(Bool|String|Double|Float|U?Int(?:32|64)|Bytes)Value")


class Problem(NamedTuple):
    path: str
    reason: str
    # A field or value that the message does not have, as against one of the wrong type.
    unknown: bool


def problems(data: Any, message: Descriptor, path: str = "") -> Iterator[Problem]:
    """What keeps `data` from being the JSON of `message`."""
    if not isinstance(data, dict):
        yield Problem(path, f"must be an object, not {_shown(data)}", unknown=False)
        return
    known = {field.json_name: field for field in message.fields} | {field.name: field for field in message.fields}
    oneofs: dict[str, str] = {}
    for key, value in data.items():
        here = child(path, key)
        field = known.get(key)
        if field is None:
            near = difflib.get_close_matches(key, sorted({f.json_name for f in message.fields}), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Problem(here, f"{message.name} has no field {key}{hint}", unknown=True)
            continue
        if value is None:
            continue
        oneof = field.containing_oneof
        if oneof is not None and oneofs.setdefault(oneof.full_name, key) != key:
            yield Problem(here, f"cannot stand beside {oneofs[oneof.full_name]}: one of the two", unknown=False)
        yield from _field(value, field, here)


def _field(value: Any, field: FieldDescriptor, path: str) -> Iterator[Problem]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if not isinstance(value, dict):
            yield Problem(path, f"must be an object, not {_shown(value)}", unknown=False)
            return
        for key, one in value.items():
            yield from _single(one, kind.fields_by_name["value"], child(path, key))
    elif field.is_repeated:
        if not isinstance(value, list):
            yield Problem(path, f"must be a list, not {_shown(value)}", unknown=False)
            return
        for index, one in enumerate(value):
            yield from _single(one, field, child(path, index))
    else:
        yield from _single(value, field, path)


def _single(value: Any, field: FieldDescriptor, path: str) -> Iterator[Problem]:
    kind = field.message_type
    if kind is None:
        reason = _scalar(value, field)
        if reason:
            yield Problem(path, reason, unknown=field.enum_type is not None and isinstance(value, str))
        return
    if kind.full_name in _FREE:
        return
    if kind.full_name == "google.protobuf.Duration":
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            yield Problem(path, f'must be a duration such as "60s", not {_shown(value)}', unknown=False)
    elif kind.full_name in _TEXT:
        if not isinstance(value, str):
            yield Problem(path, f"must be text, not {_shown(value)}", unknown=False)
    elif _WRAPPER.fullmatch(kind.full_name):
        reason = _scalar(value, kind.fields_by_name["value"])
        if reason:
            yield Problem(path, reason, unknown=False)
    else:
        yield from problems(value, kind, path)


def _scalar(value: Any, field: FieldDescriptor) -> str:
    """Why a value is not of the field's type, or nothing (protobuf.dev/programming-guides/json)."""
    if field.enum_type is not None:
        names = [one.name for one in field.enum_type.values]
        if isinstance(value, str) and value not in names:
            return f"must be one of {', '.join(names[1:] or names)}, not {value}"
        return (
            "" if isinstance(value, str) or _is_number(value) else f"must be the name of a value, not {_shown(value)}"
        )
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "" if isinstance(value, bool) else f"must be true or false, not {_shown(value)}"
    if field.type == FieldDescriptor.TYPE_STRING:
        return "" if isinstance(value, str) else f"must be text, not {_shown(value)}: quote it"
    if field.type == FieldDescriptor.TYPE_BYTES:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            return f"must be base64, not {_shown(value)}"
        return ""
    if field.type in _INTEGERS:
        whole = isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value)
        return (
            "" if whole or (_is_number(value) and value == int(value)) else f"must be an integer, not {_shown(value)}"
        )
    if field.type in _FLOATS:
        return "" if _is_number(value) or _is_float_text(value) else f"must be a number, not {_shown(value)}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_float_text(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
