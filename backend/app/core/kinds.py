"""What all requests of one kind have in common, found once: their cells, their entry's beginning, their exclusion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .http import METHODS
from .metrics.requests import RequestCells

# Templates and methods are closed sets and a service uses few statuses; one that makes them up must not fill memory.
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one method, route, status and outcome."""

    #: Whether they are left out of logs, metrics and traces.
    excluded: bool
    #: None where metrics are off.
    cells: RequestCells | None
    #: How their access entries begin.
    head: str


class Kinds:
    """The kinds seen so far.

    Args:
        make: Finds what a kind of request has in common: its method, template (empty: none), status and outcome.
    """

    def __init__(self, make: Callable[[str, str, int, str], Kind]) -> None:
        self._make = make
        self._known: dict[tuple[str, str, int, str], Kind] = {}

    def find(self, method: str, template: str, status: int, outcome: str) -> Kind:
        key = (method, template, status, outcome)
        kind = self._known.get(key)
        if kind is None:
            kind = self._make(*key)
            if method in METHODS and len(self._known) < _REMEMBERED:  # what clients invent is not remembered
                self._known[key] = kind
        return kind
