"""EXTRACT(field) and REGEXP_EXTRACT(field, regex) of log-based metrics (google/logging/v2/logging_metrics.proto)."""

from collections.abc import Callable
from typing import Any

from google.api import label_pb2

from ..clock import NANOS
from .fields import MISSING, Field, Kind, resolve
from .record import Record, severity_name
from .regex import Pattern, TooExpensiveError, compile_re2
from .syntax import Call, FilterError, Path, parse
from .values import boolean, format_timestamp, number, number_text

_LABEL = label_pb2.LabelDescriptor
_FORM = "an extractor is EXTRACT(field) or REGEXP_EXTRACT(field, regex)"
_LONGEST_VALUE = 1024  # docs.cloud.google.com/monitoring/quotas: length of a label value

TextOf = Callable[[Record], str | None]


def text_extractor(source: str) -> TextOf:
    """What an extractor reads in an entry, as text; None where it finds nothing.

    Raises:
        ValueError: What is wrong with the extractor.
    """
    field, pattern = _parts(source)
    if pattern is None:
        return lambda record: _text(field, record)

    def extract(record: Record) -> str | None:
        text = _text(field, record)
        try:
            return None if text is None else pattern.group_in(text)
        except TooExpensiveError:
            return None

    return extract


def number_extractor(source: str) -> Callable[[Record], float | None]:
    """What an extractor reads in an entry, as a number; durations are seconds.

    Raises:
        ValueError: As `text_extractor`.
    """
    field, pattern = _parts(source)
    if pattern is None and field.kind is Kind.DURATION:
        return lambda record: field.read(record) / NANOS if field.present(record) else None
    text_of = text_extractor(source)

    def extract(record: Record) -> float | None:
        text = text_of(record)
        return None if text is None else number(text.strip())

    return extract


def label_extractor(source: str, value_type: int) -> Callable[[Record], str]:
    """The value of a label; where extraction or conversion fail, the default of the label's type.

    Raises:
        ValueError: As `text_extractor`.
    """
    text_of = text_extractor(source)
    if value_type == _LABEL.BOOL:
        return lambda record: "true" if boolean(text_of(record) or "") else "false"
    if value_type == _LABEL.INT64:
        return lambda record: _integer(text_of(record))
    return lambda record: (text_of(record) or "")[:_LONGEST_VALUE]


def _parts(source: str) -> tuple[Field, Pattern | None]:
    try:
        match parse(source):
            case Call(name="EXTRACT", arguments=(Path() as field,)):
                return _field(field), None
            case Call(name="REGEXP_EXTRACT", arguments=(Path() as field, Path() as regex)):
                return _field(field), _pattern(regex)
    except FilterError as error:
        raise ValueError(str(error)) from None
    raise ValueError(_FORM)


def _field(path: Path) -> Field:
    return resolve([segment.text for segment in path.segments])


def _pattern(regex: Path) -> Pattern:
    pattern = compile_re2(regex.segments[0].pattern if regex.quoted else regex.text)
    if pattern.groups != 1:
        raise ValueError(f"the regular expression needs exactly one group, it has {pattern.groups}")
    return pattern


def _text(field: Field, record: Record) -> str | None:
    value: Any = field.read(record)
    if value is MISSING or value is None or isinstance(value, list | dict):
        return None
    if field.kind is Kind.TIMESTAMP:
        return format_timestamp(value)
    if field.kind is Kind.DURATION:
        return f"{number_text(value / NANOS)}s"
    if field.kind is Kind.SEVERITY:
        return severity_name(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, float | int) else str(value)


def _integer(text: str | None) -> str:
    try:
        return str(int(text or ""))
    except ValueError:
        return "0"
