"""Stack traces: the lines by which Error Reporting finds and groups an exception stay as they are."""

import re
from collections.abc import Callable
from itertools import groupby
from typing import Final

# As `traceback` writes it, in an exception group behind a margin; a message can hold such a line too, so no more than
# a path, a number and a name may stand in it.
_FRAME: Final = re.compile(
    r"(?P<margin>[ |]*+)File \"[^\"\n]{1,512}+\", line [0-9]{1,9}+(?:, in [\w.<>]{1,256}+)?+\s*+", re.ASCII
)


def redact_stack(trace: str, redact_text: Callable[[str], str], redact_error: Callable[[str], str]) -> str:
    """`redact_error` gets the messages, `redact_text` the source lines, which are no data but may hold some."""
    parts = []
    for kind, lines in groupby(_kinds(trace), key=lambda pair: pair[0]):
        # Together: a private key has many lines.
        part = "".join(line for _, line in lines)
        parts.append(part if kind == "frame" else redact_text(part) if kind == "source" else redact_error(part))
    return "".join(parts)


def _kinds(trace: str) -> list[tuple[str, str]]:
    kinds = []
    margin = -1
    for line in trace.splitlines(keepends=True):
        frame = _FRAME.fullmatch(line)
        if frame is not None:
            margin = len(frame["margin"])
            kinds.append(("frame", line))
        elif 0 <= margin < _indentation(line):
            kinds.append(("source", line))
        else:
            margin = -1
            kinds.append(("message", line))
    return kinds


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" |"))
