"""CreateTimeSeries: rules, journal, store."""

from typing import Any, NamedTuple

from google.api import distribution_pb2, label_pb2, metric_pb2

from ..clock import NANOS
from ..names import require_project
from ..project import Context
from ..status import invalid_field, missing_field
from . import write_rules as rules
from .model import KINDS, Series
from .store import MetricStore
from .write_errors import Rejection, partial_failure
from .write_rules import Refused

POINTS = "monitoring.points"
_GAUGE = KINDS.GAUGE


class _Planned(NamedTuple):
    series: Series
    start: int
    end: int
    value: Any


class Writer:
    """One call at a time: every refused series is told, the others are journalled and stored."""

    def __init__(self, context: Context, store: MetricStore) -> None:
        self._context = context
        self._store = store

    def write(self, request: Any, *, service: bool = False) -> None:
        """Store the points of a request (CreateTimeSeriesRequest).

        `service` is for metrics of Google's own services: any domain, any resource, DELTA too.

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
        call = _Call(self._context, self._store, service=service)
        planned: list[_Planned] = []
        rejections: list[Rejection] = []
        for index, series in enumerate(request.time_series):
            try:
                planned.append(call.plan(series))
            except Refused as refused:
                rejections.append(Rejection(index, series, refused))
        if planned:
            self._context.journal.append(POINTS, _accepted(request, rejections).SerializeToString())
        for point in planned:
            _store(point)
        if rejections:
            raise partial_failure(rejections, total)

    def restore(self, request: Any) -> None:
        """Store the points of a journalled request without asking the rules again."""
        call = _Call(self._context, self._store, service=True)
        for series in request.time_series:
            _store(call.admit_again(series))


def _accepted(request: Any, rejections: list[Rejection]) -> Any:
    if not rejections:
        return request
    refused = {rejection.place for rejection in rejections}
    kept = type(request)(name=request.name)
    kept.time_series.extend(series for index, series in enumerate(request.time_series) if index not in refused)
    return kept


def _store(point: _Planned) -> None:
    series, start, end, value = point
    if isinstance(value, str):
        series.append_text(start, end, value)
    elif isinstance(value, distribution_pb2.Distribution):
        series.append_distribution(start, end, value)
    else:
        series.append(start, end, value)


class _Call:
    """What one call has to remember between its series."""

    def __init__(self, context: Context, store: MetricStore, *, service: bool) -> None:
        self._project = context.project_id
        self._store = store
        self._service = service
        self._now = context.clock.now()
        self._gap = round(context.switches.minimum_gap_seconds * NANOS)
        self._seen: set[int] = set()
        self._created: set[str] = set()

    def plan(self, wanted: Any) -> _Planned:
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
            rules.check_order(series, start or end, end, self._gap)
        return _Planned(series, start or end, end, value)

    def admit_again(self, stored: Any) -> _Planned:
        """The point of a TimeSeries from the journal."""
        point = stored.points[0]
        field = point.value.WhichOneof("value")
        key = stored.metric.SerializeToString(deterministic=True) + stored.resource.SerializeToString(
            deterministic=True
        )
        series = self._store.by_bytes.get(key) or self._admit(
            stored, self._store.descriptor(stored.metric.type), rules.VALUE_TYPE_OF[field], key
        )
        start, end = _times(point.interval)
        return _Planned(series, start or end, end, getattr(point.value, field))

    def _check_identity(self, wanted: Any, descriptor: metric_pb2.MetricDescriptor | None, value_type: int) -> None:
        metric = wanted.metric
        if not self._service:
            rules.check_type(metric.type)
            rules.check_resource(wanted.resource)
        rules.check_labels(metric.labels.items())
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
