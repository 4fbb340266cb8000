"""What CreateTimeSeries refuses, point by point.

Where a sentence stands in a public issue it is Google's own and the issue is named; other sentences follow the pattern
`Field <path> had an invalid value of "<value>": <why>` of docs.cloud.google.com/monitoring/api/troubleshooting, and the
rule behind them is in metric_service.proto, metric.proto or common.proto of google/monitoring/v3, or in
google/api/distribution.proto.
"""

import datetime as dt
import math
import re
from collections.abc import Iterable
from typing import Any

from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2

from ..clock import NANOS
from ..status import Code
from .model import KINDS, VALUE_TYPES, Series, bounds_of
from .resources import is_place, resource_types

USER_DOMAINS = (
    "custom.googleapis.com",
    "external.googleapis.com",
    "prometheus.googleapis.com",
    "workload.googleapis.com",
)
MAX_SERIES = 200
_OLDEST = 25 * 3600 * NANOS
_NEWEST = 300 * NANOS
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.\-]+)+")
_MAX_TYPE = 200
_LABEL_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED_LABEL_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_MAX_LABEL_KEY = 100
_MAX_LABEL_VALUE = 1024
_MAX_LABELS = 30
_MAX_LABELS_PROMETHEUS = 200
_WRITABLE = "https://cloud.google.com/monitoring/custom-metrics/creating-metrics#which-resource"

VALUE_TYPE_OF = {
    "bool_value": VALUE_TYPES.BOOL,
    "int64_value": VALUE_TYPES.INT64,
    "double_value": VALUE_TYPES.DOUBLE,
    "string_value": VALUE_TYPES.STRING,
    "distribution_value": VALUE_TYPES.DISTRIBUTION,
}


class Refused(Exception):  # noqa: N818  # not an error of ours: one series of a call is not written
    """One series of a call is refused.

    `field` is the path below `timeSeries[i]` (with its dot) when the sentence is about a field, else None.
    """

    def __init__(
        self, reason: str, *, field: str | None = None, value: object = None, code: Code = Code.INVALID_ARGUMENT
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.value = value
        self.code = code


def check_type(metric_type: str) -> None:
    """A metric type that a user may write (the sentence: Stackdriver/stackdriver-prometheus-sidecar#251)."""
    if len(metric_type) > _MAX_TYPE or _TYPE.fullmatch(metric_type) is None:
        why = "The metric type must be a URL-formatted string with a domain and non-empty path."
        raise Refused(why, field=".metric.type", value=metric_type)
    domain = metric_type.partition("/")[0]
    if domain not in USER_DOMAINS:
        why = f"Metrics of the domain {domain} cannot be written: use {' or '.join(USER_DOMAINS)}."
        raise Refused(why, field=".metric.type", value=metric_type)


def check_labels(labels: Iterable[tuple[str, str]], *, dots: bool = False) -> None:
    """Keys and values; `dots` lets keys hold dots (docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview)."""
    allowed = _DOTTED_LABEL_KEY if dots else _LABEL_KEY
    for key, value in labels:
        if len(key) > _MAX_LABEL_KEY or allowed.fullmatch(key) is None:
            why = f"A label key is a letter and up to {_MAX_LABEL_KEY - 1} letters, digits and underscores."
            raise Refused(why, field=".metric.labels", value=key)
        if len(value) > _MAX_LABEL_VALUE:
            why = f"A label value has at most {_MAX_LABEL_VALUE} characters; that of {key} has {len(value)}."
            raise Refused(why, field=".metric.labels", value=f"{value[:40]}...")


def check_label_count(metric_type: str, count: int) -> None:
    """The sentence: GoogleCloudPlatform/prometheus-engine#493 (the limit was 100 then)."""
    limit = label_limit(metric_type)
    if count > limit:
        raise Refused(f"The new labels would cause the metric {metric_type} to have over {limit} labels.")


def label_limit(metric_type: str) -> int:
    return _MAX_LABELS_PROMETHEUS if metric_type.startswith("prometheus.googleapis.com/") else _MAX_LABELS


def check_resource(resource: monitored_resource_pb2.MonitoredResource) -> None:
    """Which resources take user metrics, and their labels.

    Sentences: GoogleCloudPlatform/opentelemetry-operations-java#248 (type), census-instrumentation/opencensus-node#706
    (missing labels), census-ecosystem/opencensus-go-exporter-stackdriver#93 (unknown label),
    Stackdriver/stackdriver-prometheus-sidecar#251 (location). A missing resource is `global`.
    """
    kind = resource.type or "global"
    known = resource_types().get(kind)
    if known is None or not known.writable:
        raise Refused(f"Metrics cannot be written to {kind}. See {_WRITABLE} for a list of writable resource types.")
    labels = resource.labels
    missing = [label for label in known.labels if label not in labels and label != "project_id"]
    if missing:
        raise Refused(f"The set of resource labels is incomplete. Missing labels: ({' '.join(missing)}).")
    unknown = sorted(label for label in labels if label not in known.labels)
    if unknown:
        raise Refused(f"Unrecognized resource label: {unknown[0]}")
    for label in ("location", "zone"):
        if label in labels and not is_place(labels[label]):
            raise Refused("Unrecognized region or location.")


def check_new_metric(metric_type: str, kind: int, value_type: int) -> None:
    """What a descriptor may be that a write creates (metric.proto on `metric_kind` and `points`)."""
    if kind == KINDS.DELTA:
        why = "A metric that a write creates is GAUGE or CUMULATIVE."
        raise Refused(why, field=".metricKind", value="DELTA")
    if value_type == VALUE_TYPES.STRING:
        why = f"The metric {metric_type} has no descriptor, and STRING metrics need one before the first write."
        raise Refused(why, field=".valueType", value="STRING")
    check_kind_and_type(kind, value_type)


def check_kind_and_type(kind: int, value_type: int) -> None:
    """BOOL and STRING values can only be GAUGE (google/api/metric.proto on ValueType)."""
    if value_type in {VALUE_TYPES.BOOL, VALUE_TYPES.STRING} and kind != KINDS.GAUGE:
        why = f"Metrics of value type {VALUE_TYPES.Name(value_type)} must be of kind GAUGE."
        raise Refused(why, field=".metricKind", value=KINDS.Name(kind))


def check_declared(series: Any, descriptor: metric_pb2.MetricDescriptor, value_type: int, *, new: bool) -> None:
    """Kind and type against the descriptor (the sentences on value types: micrometer-metrics/micrometer#2160)."""
    metric_type = descriptor.type
    if series.metric_kind not in {0, descriptor.metric_kind}:
        kind, wanted = KINDS.Name(series.metric_kind), KINDS.Name(descriptor.metric_kind)
        why = f"The metric kind for metric {metric_type} must be {wanted}, but is {kind}."
        raise Refused(why, field=".metricKind", value=kind)
    if series.value_type not in {0, value_type}:
        declared, found = VALUE_TYPES.Name(series.value_type), VALUE_TYPES.Name(value_type)
        why = f"The value type must be that of the point, which is {found}."
        raise Refused(why, field=".valueType", value=declared)
    if value_type != descriptor.value_type:
        wanted = VALUE_TYPES.Name(descriptor.value_type)
        if new:
            raise Refused(f"Value type for metric {metric_type} conflicts with the existing value type ({wanted}).")
        raise Refused(f"Value type for metric {metric_type} must be {wanted}, but is {VALUE_TYPES.Name(value_type)}.")


def check_interval(kind: int, metric_type: str, start: int, end: int, now: int) -> None:
    """Intervals by kind; times in nanoseconds, start 0 when absent (sentences: stackdriver-prometheus-sidecar#251)."""
    if end < now - _OLDEST:
        raise Refused("Data points cannot be written more than 25h in the past.", field=_END, value=rfc3339(end))
    if end > now + _NEWEST:
        raise Refused("Data points cannot be written more than 5m in the future.", field=_END, value=rfc3339(end))
    if kind == KINDS.GAUGE:
        if start not in {0, end}:
            why = f"The start time and end time must be equal for the gauge metric '{metric_type}'."
            raise Refused(why, field=_START, value=rfc3339(start))
    elif start >= end or start == 0:
        why = f"The start time must be before the end time ({rfc3339(end)}) for the non-gauge metric '{metric_type}'."
        raise Refused(why, field=_START, value=rfc3339(start))


_START = ".points[0].interval.start_time"
_END = ".points[0].interval.end_time"
_MILLISECOND = 1_000_000


def check_order(series: Series, start: int, end: int, gap: int) -> None:
    """A point against the last one of its series; the gap in nanoseconds.

    Sentences: googleapis/python-monitoring#57 (end time), GoogleCloudPlatform/opentelemetry-operations-go#1029 (start
    time), GoogleCloudPlatform/opentelemetry-operations-python#431 (sampling period), whose status is
    FAILED_PRECONDITION in the summary (open-telemetry/opentelemetry-collector-contrib#31507). The order of these checks
    is our choice.
    """
    last_end = series.last_end
    if end <= last_end:
        raise Refused(_OUT_OF_ORDER.format("end"))
    if series.kind != "GAUGE":
        last_start = series.last_start
        # Intervals of DELTA may touch; a CUMULATIVE reset begins later (google/monitoring/v3/common.proto).
        free = last_end if series.kind == "DELTA" else last_end + _MILLISECOND
        same = series.kind == "CUMULATIVE" and start == last_start
        if start < free and not same:
            raise Refused(_OUT_OF_ORDER.format("start"))
    if end - last_end < gap:
        times = f"Youngest Existing: '{_log_time(last_end)}', New: '{_log_time(end)}'"
        raise Refused(
            "One or more points were written more frequently than the maximum sampling period configured for the "
            f"metric. {{Metric: {series.metric_type}, Timestamps: {{{times}}}}}",
            code=Code.FAILED_PRECONDITION,
        )


_OUT_OF_ORDER = (
    "Points must be written in order. "
    "One or more of the points specified had an older {} time than the most recent point."
)


def check_distribution(value: distribution_pb2.Distribution) -> None:
    """What google/api/distribution.proto demands.

    The sentences on bounds and buckets: census-ecosystem/opencensus-go-exporter-stackdriver#41 and #98.
    """
    if value.count < 0:
        raise _distribution("Distribution |count| is negative.")
    if not (math.isfinite(value.mean) and math.isfinite(value.sum_of_squared_deviation)):
        raise _distribution("Distribution |mean| and |sum_of_squared_deviation| must be finite.")
    if value.count == 0 and (value.mean or value.sum_of_squared_deviation or value.HasField("range")):
        raise _distribution("Distribution |count| is zero, so there is no mean, deviation or range.")
    counts = value.bucket_counts
    if counts:
        if value.bucket_options.WhichOneof("options") is None:
            raise _distribution("Distribution has |bucket_counts| without |bucket_options|.")
        if sum(counts) != value.count:
            raise _distribution(f"Distribution |count| is {value.count}, the sum of |bucket_counts| is {sum(counts)}.")
    if value.exemplars:
        _check_exemplars(value)


def check_buckets(value: distribution_pb2.Distribution) -> int:
    """The number of buckets that the options allow."""
    options = value.bucket_options
    which = options.WhichOneof("options")
    if which == "explicit_buckets" and not options.explicit_buckets.bounds:
        raise _distribution("Distribution |explicit_buckets.bounds| does not have at least one entry.")
    linear, growing = options.linear_buckets, options.exponential_buckets
    if which == "linear_buckets" and (linear.num_finite_buckets <= 0 or not linear.width > 0):
        raise _distribution("Distribution |linear_buckets| needs num_finite_buckets > 0 and width > 0.")
    if which == "exponential_buckets" and (
        growing.num_finite_buckets <= 0 or not growing.growth_factor > 1 or not growing.scale > 0
    ):
        raise _distribution(
            "Distribution |exponential_buckets| needs num_finite_buckets > 0, growth_factor > 1 and scale > 0."
        )
    bounds = bounds_of(options)
    if not bool((bounds[1:] > bounds[:-1]).all()):
        raise _distribution("Distribution |explicit_buckets.bounds| must increase.")
    return len(bounds) + 1 if which else 0


def check_bucket_counts(counts: int, allowed: int) -> None:
    if counts > allowed:
        raise _distribution(
            f"Distribution value has {counts} |bucket_counts| fields, which is more than the {allowed} buckets allowed "
            "by the bucketing options."
        )


# The published types that Monitoring knows what to do with (google/monitoring/v3/span_context.proto and
# dropped_labels.proto); StringValue is the example of google/api/distribution.proto, "a string".
_ATTACHMENTS = (
    "google.monitoring.v3.SpanContext",
    "google.monitoring.v3.DroppedLabels",
    "google.protobuf.StringValue",
)


def _check_exemplars(value: distribution_pb2.Distribution) -> None:
    values = [exemplar.value for exemplar in value.exemplars]
    if values != sorted(values):
        raise _distribution("Distribution |exemplars| must be in increasing order of their value.")
    for exemplar in value.exemplars:
        types = [attachment.type_url for attachment in exemplar.attachments]
        if len(types) != len(set(types)):
            raise _distribution("An exemplar has at most one attachment of each type.")
        for name in types:
            if name.rpartition("/")[2] not in _ATTACHMENTS:
                raise _distribution(f"The exemplar attachment {name} is not one of {', '.join(_ATTACHMENTS)}.")


def _distribution(why: str) -> Refused:
    return Refused(why, field=".points[0].distributionValue")


def rfc3339(nanos: int) -> str:
    """A time as Google's sentences print it, but in UTC where Google prints its own zone."""
    moment = dt.datetime.fromtimestamp(nanos // NANOS, dt.UTC).replace(microsecond=nanos % NANOS // 1000)
    return moment.isoformat()


def _log_time(nanos: int) -> str:
    moment = dt.datetime.fromtimestamp(nanos // NANOS, dt.UTC)
    return f"{moment:%Y/%m/%d-%H:%M:%S}.{nanos % NANOS // 1_000_000:03d}"
