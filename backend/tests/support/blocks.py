"""Fenced blocks of our documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[3]
#: A kind of their own: backend/tests/policies runs their queries and searches.
RUNBOOKS: Final = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PAGES: Final = sorted(
    {
        *ROOT.glob("*.md"),
        *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "runbooks"),
        *(page for page in (ROOT / "terraform").rglob("*.md") if ".terraform" not in page.parts),
    }
)
_BLOCK: Final = re.compile(
    r"^(?P<indent>[ ]*)```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.DOTALL | re.MULTILINE
)
_MARKER: Final = re.compile(r"<!-- (.+) -->")


class Block(NamedTuple):
    page: str
    """From the repository's root."""
    line: int
    language: str
    marker: str
    """What the comment right above it says: a file of docs/examples, or what a test looks for."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        above = text[: found.start()].splitlines()[-1:]
        marker = _MARKER.fullmatch(above[0].strip()) if above else None
        body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(
            page.relative_to(ROOT).as_posix(),
            text[: found.start()].count("\n") + 1,
            found["language"],
            marker[1] if marker else "",
            body,
        )


BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]
