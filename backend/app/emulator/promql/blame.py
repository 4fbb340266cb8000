"""Where a text stops being PromQL.

promql-parser says only that something is wrong. So this looks for the longest beginning that an ending would complete;
what comes after it is to blame.
"""

from collections.abc import Callable
from typing import Final

from .lex import Masked, place

# One of these continues any beginning up to its next bracket; then brackets close, then an operand may follow.
_MIDDLES: Final = ("", " x", " (x)", ' "1"', '="1"', 'x="1"', "5m", "1", ":", "(x) x")
_ENDS: Final = ("", " x", " (x)", "[5m]")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}


def explained(masked: Masked, accepts: Callable[[str], bool]) -> str:
    """A sentence about the first token out of place; `accepts` tells whether a text has the grammar."""
    good, bad = 0, len(masked.tokens)
    if _completable(masked, bad, accepts):
        return f"the query ends too early: {masked.query.strip()[-60:]}"
    while bad - good > 1:
        middle = (good + bad) // 2
        if _completable(masked, middle, accepts):
            good = middle
        else:
            bad = middle
    start, end = masked.tokens[good].start, masked.tokens[good].end
    return f"this is not PromQL: {masked.query[start:end]} {place(start)} cannot stand there"


def _completable(masked: Masked, count: int, accepts: Callable[[str], bool]) -> bool:
    if count == 0:
        return True
    text = masked.text[: masked.tokens[count - 1].masked_end]
    open_ones: list[str] = []
    for token in masked.tokens[:count]:
        sign = masked.query[token.start : token.end]
        if sign in _CLOSERS:
            open_ones.append(_CLOSERS[sign])
        elif open_ones and sign == open_ones[-1]:
            open_ones.pop()
    closers = "".join(reversed(open_ones))
    return any(accepts(text + middle + closers + end) for middle in _MIDDLES for end in _ENDS)
