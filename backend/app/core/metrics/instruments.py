"""Instruments: a metric of the catalogue with its label values filled in, ready to be counted with."""

import functools
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from inspect import iscoroutinefunction
from time import perf_counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from . import catalogue
from .cells import Store, process_store

if TYPE_CHECKING:
    from collections.abc import Iterator

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class MetricsClient:
    """Declares instruments; they count in the process's store from the moment of their first use.

    Instruments may be made before or after `instrument(app)`, at import time, and in any thread.
    """

    def __init__(self, store: Store | None = None, metrics: catalogue.Catalogue | None = None, job: str = "") -> None:
        self._store = store or process_store
        self._metrics = catalogue.own() if metrics is None else metrics
        #: The service that these metrics belong to; empty: the first one this process instruments.
        self.job = job

    def counter(self, name: str, labels: Mapping[str, str] | None = None) -> "Counter":
        """A counter; as a decorator it counts the calls of a function.

        Raises:
            CatalogueError: The catalogue has no such counter, or a label does not fit.
        """
        metric = self._metrics.metric(name, "counter")
        return Counter(self._store, self.job, metric, metric.values(labels or {}))

    def gauge(self, name: str, labels: Mapping[str, str] | None = None) -> "Gauge":
        """A gauge.

        Raises:
            CatalogueError: The catalogue has no such gauge, or a label does not fit.
        """
        metric = self._metrics.metric(name, "gauge")
        return Gauge(self._store, self.job, metric, metric.values(labels or {}))

    def histogram(self, name: str, labels: Mapping[str, str] | None = None) -> "Histogram":
        """A histogram; `with histogram.time():` observes the seconds a block takes.

        Raises:
            CatalogueError: The catalogue has no such histogram, or a label does not fit.
        """
        metric = self._metrics.metric(name, "histogram")
        return Histogram(self._store, self.job, metric, metric.values(labels or {}))


class _Instrument:
    __slots__ = ("_cell", "_metric", "_store")

    def __init__(self, store: Store, job: str, metric: catalogue.Metric, values: tuple[str, ...]) -> None:
        self._store = store
        self._metric = metric
        self._cell = store.cell(job, metric, values)


class Counter(_Instrument):
    """A number that only grows."""

    __slots__ = ()

    def add(self, amount: float = 1.0) -> None:
        """Add to the counter.

        Raises:
            ValueError: The amount is negative; what goes down is a gauge.
        """
        if amount < 0:
            raise ValueError(f"{self._metric.name} is a counter: it cannot be changed by {amount}")
        with self._store.lock:
            self._cell[0] += amount

    def __call__(self, function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        """Count the calls of a function, sync or async."""
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def counted_async(*args: Arguments.args, **kwargs: Arguments.kwargs) -> object:
                self.add()
                return await function(*args, **kwargs)

            return counted_async  # type: ignore[return-value]  # an async function again, which the checker cannot see

        @functools.wraps(function)
        def counted(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            self.add()
            return function(*args, **kwargs)

        return counted


class Gauge(_Instrument):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, value: float) -> None:
        with self._store.lock:
            self._cell[0] = value

    def add(self, amount: float = 1.0) -> None:
        with self._store.lock:
            self._cell[0] += amount


class Histogram(_Instrument):
    """A distribution of values over the catalogue's buckets."""

    __slots__ = ()

    def observe(self, value: float) -> None:
        index = bisect_left(self._metric.buckets, value)
        with self._store.lock:
            self._cell[index] += 1
            self._cell[-1] += value

    @contextmanager
    def time(self) -> "Iterator[None]":
        """Observe how many seconds the block takes, also when it raises."""
        start = perf_counter()
        try:
            yield
        finally:
            self.observe(perf_counter() - start)


#: The instruments of this process's service.
metrics_client = MetricsClient()
