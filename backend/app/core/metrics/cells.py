"""Where measurements are kept: plain lists, found by one look-up, changed under one short lock.

A cell of a counter or gauge is `[value]`. A cell of a histogram holds a count for each bucket (the last one beyond
the highest bound) and then the sum: `[n0, n1, ..., n_over, sum]`.
"""

import os
import threading
from dataclasses import dataclass

from .catalogue import Metric

Cell = list[float]


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of this process: `job` is the service it belongs to."""

    job: str
    metric: Metric
    values: tuple[str, ...]
    cell: Cell


class Store:
    """All series of one process. They are never removed while the process lives."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.series: list[Series] = []
        self._cells: dict[tuple[str, str, tuple[str, ...]], Cell] = {}

    def cell(self, job: str, metric: Metric, values: tuple[str, ...]) -> Cell:
        """The cell of a series, made at its first use."""
        key = (job, metric.name, values)
        found = self._cells.get(key)
        if found is not None:
            return found
        with self.lock:
            if key not in self._cells:
                size = len(metric.buckets) + 2 if metric.kind == "histogram" else 1
                cell = [0.0] * size
                self._cells[key] = cell
                self.series.append(Series(job, metric, values, cell))
            return self._cells[key]

    def reset_after_fork(self) -> None:
        """A child counts from zero: what the parent counted, the parent exports (or drops and tells)."""
        self.lock = threading.Lock()
        for series in self.series:
            series.cell[:] = [0.0] * len(series.cell)


#: The store of this process.
process_store = Store()

if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=process_store.reset_after_fork)
