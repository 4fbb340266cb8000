"""What makes the content: three stages, each from what the one before left. A model's API would stand here."""

import html
from collections.abc import Awaitable, Callable
from typing import Final

Stage = Callable[[str], Awaitable[str]]


async def outline(topic: str) -> str:
    return "\n".join(f"{part} {topic}" for part in ("What is", "Why", "How to begin with", "Where to read on about"))


async def draft(headings: str) -> str:
    return "\n\n".join(f"# {heading}\n{heading}: this is what we know so far." for heading in headings.splitlines())


async def render(text: str) -> str:
    blocks = []
    for block in text.split("\n\n"):
        heading, _, body = block.partition("\n")
        blocks.append(f"<h2>{html.escape(heading.removeprefix('# '))}</h2><p>{html.escape(body)}</p>")
    return "".join(blocks)


STAGES: Final[dict[str, Stage]] = {"outline": outline, "draft": draft, "render": render}
