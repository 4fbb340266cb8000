"""CreateTimeSeries: rules, journal, store."""

from typing import Any

from google.api import distribution_pb2, label_pb2, metric_pb2
from google.cloud import monitoring_v3

from ..clock import NANOS
from ..journal import MemoryJournal
from ..names import require_project
from ..project import Context
from ..status import invalid_field, missing_field
from . import write_rules as rules
from .model import KINDS, Series
from .point_columns import Loader, Written, named, packed, read_name
from .store import MetricStore
from .write_errors import Rejection, partial_failure
from .write_rules import Refused

POINTS = "monitoring.points"
SERIES = "monitoring.series"
_TimeSeries = monitoring_v3.TimeSeries.pb()
_GAUGE = KINDS.GAUGE


class Writer:
    """One call at a time: every refused series is told, the others are journalled and stored."""

    def __init__(self, context: Context, store: MetricStore) -> None:
        self._context = context
        self._store = store
        self._loader = Loader()
        self._series_named = 0

    def write(self, request: Any, *, service: bool = False, otlp: bool = False) -> None:
        """Store the points of a request (CreateTimeSeriesRequest).

        `service` is for metrics of Google's own services: any domain, any resource, DELTA too. `otlp` is for series
        that the Telemetry API made: types and DELTA as it makes them, labels with dots.

        Raises:
            ApiError: INVALID_ARGUMENT; its CreateTimeSeriesSummary counts what was written all the same.
        """
        if not request.name:
            raise missing_field("name")
        require_project(request.name, self._context.project_id, self._context.project_number)
        total = len(request.time_series)
        if not total:
            raise missing_field("timeSeries")
        if total > rules.MAX_SERIES:
            why = f"A maximum of {rules.MAX_SERIES} TimeSeries can be written in a single request."
            raise invalid_field("timeSeries", why)
        call = _Call(self._context, self._store, service=service or otlp, otlp=otlp)
        planned: list[Written] = []
        rejections: list[Rejection] = []
        for index, series in enumerate(request.time_series):
            try:
                planned.append(call.plan(series))
            except Refused as refused:
                rejections.append(Rejection(index, series, refused))
        if planned:
            self._journal(call, planned)
        for point in planned:
            _store(point)
        if rejections:
            raise partial_failure(rejections, total, old=self._context.switches.old_write_errors)

    def restore(self, kind: str, record: bytes) -> bool:
        """Take a journalled record without asking the rules again; false when it is not about points."""
        if kind == POINTS:
            self._loader.read(record)
            return True
        if kind == SERIES:
            series_id, header = read_name(record)
            call = _Call(self._context, self._store, service=True)
            series = call.admit_again(_TimeSeries.FromString(header))
            series.journal_id = series_id
            self._loader.series[series_id] = series
            self._series_named = max(self._series_named, series_id)
            return True
        return False

    def settle(self) -> None:
        """Store the points that `restore` took."""
        self._loader.finish()
        self._loader.series.clear()

    def _journal(self, call: "_Call", points: list[Written]) -> None:
        journal = self._context.journal
        if isinstance(journal, MemoryJournal):
            return
        new = {id(point.series): point.series for point in points if not point.series.journal_id}
        for series in [*new.values(), *(series for series in call.admitted if id(series) not in new)]:
            if not series.journal_id:
                self._series_named += 1
                series.journal_id = self._series_named
            descriptor = self._store.descriptor(series.metric_type)
            assert descriptor is not None
            journal.append(SERIES, named(series, descriptor))
        journal.append(POINTS, packed(points), max(point.end for point in points))


def _store(point: Written) -> None:
    series, start, end, value = point
    if isinstance(value, str):
        series.append_text(start, end, value)
    elif isinstance(value, distribution_pb2.Distribution):
        series.append_distribution(start, end, value)
    else:
        series.append(start, end, value)


class _Call:
    """What one call has to remember between its series."""

    def __init__(self, context: Context, store: MetricStore, *, service: bool, otlp: bool = False) -> None:
        self._project = context.project_id
        self._store = store
        self._service = service
        self._otlp = otlp
        self._now = context.clock.now()
        self._gap = round(context.switches.minimum_gap_seconds * NANOS)
        self._prometheus_gap = round(context.switches.prometheus_gap_seconds * NANOS)
        self._seen: set[int] = set()
        self._created: set[str] = set()
        self.admitted: list[Series] = []
        """Series that were found by their labels: they, or what their TimeSeries says of the metric, may be new."""

    def plan(self, wanted: Any) -> Written:
        """The point of one TimeSeries, once no rule refuses it."""
        metric, resource = wanted.metric, wanted.resource
        key = metric.SerializeToString(deterministic=True) + resource.SerializeToString(deterministic=True)
        series = self._store.by_bytes.get(key)
        if len(wanted.points) != 1:
            raise Refused("Exactly one point must be written per TimeSeries.", field=".points")
        point = wanted.points[0]
        field = point.value.WhichOneof("value")
        if field is None:
            raise Refused("A point has an unrecognized value type.", field=".points[0].value")
        value_type = rules.VALUE_TYPE_OF[field]
        descriptor = self._store.descriptor(metric.type)
        if series is None:
            self._check_identity(wanted, descriptor, value_type)
        if descriptor is None:
            kind = wanted.metric_kind or _GAUGE
        else:
            kind = descriptor.metric_kind
            if wanted.metric_kind or wanted.value_type or value_type != descriptor.value_type:
                rules.check_declared(wanted, descriptor, value_type, new=metric.type in self._created)
        start, end = _times(point.interval)
        rules.check_interval(kind, metric.type, start, end, self._now)
        value = getattr(point.value, field)
        if field == "distribution_value":
            _check_distribution(value, series)
        if series is None:
            series = self._admit(wanted, descriptor, value_type, key)
        if id(series) in self._seen:
            why = "Duplicate TimeSeries encountered. Only one point can be written per TimeSeries per request."
            raise Refused(why, field="")
        self._seen.add(id(series))
        if series.size:
            gap = self._gap
            if self._prometheus_gap and series.metric_type.startswith("prometheus.googleapis.com/"):
                gap = self._prometheus_gap
            rules.check_order(series, start or end, end, gap)
        return Written(series, start or end, end, value)

    def admit_again(self, stored: Any) -> Series:
        """The series that the header of a TimeSeries names."""
        key = stored.metric.SerializeToString(deterministic=True) + stored.resource.SerializeToString(
            deterministic=True
        )
        return self._admit(stored, self._store.descriptor(stored.metric.type), stored.value_type, key)

    def _check_identity(self, wanted: Any, descriptor: metric_pb2.MetricDescriptor | None, value_type: int) -> None:
        metric = wanted.metric
        if not self._service:
            rules.check_type(metric.type)
        if self._otlp or not self._service:
            rules.check_resource(wanted.resource)
        rules.check_labels(metric.labels.items(), dots=self._otlp)
        if descriptor is None:
            if not self._service:
                rules.check_new_metric(metric.type, wanted.metric_kind or _GAUGE, value_type)
            if wanted.value_type not in {0, value_type}:
                rules.check_declared(
                    wanted, metric_pb2.MetricDescriptor(metric_kind=wanted.metric_kind), value_type, new=False
                )
        known = set() if descriptor is None else {label.key for label in descriptor.labels}
        if new := set(metric.labels) - known:
            rules.check_label_count(metric.type, len(known) + len(new))

    def _admit(
        self, wanted: Any, descriptor: metric_pb2.MetricDescriptor | None, value_type: int, key: bytes
    ) -> Series:
        metric = wanted.metric
        if descriptor is None:
            descriptor = metric_pb2.MetricDescriptor(
                name=f"projects/{self._project}/metricDescriptors/{metric.type}",
                type=metric.type,
                metric_kind=wanted.metric_kind or _GAUGE,
                value_type=value_type,
            )
            self._store.put_descriptor(descriptor)
            self._created.add(metric.type)
        # A write fills what is still empty, and only that (metric.proto on `unit` and `description`).
        descriptor.unit = descriptor.unit or wanted.unit
        descriptor.description = descriptor.description or wanted.description
        known = {label.key for label in descriptor.labels}
        descriptor.labels.extend(
            label_pb2.LabelDescriptor(key=label) for label in sorted(metric.labels) if label not in known
        )
        series = self._store.find_or_create(metric, wanted.resource, self._project)
        self._store.by_bytes[key] = series
        self.admitted.append(series)
        return series


def _times(interval: Any) -> tuple[int, int]:
    """Start (0 when absent) and end in nanoseconds."""
    if not interval.HasField("end_time"):
        raise Refused("The end time is required.", field=".points[0].interval.end_time")
    first, last = interval.start_time, interval.end_time
    return first.seconds * NANOS + first.nanos, last.seconds * NANOS + last.nanos


def _check_distribution(value: distribution_pb2.Distribution, series: Series | None) -> None:
    if series is not None and series.size and value.bucket_options == series.bucket_options:
        allowed = series.bucket_count
    else:
        allowed = rules.check_buckets(value)
    rules.check_bucket_counts(len(value.bucket_counts), allowed)
    rules.check_distribution(value)
