"""What a PromQL query compares: the values that a threshold hid.

`a / b > 0.05 and c > 20` answers nothing while all is well; for people the values of `a / b` and `c` are what counts.
"""

import operator
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..promql.evaluate import instant
from ..promql.lex import mask
from ..promql.mapping import MONITORED_RESOURCE
from ..promql.model import NAME, QueryError, SampleSource

_MOST_SHOWN = 5
_HOLDS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TOKEN = re.compile(r"(?P<open>[({\[])|(?P<close>[)}\]])|\b(?P<set>and|or|unless)\b|(?P<compare>[<>]=?|==|!=)")
_MODIFIER = re.compile(r"\s*(?:bool\b|(?:on|ignoring|group_left|group_right)\s*\([^)]*\))\s*")


class Side(NamedTuple):
    left: str
    operator: str
    right: str


def sides(query: str) -> list[Side]:
    """The comparisons at the top of a query and of the operands of its `and`, `or` and `unless`."""
    try:
        blanked = mask(query).blanked
    except QueryError:
        return []
    return list(_sides(query, blanked))


def _sides(query: str, blanked: str) -> Iterator[Side]:
    inner = _unwrapped(blanked)
    query, blanked = query[inner], blanked[inner]
    depth, begin, compared = 0, 0, None
    for match in _TOKEN.finditer(blanked):
        if match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif depth == 0 and match["set"]:
            yield from _side(query, blanked, begin, compared, match.start(), whole=False)
            begin, compared = _after_modifiers(blanked, match.end()), None
        elif depth == 0 and compared is None:
            compared = match
    yield from _side(query, blanked, begin, compared, len(query), whole=begin == 0)


def _side(
    query: str, blanked: str, begin: int, compared: "re.Match[str] | None", end: int, *, whole: bool
) -> Iterator[Side]:
    if compared is not None:
        right = _after_modifiers(blanked, compared.end())
        yield Side(query[begin : compared.start()].strip(), compared[0], query[right:end].strip())
    elif not whole:
        yield from _sides(query[begin:end], blanked[begin:end])


def _after_modifiers(blanked: str, at: int) -> int:
    while (match := _MODIFIER.match(blanked, at)) is not None:
        at = match.end()
    return at


def _unwrapped(blanked: str) -> slice:
    """The part inside brackets that enclose all of it."""
    begin, end = 0, len(blanked)
    while True:
        text = blanked[begin:end]
        begin += len(text) - len(text.lstrip())
        end -= len(text) - len(text.rstrip())
        if end - begin < 2 or blanked[begin] != "(":  # noqa: PLR2004  # two brackets
            return slice(begin, end)
        depth = 0
        for at in range(begin, end):
            depth += {"(": 1, ")": -1}.get(blanked[at], 0)
            if depth == 0:
                break
        if at != end - 1:
            return slice(begin, end)
        begin, end = begin + 1, end - 1


def compared_values(query: str, source: SampleSource, at: int) -> list[tuple[str, list[str]]]:
    """Each comparison of the query, and the values that it compares at `at` (ns), with their labels."""
    found: list[tuple[str, list[str]]] = []
    for side in sides(query):
        try:
            left = instant(side.left, source, at // 1_000_000).samples
            right = instant(side.right, source, at // 1_000_000).samples
        except QueryError:
            continue
        limit = right[0][1] if len(right) == 1 else None
        values = [
            f"{value:g}{_verdict(value, side.operator, limit)}{_labels(labels)}"
            for labels, value, _ in left[:_MOST_SHOWN]
        ]
        text = " ".join(f"{side.left} {side.operator} {side.right}".split())
        found.append((text, values or ["no value"]))
    return found


def _verdict(value: float, sign: str, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{'' if _HOLDS[sign](value, limit) else ' not'} {sign} {limit:g}"


def _labels(labels: Mapping[str, str]) -> str:
    told = ", ".join(f"{key}={text}" for key, text in sorted(labels.items()) if key not in {NAME, MONITORED_RESOURCE})
    return f"  {{{told}}}" if told else ""
