"""Series of a test: what they are called, and the points that a writer makes of their samples."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from google.api import metric_pb2
from google.cloud.monitoring_v3 import types

from ..clock import NANOS
from ..definitions.catalogue import catalogue_metrics
from ..monitoring.resources import resource_types
from ..monitoring.write_rules import USER_DOMAINS
from .distributions import DEFAULT_BOUNDS, Observations, empty, histogram, write
from .errors import ScriptError
from .notation import Sample, expand

Kind = Literal["GAUGE", "CUMULATIVE", "DELTA"]

_MILLISECOND = 1_000_000
_TimeSeries: Any = types.TimeSeries.pb()
_KINDS = metric_pb2.MetricDescriptor.MetricKind
_METRIC = re.compile(r"\s*([^\s{}\"]+)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_PROMETHEUS = "prometheus.googleapis.com/"
_PLACES = ("location", "region", "zone")
_TARGET = ("location", "cluster", "namespace", "job", "instance")
_WORDS: Mapping[str, tuple[Kind, str]] = {
    "gauge": ("GAUGE", ""),
    "cumulative": ("CUMULATIVE", ""),
    "counter": ("CUMULATIVE", ""),
    "delta": ("DELTA", ""),
    "histogram": ("CUMULATIVE", "distribution"),
}
_TYPES = ("double", "int64", "bool", "distribution")
# How the library and Managed Prometheus name the three kinds (cloud.google.com/stackdriver/docs/managed-prometheus).
_SUFFIXES: Mapping[str, str] = {
    "counter": "counter",
    "cumulative": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
}


@dataclass(frozen=True, slots=True)
class Series:
    metric_type: str
    labels: Mapping[str, str]
    resource_type: str
    resource_labels: Mapping[str, str]
    kind: Kind
    value_type: str
    samples: Sequence[Sample]
    interval: float
    """Seconds between two samples."""
    start: float = 0.0
    """Seconds from the beginning of the test to the first sample."""
    resets: bool = False
    bounds: Sequence[float] = DEFAULT_BOUNDS
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_users(self) -> bool:
        """Whether CreateTimeSeries takes it; the rest is what Google's own services write."""
        return self.metric_type.partition("/")[0] in USER_DOMAINS and self.kind != "DELTA"


def series_of(
    metric: str,
    values: str | Iterable[float | None],
    *,
    interval: float,
    variables: Mapping[str, Any],
    kind: str = "",
    type: str = "",  # noqa: A002  # the API's word
    resource: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Mapping[str, str]] | None = None,
    bounds: Sequence[float] | None = None,
    start: float = 0.0,
    resets: bool = False,
) -> Series:
    """One series as a script says it.

    `metric` is a name of Prometheus, or a metric type such as run.googleapis.com/request_count, either with labels in
    braces. A name is written as the library writes it: on prometheus_target, with job and namespace of the variables.

    Raises:
        ScriptError: What is said does not make a series.
    """
    name, found = _named(metric)
    found |= {key: str(value) for key, value in (labels or {}).items()}
    samples = list(expand(values)) if isinstance(values, str) else list(values)
    if kind and kind.lower() not in _WORDS:
        raise ScriptError(f"{name}: kind is one of {', '.join(_WORDS)}, not {kind}")
    if type and type.lower() not in _TYPES:
        raise ScriptError(f"{name}: type is one of {', '.join(_TYPES)}, not {type}")
    word = kind.lower() or _usual_kind(name, samples)
    if "/" in name:
        if not word:
            raise ScriptError(f"{name}: say its kind (gauge, cumulative or delta)")
        resource_type, resource_labels = _resource(name, resource, found, variables)
    else:
        if word == "delta":
            raise ScriptError(f"{name}: a Prometheus metric is a counter, a gauge or a histogram")
        catalogue = catalogue_metrics().get(name, {})
        bounds = bounds or catalogue.get("buckets")
        name, resource_type, resource_labels = _as_the_library_writes(name, word, found, variables)
        if resource is not None:
            resource_type, resource_labels = _given_resource(name, resource, variables)
    is_distribution = type.lower() == "distribution" or any(isinstance(one, Observations) for one in samples)
    value_type = type.lower() or _WORDS[word][1] or ("distribution" if is_distribution else "double")
    if value_type != "distribution" and is_distribution:
        raise ScriptError(f"{name}: a series of type {value_type} cannot hold {{{{...}}}}")
    return Series(
        metric_type=name,
        labels=found,
        resource_type=resource_type,
        resource_labels=resource_labels,
        kind=_WORDS[word][0],
        value_type=value_type,
        samples=samples,
        interval=interval,
        start=start,
        resets=resets,
        bounds=tuple(bounds or DEFAULT_BOUNDS),
        metadata=_metadata(metadata),
    )


def _named(metric: str) -> tuple[str, dict[str, str]]:
    match = _METRIC.fullmatch(metric)
    if match is None:
        raise ScriptError(f'{metric} is not a metric with labels, such as http_request_total{{status_code="500"}}')
    inside = match[2] or ""
    found = {key: re.sub(r"\\(.)", r"\1", value) for key, value in _LABEL.findall(inside)}
    left = _LABEL.sub("", inside).strip()
    if left:
        raise ScriptError(f'{metric}: {left} is not a label such as status_code="500"')
    return match[1], found


def _usual_kind(name: str, samples: Sequence[Sample]) -> str:
    """What a name alone tells: the library's catalogue, the ending of a type, the habits of Prometheus."""
    if name.startswith(_PROMETHEUS):
        return {"counter": "counter", "gauge": "gauge", "histogram": "histogram"}.get(name.rpartition("/")[2], "")
    if "/" in name:
        return ""
    known = catalogue_metrics().get(name)
    if known is not None:
        return str(known["kind"])
    if any(isinstance(sample, Observations) for sample in samples):
        return "histogram"
    return "counter" if name.endswith(("_total", "_count", "_sum", "_bucket")) else "gauge"


def _as_the_library_writes(
    name: str, word: str, labels: dict[str, str], variables: Mapping[str, Any]
) -> tuple[str, str, dict[str, str]]:
    """Metric type, resource type and resource labels; takes the labels of the resource out of `labels`."""
    target = {
        "location": str(variables.get("location", "europe-west1")),
        "cluster": "__run__",
        "namespace": str(variables.get("environment", "test")),
        "job": str(variables.get("service", "test")),
        "instance": "0",
    }
    target |= {key: labels.pop(key) for key in _TARGET if key in labels}
    domain = variables.get("metrics_domain", "prometheus")
    if domain == "prometheus":
        return f"{_PROMETHEUS}{name}/{_SUFFIXES[word]}", "prometheus_target", target
    task = {key: target[key] for key in ("location", "namespace", "job")} | {"task_id": target["instance"]}
    return f"{domain}.googleapis.com/{variables.get('metrics_namespace', 'cloudops')}/{name}", "generic_task", task


def _resource(
    name: str, resource: Mapping[str, Any] | None, labels: dict[str, str], variables: Mapping[str, Any]
) -> tuple[str, dict[str, str]]:
    if resource is not None:
        return _given_resource(name, resource, variables)
    if name.startswith(_PROMETHEUS):
        _, resource_type, target = _as_the_library_writes(
            name, "gauge", labels, {**variables, "metrics_domain": "prometheus"}
        )
        return resource_type, target
    raise ScriptError(f"{name}: say its resource, such as {{type: cloud_run_revision, service_name: items}}")


def _given_resource(name: str, resource: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """`{type: T, zone: Z}`, or as the API has it: `{type: T, labels: {zone: Z}}`; what is left out is filled."""
    if not resource.get("type"):
        raise ScriptError(f"{name}: a resource has a type, such as {{type: cloud_run_revision, service_name: items}}")
    given = resource.get("labels")
    plain = given if isinstance(given, Mapping) else {key: value for key, value in resource.items() if key != "type"}
    known = resource_types().get(str(resource["type"]))
    place = str(variables.get("location", "europe-west1"))
    filled = {
        label: place if label in _PLACES else "test"
        for label in (known.labels if known else ())
        if label != "project_id"
    }
    return str(resource["type"]), filled | {str(key): str(value) for key, value in plain.items()}


def _metadata(given: Mapping[str, Mapping[str, str]] | None) -> dict[str, str]:
    """Keyed as alerting/observed.py keys them."""
    spelled = {"user_labels": "user_labels", "userLabels": "user_labels", "system_labels": "system_labels",
               "systemLabels": "system_labels"}  # fmt: skip
    found: dict[str, str] = {}
    for kind, labels in (given or {}).items():
        if kind not in spelled:
            raise ScriptError(f"metadata has userLabels and systemLabels, not {kind}")
        found |= {f"metadata.{spelled[kind]}.{key}": str(value) for key, value in labels.items()}
    return found


class Writer:
    """The points of one series, as an exporter (or, for a service's own metric, Google) writes them."""

    def __init__(self, series: Series, begin: int) -> None:
        """`begin`: the time (ns) from which the series counts its start."""
        self.series = series
        self.next_at = begin + round(series.start * NANOS)
        self._step = round(series.interval * NANOS)
        self._index = 0
        # A cumulative point needs a start before its end.
        self._start = self.next_at - NANOS
        self._last: float | None = None
        self._sum = empty(series.bounds) if series.value_type == "distribution" else None
        self._message = _message(series)

    @property
    def done(self) -> bool:
        return self._index >= len(self.series.samples)

    def take(self) -> Any | None:
        """The TimeSeries of the next sample, valid until the next call; None where a sample is missing."""
        now, sample = self.next_at, self.series.samples[self._index]
        self._index += 1
        self.next_at += self._step
        if sample is None:
            return None
        point = self._message.points[0]
        if self._sum is not None:
            self._distribution(sample, point.value.distribution_value)
        elif isinstance(sample, Observations):
            raise ScriptError(f"{self.series.metric_type}: numbers and distributions in one series")
        else:
            self._number(sample, point.value, now)
        end = point.interval.end_time
        end.seconds, end.nanos = divmod(now, NANOS)
        if self.series.kind != "GAUGE":
            # Changes must not overlap: each begins a millisecond after the end of the one before.
            start = self._start if self.series.kind == "CUMULATIVE" else now - self._step + _MILLISECOND
            point.interval.start_time.seconds, point.interval.start_time.nanos = divmod(start, NANOS)
        return self._message

    def _number(self, value: float, target: Any, now: int) -> None:
        if self.series.kind == "CUMULATIVE":
            if self._last is not None and value < self._last:
                if not self.series.resets:
                    raise ScriptError(
                        f"{self.series.metric_type} is a counter and falls from {self._last:g} to {value:g}: say "
                        "resets: true if the process restarts there, or kind: gauge"
                    )
                self._start = now - NANOS
            self._last = value
        match self.series.value_type:
            case "int64":
                target.int64_value = round(value)
            case "bool":
                target.bool_value = bool(value)
            case _:
                target.double_value = value

    def _distribution(self, sample: Sample, target: Any) -> None:
        if not isinstance(sample, Observations):
            if sample:
                raise ScriptError(f"{self.series.metric_type}: {sample:g} is no distribution; write {{{{...}}}} or 0")
            sample = Observations()
        one = histogram(sample, self.series.bounds)
        if self.series.kind == "CUMULATIVE":
            assert self._sum is not None
            one = self._sum = self._sum.plus(one)
        write(target, one, self.series.bounds)


def _message(series: Series) -> Any:
    message = _TimeSeries()
    message.metric.type = series.metric_type
    message.metric.labels.update(series.labels)
    message.resource.type = series.resource_type
    message.resource.labels.update(series.resource_labels)
    message.metric_kind = cast("int", _KINDS.Value(series.kind))
    message.points.add()
    return message
