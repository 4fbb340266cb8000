"""Filter, order and pages of list calls: the common part of cloud.google.com/monitoring/api/v3/sorting-and-filtering.

A filter is comparisons, joined by AND (or nothing), OR, NOT and parentheses: `field = "text"`, `!=`, `:` (has), and the
functions `starts_with("x")`, `ends_with("x")` and `has_substring("x")` after `=`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf import json_format

from ..status import ApiError, invalid_field
from .messages import Raw

_COMPARISON = re.compile(
    r"""\s*(?P<field>[a-zA-Z_][\w.-]*)\s*(?P<op>!=|=|:)\s*
        (?:(?P<function>starts_with|ends_with|has_substring)\s*\(\s*)?
        (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<word>[\w./-]+))\s*(?(function)\))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"\s*AND\b\s*")
_OR = re.compile(r"\s*OR\b\s*")
_NOT = re.compile(r"\s*(?:NOT\b|-)\s*")
_OPEN, _CLOSE = re.compile(r"\s*\(\s*"), re.compile(r"\s*\)\s*")
_DEEPEST = 100

Test = Callable[[Any], bool]
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "": lambda value, wanted: value == wanted,
    "starts_with": lambda value, wanted: value.startswith(wanted),
    "ends_with": lambda value, wanted: value.endswith(wanted),
    "has_substring": lambda value, wanted: wanted in value,
}
# What a path such as `user_labels.team` holds in an item, as texts.
Values = Callable[[Any, str], list[str]]


def select(
    items: Sequence[Raw], filter_: str, order_by: str = "", virtual: Mapping[str, Callable[[Raw], str]] | None = None
) -> list[Raw]:
    """`virtual`: fields that filters know and messages do not have."""
    more = virtual or {}

    def values(item: Raw, path: str) -> list[str]:
        return [more[path](item)] if path in more else _values(item, path)

    tests = _tests(filter_, values)
    chosen = [item for item in items if all(test(item) for test in tests)]
    for entry in reversed([part.strip() for part in order_by.split(",") if part.strip()]):
        field, _, direction = entry.removeprefix("-").partition(" ")
        descending = entry.startswith("-") or direction.strip() == "desc"
        chosen.sort(key=partial(_one, field), reverse=descending)
    return chosen


def select_plain(items: Sequence[dict[str, Any]], filter_: str) -> list[dict[str, Any]]:
    """The same filter over decoded JSON."""
    tests = _tests(filter_, _plain_values)
    return [item for item in items if all(test(item) for test in tests)]


def _plain_values(item: Any, path: str) -> list[str]:
    for part in path.split("."):
        camel = re.sub(r"_([a-z])", lambda letter: letter[1].upper(), part)
        item = item.get(part, item.get(camel)) if isinstance(item, dict) else None
    if isinstance(item, dict):
        return [*item, *map(str, item.values())]
    return [] if item is None else [str(item)]


def _tests(filter_: str, values: Values) -> list[Test]:
    """No test for an empty filter, else one."""
    return [_Reader(filter_, values).read()] if filter_.strip() else []


class _Reader:
    """A filter's text to a test, by recursive descent: NOT binds closest, then OR, then AND."""

    def __init__(self, text: str, values: Values) -> None:
        self._text = text
        self._values = values
        self._at = 0
        self._depth = 0

    def read(self) -> Test:
        test = self._conjunction()
        if self._at < len(self._text.rstrip()):
            raise self._unreadable()
        return test

    def _conjunction(self) -> Test:
        parts = [self._disjunction()]
        while self._takes(_AND) or self._goes_on():
            parts.append(self._disjunction())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _goes_on(self) -> bool:
        """Whether another comparison follows without a word between: that is AND too."""
        rest = self._text[self._at :].lstrip()
        return bool(rest) and not rest.startswith(")") and _OR.match(rest) is None

    def _disjunction(self) -> Test:
        parts = [self._negation()]
        while self._takes(_OR):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def _negation(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise invalid_field("filter", "is nested too deeply.", self._text[:80])
        try:
            if self._takes(_NOT):
                inner = self._negation()
                return lambda item: not inner(item)
            if self._takes(_OPEN):
                test = self._conjunction()
                if not self._takes(_CLOSE):
                    raise self._unreadable()
                return test
        finally:
            self._depth -= 1
        match = _COMPARISON.match(self._text, self._at)
        if match is None:
            raise self._unreadable()
        self._at = match.end()
        return _test(match, self._values)

    def _takes(self, word: re.Pattern[str]) -> bool:
        match = word.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match is not None

    def _unreadable(self) -> ApiError:
        return invalid_field("filter", f"cannot be read from column {self._at + 1} on.", self._text)


def _test(match: re.Match[str], values: Values) -> Test:
    quoted, single, word = match["quoted"], match["single"], match["word"]
    wanted = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (single if single is not None else word)
    path, operator, function = match["field"], match["op"], match["function"]
    if operator == ":":
        return lambda item: any(wanted in value for value in values(item, path))
    compare = _COMPARE[function or ""]
    if operator == "!=":
        return lambda item: not any(compare(value, wanted) for value in values(item, path))
    return lambda item: any(compare(value, wanted) for value in values(item, path))


def _one(path: str, item: Raw) -> str:
    values = _values(item, path)
    return values[0] if values else ""


def _values(item: Raw, path: str) -> list[str]:
    """What a path such as `user_labels.team` or `notification_channels` holds, as text; map and list parts fan out."""
    head, _, rest = path.partition(".")
    field = item.DESCRIPTOR.fields_by_name.get(head) or item.DESCRIPTOR.fields_by_camelcase_name.get(head)
    if field is None:
        raise invalid_field("filter", f"{item.DESCRIPTOR.name} has no field {head}.", path)
    value = getattr(item, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return [str(value[rest])] if rest in value else ([] if rest else [*value, *map(str, value.values())])
    if field.is_repeated:
        return [str(part) for part in value]
    if field.message_type is not None:
        if rest:
            return _values(value, rest)
        shown: Any = json_format.MessageToDict(value) if item.HasField(field.name) else ""
        return [_text(shown)]
    if field.enum_type is not None:
        return [field.enum_type.values_by_number[value].name]
    return [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
