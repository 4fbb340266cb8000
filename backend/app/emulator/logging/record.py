"""One stored log entry, with what a search needs prepared once."""

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import unquote

from google.cloud.logging_v2.types import LogEntry
from google.logging.type.log_severity_pb2 import LogSeverity
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value

from ..clock import NANOS
from .values import folded, format_timestamp, leaves, number_text

LOG_ENTRY = LogEntry.pb()
SEVERITIES: dict[str, int] = {name: number for name, number in LogSeverity.items()}  # noqa: C416  # upb's view is no dict
_SEVERITY_NAMES = {number: name for name, number in SEVERITIES.items()}

# Between two fields of the searchable text: no query can hold it.
SEPARATOR = "\0"


class Record:
    """An entry and its searchable form; `payload` is the JSON of jsonPayload or protoPayload.

    `buckets` are the names of the log buckets that store it.
    """

    __slots__ = ("buckets", "entry", "haystack", "insert_id", "payload", "size", "time")

    def __init__(self, entry: Any, size: int) -> None:
        self.entry = entry
        self.buckets: tuple[str, ...] = ()
        self.size = size
        self.time: int = nanos(entry.timestamp)
        self.insert_id: str = entry.insert_id
        self.payload: dict[str, Any] | None = None
        if entry.HasField("json_payload"):
            self.payload = struct_dict(entry.json_payload)
        elif entry.HasField("proto_payload"):
            self.payload = any_dict(entry.proto_payload)
        self.haystack: str = SEPARATOR.join(_texts(entry, self.payload))

    @property
    def key(self) -> tuple[int, str]:
        """Entries are ordered by timestamp, then insertId (google/logging/v2/logging.proto)."""
        return self.time, self.insert_id


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


def _texts(entry: Any, payload: dict[str, Any] | None) -> Sequence[str]:
    """Every field of an entry as folded text, for searches that name no field."""
    texts = [
        entry.log_name,
        entry.text_payload,
        _SEVERITY_NAMES.get(entry.severity, ""),
        format_timestamp(nanos(entry.timestamp)),
        entry.insert_id,
        entry.trace,
        entry.span_id,
        entry.resource.type,
        *entry.resource.labels.values(),
        *entry.labels.values(),
    ]
    if payload is not None:
        texts += leaves(payload)
    for name in ("http_request", "operation", "source_location"):
        if entry.HasField(name):
            texts += [_field_text(value) for _, value in getattr(entry, name).ListFields()]
    return [folded(text) for text in texts if text]


def _field_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return f"{number_text(nanos(value) / NANOS)}s"
