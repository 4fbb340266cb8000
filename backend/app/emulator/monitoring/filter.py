"""Monitoring filters (docs.cloud.google.com/monitoring/api/v3/filters): text to a predicate over time series.

NOT binds closest, then OR, then AND; two comparisons side by side are joined by AND. An absent label is an empty one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from ..promql.regex import full_matcher
from ..status import ApiError, Code, invalid

_GRAMMAR = r"""
?start: conjunction
?conjunction: disjunction (_AND? disjunction)*
?disjunction: negation (_OR negation)*
?negation: (_NOT | _MINUS) negation -> negated
         | "(" conjunction ")"
         | NAME OPERATOR value      -> comparison
         | FUNCTION arguments       -> condition
?value: STRING                      -> text
      | NUMBER                      -> word
      | NAME                        -> word
      | FUNCTION arguments          -> call
arguments: [literal ("," literal)*] ")"
?literal: STRING                    -> text
        | (NUMBER | NAME)           -> word

_AND.3: /AND(?![\w.\/-])/i
_OR.3: /OR(?![\w.\/-])/i
_NOT.3: /NOT(?![\w.\/-])/i
_MINUS: /-(?![\d.])/
FUNCTION.2: /(?!(AND|OR|NOT)\s*\()[A-Za-z_][\w.]*\(/
NAME: /[A-Za-z_][\w\/-]*(\.([\w\/-]+|"(\\.|[^"\\])*"))*/
NUMBER: /-?\.?\d[\w.+\/-]*/
OPERATOR: /!=|<=|>=|=|<|>|:/
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
%ignore /\s+/
"""
_MAX_FILTER = 2048
"""Filters have at most 2,048 Unicode characters (the same page)."""

_ALIASES = {"metric.label": "metric.labels", "resource.label": "resource.labels"}
_NOT_KEPT = ("metadata", "group")


class Subject(Protocol):
    """What a filter looks at: a series, or the identity of one."""

    @property
    def metric_type(self) -> str: ...
    @property
    def metric_labels(self) -> Mapping[str, str]: ...
    @property
    def resource_type(self) -> str: ...
    @property
    def resource_labels(self) -> Mapping[str, str]: ...


Predicate = Callable[[Subject], bool]
_Test = Callable[[str], bool]


class Filter(NamedTuple):
    matches: Predicate
    metric_types: tuple[str, ...]
    """The metric types that `metric.type = "..."` names, in any place of the filter."""


class _Value(NamedTuple):
    test: _Test
    text: str | None
    """The literal, None for a function."""


@lru_cache(maxsize=256)
def parse_filter(text: str) -> Filter:
    """Read a filter; the empty one matches everything.

    Raises:
        ApiError: INVALID_ARGUMENT with the place of the mistake; UNIMPLEMENTED for what the emulator does not keep.
    """
    if len(text) > _MAX_FILTER:
        raise invalid(
            f"Field filter had an invalid value: it has {len(text)} characters, at most {_MAX_FILTER} are allowed."
        )
    if not text.strip():
        return Filter(lambda _subject: True, ())
    build = _Build()
    try:
        matches: Predicate = build.transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        raise _refused(text, f"syntax error at line {error.line}, column {error.column}.") from None
    except VisitError as error:
        if isinstance(error.orig_exc, ApiError):
            raise error.orig_exc from None
        if isinstance(error.orig_exc, ValueError):
            raise _refused(text, str(error.orig_exc)) from None
        raise
    except RecursionError:
        raise _refused(text[:80], "it is nested too deeply.") from None
    return Filter(matches, tuple(build.metric_types))


def _refused(text: str, why: str) -> ApiError:
    return invalid(f'Field filter had an invalid value of "{text}": {why}')


class _Build(Transformer[Token, Any]):
    def __init__(self) -> None:
        super().__init__()
        self.metric_types: list[str] = []

    def conjunction(self, parts: list[Predicate]) -> Predicate:
        return lambda subject: all(part(subject) for part in parts)

    def disjunction(self, parts: list[Predicate]) -> Predicate:
        return lambda subject: any(part(subject) for part in parts)

    def negated(self, parts: list[Predicate]) -> Predicate:
        part = parts[0]
        return lambda subject: not part(subject)

    def text(self, tokens: list[Token]) -> str:
        return _unquoted(tokens[0])

    def word(self, tokens: list[Token]) -> str:
        return str(tokens[0])

    def arguments(self, values: list[str | None]) -> list[str]:
        return [value for value in values if value is not None]

    def call(self, parts: list[Any]) -> _Value:
        return _Value(_function(str(parts[0])[:-1], parts[1]), None)

    def condition(self, parts: list[Any]) -> Predicate:
        name = str(parts[0])[:-1]
        raise ApiError(Code.UNIMPLEMENTED, f"The emulator does not answer the filter function {name} here yet.")

    def comparison(self, parts: list[Any]) -> Predicate:
        name, operator, value = str(parts[0]), str(parts[1]), parts[2]
        path = _path(name)
        if isinstance(value, str):
            value = _Value(_literal_test(operator, value), value)
        elif operator not in {"=", "!="}:
            raise ValueError(f"a function is compared by = or !=, not by {operator}.")
        if operator == "=" and value.text is not None and path == ["metric", "type"]:
            self.metric_types.append(value.text)
        if operator == ":" and len(path) == 2 and path[1] == "labels" and value.text is not None:  # noqa: PLR2004  # `resource.labels:zone`
            return _has_label(path[0], value.text)
        read, test = _reader(path, name), value.test
        if operator == "!=":
            return lambda subject: not test(read(subject))
        return lambda subject: test(read(subject))


_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def _path(name: str) -> list[str]:
    """A field name in its parts: `metric.label."a b"` is metric, labels, a b."""
    parts = [_unquoted(part) if part.startswith('"') else part for part in re.findall(r'"(?:\\.|[^"\\])*"|[^.]+', name)]
    head = ".".join(parts[:2])
    return [*_ALIASES.get(head, head).split("."), *parts[2:]]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _reader(path: Sequence[str], name: str) -> Callable[[Subject], str]:
    match path:
        case ["metric", "type"]:
            return lambda subject: subject.metric_type
        case ["resource", "type"]:
            return lambda subject: subject.resource_type
        case ["project"]:
            return lambda subject: subject.resource_labels.get("project_id", "")
        case ["metric", "labels", key]:
            return lambda subject: subject.metric_labels.get(key, "")
        case ["resource", "labels", key]:
            return lambda subject: subject.resource_labels.get(key, "")
        case [first, *_] if first in _NOT_KEPT:
            raise ApiError(
                Code.UNIMPLEMENTED, f"The emulator keeps no {first} of time series, so it cannot filter by {name}."
            )
    raise ValueError(f"{name} is not a field of time series.")


def _has_label(part: str, key: str) -> Predicate:
    if part == "metric":
        return lambda subject: key in subject.metric_labels
    return lambda subject: key in subject.resource_labels


def _literal_test(operator: str, text: str) -> _Test:
    if operator in {"=", "!="}:
        return lambda found: found == text
    if operator == ":":
        return lambda found: text in found
    number = float(text)
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda found: found < number,
        "<=": lambda found: found <= number,
        ">": lambda found: found > number,
        ">=": lambda found: found >= number,
    }
    return _numeric(compare[operator])


def _numeric(test: Callable[[float], bool]) -> _Test:
    def compare(found: str) -> bool:
        try:
            return test(float(found))
        except ValueError:
            return False

    return compare


def _function(name: str, arguments: list[str]) -> _Test:
    if name == "one_of":
        chosen = frozenset(arguments)
        return lambda found: found in chosen
    if len(arguments) != 1:
        raise ValueError(f"{name} takes one string.")
    argument = arguments[0]
    match name:
        case "starts_with":
            return lambda found: found.startswith(argument)
        case "ends_with":
            return lambda found: found.endswith(argument)
        case "has_substring":
            return lambda found: argument in found
        case "monitoring.regex.full_match":
            return full_matcher(argument)
    raise ValueError(f"the function {name} is unknown.")
