"""How the Logging query language reads and compares values, by type.

A value that cannot be converted to the field's type makes the comparison false, never an error
(docs.cloud.google.com/logging/docs/view/logging-query-language, "Values and conversions").
"""

import operator
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ..clock import NANOS
from .regex import Pattern

Test = Callable[[Any], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    ":": operator.eq,  # on anything but text `:` means equality
}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
# A zone without its colon is what google-cloud-logging writes into the filter of every list_entries().
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s*([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": NANOS, "m": 60 * NANOS, "h": 3600 * NANOS}


def folded(text: str) -> str:
    """Text as comparisons see it: NFKC, then case folded."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def timestamp(text: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time; a date alone is its midnight, no zone is UTC."""
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{(zone or 'Z').upper()}")
    except ValueError:
        return None
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NANOS + int((fraction or "0").ljust(9, "0"))


def format_timestamp(nanos: int) -> str:
    """RFC 3339 with nine digits and Z: what the REST API prints, and sortable as text."""
    seconds, rest = divmod(nanos, NANOS)
    return f"{_second(seconds)}.{rest:09d}Z"


# Entries come in the order of their time: most share the second of the one before.
@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def duration(text: str) -> int | None:
    """Nanoseconds of `3.2s`, `5ms` and their like."""
    match = _DURATION.fullmatch(text.strip())
    return None if match is None else round(float(match[1]) * _UNITS[match[2]])


def text_test(op: str, literal: str) -> Test:
    wanted = folded(literal)
    if op == ":":
        return lambda value: wanted in folded(value)
    compare = _ORDER[op]
    return lambda value: compare(folded(value), wanted)


def typed_test(op: str, wanted: Any) -> Test:
    """A comparison with a value that is already of the field's type; None is a failed conversion."""
    if wanted is None:
        return _never
    compare = _ORDER[op]
    return lambda value: compare(value, wanted)


def json_test(op: str, literal: str) -> Test:
    """A comparison with a value of a JSON payload, whose type is known only when it is seen."""
    as_text, as_number, as_boolean = text_test(op, literal), number(literal), boolean(literal)
    on_number, on_boolean = typed_test(op, as_number), typed_test(op, as_boolean)
    null = typed_test(op, literal == "NULL_VALUE" or None) if op in {"=", ":"} else _never
    wanted = folded(literal)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return as_text(value)
        if isinstance(value, bool):
            return on_boolean(value)
        if isinstance(value, float | int):
            return on_number(value)
        if isinstance(value, list):
            return any(test(element) for element in value)
        if value is None:
            return null(True)
        return op == ":" and any(wanted in folded(leaf) for leaf in leaves(value))

    return test


def pattern_test(op: str, pattern: Pattern) -> Test:
    """`=~` and `!~`: only on text, case-sensitive, anywhere in the value."""
    found_in, wanted = pattern.found_in, op == "=~"

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return found_in(value) is wanted
        return isinstance(value, list) and any(test(element) for element in value)

    return test


def leaves(value: Any) -> list[str]:
    """Every scalar below a JSON value, as text; iterative, because payloads may be nested at will."""
    found: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, bool):
            found.append("true" if item else "false")
        elif item is not None:
            found.append(number_text(item))
    return found


def number_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _never(_value: Any) -> bool:
    return False
