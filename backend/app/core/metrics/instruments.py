"""Instruments: a metric with its label values filled in, ready to be counted with."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, Generic, NoReturn, Self, TypeVar, cast

from typing_extensions import ParamSpec

from .. import guard
from . import catalogue, guards
from .catalogue import CatalogueError, Kind, Metric
from .cells import Cell, Exemplar, Series, Store, process_store
from .guards import OpenLabels
from .labels import names
from .wrapping import Function, wrap

if TYPE_CHECKING:
    from .declare import Declare

# Python 3.13's default: `Counter` alone is one whose labels the type checker does not know.
L = ParamSpec("L", default=...)
Labels = Mapping[str, object] | Iterable[str]
AnyInstrument = TypeVar("AnyInstrument", bound="Instrument[...]")

_MOST: Final = float("inf")
# Seconds in a unit of time.
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
_REMEMBERED_CHILDREN: Final = 1000


class MetricsClient:
    """Makes instruments; they count in the process's store from the moment of their first use.

    Instruments may be made before or after `instrument(app)`, at import time, and in any thread.

    Args:
        store: Where to count; the process's own when None.
        metrics: What may be counted; the library's catalogue and `METRICS_CATALOGUE` when None.
        job: The service that these metrics belong to; empty: the first one this process instruments.
        trusted: Values of `endpoint` are route templates, and are never folded.
    """

    def __init__(
        self,
        store: Store | None = None,
        metrics: catalogue.Catalogue | None = None,
        job: str = "",
        *,
        trusted: bool = False,
    ) -> None:
        self._store = store or process_store
        self.metrics = catalogue.installed() if metrics is None else metrics
        self.job = job
        self.trusted = trusted

    @property
    def store(self) -> Store:
        return self._store

    def counter(self, name: str, labels: Labels | None = None) -> "Counter[...]":
        """A counter; as a decorator it counts the calls of a function.

        Args:
            name: A counter of the catalogue, or one that was declared.
            labels: Values of all labels, or their names alone, which is checked; values then come from `.labels(...)`.

        Raises:
            CatalogueError: There is no such counter, or a label does not fit.
        """
        return self._made(Counter, self._metric(name, "counter"), labels)

    def gauge(self, name: str, labels: Labels | None = None) -> "Gauge[...]":
        """A gauge, which is set.

        Raises:
            CatalogueError: There is no such gauge, or a label does not fit.
        """
        return self._made(Gauge, self._metric(name, "gauge"), labels)

    def up_down(self, name: str, labels: Labels | None = None) -> "UpDown[...]":
        """A gauge that is moved: what is under way, each worker counting its own.

        Raises:
            CatalogueError: There is no such gauge, it does not add up over workers, or a label does not fit.
        """
        metric = self._metric(name, "gauge")
        if metric.across != "sum":
            raise CatalogueError(f"{name} is across={metric.across}: workers that each move their own would not add up")
        return self._made(UpDown, metric, labels)

    def histogram(self, name: str, labels: Labels | None = None) -> "Histogram[...]":
        """A histogram; `with histogram.time():` observes the time a block takes, in the metric's unit.

        Raises:
            CatalogueError: There is no such histogram, or a label does not fit.
        """
        return self._made(Histogram, self._metric(name, "histogram"), labels)

    @property
    def declare(self) -> "Declare":
        """Declares metrics that no catalogue file has: `metrics_client.declare.counter("orders_total", ...)`."""
        from .declare import Declare  # noqa: PLC0415  # it needs the instruments of this module

        return Declare(self)

    def load_catalogue(self, path: str | Path) -> None:
        """Take in the metrics of a catalogue file.

        Raises:
            CatalogueError: It cannot be read, or has a metric that is declared in another way.
        """
        for metric in catalogue.read(Path(path)).values():
            self.metrics.declare(metric)

    def export_catalogue(self, path: str | Path) -> None:
        """Write what was declared beyond the library's own metrics, for Terraform and the emulator."""
        catalogue.write((one for name, one in self.metrics.items() if name not in catalogue.own()), Path(path))

    def _metric(self, name: str, kind: Kind) -> Metric:
        return self.metrics.metric(name, kind)

    def _made(self, kind: type[AnyInstrument], metric: Metric, labels: Labels | None) -> AnyInstrument:
        made = kind(self, metric)
        if isinstance(labels, Mapping):
            return made.bound(labels)
        if labels is None and not metric.labels:
            return made.bound({})
        if labels is not None and set(given := names(metric, labels)) != metric.labels.keys():
            raise CatalogueError(f"{metric.name} has the labels {sorted(metric.labels)}, not {sorted(given)}")
        return made


class _Unlabelled(list[float]):
    """The cell of what has no labels yet: there is nothing to check on the way to a cell that is there."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def __getitem__(self, index: object) -> NoReturn:
        names = ", ".join(f"{label}=..." for label in self._metric.labels)
        raise CatalogueError(f"{self._metric.name} has labels: .labels({names}) comes first")

    def __setitem__(self, index: object, value: object) -> NoReturn:
        self.__getitem__(index)


class Instrument(Generic[L]):
    """A metric without or with values for its labels."""

    __slots__ = ("_cell", "_children", "_client", "_series", "_store", "metric")
    _cell: Cell
    _series: Series

    def __init__(self, client: MetricsClient, metric: Metric, series: Series | None = None) -> None:
        self._client = client
        self._store = client.store
        self._children: dict[tuple[object, ...], Self] = {}
        self.metric = metric
        self._series = Series(client.job, metric, (), _Unlabelled(metric)) if series is None else series
        self._cell = self._series.cell

    def check(self) -> None:
        """Tell what lacks labels where it is declared, not where it is called.

        Raises:
            CatalogueError: The labels have no values yet.
        """
        self._cell[0]  # which raises

    def labels(self, *args: L.args, **values: L.kwargs) -> Self:
        """The instrument for these label values; the same for the same values.

        Raises:
            CatalogueError: A label is missing, unknown, or has a value outside of its closed set.
        """
        if args:
            raise CatalogueError(f"name the labels of {self.metric.name}: .labels({', '.join(self.metric.labels)})")
        key = tuple(values.items())
        try:
            return self._children[key]
        except (KeyError, TypeError):  # TypeError: a value that cannot be hashed, such as a list; told below
            return self._new_child(key, values)

    def _new_child(self, key: tuple[object, ...], values: Mapping[str, object]) -> Self:
        child = self.bound(values)
        # What may be anything is never few, and cleaned by rules that `instrument` may change.
        if type(child) is type(self):
            if len(self._children) >= _REMEMBERED_CHILDREN:
                self._children.clear()
            self._children[key] = child
        return child

    def bound(self, labels: Mapping[str, object]) -> Self:
        """As `labels`, from a mapping."""
        metric, client, store = self.metric, self._client, self._store
        values = store.labels.values(metric, labels)
        # A gauge's labels cannot be open: what is folded would not add up.
        if metric.guards and not client.trusted and metric.kind != "gauge":
            deciding = guards.of(store, client.job, metric)
            if not deciding.knows(values):
                return self._opened(deciding, values)
        if client.trusted:
            store.learn_routes(metric, values)
        return type(self)(client, metric, store.find(client.job, metric, values))

    def _opened(self, deciding: OpenLabels, values: tuple[str, ...]) -> Self:
        """A child that may be folded; gauges have none, see `bound`."""
        raise NotImplementedError


class Counter(Instrument[L]):
    """A number that only grows."""

    __slots__ = ()

    def _opened(self, deciding: OpenLabels, values: tuple[str, ...]) -> Self:
        return cast("Self", _OpenCounter(self._client, self.metric, deciding, values))

    def add(self, amount: float = 1.0) -> None:
        """Add to the counter.

        Raises:
            ValueError: The amount is negative; what goes down is a gauge.
        """
        if not 0.0 <= amount < _MOST:
            return self._refuse(amount)
        lock = self._store.lock
        lock.acquire()  # `with` would cost as much again as all of this
        try:
            self._cell[0] += amount
        finally:
            lock.release()
        return None

    def _refuse(self, amount: float) -> None:
        if amount < 0:
            raise ValueError(f"{self.metric.name} is a counter: it cannot be changed by {amount}")
        _not_finite(self.metric, amount)

    def __call__(self, function: Function) -> Function:
        """Count the calls of a function of any kind, when its body begins."""
        self.check()
        return wrap(function, self._begin)

    def _begin(self) -> Callable[[], None]:
        self.add()
        return _nothing


class _OpenCounter(Counter[L]):
    """With values that may be anything: the guard says where to count, each time anew."""

    __slots__ = ("_guard", "_values")

    def __init__(self, client: MetricsClient, metric: Metric, deciding: OpenLabels, values: tuple[str, ...]) -> None:
        super().__init__(client, metric)
        self._guard = deciding
        self._values = values

    def add(self, amount: float = 1.0) -> None:
        if not 0.0 <= amount < _MOST:
            return self._refuse(amount)
        with self._store.lock:
            self._guard.cell(self._values, amount)[0] += amount
        return None

    def check(self) -> None:
        pass


class Gauge(Instrument[L]):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, value: float) -> None:
        if not -_MOST < value < _MOST:
            return _not_finite(self.metric, value)
        with self._store.lock:
            self._cell[0] = value
        return None

    def add(self, amount: float = 1.0) -> None:
        if not -_MOST < amount < _MOST:
            return _not_finite(self.metric, amount)
        with self._store.lock:
            self._cell[0] += amount
        return None


class UpDown(Instrument[L]):
    """How much is under way in this worker."""

    __slots__ = ()

    def add(self, amount: float = 1.0) -> None:
        if not -_MOST < amount < _MOST:
            return _not_finite(self.metric, amount)
        with self._store.lock:
            self._cell[0] += amount
        return None

    def __call__(self, function: Function) -> Function:
        """Count the calls of a function that are under way."""
        self.check()
        return wrap(function, self._begin)

    def __enter__(self) -> None:
        self.add()

    def __exit__(self, *_error: object) -> None:
        self.add(-1.0)

    def _begin(self) -> Callable[[], None]:
        self.add()
        return self.__exit__


class Histogram(Instrument[L]):
    """A distribution of values over the metric's buckets."""

    __slots__ = ()

    def _opened(self, deciding: OpenLabels, values: tuple[str, ...]) -> Self:
        return cast("Self", _OpenHistogram(self._client, self.metric, deciding, values))

    def observe(self, value: float, exemplar: Exemplar | None = None) -> None:
        """Count a value, in the metric's unit."""
        if not -_MOST < value < _MOST:
            return _not_finite(self.metric, value)
        index = bisect_left(self.metric.buckets, value)
        cell = self._cell
        lock = self._store.lock
        lock.acquire()
        try:
            cell[index] += 1.0
            cell[-1] += value
            if exemplar is not None:
                self._series.exemplar = exemplar
        finally:
            lock.release()
        return None

    def time(self) -> "Timer":
        """Observe how long something takes, also when it raises: `with histogram.time():`, or as a decorator.

        Raises:
            CatalogueError: The metric's unit is no time.
        """
        seconds = _SECONDS.get(self.metric.unit)
        if seconds is None:
            raise CatalogueError(f"{self.metric.name} is in {self.metric.unit!r}, which is no unit of time")
        self.check()
        return Timer(self, seconds)


class _OpenHistogram(Histogram[L]):
    """With values that may be anything: the guard says where to count, each time anew."""

    __slots__ = ("_guard", "_values")

    def __init__(self, client: MetricsClient, metric: Metric, deciding: OpenLabels, values: tuple[str, ...]) -> None:
        super().__init__(client, metric)
        self._guard = deciding
        self._values = values

    def check(self) -> None:
        pass

    def observe(self, value: float, exemplar: Exemplar | None = None) -> None:  # noqa: ARG002  # what may be folded keeps none
        if not -_MOST < value < _MOST:
            return _not_finite(self.metric, value)
        index = bisect_left(self.metric.buckets, value)
        with self._store.lock:
            cell = self._guard.cell(self._values)
            cell[index] += 1.0
            cell[-1] += value
        return None


class Timer:
    """Times one block, or every call of a function; a generator's time is until it is exhausted or closed."""

    __slots__ = ("_histogram", "_started", "_unit")

    def __init__(self, histogram: Histogram[...], unit: float) -> None:
        self._histogram = histogram
        self._unit = unit
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._histogram.observe((perf_counter() - self._started) / self._unit)

    def __call__(self, function: Function) -> Function:
        return wrap(function, self._begin)

    def _begin(self) -> Callable[[], None]:
        timer = Timer(self._histogram, self._unit)
        timer.__enter__()
        return timer.__exit__


def _nothing() -> None:
    pass


def _not_finite(metric: Metric, value: float) -> None:
    # One of these would make every later sum meaningless; a division that went wrong is no reason to fail a request.
    guard.caught("metric", ValueError(f"{metric.name} was given {value}, which is not counted"))


#: The instruments of this process's service.
metrics_client = MetricsClient()
