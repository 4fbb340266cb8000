"""The audit log: entries that are never sampled or dropped, and whose fields are declared."""

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from .. import guard
from ..context import RESERVED_FIELDS
from .entry import LABELS, SOURCE_LOCATION
from .processors import Entry, Processor, render

if TYPE_CHECKING:
    from ..redaction import Redaction

LOGGER: Final = "audit"
SEVERITY: Final = "NOTICE"
_EXACT: Final = "fastapi_cloudops.exact"
# What the entry itself tells.
_OWN: Final = RESERVED_FIELDS | {"audit_event", "undeclared"}


class AuditError(TypeError):
    """An audit entry has a field that is not declared, lacks one, or has one of a wrong type; each is named."""


def audit_field(*, exact: bool = False, **options: Any) -> Any:
    """`dataclasses.field` with one more option: an exact field is written as it is, and no detector looks at it."""
    return dataclasses.field(**options, metadata={_EXACT: exact})


@dataclasses.dataclass(frozen=True)
class AuditEvent:
    """What an event's fields are. Subclasses are frozen dataclasses; their name in snake_case names the event.

    ```python
    @dataclass(frozen=True)
    class UserDeleted(AuditEvent):
        actor: str
        target: str = audit_field(exact=True)
    ```
    """


@dataclasses.dataclass(frozen=True)
class Declared:
    """An event's name, the types of its fields, and which of them are exact."""

    name: str
    fields: Mapping[str, Any]
    exact: frozenset[str] = frozenset()


def declare(name: str, *, exact: Sequence[str] = (), **fields: Any) -> Declared:
    """An event without a class: `declare("user_deleted", actor=str, target=str, exact=["target"])`.

    Raises:
        AuditError: A field has a name that entries use themselves, or an exact one is not declared.
    """
    unknown = sorted(set(exact) - set(fields))
    if unknown:
        raise AuditError(f"{name}: exact fields that are not declared: {', '.join(unknown)}")
    return _checked(Declared(name, dict(fields), exact=frozenset(exact)))


def declared_by(kind: type[AuditEvent]) -> Declared:
    """The declaration that a subclass of `AuditEvent` is."""
    types = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    return _checked(
        Declared(
            _snake(kind.__name__),
            {field.name: types[field.name] for field in fields},
            exact=frozenset(field.name for field in fields if field.metadata.get(_EXACT)),
        )
    )


class AuditLogger:
    """Writes audit entries past every level, sampler and queue.

    Args:
        write: Takes each line, and answers False where it is lost.
        processors: What every log call goes through (request, constants, source location), without a sampler.
        redaction: The policy for fields that are not exact.
        strict: Raise `AuditError` at the call, for tests and development. Otherwise a wrong entry is written with what
            is wrong about it in `undeclared` (an audit log with a gap is worse than one with a blemish), and reported
            like any failure of telemetry.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        processors: Sequence[Processor],
        *,
        redaction: "Redaction",
        strict: bool,
    ) -> None:
        self._write = write
        self._processors = processors
        self._redaction = redaction
        self._strict = strict
        self._by_class: dict[type[AuditEvent], Declared] = {}

    def __call__(self, event: AuditEvent | Declared, /, **fields: object) -> bool:
        """Write one entry: `audit(UserDeleted(actor="ada", target="bob"))`, `audit(USER_DELETED, actor="ada", ...)`.

        False when the entry is lost: nobody has read anything for so long that audit entries alone fill the buffer.
        What must not happen without a trace should then not happen.

        Raises:
            AuditError: `strict`, and the fields are not the declared ones.
        """
        if isinstance(event, Declared):
            declared = event
        else:
            declared = self._declaration(type(event))
            fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)} | fields
        caller = sys._getframe(1)  # noqa: SLF001  # as `logging` finds it; the chain would find this file
        problems = _problems(declared, fields)
        if problems and self._strict:
            raise AuditError(f"{declared.name}: {'; '.join(problems)}")
        try:
            entry = self._entry(declared, fields, problems)
            code = caller.f_code
            entry[SOURCE_LOCATION] = {
                "file": code.co_filename,
                "line": str(caller.f_lineno),
                "function": code.co_name,
            }
            written = self._write(render(entry)) is not False
        except Exception as error:  # noqa: BLE001  # a log call never fails its caller
            guard.caught("audit log", error)
            written = False
        if problems:
            guard.caught("audit log", AuditError(f"{declared.name}: {'; '.join(problems)}"))
        return written

    def _declaration(self, kind: type[AuditEvent]) -> Declared:
        declared = self._by_class.get(kind)
        if declared is None:
            declared = self._by_class[kind] = declared_by(kind)
        return declared

    def _entry(self, declared: Declared, fields: Mapping[str, object], problems: list[str]) -> Entry:
        own = {name: value for name, value in fields.items() if name in declared.fields}
        other = {name: value for name, value in fields.items() if name not in declared.fields}
        entry: Entry = {"event": declared.name, "_name": LOGGER}
        for processor in self._processors:
            entry = processor(None, SEVERITY.lower(), entry)
        entry.update(self._redaction.fields(own))
        entry.update({name: own[name] for name in declared.exact if name in own})
        if problems:
            entry["undeclared"] = {"problems": problems, "fields": self._redaction.fields(other)}
        entry.update(audit_event=declared.name, logger=LOGGER, severity=SEVERITY)
        entry[LABELS] = {**entry.get(LABELS, {}), "audit": "true"}
        return entry


def get_audit_logger(
    write: Callable[[bytes], object], processors: Sequence[Processor], *, redaction: "Redaction", strict: bool
) -> AuditLogger:
    """See `AuditLogger`."""
    return AuditLogger(write, processors, redaction=redaction, strict=strict)


def _checked(declared: Declared) -> Declared:
    taken = sorted(name for name in declared.fields if name in _OWN or name.startswith("logging.googleapis.com/"))
    if taken:
        raise AuditError(f"{declared.name}: fields that entries use themselves: {', '.join(taken)}")
    return declared


def _problems(declared: Declared, fields: Mapping[str, object]) -> list[str]:
    problems = [f"{name!r} is not declared" for name in fields if name not in declared.fields]
    for name, kind in declared.fields.items():
        if name not in fields:
            if not _is_of(None, kind):
                problems.append(f"{name!r} is missing")
        elif not _is_of(fields[name], kind):
            problems.append(f"{name!r} is {type(fields[name]).__name__}, declared as {_named(kind)}")
    return problems


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value has a type: classes, unions, `Literal`, and lists, sets, tuples and dicts of them."""
    if kind is Any:
        return True
    if kind is None:
        return value is None
    origin = get_origin(kind)
    if origin is None:
        # bool is an int to Python, and an int a float to a reader.
        return (isinstance(value, kind) and not (isinstance(value, bool) and kind is int)) or (
            kind is float and type(value) is int
        )
    arguments = get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_of(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if not isinstance(value, origin):
        return False
    if isinstance(value, Mapping):
        return all(_is_of(key, arguments[0]) and _is_of(one, arguments[1]) for key, one in value.items())
    if isinstance(value, Iterable):
        return all(_is_of(item, arguments[0]) for item in value)
    return True


def _named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
