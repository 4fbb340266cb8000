"""The tree of a query, in our own words, so that only parse.py knows who made it. Durations are milliseconds."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .model import Matcher


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Shift:
    """The modifiers `offset` and `@`; `at` is milliseconds, or one end of the query's own range."""

    offset: int = 0
    at: int | Literal["start", "end"] | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    matchers: tuple[Matcher, ...]
    shift: Shift


@dataclass(frozen=True, slots=True)
class Window:
    """A range selector, `m[5m]`."""

    selector: Selector
    length: int


@dataclass(frozen=True, slots=True)
class Subquery:
    body: "Node"
    length: int
    step: int | None
    shift: Shift


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    op: str
    body: "Node"
    param: "Node | None"
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors find each other; `many` is the side that may have several series per group."""

    labels: tuple[str, ...] = ()
    on: bool = False
    many: Literal["left", "right"] | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: "Node"
    right: "Node"
    matching: Matching
    as_bool: bool


@dataclass(frozen=True, slots=True)
class Negate:
    body: "Node"


Node: TypeAlias = Number | Text | Selector | Window | Subquery | Call | Aggregate | Binary | Negate
