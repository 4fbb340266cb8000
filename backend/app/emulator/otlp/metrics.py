"""OTLP metrics as time series, as telemetry.googleapis.com maps them.

Sources: docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics and .../docs/otlp-metrics/overview, and
MIGRATION.md of GoogleCloudPlatform/opentelemetry-operations-python. Names stay as they are: no unit and no `_total` is
appended.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from google.api import distribution_pb2, metric_pb2
from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.monitoring_v3.types import DroppedLabels, SpanContext, TimeSeries

from ..monitoring.write_rules import Refused
from .attributes import texts
from .partial import Rejected
from .resources import Attributes, prometheus_target, writable

_SERIES = TimeSeries.pb()
_KINDS = metric_pb2.MetricDescriptor.MetricKind
_DELTA, _CUMULATIVE = 1, 2  # AggregationTemporality of opentelemetry/proto/metrics/v1/metrics.proto
_NO_VALUE = 1  # DataPointFlags, FLAG_NO_RECORDED_VALUE
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_:./]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
# open-telemetry/opentelemetry-collector-contrib, exporter/googlemanagedprometheusexporter: labels of the target.
_RESERVED = frozenset({"location", "cluster", "namespace", "job", "instance", "project_id"})
_KEPT_DOMAINS = ("workload.googleapis.com/", "custom.googleapis.com/")
_IDENTIFYING = frozenset({"service.name", "service.namespace", "service.instance.id"})
# A growing bucket more than this many times is not one that Cloud Monitoring draws; the SDKs keep at most 160.
_MOST_BUCKETS = 1000
_MOST_EXEMPLARS = 10  # ours: the API's number is not published
_TRACE_BYTES, _SPAN_BYTES = 16, 8


class _Kind(NamedTuple):
    suffix: str
    kind: int


_GAUGE = _Kind("gauge", _KINDS.GAUGE)
_COUNTER = _Kind("counter", _KINDS.CUMULATIVE)


class Source(NamedTuple):
    """What the points of one OTLP resource are written on."""

    target: MonitoredResource
    other: MonitoredResource
    """The resource of names with a domain of their own."""
    project: str


def source_of(attributes: Attributes, project: str) -> Source:
    target = MonitoredResource(type="prometheus_target", labels=prometheus_target(attributes))
    return Source(target, writable(attributes), project)


def count_points(request: Any) -> int:
    return sum(
        len(points_of(metric))
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def points_of(metric: Any) -> Any:
    which = metric.WhichOneof("data")
    return getattr(metric, which).data_points if which else ()


def series_of(metric: Any, source: Source, rejected: Rejected) -> Iterator[Any]:
    """The TimeSeries of one metric; points that the mapping refuses are counted."""
    points = points_of(metric)
    try:
        _check_name(metric.name)
        mapped = _kind_of(metric)
    except Refused as refused:
        rejected.add(refused.reason, len(points))
        return
    for point in points:
        try:
            found = list(_series(metric, point, mapped, source))
        except Refused as refused:
            rejected.add(refused.reason)
            continue
        yield from found


def target_info(attributes: Attributes, source: Source, end: int) -> Any:
    """The gauge that carries what a resource says beside its identity."""
    labels = {
        key: value
        for key, value in attributes.items()
        if key not in _IDENTIFYING and key not in _RESERVED and _LABEL.fullmatch(key)
    }
    answer = _new(_Target("target_info", _GAUGE, source), labels, 0, end)
    answer.points[0].value.double_value = 1.0
    return answer


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise Refused(f'The metric name "{name[:100]}" does not match [a-zA-Z][a-zA-Z0-9_:./]*')


def _kind_of(metric: Any) -> _Kind:
    which = metric.WhichOneof("data")
    if which == "gauge":
        return _GAUGE
    if which == "summary":
        return _Kind("summary", _KINDS.CUMULATIVE)
    data = getattr(metric, which) if which else None
    temporality = 0 if data is None else data.aggregation_temporality
    if temporality not in {_DELTA, _CUMULATIVE}:
        raise Refused(f"The metric {metric.name} has no data or no aggregation temporality")
    delta = temporality == _DELTA
    if which == "sum":
        if not metric.sum.is_monotonic:
            if delta:
                raise Refused(f"The metric {metric.name} is a delta sum that is not monotonic, which is not supported")
            return _GAUGE
        return _Kind("delta", _KINDS.DELTA) if delta else _COUNTER
    return _Kind("histogram:delta", _KINDS.DELTA) if delta else _Kind("histogram", _KINDS.CUMULATIVE)


class _Target(NamedTuple):
    name: str
    kind: _Kind
    source: Source
    unit: str = ""
    description: str = ""


def _new(target: _Target, labels: Mapping[str, str], start: int, end: int) -> Any:
    """A TimeSeries with one point that lacks its value; times in nanoseconds."""
    answer = _SERIES(metric_kind=target.kind.kind, unit=target.unit, description=target.description)
    if target.name.startswith(_KEPT_DOMAINS):
        answer.metric.type = target.name
        answer.resource.CopyFrom(target.source.other)
    else:
        answer.metric.type = f"prometheus.googleapis.com/{target.name}/{target.kind.suffix}"
        answer.resource.CopyFrom(target.source.target)
        for label in ("location", "instance"):
            if not answer.resource.labels[label]:
                raise Refused(f"The label {label} of prometheus_target is required, and no resource attribute gives it")
    answer.metric.labels.update(labels)
    interval = answer.points.add().interval
    interval.end_time.FromNanoseconds(end)
    if target.kind.kind != _KINDS.GAUGE and start:
        interval.start_time.FromNanoseconds(start)
    return answer


def _labels(point: Any) -> dict[str, str]:
    labels = texts(point.attributes)
    for key in labels:
        if _LABEL.fullmatch(key) is None:
            raise Refused(f'The attribute "{key[:100]}" does not match [a-zA-Z_][a-zA-Z0-9_.]*')
        if key in _RESERVED:
            raise Refused(f'The attribute "{key}" is a label of prometheus_target and cannot be one of a point')
    return labels


def _series(metric: Any, point: Any, kind: _Kind, source: Source) -> Iterator[Any]:
    if point.flags & _NO_VALUE:
        return
    if not 0 < point.time_unix_nano < 2**63 or point.start_time_unix_nano >= 2**63:
        raise Refused(f"A point of {metric.name} has no time, or one that is out of range")
    labels = _labels(point)
    target = _Target(metric.name, kind, source, metric.unit, metric.description)
    start, end = point.start_time_unix_nano, point.time_unix_nano
    which = metric.WhichOneof("data")
    if which == "summary":
        yield from _summary(target, labels, point)
        return
    answer = _new(target, labels, start, end)
    value = answer.points[0].value
    if which in {"gauge", "sum"}:
        # Every INT64 becomes DOUBLE (MIGRATION.md).
        value.double_value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
    elif which == "histogram":
        value.distribution_value.CopyFrom(_explicit(point, source.project))
    else:
        value.distribution_value.CopyFrom(_exponential(point, source.project))
    yield answer


def _summary(target: _Target, labels: dict[str, str], point: Any) -> Iterator[Any]:
    """`_count` and `_sum` as counters, the quantiles as gauges."""
    name, start, end = target.name, point.start_time_unix_nano, point.time_unix_nano
    # The last part of a type is its suffix in Managed Service for Prometheus: x_count/summary, x_sum/summary:counter.
    for part, suffix, value in (("_count", "summary", float(point.count)), ("_sum", "summary:counter", point.sum)):
        counter = target._replace(name=f"{name}{part}", kind=_Kind(suffix, _KINDS.CUMULATIVE))
        one = _new(counter, labels, start, end)
        one.points[0].value.double_value = value
        yield one
    gauge = target._replace(kind=_Kind("summary", _KINDS.GAUGE))
    for quantile in point.quantile_values:
        one = _new(gauge, labels | {"quantile": f"{quantile.quantile:g}"}, 0, end)
        one.points[0].value.double_value = quantile.value
        yield one


def _distribution(point: Any, project: str) -> distribution_pb2.Distribution:
    """Without buckets; exemplars name the span they were seen in, and the attributes that the series has not."""
    if point.count >= 2**63:
        raise Refused("A histogram's count is out of range")
    answer = distribution_pb2.Distribution(count=point.count)
    if point.count and point.HasField("sum"):
        if not math.isfinite(point.sum):
            raise Refused("A histogram's sum must be finite")
        answer.mean = point.sum / point.count
    for given in sorted(point.exemplars, key=_exemplar_value)[:_MOST_EXEMPLARS]:
        exemplar = answer.exemplars.add(value=_exemplar_value(given))
        exemplar.timestamp.FromNanoseconds(min(given.time_unix_nano, 2**63 - 1))
        if len(given.trace_id) == _TRACE_BYTES and len(given.span_id) == _SPAN_BYTES:
            name = f"projects/{project}/traces/{given.trace_id.hex()}/spans/{given.span_id.hex()}"
            exemplar.attachments.add().Pack(SpanContext.pb()(span_name=name))
        if given.filtered_attributes:
            exemplar.attachments.add().Pack(DroppedLabels.pb()(label=texts(given.filtered_attributes)))
    return answer


def _exemplar_value(given: Any) -> float:
    return float(given.as_double if given.WhichOneof("value") == "as_double" else given.as_int)


def _explicit(point: Any, project: str) -> distribution_pb2.Distribution:
    answer = _distribution(point, project)
    if point.explicit_bounds:
        answer.bucket_options.explicit_buckets.bounds.extend(point.explicit_bounds)
        answer.bucket_counts.extend(_counts(point.bucket_counts))
    return answer


def _exponential(point: Any, project: str) -> distribution_pb2.Distribution:
    """Growing buckets; zero and the negative values go below the first bound.

    As Google's Collector exporter does it (GoogleCloudPlatform/opentelemetry-operations-go, exporter/collector).
    """
    answer = _distribution(point, project)
    below = point.zero_count + sum(point.negative.bucket_counts)
    counts = _counts(point.positive.bucket_counts)
    if len(counts) > _MOST_BUCKETS:
        raise Refused(f"An exponential histogram has at most {_MOST_BUCKETS} buckets, not {len(counts)}")
    try:
        growth = 2.0 ** (2.0**-point.scale)
        scale = growth**point.positive.offset
        largest = growth ** (point.positive.offset + len(counts))
    except OverflowError:
        growth = scale = largest = math.inf
    if not (growth > 1 and scale > 0 and math.isfinite(largest)):
        raise Refused(
            f"An exponential histogram of scale {point.scale} and offset {point.positive.offset} has no bounds"
        )
    options = answer.bucket_options.exponential_buckets
    options.num_finite_buckets = max(1, len(counts))
    options.growth_factor, options.scale = growth, scale
    answer.bucket_counts.extend([*_counts([below]), *(counts or [0]), 0])
    return answer


def _counts(counts: Any) -> list[int]:
    if any(count >= 2**63 for count in counts):
        raise Refused("A histogram's bucket count is out of range")
    return list(counts)
