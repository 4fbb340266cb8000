"""All time series and metric descriptors of the project, in memory."""

from collections.abc import Iterator, Sequence

from google.api import metric_pb2, monitored_resource_pb2

from .model import KINDS, VALUE_TYPES, Distributions, Points, Series

__all__ = ["Distributions", "MetricStore", "Points", "Series"]

# A series without its points: labels, identity, its place in two dicts (measured with 100,000 series).
_SERIES_BYTES = 2_500

_Identity = tuple[frozenset[tuple[str, str]], str, frozenset[tuple[str, str]]]


class MetricStore:
    def __init__(self) -> None:
        self._descriptors: dict[str, metric_pb2.MetricDescriptor] = {}
        self._series: dict[str, dict[_Identity, Series]] = {}
        # The same client sends the same bytes for the same series each time: they find it without looking at labels.
        self.by_bytes: dict[bytes, Series] = {}

    def descriptors(self) -> list[metric_pb2.MetricDescriptor]:
        """All descriptors, by type."""
        return [self._descriptors[metric_type] for metric_type in sorted(self._descriptors)]

    def descriptor(self, metric_type: str) -> metric_pb2.MetricDescriptor | None:
        return self._descriptors.get(metric_type)

    def put_descriptor(self, descriptor: metric_pb2.MetricDescriptor) -> None:
        self._descriptors[descriptor.type] = descriptor

    def delete_descriptor(self, metric_type: str) -> None:
        """Forget a metric and its data: deleting a descriptor makes its data unusable (metric_service.proto)."""
        self._descriptors.pop(metric_type, None)
        self._series.pop(metric_type, None)
        self.by_bytes = {key: series for key, series in self.by_bytes.items() if series.metric_type != metric_type}

    def series(self, metric_type: str) -> list[Series]:
        return list(self._series.get(metric_type, {}).values())

    def every(self) -> Iterator[Series]:
        """All series of all metrics."""
        for known in list(self._series.values()):
            yield from list(known.values())

    @property
    def nbytes(self) -> int:
        """What all points take in memory."""
        return sum(series.nbytes + _SERIES_BYTES for series in self.every())

    @property
    def size(self) -> int:
        """How many points there are."""
        return sum(series.size for series in self.every())

    def forget(self, series: Sequence[Series]) -> None:
        """Drop series that have no points left."""
        if not series:
            return
        gone = {id(each) for each in series}
        for known in self._series.values():
            for identity in [identity for identity, each in known.items() if id(each) in gone]:
                del known[identity]
        self.by_bytes = {key: each for key, each in self.by_bytes.items() if id(each) not in gone}

    def find(self, metric: metric_pb2.Metric, resource: monitored_resource_pb2.MonitoredResource) -> Series | None:
        return self._series.get(metric.type, {}).get(_identity(metric, resource))

    def find_or_create(
        self, metric: metric_pb2.Metric, resource: monitored_resource_pb2.MonitoredResource, project_id: str
    ) -> Series:
        """The series of a metric and resource; its metric must have a descriptor."""
        known = self._series.setdefault(metric.type, {})
        identity = _identity(metric, resource)
        series = known.get(identity)
        if series is None:
            descriptor = self._descriptors[metric.type]
            series = known[identity] = Series(
                metric_type=metric.type,
                metric_labels=dict(sorted(metric.labels.items())),
                resource_type=resource.type or "global",
                resource_labels={"project_id": project_id}
                | dict(sorted(resource.labels.items()))
                | {"project_id": project_id},
                kind=KINDS.Name(descriptor.metric_kind),
                value_type=VALUE_TYPES.Name(descriptor.value_type),
            )
        return series


def _identity(metric: metric_pb2.Metric, resource: monitored_resource_pb2.MonitoredResource) -> _Identity:
    """An absent label and an empty one are the same; the project is always ours."""
    return (
        frozenset(item for item in metric.labels.items() if item[1]),
        resource.type or "global",
        frozenset(item for item in resource.labels.items() if item[1] and item[0] != "project_id"),
    )
