from collections.abc import Sequence

import pytest
from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2

from app.emulator.clock import NANOS
from app.emulator.monitoring.store import MetricStore, Series
from app.emulator.project import Context
from app.emulator.promql.cloud import CloudSource
from app.emulator.promql.evaluate import instant
from app.emulator.promql.model import Labels, QueryError
from support.provenance import known_from, our_choice

MAPPING = "cloud.google.com/monitoring/promql/promql-mapping"
KIND = metric_pb2.MetricDescriptor
TARGET = {"location": "europe-west1", "cluster": "__run__", "namespace": "production", "job": "api", "instance": "i-1"}
T0 = 1_700_000_040  # a whole minute: subqueries look at those


class Stored:
    """A metric store to fill by hand, and questions about it."""

    def __init__(self) -> None:
        self.store = MetricStore()
        self.source = CloudSource(self.store, Context())

    def series(
        self,
        metric_type: str,
        metric_labels: Labels | None = None,
        *,
        kind: int = KIND.CUMULATIVE,
        value_type: int = KIND.DOUBLE,
        resource: tuple[str, Labels] = ("prometheus_target", TARGET),
    ) -> Series:
        self.store.put_descriptor(
            KIND(type=metric_type, metric_kind=kind, value_type=value_type, unit="1", description="What it counts.")
        )
        return self.store.find_or_create(
            metric_pb2.Metric(type=metric_type, labels=metric_labels or {}),
            monitored_resource_pb2.MonitoredResource(type=resource[0], labels=resource[1]),
            "demo",
        )

    def ask(self, query: str, minute: float = 10) -> list[tuple[Labels, float]]:
        found = instant(query, self.source, round((T0 + minute * 60) * 1000))
        return [(labels, value) for labels, value, _ in found.samples]

    def values(self, query: str, minute: float = 10) -> list[float]:
        return [value for _, value in self.ask(query, minute)]


@pytest.fixture
def stored() -> Stored:
    return Stored()


def at(minute: float) -> int:
    return round((T0 + minute * 60) * NANOS)


def fill(series: Series, values: Sequence[float]) -> None:
    """A point a minute."""
    for minute, value in enumerate(values):
        start = at(minute) if series.kind == "GAUGE" else at(minute - 1) if series.kind == "DELTA" else at(-1)
        series.append(start, at(minute), value)


def distribution(counts: Sequence[int], mean: float, bounds: Sequence[float]) -> distribution_pb2.Distribution:
    options = distribution_pb2.Distribution.BucketOptions(
        explicit_buckets=distribution_pb2.Distribution.BucketOptions.Explicit(bounds=bounds)
    )
    return distribution_pb2.Distribution(count=sum(counts), mean=mean, bucket_options=options, bucket_counts=counts)


@known_from(docs=MAPPING)
@pytest.mark.parametrize(
    ("metric_type", "queries"),
    [
        (
            "prometheus.googleapis.com/http_request_total/counter",
            [
                "http_request_total",
                '{"http_request_total"}',
                '{"prometheus.googleapis.com/http_request_total/counter"}',
            ],
        ),
        ("prometheus.googleapis.com/job:rate:sum/gauge", ["job:rate:sum"]),
        ("prometheus.googleapis.com/untyped/unknown:counter", ["untyped"]),
        ("prometheus.googleapis.com/go_gc_sum/summary:counter", ["go_gc_sum"]),
        (
            "custom.googleapis.com/opencensus/opencensus.io/http",
            [
                "custom_googleapis_com:opencensus_opencensus_io_http",
                '{"custom.googleapis.com/opencensus/opencensus.io/http"}',
                '{__name__="custom.googleapis.com/opencensus/opencensus.io/http"}',
            ],
        ),
        ("kubernetes.io/container/cpu/limit_cores", ["kubernetes_io:container_cpu_limit_cores"]),
        ("logging.googleapis.com/user/my-metric", ["logging_googleapis_com:user_my_metric"]),
    ],
)
def test_a_metric_is_found_by_each_of_its_names(stored: Stored, metric_type: str, queries: list[str]) -> None:
    fill(stored.series(metric_type), [1, 2, 3])
    for query in queries:
        assert stored.values(query, 2) == [3], query
    assert stored.values("http_request", 2) == []
    assert stored.values("http_request_total_count", 2) == []


@known_from(docs=MAPPING)
def test_a_distribution_is_a_prometheus_histogram(stored: Stored) -> None:
    series = stored.series(
        "prometheus.googleapis.com/latency/histogram", {"method": "GET"}, value_type=KIND.DISTRIBUTION
    )
    series.append_distribution(at(-1), at(0), distribution([0, 0, 0], 0, [0.005, 1]))
    series.append_distribution(at(-1), at(1), distribution([6, 3, 1], 0.25, [0.005, 1]))
    buckets = {labels["le"]: value for labels, value in stored.ask("latency_bucket", 1)}
    assert buckets == {"0.005": 6, "1": 9, "+Inf": 10}
    assert stored.values("latency_count", 1) == [10]
    assert stored.values("latency_sum", 1) == [2.5]
    assert stored.values("latency", 1) == []
    assert stored.values('latency_bucket{le="1"}', 1) == [9]
    assert stored.values('latency_bucket{le=~"0.*"}', 1) == [6]
    assert stored.values("histogram_quantile(0.75, increase(latency_bucket[1m]))", 1) == [pytest.approx(0.5025)]
    assert stored.values('{"prometheus.googleapis.com/latency/histogram_count"}', 1) == [10]


@known_from(docs="docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences")
def test_a_histogram_without_observations_has_no_quantile(stored: Stored) -> None:
    series = stored.series("prometheus.googleapis.com/latency/histogram", value_type=KIND.DISTRIBUTION)
    for minute in range(3):
        series.append_distribution(at(-1), at(minute), distribution([0, 0], 0, [1]))
    assert stored.values("histogram_quantile(0.5, rate(latency_bucket[2m]))", 2) == []


@our_choice("a change over an interval is what a counter gained in it; Google does not publish its own reading")
def test_a_delta_metric_can_be_rated_as_a_counter(stored: Stored) -> None:
    series = stored.series(
        "run.googleapis.com/request_count", kind=KIND.DELTA, resource=("cloud_run_revision", {"service_name": "api"})
    )
    fill(series, [60, 60, 120, 0, 60])
    assert stored.values("increase(run_googleapis_com:request_count[2m])", 4) == [60]
    assert stored.values("sum_over_time((run_googleapis_com:request_count)[2m:1m])", 2) == [60 + 120 + 240]
    # what the first point tells happened after its start, where the counter is zero
    assert stored.values("increase(run_googleapis_com:request_count[1m])", 0) == [60]
    assert stored.values("rate(run_googleapis_com:request_count[2m])", 2) == [1.5]


@known_from(docs=MAPPING)
def test_labels_come_from_metric_and_resource(stored: Stored) -> None:
    fill(stored.series("prometheus.googleapis.com/up/gauge", {"zone": "a", "empty": ""}, kind=KIND.GAUGE), [1])
    labels = {"__name__": "up", "zone": "a", "monitored_resource": "prometheus_target", "project_id": "demo", **TARGET}
    assert stored.ask("up", 0) == [(labels, 1)]
    assert stored.values('up{job="api",namespace="production"}', 0) == [1]
    assert stored.values('up{job="other"}', 0) == []
    assert stored.values('up{job=~"a.*",instance!~"i-2|i-3",empty=""}', 0) == [1]


@our_choice("no page that we could read states the prefix")
def test_a_metric_label_that_hides_a_resource_label_gets_a_prefix(stored: Stored) -> None:
    fill(stored.series("prometheus.googleapis.com/up/gauge", {"job": "inner"}, kind=KIND.GAUGE), [1])
    assert stored.values('up{job="api",metric_job="inner"}', 0) == [1]


@known_from(docs=MAPPING)
def test_a_metric_of_several_resources_needs_to_be_told_which(stored: Stored) -> None:
    for resource in (("gce_instance", {"instance_id": "1"}), ("global", {})):
        fill(stored.series("custom.googleapis.com/jobs", kind=KIND.GAUGE, resource=resource), [len(resource[0])])
    with pytest.raises(QueryError, match=r"multiple resource types \(gce_instance, global\).*monitored_resource="):
        stored.ask("custom_googleapis_com:jobs", 0)
    assert stored.values('custom_googleapis_com:jobs{monitored_resource="global"}', 0) == [6]
    assert stored.values('sum(custom_googleapis_com:jobs{monitored_resource=~".+"})', 0) == [18]


@known_from(docs="docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences")
def test_a_dead_series_keeps_its_last_value_for_five_minutes(stored: Stored) -> None:
    fill(stored.series("prometheus.googleapis.com/up/gauge", kind=KIND.GAUGE), [1, 7])
    assert stored.values("up", 6) == [7]
    assert stored.values("up", 6.1) == []


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/functions")
def test_a_counter_that_restarts_is_not_a_fall(stored: Stored) -> None:
    fill(stored.series("prometheus.googleapis.com/requests/counter"), [0, 60, 120, 30, 90])
    assert stored.values("increase(requests[4m])", 4) == [210]


@our_choice("text has no place among numbers")
def test_a_metric_of_text_has_no_samples(stored: Stored) -> None:
    series = stored.series("custom.googleapis.com/version", kind=KIND.GAUGE, value_type=KIND.STRING)
    series.append_text(at(0), at(0), "1.2")
    assert stored.ask("custom_googleapis_com:version", 0) == []


@known_from(docs=MAPPING)
def test_points_within_one_millisecond_are_one_sample(stored: Stored) -> None:
    series = stored.series("prometheus.googleapis.com/up/gauge", kind=KIND.GAUGE)
    for offset, value in ((0, 1.0), (100, 2.0), (2_000_000, 3.0)):
        series.append(at(0) + offset, at(0) + offset, value)
    assert stored.values("count_over_time(up[1m])", 1) == [2]
    assert stored.values("sum_over_time(up[1m])", 1) == [5]
