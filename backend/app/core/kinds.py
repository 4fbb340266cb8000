"""What all requests of one kind have in common, found once: their cells, their entry's beginning, their exclusion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .http import METHODS
from .metrics.requests import RequestCells

#: Method, template (empty: none), status and outcome.
Key = tuple[str, str, int, str]

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


class Kinds(dict[Key, Kind]):
    """The kinds seen so far, each made when it is first asked for.

    A mapping itself: looking up what is there is then no call.

    Args:
        make: Finds what a kind of request has in common.
    """

    def __init__(self, make: Callable[[str, str, int, str], Kind]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Key) -> Kind:
        kind = self._make(*key)
        if key[0] in METHODS and len(self) < _REMEMBERED:  # what clients invent is not remembered
            self[key] = kind
        return kind
