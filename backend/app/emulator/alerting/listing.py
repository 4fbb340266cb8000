"""Filter, order and pages of list calls: the common part of cloud.google.com/monitoring/api/v3/sorting-and-filtering.

A filter is comparisons joined by AND: `field = "text"`, `!=`, `:` (has), and the functions `starts_with("x")`,
`ends_with("x")` and `has_substring("x")` after `=`. OR, NOT and parentheses are refused by name.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from google.protobuf import json_format

from ..status import invalid_field
from .messages import Raw

_COMPARISON = re.compile(
    r"""\s*(?P<field>[a-zA-Z_][\w.-]*)\s*(?P<op>!=|=|:)\s*
        (?:(?P<function>starts_with|ends_with|has_substring)\s*\(\s*)?
        (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<word>[\w./-]+))\s*(?(function)\))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"AND\b\s*")

Test = Callable[[Any], bool]
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "": lambda value, wanted: value == wanted,
    "starts_with": lambda value, wanted: value.startswith(wanted),
    "ends_with": lambda value, wanted: value.endswith(wanted),
    "has_substring": lambda value, wanted: wanted in value,
}
# What a path such as `user_labels.team` holds in an item, as texts.
Values = Callable[[Any, str], list[str]]


def select(items: Sequence[Raw], filter_: str, order_by: str = "") -> list[Raw]:
    tests = _tests(filter_, _values)
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
    tests: list[Test] = []
    at = 0
    while at < len(filter_.rstrip()):
        match = _COMPARISON.match(filter_, at)
        if match is None:
            raise invalid_field("filter", f"cannot be read from column {at + 1} on; see alerting/listing.py.", filter_)
        tests.append(_test(match, values))
        at = match.end()
        if at < len(filter_.rstrip()):
            joined = _AND.match(filter_, at)
            if joined is None:
                raise invalid_field("filter", f"needs AND at column {at + 1}; OR and NOT are not read yet.", filter_)
            at = joined.end()
    return tests


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
