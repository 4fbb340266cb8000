"""What is asked, in order: each call builds on what those before it wrote.

Everything that is written has the run's own name: metrics below `custom.googleapis.com/cloudops_parity/<run>/`, one log
`cloudops-parity-<run>`. The rest is refused or only read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_METRICS = "google.monitoring.v3.MetricService"
_LOGGING = "google.logging.v2.LoggingServiceV2"
_POLICIES = "google.monitoring.v3.AlertPolicyService"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of all probes over one wire names its things."""

    project: str
    name: str
    """Lower-case letters and digits."""
    began: datetime

    @property
    def prefix(self) -> str:
        return f"custom.googleapis.com/cloudops_parity/{self.name}"

    @property
    def log_name(self) -> str:
        return f"projects/{self.project}/logs/cloudops-parity-{self.name}"

    @property
    def policy_name(self) -> str:
        return f"cloudops parity {self.name}"

    @property
    def parent(self) -> str:
        return f"projects/{self.project}"


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    says: str
    """What the emulator believes, and from where."""
    method: str
    request: Callable[[Run], Mapping[str, Any]]
    writes: bool = False
    """Whether it leaves something that must be taken away."""


def probes() -> Sequence[Probe]:
    return (*_series(), *_descriptors(), *_reads(), *_logs(), *_policies())


def cleaning(run: Run, descriptors: Sequence[str], policies: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """The calls that take away what a run wrote."""
    found: list[tuple[str, Mapping[str, Any]]] = [
        (f"{_METRICS}.DeleteMetricDescriptor", {"name": f"{run.parent}/metricDescriptors/{one}"}) for one in descriptors
    ]
    found += [(f"{_POLICIES}.DeleteAlertPolicy", {"name": one}) for one in policies]
    return [*found, (f"{_LOGGING}.DeleteLog", {"logName": run.log_name})]


def listing(run: Run) -> tuple[str, Mapping[str, Any]]:
    """The call that tells which descriptors of a run there are."""
    prefix = f'metric.type = starts_with("{run.prefix}/")'
    return f"{_METRICS}.ListMetricDescriptors", {"name": run.parent, "filter": prefix}


def listing_of_policies(run: Run) -> tuple[str, Mapping[str, Any]]:
    return f"{_POLICIES}.ListAlertPolicies", {"name": run.parent, "filter": f'display_name = "{run.policy_name}"'}


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _one(run: Run, *, name: str = "gauge", at: float = 0.0, value: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A time series of the run whose point ends `at` seconds after the run began."""
    end = run.began + timedelta(seconds=at)
    interval = {"endTime": stamp(end), **more.pop("interval", {})}
    return {
        "metric": {"type": f"{run.prefix}/{name}", "labels": more.pop("labels", {})},
        "resource": more.pop("resource", {"type": "global", "labels": {"project_id": run.project}}),
        "points": more.pop("points", [{"interval": interval, "value": value or {"doubleValue": 1.0}}]),
        **more,
    }


def _writing(name: str, says: str, *series: Callable[[Run], Any], writes: bool = True) -> Probe:
    return Probe(
        name,
        says,
        f"{_METRICS}.CreateTimeSeries",
        lambda run: {"name": run.parent, "timeSeries": [one(run) for one in series]},
        writes,
    )


def _series() -> Sequence[Probe]:
    def since(run: Run) -> Mapping[str, Any]:
        return {"startTime": stamp(run.began - timedelta(seconds=30))}

    return (
        _writing("a_gauge", "written, answered with nothing", lambda run: _one(run, at=-60)),
        _writing(
            "a_point_a_second_later",
            "refused: written more frequently than the sampling period (opentelemetry-operations-python#431)",
            lambda run: _one(run, at=-59),
        ),
        _writing(
            "an_older_point",
            "refused: points must be written in order (googleapis/python-monitoring#57)",
            lambda run: _one(run, at=-70),
        ),
        _writing(
            "the_same_series_twice",
            "refused: duplicate (opentelemetry-operations-python#255)",
            lambda run: _one(run, name="twice", at=-60),
            lambda run: _one(run, name="twice", at=-60),
        ),
        _writing(
            "another_value_type",
            "refused: the value type is that of the descriptor (micrometer-metrics/micrometer#2160)",
            lambda run: _one(run, at=-40, value={"int64Value": "1"}),
        ),
        _writing(
            "a_counter",
            "written: a cumulative point with a start",
            lambda run: _one(run, name="counter", at=-20, interval=since(run), metricKind="CUMULATIVE"),
        ),
        _writing(
            "a_counter_without_start",
            "refused: start before end (metric.proto)",
            lambda run: _one(run, name="counter2", at=-20, metricKind="CUMULATIVE"),
        ),
        _writing(
            "a_gauge_with_a_start",
            "refused: start and end of a gauge are equal (metric.proto)",
            lambda run: _one(run, name="gauge2", at=-20, interval=since(run)),
        ),
        _writing(
            "a_point_of_the_day_before_yesterday",
            "refused: at most 25 hours old (metric_service.proto)",
            lambda run: _one(run, name="old", at=-48 * 3600),
        ),
        _writing(
            "a_point_of_the_future",
            "refused: at most five minutes ahead (metric_service.proto)",
            lambda run: _one(run, name="future", at=3600),
        ),
        _writing(
            "no_point",
            "refused: exactly one point (metric_service.proto)",
            lambda run: _one(run, name="none", points=[]),
        ),
        _writing(
            "no_value",
            "refused: unrecognized value type",
            lambda run: _one(run, name="empty", points=[{"interval": {"endTime": stamp(run.began)}, "value": {}}]),
        ),
        _writing(
            "a_resource_of_the_platform",
            "refused: cloud_run_revision cannot be written (opentelemetry-operations-java#248)",
            lambda run: _one(run, name="run", resource={"type": "cloud_run_revision", "labels": {}}),
        ),
        _writing(
            "a_resource_without_its_labels",
            "refused: names the missing labels (cloudprober/cloudprober#257)",
            lambda run: _one(
                run, name="task", resource={"type": "generic_task", "labels": {"location": "us-central1", "job": "j"}}
            ),
        ),
        _writing(
            "an_unknown_place",
            "refused: unrecognized region or location (stackdriver-prometheus-sidecar#251)",
            lambda run: _one(
                run,
                name="nowhere",
                resource={
                    "type": "generic_task",
                    "labels": {"location": "atlantis", "namespace": "n", "job": "j", "task_id": "t"},
                },
            ),
        ),
        _writing(
            "too_many_buckets",
            "refused: more bucket counts than buckets (opencensus-go-exporter-stackdriver#98)",
            lambda run: _one(
                run,
                name="histogram",
                at=-10,
                value={
                    "distributionValue": {
                        "count": "6",
                        "mean": 1,
                        "bucketOptions": {"explicitBuckets": {"bounds": [1, 2]}},
                        "bucketCounts": ["1", "2", "2", "1"],
                    }
                },
            ),
        ),
        Probe(
            "two_hundred_and_one_series",
            "refused as a whole: at most 200 (metric_service.proto)",
            f"{_METRICS}.CreateTimeSeries",
            lambda run: {
                "name": run.parent,
                "timeSeries": [_one(run, name="many", labels={"n": str(number)}) for number in range(201)],
            },
            writes=True,
        ),
        Probe(
            "no_series",
            "refused: the field is missing",
            f"{_METRICS}.CreateTimeSeries",
            lambda run: {"name": run.parent},
        ),
    )


def _descriptors() -> Sequence[Probe]:
    def create(run: Run, **more: Any) -> Mapping[str, Any]:
        descriptor = {"type": f"{run.prefix}/declared", "metricKind": "GAUGE", "valueType": "DOUBLE", **more}
        return {"name": run.parent, "metricDescriptor": descriptor}

    method = f"{_METRICS}.CreateMetricDescriptor"
    return (
        Probe("a_descriptor", "made", method, create, writes=True),
        Probe(
            "a_descriptor_of_another_type",
            "refused: kind and value type stay (metric_service.proto)",
            method,
            lambda run: create(run, valueType="INT64"),
            writes=True,
        ),
        Probe(
            "a_descriptor_without_a_kind",
            "refused: the kind is required",
            method,
            lambda run: create(run, type=f"{run.prefix}/kindless", metricKind="METRIC_KIND_UNSPECIFIED"),
            writes=True,
        ),
        Probe(
            "a_name_without_a_domain",
            "refused: a URL-formatted string with a domain (stackdriver-prometheus-sidecar#251)",
            method,
            lambda run: create(run, type=f"cloudops_parity_{run.name}"),
        ),
        Probe(
            "a_descriptor_that_is_not_there",
            "not found",
            f"{_METRICS}.GetMetricDescriptor",
            lambda run: {"name": f"{run.parent}/metricDescriptors/{run.prefix}/missing"},
        ),
    )


def _reads() -> Sequence[Probe]:
    def reading(run: Run, text: str, **more: Any) -> Mapping[str, Any]:
        interval = {"startTime": stamp(run.began - timedelta(hours=1)), "endTime": stamp(run.began)}
        return {"name": run.parent, "filter": text, "interval": interval, **more}

    method = f"{_METRICS}.ListTimeSeries"
    return (
        Probe(
            "a_read_without_an_interval",
            "refused: names the field (cloud.google.com/monitoring/api/troubleshooting)",
            method,
            lambda run: {"name": run.parent, "filter": f'metric.type = "{run.prefix}/gauge"'},
        ),
        Probe("a_filter_without_a_metric", "refused", method, lambda run: reading(run, 'resource.type = "global"')),
        Probe("a_filter_that_is_none", "refused", method, lambda run: reading(run, "metric.type =")),
        Probe(
            "a_metric_that_is_not_there",
            "not found: cannot find metric(s) that match type",
            method,
            lambda run: reading(run, f'metric.type = "{run.prefix}/missing"'),
        ),
        Probe(
            "a_reducer_without_an_aligner",
            "refused (common.proto)",
            method,
            lambda run: reading(
                run,
                f'metric.type = "{run.prefix}/gauge"',
                aggregation={"alignmentPeriod": "60s", "crossSeriesReducer": "REDUCE_SUM"},
            ),
        ),
        Probe(
            "the_rate_of_a_gauge",
            "refused: the aligner cannot be applied",
            method,
            lambda run: reading(
                run,
                f'metric.type = "{run.prefix}/gauge"',
                aggregation={"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"},
            ),
        ),
    )


def _logs() -> Sequence[Probe]:
    def writing(run: Run, *entries: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
        return {"logName": run.log_name, "resource": {"type": "global"}, "entries": list(entries), **more}

    write, read = f"{_LOGGING}.WriteLogEntries", f"{_LOGGING}.ListLogEntries"
    return (
        Probe("a_log_entry", "written", write, lambda run: writing(run, {"textPayload": "hello"}), writes=True),
        Probe(
            "a_log_entry_without_a_name",
            "refused (logging.proto)",
            write,
            lambda run: {"resource": {"type": "global"}, "entries": [{"textPayload": run.name}]},
        ),
        Probe(
            "a_log_entry_without_a_resource",
            "refused (log_entry.proto)",
            write,
            lambda run: {"logName": run.log_name, "entries": [{"textPayload": "hello"}]},
            writes=True,
        ),
        Probe("a_dry_run", "nothing is written", write, lambda run: writing(run, {"textPayload": "dry"}, dryRun=True)),
        Probe(
            "a_log_entry_of_300_kb",
            "refused: log entry with size 300.0K exceeds maximum size of 256.0K (nodejs-logging#520)",
            write,
            lambda run: writing(run, {"textPayload": "x" * 300 * 1024}),
            writes=True,
        ),
        Probe(
            "a_search_that_is_none",
            "refused: where the text stops being a query",
            read,
            lambda run: {"resourceNames": [run.parent], "filter": "severity >= ("},
        ),
        Probe(
            "a_search_in_a_wrong_order",
            "refused (logging.proto)",
            read,
            lambda run: {"resourceNames": [run.parent], "orderBy": "severity desc", "filter": 'logName="x"'},
        ),
    )


def _policies() -> Sequence[Probe]:
    """All of them are refused, so that none has to be taken away."""

    def policy(run: Run, *conditions: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
        named = [{"displayName": "parity", **one} for one in conditions]
        body = {"displayName": run.policy_name, "combiner": "OR", "enabled": False, **more}
        return {"name": run.parent, "alertPolicy": {**body, "conditions": named}}

    method = f"{_POLICIES}.CreateAlertPolicy"
    query = {"conditionPrometheusQueryLanguage": {"query": "up == 0", "disableMetricValidation": True}}
    return (
        Probe("a_policy_without_conditions", "refused (alert.proto)", method, policy),
        Probe(
            "two_promql_conditions",
            "refused: one condition a policy (alert.proto)",
            method,
            lambda run: policy(run, query, query),
        ),
        Probe(
            "a_query_that_is_none",
            "refused",
            method,
            lambda run: policy(run, {"conditionPrometheusQueryLanguage": {"query": "up = 0"}}),
        ),
        Probe(
            "an_evaluation_every_45_seconds",
            "refused: a multiple of 30 seconds (alert.proto)",
            method,
            lambda run: policy(
                run, {"conditionPrometheusQueryLanguage": {"query": "up == 0", "evaluationInterval": "45s"}}
            ),
        ),
        Probe(
            "a_threshold_without_a_resource_type",
            "refused (hashicorp/terraform-provider-google#4165)",
            method,
            lambda run: policy(
                run,
                {
                    "conditionThreshold": {
                        "filter": f'metric.type = "{run.prefix}/gauge"',
                        "comparison": "COMPARISON_GT",
                        "duration": "60s",
                    }
                },
            ),
        ),
        Probe(
            "a_duration_of_90_seconds",
            "refused: whole minutes (alert.proto)",
            method,
            lambda run: policy(
                run,
                {
                    "conditionThreshold": {
                        "filter": f'metric.type = "{run.prefix}/gauge" AND resource.type = "global"',
                        "comparison": "COMPARISON_GT",
                        "duration": "90s",
                    }
                },
            ),
        ),
        Probe(
            "a_policy_that_is_not_there",
            "not found",
            f"{_POLICIES}.GetAlertPolicy",
            lambda run: {"name": f"{run.parent}/alertPolicies/1"},
        ),
    )
