"""Which of very many keys are the heaviest, in bounded memory.

Keys that are told apart are admitted; the others are candidates, whose counts wait until the interval ends. Then the
heaviest candidates take the place of lighter admitted keys with all that they have counted in the interval, and the
counts of all others are folded into the rest. So a key is admitted within one interval and complete, and however keys
rotate, at most as many change places at once as are told apart.

While candidates are many, a new one takes the lightest one's place with the probability weight / (lightest + weight):
randomised admission, Ben Basat et al., "Randomized admission policy for efficient top-k and frequency estimation",
INFOCOM 2017. Among a million keys that come once, the lightest candidate then counts some hundreds and not, as with
Space-Saving, a million / candidates: what hides in a flood of single requests is still found, and who floods cannot
foretell which candidate goes.
"""

import heapq
import random
from collections.abc import Callable, Collection
from typing import Final

from .cells import Cell, Series

Key = tuple[str, ...]

#: Candidates for each admitted key.
_CANDIDATES: Final = 8
#: How much heavier than an admitted key its successor has to be: two of about the same weight do not take turns.
_HEAVIER: Final = 1.25
#: An admitted key goes for nobody who counted less than this share of what mere chance gave the lightest candidate.
_MORE_THAN_CHANCE: Final = 0.5


class Entry:
    """A key with what it counted.

    Attributes:
        key: Label values.
        cell: Its counts: of its series when it has one, else what waits to be folded.
        weight: How much came in this interval.
        base: What the lightest candidate weighed that it replaced: an upper bound of what was missed.
        admitted: Whether it is told apart.
        series: Its series, made when there is something to count.
    """

    __slots__ = ("admitted", "base", "cell", "key", "series", "weight")

    def __init__(self, key: Key, cell: Cell, weight: float, base: float = 0.0) -> None:
        self.key = key
        self.cell = cell
        self.weight = weight
        self.base = base
        self.admitted = False
        self.series: Series | None = None


class HeavyHitters:
    """The heaviest keys. Not thread-safe: its owner holds the store's lock.

    Args:
        keep: How many keys are told apart.
        empty: Makes a cell for a new key.
        fold: Takes the counts of a key that is not told apart; its cell may be empty.
        retire: Told of a key that no longer is.
        chance: Random numbers from 0 to 1.
    """

    def __init__(
        self,
        keep: int,
        empty: Callable[[], Cell],
        fold: Callable[[Entry], None],
        retire: Callable[[Entry], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.keep = keep
        self._empty = empty
        self._fold = fold
        self._retire = retire
        self._chance = chance
        self._entries: dict[Key, Entry] = {}
        self._admitted: dict[Key, Entry] = {}
        # Candidates as (weight when it was last looked at, number, candidate): weights only grow, so what stands at
        # the top and still weighs what it did is the lightest.
        self._heap: list[tuple[float, int, Entry]] = []
        self._number = 0

    def get(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def touch(self, key: Key, weight: float) -> Entry | None:
        """Weigh a key; None when it is nobody's turn: count it as the rest."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.weight += weight
            return entry
        if len(self._admitted) < self.keep:
            entry = Entry(key, self._empty(), weight)
            entry.admitted = True
            self._entries[key] = self._admitted[key] = entry
            return entry
        base = 0.0
        if len(self._heap) >= _CANDIDATES * self.keep:
            lightest = self._lightest()
            base = _estimate(lightest)
            if self._chance() * (base + weight) >= weight:
                return None
            heapq.heappop(self._heap)
            del self._entries[lightest.key]
            self._fold(lightest)
        entry = Entry(key, self._empty(), weight, base)
        self._entries[key] = entry
        self._number += 1
        heapq.heappush(self._heap, (base + weight, self._number, entry))
        return entry

    def _lightest(self) -> Entry:
        heap = self._heap
        while True:
            known, number, entry = heap[0]
            weight = _estimate(entry)
            if weight == known:
                return entry
            heapq.heapreplace(heap, (weight, number, entry))

    @property
    def admitted(self) -> Collection[Entry]:
        return self._admitted.values()

    def settle(self) -> list[Entry]:
        """The interval has ended: admit, retire, and begin the next one; what is left over has to be folded."""
        ranked = sorted((entry for _weight, _number, entry in self._heap), key=_weight, reverse=True)
        lightest_first = sorted(self._admitted.values(), key=_weight)
        least = _MORE_THAN_CHANCE * _estimate(self._lightest()) if self._heap else 0.0
        taken = 0
        for entry in ranked:
            if len(self._admitted) >= self.keep:
                leaving = lightest_first[taken] if taken < len(lightest_first) else None
                if leaving is None or entry.weight < least or entry.weight <= _HEAVIER * leaving.weight:
                    break
                del self._admitted[leaving.key]
                self._retire(leaving)
            entry.admitted = True
            self._admitted[entry.key] = entry
            taken += 1
        for entry in self._admitted.values():
            entry.weight = entry.base = 0.0
        self._entries = dict(self._admitted)
        self._heap = []
        return ranked[taken:]

    def clear(self) -> list[Entry]:
        """Forget everything; the candidates, whose counts are nowhere else."""
        forgotten = [entry for entry in self._entries.values() if not entry.admitted]
        self._entries.clear()
        self._admitted.clear()
        self._heap.clear()
        return forgotten


def _weight(entry: Entry) -> float:
    return entry.weight


def _estimate(entry: Entry) -> float:
    return entry.base + entry.weight
