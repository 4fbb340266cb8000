"""A rendered line as a LogEntry: the special fields leave the payload, as the platform's agent has it.

Source of the names: cloud.google.com/logging/docs/structured-logging#special-payload-fields.
"""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import orjson
from google.cloud.logging_v2.types import LogEntry, WriteLogEntriesRequest
from google.protobuf.duration_pb2 import Duration

from .entry import INSERT_ID, LABELS, SOURCE_LOCATION, SPAN_ID, TRACE, TRACE_SAMPLED
from .limits import LINE_BYTES, fit
from .resource import Resource

#: 256 KiB (cloud.google.com/logging/quotas#log-limits), less what the request gives to each entry.
ENTRY_BYTES: Final = 256 * 1024 - 4096
_LOG_ENTRY: Final = LogEntry.pb()
# google/logging/type/log_severity.proto
_SEVERITIES: Final = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
# A JSON object takes three levels of messages, and parsers of protocol buffers stop at a hundred.
_DEEPEST: Final = 24
_EXACT: Final = 1 << 53

# google/logging/type/http_request.proto
_HTTP_REQUEST: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "requestMethod": ("request_method", str),
    "requestUrl": ("request_url", str),
    "requestSize": ("request_size", int),
    "status": ("status", int),
    "responseSize": ("response_size", int),
    "userAgent": ("user_agent", str),
    "remoteIp": ("remote_ip", str),
    "serverIp": ("server_ip", str),
    "referer": ("referer", str),
    "cacheLookup": ("cache_lookup", bool),
    "cacheHit": ("cache_hit", bool),
    "cacheValidatedWithOriginServer": ("cache_validated_with_origin_server", bool),
    "cacheFillBytes": ("cache_fill_bytes", int),
    "protocol": ("protocol", str),
}


def request_prefix(project: str, log_id: str, resource: Resource) -> bytes:
    """A serialised WriteLogEntriesRequest but for its entries: fields of a message may stand in any order."""
    log_name = f"projects/{project}/logs/{quote(log_id, safe='')}"
    return _belonging(WriteLogEntriesRequest.pb()(log_name=log_name, partial_success=True), project, resource)


def belonging(project: str, log_id: str, resource: Resource) -> bytes:
    """The part of a serialised LogEntry that says where it belongs, instead of its request."""
    return _belonging(_LOG_ENTRY(log_name=f"projects/{project}/logs/{quote(log_id, safe='')}"), project, resource)


def _belonging(message: Any, project: str, resource: Resource) -> bytes:
    message.resource.type = resource.type
    message.resource.labels.update({"project_id": project, **resource.labels})
    return bytes(message.SerializeToString())


def parse(line: bytes) -> dict[str, Any] | None:
    """The fields of a line; None when it is no JSON object."""
    try:
        fields = orjson.loads(line)
    except ValueError:
        try:  # lone surrogates, which the standard library takes and protocol buffers do not
            fields = orjson.loads(json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            return None
    return fields if isinstance(fields, dict) else None


def serialise(line: bytes, fields: dict[str, Any] | None, insert_id: str, now: int) -> bytes:
    """A LogEntry within the size that Cloud Logging takes, without log name and resource.

    Args:
        line: What was logged.
        fields: What `parse` said of it.
        insert_id: For a line that has none of its own.
        now: In nanoseconds, for a line without a time.
    """
    if fields is None:
        entry = _LOG_ENTRY(text_payload=line[:LINE_BYTES].decode(errors="replace").rstrip("\n"), insert_id=insert_id)
        entry.timestamp.FromNanoseconds(now)
        return bytes(entry.SerializeToString())
    limit = LINE_BYTES
    while True:
        entry = _entry(dict(fields), insert_id, now)
        if entry.ByteSize() <= ENTRY_BYTES or limit < LINE_BYTES // 64:
            return bytes(entry.SerializeToString())
        limit //= 2  # numbers take up to six times as much as in JSON
        fields = fit(fields, limit)


def _entry(fields: dict[str, Any], insert_id: str, now: int) -> Any:
    entry = _LOG_ENTRY()
    entry.insert_id = str(fields.pop(INSERT_ID, "") or insert_id)
    entry.severity = _SEVERITIES.get(_text(fields.pop("severity", "")), 0)
    _lift(fields, "time", entry.timestamp.FromJsonString)
    if not entry.HasField("timestamp"):
        entry.timestamp.FromNanoseconds(now)  # fixed here: time and insert id together make a retry no duplicate
    entry.trace = _text(fields.pop(TRACE, ""))
    entry.span_id = _text(fields.pop(SPAN_ID, ""))
    entry.trace_sampled = fields.pop(TRACE_SAMPLED, False) is True
    _lift(fields, LABELS, lambda labels: entry.labels.update({key: _text(value) for key, value in labels.items()}))
    _lift(fields, SOURCE_LOCATION, lambda place: _place(entry.source_location, place))
    _lift(fields, "httpRequest", lambda request: _request(entry.http_request, request))
    entry.json_payload.SetInParent()
    _fill(entry.json_payload, fields, 0)
    return entry


def _lift(fields: dict[str, Any], name: str, put: Callable[[Any], None]) -> None:
    """Move a field out of the payload; one of an unexpected form stays in it."""
    if name in fields:
        try:
            put(fields[name])
        except (ValueError, TypeError, AttributeError, OverflowError):
            return
        del fields[name]


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _place(location: Any, place: dict[str, Any]) -> None:
    location.line = int(place.get("line") or 0)
    location.file = _text(place.get("file", ""))
    location.function = _text(place.get("function", ""))


def _request(request: Any, given: dict[str, Any]) -> None:
    """Set the fields that are of the expected form.

    Raises:
        ValueError: There was another one, so that the payload has to keep them.
    """
    request.SetInParent()
    others = 0
    for name, value in given.items():
        try:
            if name == "latency":
                latency = Duration()
                latency.FromJsonString(value)
                request.latency.CopyFrom(latency)
            else:
                field, convert = _HTTP_REQUEST[name]
                setattr(request, field, convert(value))
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
            others += 1
    if others:
        raise ValueError(f"{others} fields of httpRequest are not of its form")


def _fill(struct: Any, fields: dict[str, Any], depth: int) -> None:
    for name, value in fields.items():
        _put(struct.fields[name], value, depth)


def _put(holder: Any, value: Any, depth: int) -> None:  # google/protobuf/struct.proto
    if isinstance(value, str):
        holder.string_value = value
    elif isinstance(value, bool):
        holder.bool_value = value
    elif value is None:
        holder.null_value = 0
    elif isinstance(value, int) and not -_EXACT <= value <= _EXACT:
        holder.string_value = str(value)  # as a number it would come out as another one
    elif isinstance(value, int | float):
        holder.number_value = value
    elif depth >= _DEEPEST:
        holder.string_value = orjson.dumps(value).decode()
    elif isinstance(value, dict):
        holder.struct_value.SetInParent()
        _fill(holder.struct_value, value, depth + 1)
    else:
        holder.list_value.SetInParent()
        for item in value:
            _put(holder.list_value.values.add(), item, depth + 1)
