"""Strings that look random: what a secret without a known form looks like."""

import re
from itertools import pairwise
from typing import Final

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_TIMESTAMP: Final = re.compile(r"\d{8}T\d{6}Z?")
_CAMEL_CASE: Final = re.compile(r"[a-z]*+(?:[A-Z][a-z]++)*+")
_SEPARATOR: Final = re.compile(r"[-_]")
#: Fewer random characters are no secret worth the name, and too many words look like them.
SHORTEST: Final = 16
_SHORTEST_CORE: Final = 8
_FEWEST_CHANGES: Final = 3
# Between lower case, upper case and digits, of each pair of neighbours; random letters have 0.5, words less.
_SHARE_WITHOUT_DIGITS: Final = 0.35


def looks_random(run: str) -> bool:
    """Whether a run of letters, digits, `-` and `_` is more likely a key than a name.

    UUIDs are ids, and stay. Everyday words between separators do not count: `canary-7f3a9c0d2b41` is judged by its
    second half. One pass over the run.
    """
    if len(run) < SHORTEST or _UUID.fullmatch(run) or _TIMESTAMP.fullmatch(run):
        return False
    core = "".join(part for part in _SEPARATOR.split(run) if not _is_plain(part))
    if len(core) < _SHORTEST_CORE:
        return False
    kinds = [_kind(letter) for letter in core]
    changes = sum(before != after for before, after in pairwise(kinds))
    if "0" in kinds:
        return changes >= _FEWEST_CHANGES
    if _CAMEL_CASE.fullmatch(core):
        return False
    return len(core) >= SHORTEST and changes >= _SHARE_WITHOUT_DIGITS * len(core)


def _is_plain(part: str) -> bool:
    return part.isdigit() or (part.isalpha() and (part.islower() or part.isupper() or part.istitle()))


def _kind(letter: str) -> str:
    return "0" if letter.isdigit() else "A" if letter.isupper() else "a"
