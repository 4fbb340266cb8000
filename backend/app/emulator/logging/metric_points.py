"""The points of log-based metrics: what entries add to the metric store.

Google writes one point a minute for each active stream (docs.cloud.google.com/logging/docs/logs-based-metrics). Here a
point covers at most ten seconds and grows while they last, so that whoever watches the emulator sees a count at once;
a silence becomes one point of zero, so that `increase()` sees the first entries after it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2

from ..clock import NANOS
from ..monitoring.model import VALUE_TYPES, Floats, Series, bounds_of
from ..monitoring.store import MetricStore
from .config_rules import compiled
from .extract import label_extractor, number_extractor
from .record import Record
from .sinks import matches

_SLOT = 10 * NANOS
_MILLISECOND = 1_000_000
# Entries with other timestamps are not counted (docs.cloud.google.com/logging/docs/logs-based-metrics/troubleshooting).
_OLDEST, _NEWEST = 24 * 3600 * NANOS, 600 * NANOS
_MOST_SERIES = 30_000  # docs.cloud.google.com/logging/quotas: active time series of a user-defined metric

_Distribution = distribution_pb2.Distribution
_Key = tuple[tuple[str, ...], str, tuple[tuple[str, str], ...]]


class Counting:
    """One log-based metric at work."""

    def __init__(self, metric: Any, descriptor: metric_pb2.MetricDescriptor, store: MetricStore) -> None:
        self._store = store
        self._descriptor = descriptor
        self._bucket: str = metric.bucket_name
        self._query = compiled(metric.filter)
        self._labels: dict[str, Callable[[Record], str]] = {
            label.key: label_extractor(metric.label_extractors[label.key], label.value_type)
            for label in descriptor.labels
        }
        self._value: Callable[[Record], float | None] | None = None
        if descriptor.value_type == VALUE_TYPES.DISTRIBUTION:
            self._value = number_extractor(metric.value_extractor)
        self._options = metric.bucket_options
        self._bounds = bounds_of(metric.bucket_options)
        self._open: dict[_Key, _Open] = {}
        self.dropped = 0
        """Entries that would have needed one series too many."""

    def count(self, records: Sequence[Record], now: int) -> bool:
        """Add entries that arrived now (ns); whether any of them counted."""
        found: dict[_Key, list[float]] = {}
        for record in records:
            if self._bucket and self._bucket not in record.buckets:
                continue
            if not now - _OLDEST <= record.time <= now + _NEWEST or not matches(self._query, record):
                continue
            value = 1.0 if self._value is None else self._value(record)
            if value is None or not math.isfinite(value):
                continue
            found.setdefault(self._key(record), []).append(value)
        for key, values in found.items():
            open_point = self._open.get(key)
            if open_point is None:
                if len(self._open) >= _MOST_SERIES:
                    self.dropped += len(values)
                    continue
                open_point = self._open[key] = self._new(key)
            open_point.add(values, now)
        return bool(found)

    def _key(self, record: Record) -> _Key:
        resource = record.entry.resource
        labels = tuple(extract(record) for extract in self._labels.values())
        return labels, resource.type, tuple(sorted(resource.labels.items()))

    def _new(self, key: _Key) -> "_Open":
        labels, resource_type, resource_labels = key
        if self._store.descriptor(self._descriptor.type) is None:  # deleted by hand: it comes back with the next entry
            self._store.put_descriptor(self._descriptor)
        metric = metric_pb2.Metric(type=self._descriptor.type, labels=dict(zip(self._labels, labels, strict=True)))
        resource = monitored_resource_pb2.MonitoredResource(type=resource_type, labels=dict(resource_labels))
        project = self._descriptor.name.split("/")[1]
        series = self._store.find_or_create(metric, resource, project)
        return _Open(series, self._bounds, None if self._value is None else self._options)


class _Open:
    """A series and its newest point, which still grows."""

    def __init__(self, series: Series, bounds: Floats, options: Any) -> None:
        self._series = series
        self._bounds = bounds
        self._options = options
        self._start = self._opened = -1
        self._total: Any = None

    def add(self, values: list[float], now: int) -> None:
        series = self._series
        end = now
        if self._opened >= 0 and (now <= series.last_end or now - self._opened < _SLOT):
            end = max(now, series.last_end)
            series.size -= 1  # the store has no other way to take a point back
        else:
            self._start, self._opened = self._begin(now), now
            self._total = self._zero()
            end = max(now, self._start + _MILLISECOND)
        if self._options is None:
            self._total += len(values)
            series.append(self._start, end, self._total)
        else:
            for value in values:
                _include(self._total, value, int(self._bounds.searchsorted(value, "right")))
            series.append_distribution(self._start, end, self._total)

    def _begin(self, now: int) -> int:
        """Where a new point starts; a silence before it becomes a point of zero."""
        series = self._series
        start = now - _SLOT
        if not series.size:
            return start
        if series.last_end >= start:
            return series.last_end
        if self._options is None:
            series.append(series.last_end, start, 0.0)
        else:
            series.append_distribution(series.last_end, start, self._zero())
        return start

    def _zero(self) -> Any:
        if self._options is None:
            return 0
        return _Distribution(bucket_options=self._options, bucket_counts=[0] * (len(self._bounds) + 1))


def _include(total: Any, value: float, bucket: int) -> None:
    """One more value, by Welford's method."""
    total.count += 1
    before = value - total.mean
    total.mean += before / total.count
    total.sum_of_squared_deviation += before * (value - total.mean)
    total.bucket_counts[bucket] += 1
