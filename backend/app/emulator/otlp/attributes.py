"""Attributes of OTLP (opentelemetry/proto/common/v1/common.proto) as texts and as plain values."""

import base64
import json
from collections.abc import Iterable
from typing import Any


def plain(value: Any) -> Any:
    """An AnyValue as JSON knows it; bytes as base64, the empty value as None."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [plain(one) for one in value.array_value.values]
    if which == "kvlist_value":
        return {one.key: plain(one.value) for one in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, which)


def text(value: Any) -> str:
    """An AnyValue as the value of a label (OpenTelemetry's specification, "common", on values that are not strings)."""
    found = plain(value)
    if isinstance(found, str):
        return found
    if found is None:
        return ""
    return json.dumps(found, ensure_ascii=False)


def texts(attributes: Iterable[Any]) -> dict[str, str]:
    """The last value of each key."""
    return {one.key: text(one.value) for one in attributes}
