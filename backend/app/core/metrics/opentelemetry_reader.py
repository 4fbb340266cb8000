"""Metrics of OpenTelemetry instrumentations, brought into our store: the same exporter, identity and exposition.

    provider = MeterProvider(metric_readers=[OpenTelemetryReader()])

It is asked before each export, in the exporter's thread; it has no thread of its own and sets no global provider.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

try:
    from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter, ObservableUpDownCounter, UpDownCounter
    from opentelemetry.sdk.metrics import export as sdk
    from opentelemetry.sdk.version import __version__
except ImportError as missing:
    raise ImportError(
        "reading OpenTelemetry's metrics needs one more package: pip install 'fastapi-cloudops[opentelemetry]'"
    ) from missing

from .. import guard
from . import catalogue
from .catalogue import Kind, Metric
from .cells import Exemplar, Series
from .instruments import MetricsClient
from .opentelemetry_names import labels_of, metric_name
from .sources.refresh import refreshers
from .sources.source import client_of, store_of

#: Series of one metric; more are added up with every label `other`. Gauges cannot be added up: they are left out.
SERIES_PER_METRIC: Final = 200
#: Different metrics; more are left out.
METRICS: Final = 500
OTHER: Final = "other"
_LABELS: Final = 20
_NAME_LENGTH: Final = 150  # google/api/metric.proto: a type, with its domain and kind, has 200 at most
# Set by OpenTelemetry's SDK on what is beyond its own limit (opentelemetry.io/docs/specs/otel/metrics/sdk).
_OVERFLOW: Final = "otel_metric_overflow"
# Before, a gauge that was set was told once, so that its absence says nothing.
_TELLS_ALL_GAUGES: Final = tuple(int(part) for part in __version__.split(".")[:2]) >= (1, 45)
_DELTA, _CUMULATIVE = sdk.AggregationTemporality.DELTA, sdk.AggregationTemporality.CUMULATIVE
# Exponential histograms change their bounds as they go, our series cannot: these are where they are counted.
_BOUNDS: Final[Mapping[str, tuple[float, ...]]] = {
    "s": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    "By": tuple(float(4**power) for power in range(4, 17)),
    "": (0.0, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 100000.0),
}

_Identity = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    """One metric as it arrives: its series by their labels, and the totals they had when they were last read."""

    name: str
    kind: Kind
    unit: str
    description: str
    buckets: tuple[float, ...] = ()
    keys: tuple[str, ...] = ()
    series: dict[_Identity, Series] = field(default_factory=dict)
    seen: dict[_Identity, list[float]] = field(default_factory=dict)
    rest: _Identity | None = None
    present: set[_Identity] = field(default_factory=set)

    def metric(self) -> Metric:
        return Metric(
            name=self.name,
            kind=self.kind,
            unit=self.unit or "1",
            description=self.description or self.name,
            labels=dict.fromkeys(self.keys),
            buckets=self.buckets,
        )


class OpenTelemetryReader(sdk.MetricReader):
    """A reader for OpenTelemetry's `MeterProvider` that counts in our store.

    Args:
        metrics: Where to count; this process's metrics when None.
        series_per_metric: How many label combinations a metric may have.
    """

    def __init__(self, metrics: MetricsClient | None = None, *, series_per_metric: int = SERIES_PER_METRIC) -> None:
        # Differences for what we add up ourselves, totals for what the instrument knows only as a total.
        super().__init__(
            preferred_temporality={
                Counter: _DELTA,
                Histogram: _DELTA,
                ObservableCounter: _CUMULATIVE,
                UpDownCounter: _CUMULATIVE,
                ObservableUpDownCounter: _CUMULATIVE,
            }
        )
        self._client = client_of(metrics)
        self._store = store_of(self._client)
        self._limit = series_per_metric
        self._families: dict[str, _Family] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._received = False
        refreshers(self._store).add(self.refresh)

    def refresh(self) -> None:
        """Read what has been measured since the last time; before it belongs to a provider, there is nothing."""
        if self._collect is None:
            return
        self._received = False
        self.collect()
        if not self._received:  # the SDK says nothing where there is nothing
            with self._lock:
                self._retire()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:  # noqa: ARG002  # the SDK's signature
        """Read for the last time; a second time does nothing."""
        refreshers(self._store).discard(self.refresh)
        try:
            self.refresh()
        except Exception as error:  # noqa: BLE001  # the callbacks of instruments may raise anything
            guard.caught("opentelemetry reader", error)

    def _receive_metrics(self, metrics_data: sdk.MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:  # noqa: ARG002  # the SDK's signature
        self._received = True
        with self._lock:
            for resource in metrics_data.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        try:
                            self._take(metric)
                        except Exception as error:  # noqa: BLE001  # one metric must not hold up the others
                            guard.caught("opentelemetry reader", error)
            self._retire()

    def _retire(self) -> None:
        """Let go of gauges that nobody tells any more."""
        for family in self._families.values():
            if family.kind == "gauge" and _TELLS_ALL_GAUGES:
                for identity in family.series.keys() - family.present:
                    self._store.retire(family.series.pop(identity))
            family.present.clear()

    def _take(self, metric: sdk.Metric) -> None:
        data = metric.data
        unit = metric.unit or ""
        if isinstance(data, sdk.Sum):
            kind: Kind = "counter" if data.is_monotonic else "gauge"
        elif isinstance(data, sdk.Gauge):
            kind = "gauge"
        else:
            kind = "histogram"
        name = metric_name(metric.name, unit, kind)
        points: Sequence[Any] = data.data_points
        if not points:
            return
        buckets = _buckets(points[0], unit) if kind == "histogram" else ()
        family = self._family(_Family(name, kind, unit, metric.description or "", buckets), len(points))
        if family is None:
            return
        gathered: dict[_Identity, list[float]] = {}
        for point in points:
            self._gather(family, gathered, point, adds=not isinstance(data, sdk.Gauge))
        cumulative = getattr(data, "aggregation_temporality", _CUMULATIVE) == _CUMULATIVE
        self._apply(family, gathered, cumulative=cumulative)

    def _family(self, wanted: _Family, points: int) -> _Family | None:
        """The metric's place; None when it can have none, which is counted and told once."""
        name = wanted.name
        found = self._families.get(name)
        if found is not None:
            if (found.kind, found.buckets) == (wanted.kind, wanted.buckets):
                return found
            self._drop(name, "unsupported", points, "another metric of that name has another kind or other buckets")
            return None
        if name in catalogue.own():
            self._drop(name, "unsupported", points, "the catalogue has a metric of that name")
            return None
        if not name or len(name) > _NAME_LENGTH:
            self._drop(name[:_NAME_LENGTH], "unsupported", points, "its name is too long")
            return None
        if len(self._families) >= METRICS:
            self._drop("", "overflow", points, f"there are {METRICS} metrics already")
            return None
        self._families[name] = wanted
        return wanted

    def _drop(self, name: str, reason: str, points: int, why: str) -> None:
        self._client.counter("cloudops_dropped_total", {"signal": "metrics", "reason": reason}).add(points)
        if name not in self._told and len(self._told) < METRICS:
            self._told.add(name)
            guard.warn(
                "fastapi-cloudops: a metric of OpenTelemetry is left out", metric=name or "(all further ones)", why=why
            )

    def _gather(self, family: _Family, gathered: dict[_Identity, list[float]], point: Any, *, adds: bool) -> None:
        identity = tuple(labels_of(point.attributes).items())
        series = self._series(family, identity, adds=adds)
        if series is None:
            return
        if series is not family.series.get(identity):
            assert family.rest is not None
            identity = family.rest
        numbers = _numbers(point, family.buckets) if family.kind == "histogram" else [float(point.value)]
        before = gathered.get(identity)
        if before is None or not adds:
            gathered[identity] = numbers
        else:
            gathered[identity] = [old + new for old, new in zip(before, numbers, strict=True)]
        if family.kind == "histogram":
            series.exemplar = _newest(point.exemplars) or series.exemplar

    def _series(self, family: _Family, identity: _Identity, *, adds: bool) -> Series | None:
        found = family.series.get(identity)
        if found is not None:
            return found
        if len(family.series) < self._limit - 1 and len(identity) <= _LABELS and not _is_overflow(identity):
            return self._add(family, identity)
        if not adds:
            self._drop(family.name, "overflow", 1, f"{self._limit} label combinations are the limit, and gauges differ")
            return None
        self._client.counter("cloudops_guard_trips_total", {"metric": family.name}).add()
        if family.rest is None:
            family.rest = tuple((key, OTHER) for key in family.keys) or ((_OVERFLOW, OTHER),)
        return family.series.get(family.rest) or self._add(family, family.rest)

    def _add(self, family: _Family, identity: _Identity) -> Series:
        # Keys only join: a label that one series lacks is empty there, which is the same series to Cloud Monitoring.
        family.keys = (*family.keys, *(key for key, _ in identity if key not in family.keys))
        values = dict(identity)
        made = self._store.find(self._client.job, family.metric(), tuple(values.get(key, "") for key in family.keys))
        family.series[identity] = made
        return made

    def _apply(self, family: _Family, gathered: Mapping[_Identity, list[float]], *, cumulative: bool) -> None:
        family.present.update(gathered)
        for identity, numbers in gathered.items():
            cell = family.series[identity].cell
            if family.kind == "gauge" and cumulative:
                with self._store.lock:
                    cell[0] = numbers[0]
                continue
            grown = numbers
            if cumulative:
                before = family.seen.get(identity, [0.0] * len(numbers))
                family.seen[identity] = numbers
                # Less than before: whoever counts began again.
                if all(new >= old for new, old in zip(numbers[:-1] or numbers, before, strict=False)):
                    grown = [new - old for new, old in zip(numbers, before, strict=True)]
            with self._store.lock:
                for index, amount in enumerate(grown):
                    cell[index] += amount


def _is_overflow(identity: _Identity) -> bool:
    return len(identity) == 1 and identity[0][0] == _OVERFLOW


def _buckets(point: Any, unit: str) -> tuple[float, ...]:
    if isinstance(point, sdk.ExponentialHistogramDataPoint):
        return _BOUNDS.get(unit, _BOUNDS[""])
    # Cloud Monitoring wants one bound at least (google/api/distribution.proto): all counts stand above it.
    return tuple(float(bound) for bound in point.explicit_bounds) or (0.0,)


def _numbers(point: Any, bounds: tuple[float, ...]) -> list[float]:
    """A histogram's point as a cell: counts of the buckets, then the sum."""
    if isinstance(point, sdk.ExponentialHistogramDataPoint):
        return [*_counts(point, bounds), float(point.sum)]
    counts = [float(count) for count in point.bucket_counts]
    return [*([0.0] * (len(bounds) + 1 - len(counts))), *counts, float(point.sum)]


def _counts(point: Any, bounds: tuple[float, ...]) -> list[float]:
    """Exponential buckets in ours: each counts where its middle is, so totals are exact and shapes are near.

    Bucket i of scale s holds (b^i, b^(i+1)] with b = 2^(2^-s) (opentelemetry.io/docs/specs/otel/metrics/data-model).
    """
    counts = [0.0] * (len(bounds) + 1)
    counts[bisect_left(bounds, 0.0)] += point.zero_count
    base = 2.0 ** (2.0**-point.scale)
    for side, sign in ((point.positive, 1.0), (point.negative, -1.0)):
        for index, count in enumerate(side.bucket_counts):
            if count:
                middle = sign * base ** (side.offset + index + 0.5)
                counts[bisect_left(bounds, middle)] += count
    return counts


def _newest(exemplars: Iterable[Any]) -> Exemplar | None:
    traced = [one for one in exemplars if one.trace_id and one.span_id]
    if not traced:
        return None
    newest = max(traced, key=lambda one: one.time_unix_nano)
    return Exemplar(float(newest.value), f"{newest.trace_id:032x}", f"{newest.span_id:016x}", newest.time_unix_nano)
