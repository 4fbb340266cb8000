"""Where measurements are kept: plain lists, found by one look-up, changed under one short lock.

A cell of a counter or gauge is `[value]`. A cell of a histogram holds a count for each bucket (the last one beyond
the highest bound) and then the sum: `[n0, n1, ..., n_over, sum]`.
"""

import os
import threading
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from .catalogue import Metric
from .labels import Labels

Cell = list[float]
#: Series copied while the lock is held once: some tens of microseconds.
_CHUNK: Final = 200


class Exemplar(NamedTuple):
    """One observation of a histogram that had a sampled trace."""

    value: float
    trace_id: str
    span_id: str
    time_ns: int


class Series:
    """One time series of this process, known by its identity: the same labels may come back as another series.

    Attributes:
        job: The service it belongs to; empty for the process's own.
        metric: What it measures.
        values: Label values, in the order of `metric.labels`.
        cell: The live numbers; changed under the store's lock only.
        open: Its values are admitted by a guard, and may be retired by it.
        retired: It is given to `Store.snapshot` once more, and never changes again.
        state: Belongs to the exporter.
        exemplar: The newest one of a histogram, where exemplars are on.
    """

    __slots__ = ("cell", "exemplar", "job", "metric", "open", "retired", "state", "values")

    def __init__(self, job: str, metric: Metric, values: tuple[str, ...], cell: Cell, *, open: bool = False) -> None:  # noqa: A002  # as its attribute
        self.job = job
        self.metric = metric
        self.values = values
        self.cell = cell
        self.open = open
        self.retired = False
        self.state: Any = None
        self.exemplar: Exemplar | None = None


class Guard(Protocol):
    """Decides which values of open labels are series of their own; called under the store's lock."""

    def settle(self) -> Iterator[None]:
        """An interval has ended: what is not a series of its own is added to the rest, in short steps."""

    def keep(self, number: int) -> None:
        """How many combinations of values are told apart."""

    def reset(self) -> float:
        """Forget everything; how many counts were forgotten with it."""


class Late(Protocol):
    """Notes what it will count later, all at once: one by one it would cost several times as much."""

    def count(self) -> None:
        """Count what was noted; called under the store's lock before anything is read."""

    def forget(self) -> None:
        """Begin anew in a child: what was noted has been counted, and thrown away with all counts of the parent."""


class Store:
    """All series of one process. None is ever removed, but for those that a guard retires."""

    def __init__(self) -> None:
        # Reentrant: garbage collection and signal handlers run anywhere, also between two lines that hold the lock,
        # and may count something (how long the collection took, for one).
        self.lock = threading.RLock()
        #: Counts that children threw away because a parent had made them before it forked.
        self.dropped_before_fork = 0.0
        #: Guards of open labels, by job and metric.
        self.guards: dict[tuple[str, str], Guard] = {}
        self.late: list[Late] = []
        #: Route templates that exist. Their series are never folded.
        self.routes: set[str] = set()
        self._labels: Labels | None = None
        self._series: dict[tuple[str, str, tuple[str, ...]], Series] = {}
        self._retired: list[Series] = []

    @property
    def labels(self) -> Labels:
        """What becomes of values of labels; from the environment until `instrument` says otherwise."""
        if self._labels is None:
            self._labels = Labels.from_environment()
        return self._labels

    @labels.setter
    def labels(self, labels: Labels) -> None:
        with self.lock:
            self._labels = labels
            for guard in self.guards.values():
                guard.keep(labels.keep)

    @property
    def series(self) -> list[Series]:
        """All living series, oldest first."""
        self.count_late()
        return list(self._series.values())

    def cell(self, job: str, metric: Metric, values: tuple[str, ...]) -> Cell:
        """The cell of a series whose values are known to be few, its route to exist; made at its first use."""
        found = self._series.get((job, metric.name, values))
        if found is None or found.open:
            found = self.find(job, metric, values)
            self.learn_routes(metric, values)
        return found.cell

    def learn_routes(self, metric: Metric, values: tuple[str, ...]) -> None:
        """Values of `endpoint` in the caller's word are templates of routes."""
        for label, value in zip(metric.labels, values, strict=True):
            if metric.guards.get(label) == "route":
                self.routes.add(value)

    def find(self, job: str, metric: Metric, values: tuple[str, ...]) -> Series:
        """The series of these values, made at its first use, and from now on never retired."""
        found = self._series.get((job, metric.name, values))
        if found is None:
            found = self.add(Series(job, metric, values, empty_cell(metric)))
        # Who asks for it may keep it: a guard that has admitted it before must not end it behind their back.
        found.open = False
        return found

    def add(self, series: Series) -> Series:
        """Take in a series, unless there is one of the same values: the one that is there."""
        with self.lock:
            return self._series.setdefault((series.job, series.metric.name, series.values), series)

    def retire(self, series: Series) -> None:
        """Take a series out, after its last value was handed to a collection."""
        with self.lock:
            if self._series.pop((series.job, series.metric.name, series.values), None) is not None:
                series.retired = True
                self._retired.append(series)

    def snapshot(self) -> Iterator[tuple[Series, Cell]]:
        """All series with copies of their cells, for the one exporter: retired series come for the last time.

        The lock is held for some tens of microseconds at a time, so two cells may be copied at different moments, but
        no cell is ever torn.
        """
        self.settle()
        self.count_late()
        with self.lock:
            listed = [*self._series.values(), *self._retired]
            self._retired = []
        yield from self._copies(listed)

    def count_late(self) -> None:
        """Count what was only noted so far."""
        for one in self.late:
            with self.lock:
                one.count()

    def settle(self) -> None:
        """Let the guards of open labels decide what is told apart from here on."""
        for guard in list(self.guards.values()):
            steps = guard.settle()
            while True:
                with self.lock:
                    if next(steps, self) is self:
                        break

    def peek(self) -> Iterator[tuple[Series, Cell]]:
        """All living series with copies of their cells, for any reader beside the exporter."""
        yield from self._copies(self.series)

    def _copies(self, listed: list[Series]) -> Iterator[tuple[Series, Cell]]:
        for begin in range(0, len(listed), _CHUNK):
            chunk = listed[begin : begin + _CHUNK]
            with self.lock:
                copies = [(series, series.cell[:]) for series in chunk]
            yield from copies

    def reset_after_fork(self) -> None:
        """A child counts from zero: what the parent counted, the parent exports (or drops and tells)."""
        self.lock = threading.RLock()
        self.count_late()
        for guard in self.guards.values():
            self.dropped_before_fork += guard.reset()
        for series in self._series.values():
            self.dropped_before_fork += counted(series.metric, series.cell)
            series.cell[:] = [0.0] * len(series.cell)
            series.state = series.exemplar = None
        self._series = {key: series for key, series in self._series.items() if not series.open}
        self._retired = []
        for one in self.late:
            one.forget()


def empty_cell(metric: Metric) -> Cell:
    return [0.0] * (len(metric.buckets) + 2 if metric.kind == "histogram" else 1)


def counted(metric: Metric, cell: Cell) -> float:
    """How much a cell has counted; nothing for a gauge, which only tells what is."""
    if metric.kind == "gauge":
        return 0.0
    return sum(cell[:-1]) if metric.kind == "histogram" else cell[0]


#: The store of this process.
process_store = Store()

if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=process_store.reset_after_fork)
