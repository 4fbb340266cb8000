"""Regular expressions of queries: RE2's syntax and meaning, and no pattern that can hold the emulator.

RE2 runs in linear time (github.com/google/re2/wiki/WhyRE2), Python's `re` backtracks. So a pattern is read into a tree,
and the tree decides: the text has to hold its longest literal; where backtracking is bounded by a small number of steps
Python's `re` searches (it is a hundred times faster); else the automaton of promql/regex.py does, in linear time.
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ..promql.regex import full_matcher, groups_of
from ..promql.regex_syntax import At, Chars, Choice, Group, Place, Reader, Repeat, Sequence, Tree

# Steps that `re` may take over one text: a few milliseconds.
_MAX_STEPS: Final = 200_000.0
# Steps (characters x size of the pattern) of the automaton: about half a second.
_MAX_WORK: Final = 1_000_000
_PLACES: Final[dict[Place, str]] = {
    "text start": r"\A",
    "text end": r"\Z",
    "line start": "(?m:^)",
    "line end": "(?m:$)",
    "word edge": r"(?a:\b)",
    "no word edge": r"(?!(?a:\b))",
}


class TooExpensiveError(ValueError):
    """A pattern and a text whose automaton would take seconds."""


class Pattern:
    """A pattern with RE2's meaning, searched for anywhere in a text."""

    def __init__(self, pattern: str) -> None:
        """Read a pattern.

        Raises:
            ValueError: It is not a pattern that RE2 takes; the message says why.
        """
        reader = Reader(pattern)
        try:
            tree = reader.read()
            self._size = _size(tree)
            # A pattern that the automaton cannot take either is refused now, not in the middle of a search.
            self._anywhere = full_matcher(f"(?s:.*)(?:{pattern})(?s:.*)")
            self._quick = _quick(tree)
        except RecursionError:
            raise ValueError("the regular expression is nested too deeply") from None
        self._wrapped = f"(?s:.*?)(?:{pattern})(?s:.*)"
        self.groups = reader.groups
        self._steps = _steps(tree)
        self._literal = _literal(tree)

    def found_in(self, text: str) -> bool:
        """Whether the pattern matches somewhere.

        Raises:
            TooExpensiveError: The text is too long for a pattern of this size.
        """
        if self._literal not in text:
            return False
        if self._is_quick(text):
            assert self._quick is not None
            return self._quick.search(text) is not None
        self._check_work(text)
        return self._anywhere(text)

    def group_in(self, text: str) -> str | None:
        """What the only group holds at the first match, empty when it had no part in it; None without a match.

        Raises:
            TooExpensiveError: As for `found_in`.
        """
        if self._literal not in text:
            return None
        if self._is_quick(text):
            assert self._quick is not None
            found = self._quick.search(text)
            return None if found is None else found[1] or ""
        self._check_work(text)
        groups = groups_of(self._wrapped, text)
        return None if groups is None else groups["1"]

    def _is_quick(self, text: str) -> bool:
        # Without an anchor `re` begins anew at every place of the text.
        return self._quick is not None and self._steps(len(text)) * (len(text) + 1) <= _MAX_STEPS

    def _check_work(self, text: str) -> None:
        if (len(text) + 1) * self._size > _MAX_WORK:
            raise TooExpensiveError(
                f"the regular expression is too expensive for a text of {len(text)} characters; make it simpler"
            )


@lru_cache(maxsize=256)
def compile_re2(pattern: str) -> Pattern:
    """As `Pattern`, kept for the next use."""
    return Pattern(pattern)


def _quick(tree: Tree) -> "re.Pattern[str] | None":
    source = _python(tree)
    try:
        return None if source is None else re.compile(source)
    except (re.error, OverflowError):
        return None


def _python(tree: Tree) -> str | None:
    """The tree in the syntax of Python's `re`; None where `re` has no word for it."""
    match tree:
        case Chars():
            return _class(tree)
        case At(place=place):
            return _PLACES[place]
        case Group(body=body):
            inner = _python(body)
            return None if inner is None else f"({inner})"
        case Sequence(parts=parts):
            return _joined(parts, "")
        case Choice(options=options):
            joined = _joined(options, "|")
            return None if joined is None else f"(?:{joined})"
        case Repeat(body=body):
            inner = _python(body)
            most = "" if tree.most is None else tree.most
            return None if inner is None else f"(?:{inner}){{{tree.least},{most}}}{'' if tree.greedy else '?'}"


def _joined(trees: tuple[Tree, ...], between: str) -> str | None:
    pieces = []
    for tree in trees:
        piece = _python(tree)
        if piece is None:
            return None
        pieces.append(piece)
    return between.join(pieces)


def _class(chars: Chars) -> str | None:
    if chars.categories:
        return None
    if not chars.ranges:
        return r"[\s\S]" if chars.negated else "(?!)"
    ranges = "".join(_range(first, last) for first, last in chars.ranges)
    source = f"[{'^' if chars.negated else ''}{ranges}]"
    return f"(?i:{source})" if chars.fold else source


def _range(first: int, last: int) -> str:
    return _code(first) if first == last else f"{_code(first)}-{_code(last)}"


def _code(code: int) -> str:
    return f"\\U{code:08x}"


def _steps(tree: Tree) -> Callable[[int], float]:
    """How many ways there are to read one text of a length from one place: what backtracking may have to try."""
    match tree:
        case Sequence(parts=parts):
            factors = [_steps(part) for part in parts]
            return lambda length: math.prod(factor(length) for factor in factors)
        case Choice(options=options):
            summands = [_steps(option) for option in options]
            return lambda length: sum(summand(length) for summand in summands)
        case Group(body=body):
            return _steps(body)
        case Repeat(body=body, least=least, most=most):
            if isinstance(body, Group):
                body = body.body  # a group changes nothing about the ways
            if isinstance(body, Chars):
                spread = None if most is None else most - least + 1
                return lambda length: float(length + 1 if spread is None else min(spread, length + 1))
            inner = _steps(body)
            if most is None:
                return lambda _: float("inf")
            return lambda length: _power(inner(length), most) * (most - least + 1)
        case _:
            return lambda _: 1.0


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return float("inf")


def _size(tree: Tree) -> int:
    """About how many steps the program of the automaton has."""
    match tree:
        case Sequence(parts=parts):
            return sum(map(_size, parts))
        case Choice(options=options):
            return sum(map(_size, options)) + 2 * len(options)
        case Group(body=body):
            return _size(body) + 2
        case Repeat(body=body, least=least, most=most):
            return (_size(body) + 1) * max(least, most or 0, 1)
        case _:
            return 1


def _literal(tree: Tree) -> str:
    """The longest text that every match holds."""
    best = run = ""
    for part in tree.parts if isinstance(tree, Sequence) else (tree,):
        char = _only_char(part)
        if char:
            run += char
            best = max(best, run, key=len)
            continue
        if not isinstance(part, At):
            run = ""
        if isinstance(part, Group) or (isinstance(part, Repeat) and part.least):
            best = max(best, _literal(part.body), key=len)
    return best


def _only_char(tree: Tree) -> str:
    if isinstance(tree, Chars) and not tree.negated and not tree.fold and not tree.categories and len(tree.ranges) == 1:
        ((first, last),) = tree.ranges
        return chr(first) if first == last else ""
    return ""
