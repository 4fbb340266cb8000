"""Open labels: the heaviest combinations of their values are series of their own, the rest is `other`, exactly.

With one open label, a value is told apart or is `other`. With several (`ip_address` and `account` of a lockout), what
is no heavy combination is counted under the heavier of its single values, the others being `other`: an address that
tries a thousand accounts once each is told, and so is an account that is tried from a thousand addresses.
"""

from collections.abc import Callable, Iterator
from typing import Final

from . import catalogue
from .catalogue import Metric
from .cells import Cell, Series, Store, counted, empty_cell
from .heavy import Entry, HeavyHitters, Key
from .labels import OTHER

#: Names given in code are few; beyond this many they were none.
_MOST_DECLARED: Final = 100
# A step of some tens of microseconds.
_FOLDED_AT_ONCE: Final = 32
_TRIPS: Final = "cloudops_guard_trips_total"


class OpenLabels:
    """The guard of one metric of one service.

    All methods but the constructor are called under the store's lock.
    """

    def __init__(self, store: Store, job: str, metric: Metric) -> None:
        self._store = store
        self._job = job
        self._metric = metric
        guards = [metric.guards.get(label, "") for label in metric.labels]
        self._always = tuple(i for i, guard in enumerate(guards) if guard in catalogue.FOLDING)
        self._routes = tuple(i for i, guard in enumerate(guards) if guard == "route")
        self._declared = {i: set[str]() for i, guard in enumerate(guards) if guard == "declared"}
        self._whole = self._table(self._fold_whole)
        self._single: dict[int, HeavyHitters] = {}
        self._trips = 0.0

    def _table(self, fold: Callable[[Entry], None]) -> HeavyHitters:
        return HeavyHitters(self._store.labels.keep, lambda: empty_cell(self._metric), fold, self._retire)

    def cell(self, values: Key, weight: float = 1.0) -> Cell:
        """Where to count `weight` of these values, now."""
        positions = self._open(values)
        if not positions:
            return self._store.find(self._job, self._metric, values).cell
        singles = self._weigh(values, positions, weight) if len(positions) > 1 else []
        entry = self._whole.touch(values, weight)
        if entry is not None:
            return self._cell_of(entry)
        self._trips += 1
        return self._rest(values, positions, singles)

    def knows(self, values: Key) -> bool:
        """Whether these values will always be a series of their own."""
        return not self._open(values)

    def _open(self, values: Key) -> tuple[int, ...]:
        """Positions of values that may be anything: `other` is folded already, and a route that exists is no guess."""
        found = [i for i in self._always if values[i] and values[i] != OTHER]
        found += [i for i in self._routes if values[i] not in self._store.routes and values[i] != OTHER]
        for i, known in self._declared.items():
            if values[i] in known:
                continue
            if len(known) < _MOST_DECLARED:
                known.add(values[i])
            elif values[i] != OTHER:
                found.append(i)
        return tuple(found)

    def _weigh(self, values: Key, positions: tuple[int, ...], weight: float) -> list[Entry]:
        found = []
        for kept in positions:
            table = self._single.get(kept)
            if table is None:
                table = self._single[kept] = self._table(self._fold_single)
            entry = table.touch(_folded(values, positions, kept), weight)
            if entry is not None:
                found.append(entry)
        return found

    def _cell_of(self, entry: Entry) -> Cell:
        if entry.admitted and entry.series is None:
            made = Series(self._job, self._metric, entry.key, entry.cell, open=True)
            entry.series = self._store.add(made)
            if entry.series is not made:
                _merge(entry.cell, entry.series.cell)
                entry.cell = entry.series.cell
        return entry.cell

    def _rest(self, values: Key, positions: tuple[int, ...], singles: list[Entry]) -> Cell:
        if singles:
            return self._cell_of(max(singles, key=lambda entry: entry.weight))
        return self._store.find(self._job, self._metric, _folded(values, positions)).cell

    def _fold_whole(self, entry: Entry) -> None:
        self._trips += 1
        positions = self._open(entry.key)
        singles = []
        if len(positions) > 1:
            tables = [(self._single[kept], _folded(entry.key, positions, kept)) for kept in positions]
            singles = [single for table, key in tables if (single := table.get(key)) is not None]
        _merge(entry.cell, self._rest(entry.key, positions, singles))

    def _fold_single(self, entry: Entry) -> None:
        if any(entry.cell):
            _merge(entry.cell, self._rest(entry.key, self._open(entry.key), []))

    def _retire(self, entry: Entry) -> None:
        # A series that was there before its values were open is not the guard's to end.
        if entry.series is not None and entry.series.open:
            self._store.retire(entry.series)

    def settle(self) -> Iterator[None]:
        """The interval has ended; each step is short, and wants the lock for itself alone."""
        # What is no heavy combination goes to single values, whose weights are those of the same interval.
        for table, fold in (
            (self._whole, self._fold_whole),
            *((one, self._fold_single) for one in self._single.values()),
        ):
            left = table.settle()
            for entry in table.admitted:
                if any(entry.cell):
                    self._cell_of(entry)
            yield
            for begin in range(0, len(left), _FOLDED_AT_ONCE):
                for entry in left[begin : begin + _FOLDED_AT_ONCE]:
                    fold(entry)
                yield
        if self._trips:
            trips = catalogue.own()[_TRIPS]
            self._store.find("", trips, (self._metric.name,)).cell[0] += self._trips
            self._trips = 0.0

    def keep(self, number: int) -> None:
        for table in (self._whole, *self._single.values()):
            table.keep = number

    def reset(self) -> float:
        """Forget everything, as a forked child does; how many counts were nowhere but here."""
        forgotten = 0.0
        for table in (self._whole, *self._single.values()):
            for entry in table.clear():
                forgotten += counted(self._metric, entry.cell)
        self._trips = 0.0
        return forgotten


def of(store: Store, job: str, metric: Metric) -> OpenLabels:
    """The guard of a metric, made at its first use."""
    with store.lock:
        key = (job, metric.name)
        found = store.guards.get(key)
        if found is None:
            found = store.guards[key] = OpenLabels(store, job, metric)
        assert isinstance(found, OpenLabels)
        return found


def _folded(values: Key, positions: tuple[int, ...], kept: int = -1) -> Key:
    folded = list(values)
    for position in positions:
        if position != kept:
            folded[position] = OTHER
    return tuple(folded)


def _merge(source: Cell, target: Cell) -> None:
    for index, amount in enumerate(source):
        target[index] += amount
