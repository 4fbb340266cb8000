"""What is wrong with a data file, said so that its author can fix it."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class DefinitionError(ValueError):
    """One or several problems; each line of the message names file, line, field and reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def at(file: Path | str, line: int | None, reason: str) -> str:
    return f"{file}:{line}: {reason}" if line is not None else f"{file}: {reason}"


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` when something is near, else nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
