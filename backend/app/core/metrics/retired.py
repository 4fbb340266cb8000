"""Series that a guard took out, on their way through the exporter, and what their successors have to respect.

The same labels may come back as a new series. The API wants its start to be later than the last end of the old one
(google/monitoring/v3/metric_service.proto), and one point of both in one call is a duplicate.
"""

from collections.abc import Iterable
from typing import Final

from .cells import Cell, Series

Key = tuple[str, str, tuple[str, ...]]
_MILLISECOND: Final = 1_000_000
_MAX_WAITING: Final = 2000


def key(series: Series) -> Key:
    return series.job, series.metric.name, series.values


class Retired:
    """Remembers the last ends of the labels that went at the previous collection; of older ones, one end a metric.

    An attacker may make any number of them.
    """

    def __init__(self) -> None:
        #: Not accepted yet, oldest first.
        self.waiting: list[tuple[Series, Cell]] = []
        self._last: dict[Key, int] = {}
        self._before: dict[str, int] = {}

    def leaving(self, newly: Iterable[tuple[Series, Cell]]) -> dict[Key, tuple[Series, Cell]]:
        """What is to be written for the last time now; of the same labels, the oldest."""
        now: dict[Key, tuple[Series, Cell]] = {}
        later: list[tuple[Series, Cell]] = []
        for pair in [*self.waiting, *newly]:
            labels = key(pair[0])
            if labels in now:
                later.append(pair)
            else:
                now[labels] = pair
        self.waiting = later
        return now

    def start_after(self, series: Series) -> tuple[int, int | None]:
        """The earliest start for a new series, and the end of the one it follows if that was a moment ago."""
        last = self._last.get(key(series))
        return (last or self._before.get(series.metric.name, 0)) + _MILLISECOND, last

    def next_collection(self) -> None:
        for (_, name, _), end in self._last.items():
            self._before[name] = max(end, self._before.get(name, 0))
        self._last = {}

    def gone(self, series: Series, end: int) -> None:
        """It was written up to `end`, or will never be."""
        self._last[key(series)] = end

    def wait(self, series: Series, cell: Cell) -> bool:
        """Try it again at the next collection; False when too many wait already."""
        if len(self.waiting) >= _MAX_WAITING:
            return False
        self.waiting.insert(0, (series, cell))  # before those of the same labels that came after it
        return True
