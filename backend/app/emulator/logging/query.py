"""A Logging query, compiled once and asked of many entries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import functions
from .fields import MISSING, Field, Kind
from .functions import Predicate
from .record import SEVERITIES, Record
from .regex import compile_re2
from .syntax import All, AnyOf, Bare, Call, Compare, Expression, FilterError, Not, Path, Present, Value, parse
from .values import (
    Test,
    boolean,
    duration,
    folded,
    json_test,
    number,
    pattern_test,
    text_test,
    timestamp,
    typed_test,
)

# Documented limit of a query, comments included.
MAXIMUM_LENGTH = 20_000

_FOREVER = 2**63 - 1
_IN_TEXT = {"jsonpayload", "protopayload", "textpayload", "labels", "trace", "spanid", "insertid", "logname"}


@dataclass(frozen=True, slots=True)
class Query:
    """`matches` decides; `start` and `end` (ns, inclusive) bound what can match, so that a store looks no further."""

    matches: Predicate
    start: int
    end: int


def compile_query(text: str) -> Query:
    """A filter as ListLogEntries takes it; the empty one matches everything.

    Raises:
        FilterError: The message names what is wrong, for a syntax error with line and column.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise FilterError(f"the filter has {len(text)} characters, the limit is {MAXIMUM_LENGTH}")
    tree = parse(text)
    if tree is None:
        return Query(lambda _: True, -_FOREVER, _FOREVER)
    start, end = _bounds(tree)
    return Query(_with_needles(_compile(tree), _needles(tree)), start, end)


def _with_needles(matches: Predicate, needles: list[str]) -> Predicate:
    """A look at an entry's text first: it tells most entries apart without reading their fields."""
    if not needles:
        return matches
    if len(needles) == 1:
        needle = needles[0]
        return lambda record: needle in record.haystack and matches(record)

    def both(record: Record) -> bool:
        haystack = record.haystack
        return all(needle in haystack for needle in needles) and matches(record)

    return both


def _needles(tree: Expression) -> list[str]:
    """Texts that every entry holds which can match: what fields of text are to be equal to, or to contain."""
    found = []
    for part in tree.parts if isinstance(tree, All) else (tree,):
        if not (isinstance(part, Compare) and isinstance(part.left, Path) and isinstance(part.value, Path)):
            continue
        text = part.value.text
        # Numbers, booleans and null may be spelt otherwise in the entry; only these fields are in its text as they are.
        exact = number(text) is None and boolean(text) is None and text != "NULL_VALUE"
        top = part.left.segments[0].text.replace("_", "").lower()
        if part.operator in {"=", ":"} and exact and text and top in _IN_TEXT:
            found.append(folded(text))
    return found


def _compile(node: Expression) -> Predicate:
    match node:
        case All(parts):
            return _all([_compile(part) for part in parts])
        case AnyOf(parts):
            return _any([_compile(part) for part in parts])
        case Not(part):
            inner = _compile(part)
            return lambda record: not inner(record)
        case Bare(text):
            wanted = folded(text)
            return lambda record: wanted in record.haystack
        case Call():
            return functions.predicate(node)
        case Compare(left=left, operator=op, value=value):
            try:
                return _distribute(functions.field_of(left), op, value)
            except FilterError as error:
                place = "" if " at line " in str(error) else f" (line {node.line}, column {node.column})"
                raise FilterError(f"{error}{place}") from None


def _all(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:  # noqa: PLR2004  # the common case, without a generator
        first, second = parts
        return lambda record: first(record) and second(record)
    return lambda record: all(part(record) for part in parts)


def _any(parts: list[Predicate]) -> Predicate:
    return lambda record: any(part(record) for part in parts)


def _distribute(field: Field, op: str, value: Value) -> Predicate:
    """`field OP (a OR b)` is `field OP a OR field OP b`."""
    match value:
        case All(parts):
            return _all([_distribute(field, op, part) for part in parts])
        case AnyOf(parts):
            return _any([_distribute(field, op, part) for part in parts])
        case Not(part):
            inner = _distribute(field, op, part)
            return lambda record: not inner(record)
        case Present():
            if op != ":":
                raise FilterError(f"only `:` takes `*`, not `{op}`")
            return field.present
        case Path():
            test = _pattern(op, value) if op in {"=~", "!~"} else _test(field.kind, op, value.text)
            return _reader(field.read, test)


def _reader(read: Callable[[Record], Any], test: Test) -> Predicate:
    def matches(record: Record) -> bool:
        value = read(record)
        return value is not MISSING and test(value)

    return matches


def _pattern(op: str, value: Path) -> Test:
    if not value.quoted:
        raise FilterError(f'a regular expression stands in quotation marks: {op}"{value.text}"')
    try:
        return pattern_test(op, compile_re2(value.segments[0].pattern))
    except ValueError as error:
        raise FilterError(f"invalid regular expression: {error}") from None


def _test(kind: Kind, op: str, literal: str) -> Test:
    if kind is Kind.TEXT:
        return text_test(op, literal)
    if kind is Kind.JSON:
        return json_test(op, literal)
    convert: dict[Kind, Callable[[str], Any]] = {
        Kind.BOOL: boolean,
        Kind.NUMBER: number,
        Kind.SEVERITY: _severity,
        Kind.TIMESTAMP: timestamp,
        Kind.DURATION: duration,
    }
    return typed_test(op, convert[kind](literal))


def _severity(literal: str) -> float | None:
    return SEVERITIES.get(literal.upper(), number(literal))


def _bounds(tree: Expression) -> tuple[int, int]:
    """What the top-level comparisons of `timestamp` leave, both ends inclusive."""
    start, end = -_FOREVER, _FOREVER
    for part in tree.parts if isinstance(tree, All) else (tree,):
        if not (isinstance(part, Compare) and isinstance(part.left, Path) and isinstance(part.value, Path)):
            continue
        if part.left.text.lower() != "timestamp":
            continue
        moment = timestamp(part.value.text)
        if moment is None:
            continue
        if part.operator in {">", ">=", "=", ":"}:
            start = max(start, moment)
        if part.operator in {"<", "<=", "=", ":"}:
            end = min(end, moment)
    return start, end
