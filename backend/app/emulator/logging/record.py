"""One stored log entry, with what a search needs prepared once."""

import sys
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import orjson
from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.logging_v2.types import LogEntry
from google.logging.type.log_severity_pb2 import LogSeverity
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value

from ..clock import NANOS
from .values import folded, format_timestamp, leaves, number_text

LOG_ENTRY = LogEntry.pb()
SEVERITIES: dict[str, int] = {name: number for name, number in LogSeverity.items()}  # noqa: C416  # upb's view is no dict
_SEVERITY_NAMES = {number: name for name, number in SEVERITIES.items()}

_UNREAD: Any = object()
# Bytes of a record beside its texts: the object, its time, ids and places in lists (sys.getsizeof, Python 3.11).
_OVERHEAD = 450

# Between two fields of the searchable text: no query can hold it.
SEPARATOR = "\0"


class Resource(NamedTuple):
    """The monitored resource of an entry, shared by all entries that have it."""

    message: Any
    labels: dict[str, str]
    texts: tuple[str, ...]


@lru_cache(maxsize=4096)
def _resource(serialized: bytes) -> Resource:
    message = MonitoredResource.FromString(serialized)
    labels = dict(message.labels)
    return Resource(message, labels, (message.type, *labels.values()))


class Record:
    """An entry and its searchable form; `buckets` are the names of the log buckets that store it.

    A new record holds its message. `pack` makes it small: bytes, out of which message and payload are made again when
    somebody asks. Most records of a store are never asked for more than their time, severity and text.
    """

    __slots__ = (
        "_entry",
        "_haystack",
        "_payload",
        "buckets",
        "insert_id",
        "log_name",
        "payload_field",
        "raw",
        "resource",
        "severity",
        "size",
        "time",
        "trace",
    )

    def __init__(self, entry: Any, size: int = 0) -> None:
        self._entry: Any = entry
        self._haystack: str | None = None
        self._payload: Any = _UNREAD
        self.raw = b""
        self.buckets: tuple[str, ...] = ()
        self.size = size
        self.time: int = nanos(entry.timestamp)
        self.insert_id: str = entry.insert_id
        self.log_name: str = sys.intern(entry.log_name)
        self.severity: int = entry.severity
        self.trace: str = entry.trace
        self.resource = _resource(entry.resource.SerializeToString(deterministic=True))
        field = entry.WhichOneof("payload")
        self.payload_field: str = "" if field in {None, "text_payload"} else field

    @property
    def key(self) -> tuple[int, str]:
        """Entries are ordered by timestamp, then insertId (google/logging/v2/logging.proto)."""
        return self.time, self.insert_id

    @property
    def entry(self) -> Any:
        """The LogEntry, not to be changed."""
        return self._entry if self._entry is not None else LOG_ENTRY.FromString(self.raw)

    @property
    def payload(self) -> dict[str, Any] | None:
        """The JSON of jsonPayload or protoPayload."""
        if not self.payload_field:
            return None
        if self._payload is _UNREAD:
            self._read()
        payload = self._payload
        if type(payload) is bytes:
            return cast("dict[str, Any]", orjson.loads(payload))
        return cast("dict[str, Any]", payload)

    @property
    def haystack(self) -> str:
        """Every field as folded text, for searches that name no field."""
        if self._haystack is None:
            self._read()
        return cast("str", self._haystack)

    def pack(self, raw: bytes, *, now: bool = True) -> None:
        """Hold bytes instead of the message; without `now`, what searches need is made for the first search."""
        if now and self._haystack is None:
            self._read()
        self.raw = raw
        self._entry = None
        if type(self._payload) is dict and not _has_no_json(self._payload):
            self._payload = _json(self._payload)
        self.size = _OVERHEAD + 2 * len(raw) + len(self._haystack or raw)

    def _read(self) -> None:
        entry = self.entry
        payload = None
        if self.payload_field == "json_payload":
            payload = struct_dict(entry.json_payload)
        elif self.payload_field:
            payload = any_dict(entry.proto_payload)
        self._haystack = folded(SEPARATOR.join(filter(None, _texts(self, entry, payload))))
        self._payload = payload
        if self._entry is None and payload is not None and not _has_no_json(payload):
            self._payload = _json(payload)


def _json(payload: dict[str, Any]) -> bytes:
    # A copy: orjson's own bytes keep the kilobytes of its buffer.
    return bytes(memoryview(orjson.dumps(payload)))


def _has_no_json(payload: Any) -> bool:
    """Whether a payload holds NaN or an infinity, which a Struct may."""
    stack = [payload]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, float) and not isfinite(item):
            return True
    return False


def nanos(stamp: Any) -> int:
    """Nanoseconds of a protobuf Timestamp or Duration."""
    return cast("int", stamp.seconds * NANOS + stamp.nanos)


def log_id(log_name: str) -> str:
    """`run.googleapis.com/stdout` of `projects/demo/logs/run.googleapis.com%2Fstdout`."""
    return unquote(log_name.partition("/logs/")[2])


def severity_name(number: int) -> str:
    return _SEVERITY_NAMES.get(number, str(number))


_SCALARS: dict[str | None, Callable[[Value], Any]] = {
    "string_value": lambda value: value.string_value,
    "number_value": lambda value: value.number_value,
    "bool_value": lambda value: value.bool_value,
    "struct_value": lambda value: struct_dict(value.struct_value),
    "list_value": lambda value: [json_value(element) for element in value.list_value.values],
    "null_value": lambda _: None,
    None: lambda _: None,
}


def json_value(value: Value) -> Any:
    return _SCALARS[value.WhichOneof("kind")](value)


def struct_dict(struct: Struct) -> dict[str, Any]:
    # Twice as fast as MessageToDict, which matters at 20,000 entries a second.
    return {key: _SCALARS[value.WhichOneof("kind")](value) for key, value in struct.fields.items()}


def any_dict(message: Any) -> dict[str, Any]:
    """The JSON of an Any; of a type this process does not know only the name is left."""
    try:
        return MessageToDict(message)
    except TypeError:
        return {"@type": message.type_url}


def _texts(record: Record, entry: Any, payload: dict[str, Any] | None) -> list[str]:
    """Every field of an entry as text."""
    texts = [
        record.log_name,
        entry.text_payload,
        _SEVERITY_NAMES.get(record.severity, ""),
        format_timestamp(record.time),
        record.insert_id,
        record.trace,
        entry.span_id,
        *record.resource.texts,
    ]
    if entry.labels:
        texts += entry.labels.values()
    if payload is not None:
        texts += leaves(payload)
    for name in ("http_request", "operation", "source_location"):
        if entry.HasField(name):
            texts += [_field_text(value) for _, value in getattr(entry, name).ListFields()]
    return texts


def _field_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return f"{number_text(nanos(value) / NANOS)}s"
