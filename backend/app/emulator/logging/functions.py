"""The functions of the Logging query language (docs.cloud.google.com/logging/docs/view/logging-query-language)."""

import hashlib
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..clock import NANOS
from .fields import MISSING, Field, Kind, resolve
from .record import SEPARATOR, Record, log_id
from .regex import compile_re2
from .syntax import Call, FilterError, Path
from .values import boolean, duration, folded, format_timestamp, number, number_text, timestamp

Predicate = Callable[[Record], bool]

# BigQuery's LOG_ANALYZER splits here (cloud.google.com/bigquery/docs/reference/standard-sql/text-analysis).
_DELIMITERS = re.compile(
    r"(?:%(?:21|26|2526|3b|7c|20|2b|3d|2520|5d|5b|3a|0a|2c|28|29)|[\[\]<>(){}|!;,'\"*&?+/:=@.\-$%\\_\n\r\s\t])+",
    re.IGNORECASE,
)
_KINDS = {
    "STRING": Kind.TEXT,
    "INT64": Kind.NUMBER,
    "FLOAT64": Kind.NUMBER,
    "BOOL": Kind.BOOL,
    "TIMESTAMP": Kind.TIMESTAMP,
    "DURATION": Kind.DURATION,
}


def field_of(operand: Path | Call) -> Field:
    """What stands on the left of a comparison: a field, `cast()` or `regexp_extract()`.

    Raises:
        FilterError: An unknown field or function, or wrong arguments.
    """
    if isinstance(operand, Path):
        return resolve([segment.text for segment in operand.segments])
    if operand.name == "cast":
        return _cast(operand)
    if operand.name == "regexp_extract":
        return _regexp_extract(operand)
    raise _wrong(operand, "it cannot be compared with a value" if operand.name in _PREDICATES else _UNKNOWN)


def predicate(call: Call) -> Predicate:
    """A function that stands for itself.

    Raises:
        FilterError: An unknown function, or wrong arguments.
    """
    build = _PREDICATES.get(call.name)
    if build is None:
        known = call.name in {"cast", "regexp_extract"}
        raise _wrong(call, "compare its result with a value" if known else _UNKNOWN)
    return build(call)


def _log_id(call: Call) -> Predicate:
    wanted = folded(_text(call, 0, count=1))
    return lambda record: _folded_log_id(record.log_name) == wanted


@lru_cache(maxsize=4096)
def _folded_log_id(log_name: str) -> str:
    return folded(log_id(log_name))


def _source(call: Call) -> Predicate:
    prefix = _text(call, 0, count=1).rstrip("/") + "/logs/"
    return lambda record: record.log_name.startswith(prefix)


def _sample(call: Call) -> Predicate:
    fraction = number(_text(call, 1, count=2))
    if fraction is None or not 0 < fraction <= 1:
        raise _wrong(call, "the fraction must be greater than 0 and at most 1")
    read = field_of(call.arguments[0]).read
    limit = int(fraction * 2**64)

    def test(record: Record) -> bool:
        value = read(record)
        if value is MISSING:
            return False
        digest = hashlib.blake2b(str(value).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < limit

    return test


def _ip_in_net(call: Call) -> Predicate:
    cidr = _text(call, 1, count=2)
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise _wrong(call, f"'{cidr}' is not an IP address or a range such as 10.1.2.0/24") from None
    read = field_of(call.arguments[0]).read

    def inside(value: Any) -> bool:
        if isinstance(value, list):
            return any(inside(element) for element in value)
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return lambda record: inside(read(record))


def _search(call: Call) -> Predicate:
    query = _text(call, len(call.arguments) - 1, at_most=2)
    *plain, phrases = _search_terms(query)
    if not plain and not phrases:
        raise _wrong(call, "the query has no words")
    haystack = _all_fields if len(call.arguments) == 1 else _field_text(call.arguments[0])
    words = frozenset(plain)

    def test(record: Record) -> bool:
        text = haystack(record)
        # A cheap look before the text is cut into words.
        if any(word not in text for word in words):
            return False
        if words and not words.issubset(_DELIMITERS.split(text.replace(SEPARATOR, " "))):
            return False
        return all(_has_phrase(text, phrase) for phrase in phrases)

    return test


def _search_terms(query: str) -> list[Any]:
    """Words, and as the last element the list of phrases: what stood between backticks."""
    pieces = folded(query).split("`")
    phrases = [tokens for piece in pieces[1::2] if (tokens := _tokens(piece))]
    return [*_tokens(" ".join(pieces[0::2])), phrases]


def _tokens(text: str) -> list[str]:
    return [token for token in _DELIMITERS.split(text) if token]


def _has_phrase(text: str, phrase: list[str]) -> bool:
    size = len(phrase)
    for field in text.split(SEPARATOR):
        tokens = _tokens(field)
        if any(tokens[at : at + size] == phrase for at in range(len(tokens) - size + 1)):
            return True
    return False


def _all_fields(record: Record) -> str:
    return record.haystack


def _field_text(operand: Path | Call) -> Callable[[Record], str]:
    read = field_of(operand).read

    def text(record: Record) -> str:
        value = read(record)
        if value is MISSING:
            return ""
        return folded(SEPARATOR.join(map(str, value)) if isinstance(value, list) else str(value))

    return text


def _cast(call: Call) -> Field:
    kind_name = _text(call, 1, at_most=3).upper()
    if kind_name not in _KINDS:
        raise _wrong(call, f"'{kind_name}' is none of {', '.join(_KINDS)}")
    zone = _zone(call)
    source = field_of(call.arguments[0])

    def read(record: Record) -> Any:
        value = source.read(record)
        if value is MISSING:
            return MISSING
        text = _as_text(value, source.kind, zone)
        converted = text if kind_name == "STRING" else _convert(text, kind_name)
        return MISSING if converted is None else converted

    return Field(_KINDS[kind_name], read, lambda record: read(record) is not MISSING)


def _as_text(value: Any, kind: Kind, zone: ZoneInfo | None) -> str:
    if kind is Kind.TIMESTAMP:
        if zone is None:
            return format_timestamp(value)
        return datetime.fromtimestamp(value // NANOS, UTC).astimezone(zone).isoformat()
    if kind is Kind.DURATION:
        return f"{number_text(value / NANOS)}s"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, float | int) else str(value)


def _convert(text: str, kind_name: str) -> Any:
    if kind_name == "INT64":
        as_number = number(text)
        return None if as_number is None or not as_number.is_integer() else as_number
    converters: dict[str, Callable[[str], Any]] = {
        "FLOAT64": number,
        "BOOL": boolean,
        "TIMESTAMP": timestamp,
        "DURATION": duration,
    }
    return converters[kind_name](text)


def _zone(call: Call) -> ZoneInfo | None:
    if len(call.arguments) < 3:  # noqa: PLR2004  # field, type, zone
        return None
    zone = call.arguments[2]
    if not isinstance(zone, Call) or zone.name != "TIMEZONE":
        raise _wrong(call, 'the third argument is a zone: TIMEZONE("Europe/Paris")')
    try:
        return ZoneInfo(_text(zone, 0, count=1))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(zone, "there is no time zone of that name") from None


def _regexp_extract(call: Call) -> Field:
    _text(call, 1, count=2)
    pattern = call.arguments[1]
    assert isinstance(pattern, Path)
    try:
        compiled = compile_re2(pattern.segments[0].pattern if pattern.quoted else pattern.text)
    except ValueError as error:
        raise _wrong(call, f"invalid regular expression: {error}") from None
    if compiled.groups != 1:
        raise _wrong(call, f"the regular expression needs exactly one group, it has {compiled.groups}")
    source = field_of(call.arguments[0])

    def read(record: Record) -> Any:
        value = source.read(record)
        found = compiled.group_in(value) if isinstance(value, str) else None
        return MISSING if found is None else found

    return Field(Kind.TEXT, read, lambda record: read(record) is not MISSING)


def _text(call: Call, index: int, *, count: int = 0, at_most: int = 0) -> str:
    """The argument at an index, which has to be a text; refuses a wrong number of arguments."""
    given = len(call.arguments)
    if (count and given != count) or (at_most and given > at_most) or not 0 <= index < given:
        raise _wrong(call, f"{given} argument{'' if given == 1 else 's'} given, {_SIGNATURES[call.name]} expected")
    argument = call.arguments[index]
    if isinstance(argument, Call):
        raise _wrong(call, f"argument {index + 1} must be a plain value")
    return argument.text


def _wrong(call: Call, why: str) -> FilterError:
    return FilterError(f"function {call.name}() at line {call.line}, column {call.column}: {why}")


_UNKNOWN = "there is no function of that name"
_SIGNATURES = {
    "SEARCH": 'SEARCH([field,] "query")',
    "TIMEZONE": 'TIMEZONE("zone")',
    "cast": "cast(field, TYPE[, zone])",
    "ip_in_net": 'ip_in_net(field, "range")',
    "LOG_ID": 'LOG_ID("id")',
    "log_id": 'log_id("id")',
    "regexp_extract": 'regexp_extract(field, "pattern")',
    "sample": "sample(field, fraction)",
    "source": "source(projects/ID)",
}
_PREDICATES: dict[str, Callable[[Call], Predicate]] = {
    # The filters of the sinks _Default and _Required are written with it.
    "LOG_ID": _log_id,
    "SEARCH": _search,
    "ip_in_net": _ip_in_net,
    "log_id": _log_id,
    "sample": _sample,
    "source": _source,
}
