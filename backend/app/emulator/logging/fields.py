"""From a field path of a query to what it reads in an entry.

Known LogEntry fields are found without regard to case and underscores, keys of maps and payloads exactly. An absent
known field has its type's default value; an absent payload or label key is missing and compares false
(docs.cloud.google.com/logging/docs/view/logging-query-language, "Missing fields").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict

from .record import LOG_ENTRY, Record, nanos
from .syntax import FilterError

MISSING: Any = object()


class Kind(Enum):
    TEXT = auto()
    BOOL = auto()
    NUMBER = auto()
    SEVERITY = auto()
    TIMESTAMP = auto()
    DURATION = auto()
    JSON = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """`read` gives the value or MISSING (lists only of JSON); `present` answers `field:*`."""

    kind: Kind
    read: Callable[[Record], Any]
    present: Callable[[Record], bool]


# Fields of the REST resource LogEntry that the published proto of the clients lacks or calls reserved.
_UNWRITABLE = {"metadata", "errorgroups", "apphub", "apphubdestination", "apphubsource", "otel"}
_PAYLOADS = {"jsonpayload": "json_payload", "protopayload": "proto_payload"}
_SPECIAL = {"google.protobuf.Timestamp": Kind.TIMESTAMP, "google.protobuf.Duration": Kind.DURATION}
_SCALARS = {
    FieldDescriptor.TYPE_STRING: Kind.TEXT,
    FieldDescriptor.TYPE_BOOL: Kind.BOOL,
    FieldDescriptor.TYPE_ENUM: Kind.SEVERITY,
}


def resolve(path: Sequence[str]) -> Field:
    """What a path reads.

    Raises:
        FilterError: The path names a field that LogEntry does not have.
    """
    top = _spelling(path[0])
    if top in _UNWRITABLE:
        return Field(Kind.JSON, lambda _: MISSING, lambda _: False)
    if top in _PAYLOADS:
        return _payload(_PAYLOADS[top], tuple(path[1:]))
    return _known(LOG_ENTRY.DESCRIPTOR, path, (), path)


def _spelling(name: str) -> str:
    return name.replace("_", "").lower()


@lru_cache(maxsize=32)
def _by_spelling(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {_spelling(field.name): field for field in descriptor.fields}


def _known(descriptor: Descriptor, rest: Sequence[str], parents: tuple[str, ...], path: Sequence[str]) -> Field:
    field = _by_spelling(descriptor).get(_spelling(rest[0]))
    if field is None:
        raise FilterError(f"Field not found: '{'.'.join(path)}'. LogEntry has no field of that name")
    names = (*parents, field.name)
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _label(names, rest[1:])
    if message is not None and message.full_name not in _SPECIAL:
        return _known(message, rest[1:], names, path) if rest[1:] else _message(names)
    if rest[1:]:
        raise FilterError(f"Field not found: '{'.'.join(path)}'. {field.json_name} has no fields")
    return _leaf(field, names)


# What a record keeps at hand; everything else is read out of its bytes.
_AT_HAND = {"insert_id", "log_name", "severity", "trace"}


def _getter(names: tuple[str, ...]) -> Callable[[Record], Any]:
    if names[0] == "resource":
        inner = attrgetter("resource.message")
        rest = attrgetter(".".join(names[1:])) if names[1:] else None
        return inner if rest is None else lambda record: rest(record.resource.message)
    if len(names) == 1 and names[0] in _AT_HAND:
        return attrgetter(names[0])
    get = attrgetter(".".join(names))
    return lambda record: get(record.entry)


def _leaf(field: FieldDescriptor, names: tuple[str, ...]) -> Field:
    get = _getter(names)
    message = field.message_type
    if message is not None:
        read: Callable[[Record], Any] = lambda record: nanos(get(record))  # noqa: E731  # one of three short readers
        if names == ("timestamp",):
            read = attrgetter("time")
        return Field(_SPECIAL[message.full_name], read, _has(names))
    kind = _SCALARS.get(field.type, Kind.NUMBER)
    return Field(kind, get, lambda record: bool(get(record)))


def _has(names: tuple[str, ...]) -> Callable[[Record], bool]:
    parent, last = names[:-1], names[-1]
    holder: Callable[[Any], Any] = attrgetter(".".join(parent)) if parent else lambda entry: entry
    return lambda record: bool(holder(record.entry).HasField(last))


def _message(names: tuple[str, ...]) -> Field:
    get, has = _getter(names), _has(names)

    def read(record: Record) -> Any:
        return MessageToDict(get(record)) if has(record) else MISSING

    return Field(Kind.JSON, read, has)


def _label(names: tuple[str, ...], keys: Sequence[str]) -> Field:
    get = attrgetter("resource.labels") if names == ("resource", "labels") else _getter(names)
    if not keys:
        return Field(Kind.JSON, lambda record: dict(get(record)), lambda record: bool(get(record)))
    if len(keys) > 1:
        raise FilterError(
            f"Field not found: '{names[-1]}.{'.'.join(keys)}'. A label key with dots stands in quotation marks"
        )
    key = keys[0]

    def read(record: Record) -> Any:
        return get(record).get(key, MISSING)

    return Field(Kind.JSON, read, lambda record: key in get(record))


def _payload(name: str, keys: tuple[str, ...]) -> Field:
    def read(record: Record) -> Any:
        if record.payload_field != name:
            return MISSING
        return _descend(record.payload, keys)

    return Field(Kind.JSON, read, lambda record: read(record) is not MISSING)


def _descend(value: Any, keys: tuple[str, ...]) -> Any:
    for index, key in enumerate(keys):
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, list):
            found = [item for item in (_descend(element, keys[index:]) for element in value) if item is not MISSING]
            return found or MISSING
        else:
            return MISSING
    return value
