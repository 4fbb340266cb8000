"""The simple commands of a piece of shell."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

_ENDS: Final = {"&&", "||", "|", ";", "&", "(", ")", "\n"}
_REDIRECTIONS: Final = {">", ">>", "<", "2>", ">&"}
_BEFORE: Final = {"do", "then", "else", "time", "!", "{"}
_ALONE: Final = {"done", "fi", "}"}
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")


def simple_commands(text: str) -> Iterator[list[str]]:
    """Words of each, without assignments, redirections, and the shell's own words around them."""
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in _ENDS:
                yield from _one(words)
                words = []
            else:
                words.append(word)


def _one(words: list[str]) -> Iterator[list[str]]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in _REDIRECTIONS:
            skip = not skip
        elif kept or not (word in _BEFORE or _ASSIGNMENT.match(word)):
            kept.append(word)
    if kept and kept[0] not in _ALONE | {"for"}:
        yield kept
