"""One thing that is wrong, and where."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

Tell = Callable[[Level, str, str, str], None]
"""Level, rule, field of the document, message."""


@dataclass(frozen=True, slots=True)
class Finding:
    file: str
    line: int | None
    column: int | None
    field: str
    level: Level
    rule: str
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {self.level}: {field}{self.message} [{self.rule}]"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
