"""Probes of metrics: time series that are written, descriptors, and what is read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from .probe import METRICS, Probe, Run, stamp


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
        f"{METRICS}.CreateTimeSeries",
        lambda run: {"name": run.parent, "timeSeries": [one(run) for one in series]},
        writes,
    )


def of_series() -> Sequence[Probe]:
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
            f"{METRICS}.CreateTimeSeries",
            lambda run: {
                "name": run.parent,
                "timeSeries": [_one(run, name="many", labels={"n": str(number)}) for number in range(201)],
            },
            writes=True,
        ),
        Probe(
            "no_series",
            "refused: the field is missing",
            f"{METRICS}.CreateTimeSeries",
            lambda run: {"name": run.parent},
        ),
    )


def of_descriptors() -> Sequence[Probe]:
    def create(run: Run, **more: Any) -> Mapping[str, Any]:
        descriptor = {"type": f"{run.prefix}/declared", "metricKind": "GAUGE", "valueType": "DOUBLE", **more}
        return {"name": run.parent, "metricDescriptor": descriptor}

    method = f"{METRICS}.CreateMetricDescriptor"
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
            f"{METRICS}.GetMetricDescriptor",
            lambda run: {"name": f"{run.parent}/metricDescriptors/{run.prefix}/missing"},
        ),
    )


def of_reads() -> Sequence[Probe]:
    def reading(run: Run, text: str, **more: Any) -> Mapping[str, Any]:
        interval = {"startTime": stamp(run.began - timedelta(hours=1)), "endTime": stamp(run.began)}
        return {"name": run.parent, "filter": text, "interval": interval, **more}

    method = f"{METRICS}.ListTimeSeries"
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
