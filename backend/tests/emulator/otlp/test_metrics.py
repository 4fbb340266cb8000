"""How telemetry.googleapis.com maps OTLP metrics."""

from typing import Any

import numpy as np
import pytest
from google.cloud.monitoring_v3.types import DroppedLabels, SpanContext

from app.emulator.parts import Parts
from app.emulator.promql.evaluate import instant
from app.emulator.status import ApiError, Code
from support.monitoring import START
from support.otlp import METRICS, NOW, RUN, counter, gauge, histogram, metrics, parts, point
from support.provenance import known_from, our_choice

MAPPING = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics"
NAMES = "https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview"
MIGRATION = "https://github.com/GoogleCloudPlatform/opentelemetry-operations-python/blob/main/MIGRATION.md"
PREFIX = "prometheus.googleapis.com/"


@pytest.fixture
def emulator() -> Parts:
    return parts()


def export(emulator: Parts, *wanted: dict[str, Any], **changes: Any) -> Any:
    service: Any = emulator.services[METRICS]
    return service.export(metrics(*wanted, **changes)).partial_success


def only_series(emulator: Parts, name: str) -> Any:
    [series] = emulator.store.series(PREFIX + name)
    return series


@known_from(docs=MIGRATION)
@pytest.mark.parametrize(
    ("metric", "stored", "kind", "value_type"),
    [
        (counter("orders.placed", point(3)), "orders.placed/counter", "CUMULATIVE", "DOUBLE"),
        (counter("orders.placed", point(3), delta=True), "orders.placed/delta", "DELTA", "DOUBLE"),
        (counter("workers/busy", point(3), monotonic=False), "workers/busy/gauge", "GAUGE", "DOUBLE"),
        (gauge("temperature", point(20.5)), "temperature/gauge", "GAUGE", "DOUBLE"),
    ],
    ids=["counter", "delta", "up and down", "gauge"],
)
def test_a_name_keeps_its_dots_and_slashes_and_gets_a_suffix(
    emulator: Parts, metric: dict[str, Any], stored: str, kind: str, value_type: str
) -> None:
    assert not export(emulator, metric).rejected_data_points
    series = only_series(emulator, stored)
    assert (series.kind, series.value_type) == (kind, value_type)


@known_from(docs=MIGRATION)
def test_whole_numbers_become_doubles(emulator: Parts) -> None:
    export(emulator, gauge("size", point(7)))
    assert only_series(emulator, "size/gauge").window(0, NOW).values.tolist() == [7.0]


@known_from(docs=MIGRATION)
def test_a_delta_that_may_fall_is_rejected(emulator: Parts) -> None:
    told = export(emulator, counter("x", point(1), point(2, n="2"), monotonic=False, delta=True), gauge("y", point(1)))
    assert told.rejected_data_points == 2
    assert "not monotonic" in told.error_message
    assert only_series(emulator, "y/gauge")


@known_from(docs=MAPPING)
@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"cloud.availability_zone": "europe-west1-b"}, {"location": "europe-west1-b"}),
        ({"location": "us-central1"}, {"location": "us-central1"}),
        ({}, {"cluster": "__run__"}),
        ({"cloud.platform": "gcp_compute_engine"}, {"cluster": "__gce__"}),
        ({"k8s.cluster.name": "c"}, {"cluster": "c"}),
        ({"service.namespace": "shop"}, {"namespace": "shop", "job": "shop/items"}),
        ({"k8s.namespace.name": "n", "service.namespace": "shop"}, {"namespace": "n"}),
        ({"service.name": "unknown_service:python", "faas.name": "f"}, {"job": "f"}),
        ({"service.name": "unknown_service:python"}, {"job": "unknown_service:python"}),
        ({"service.instance.id": "", "faas.instance": "f-1"}, {"instance": "f-1"}),
        (
            {"service.instance.id": "", "k8s.pod.name": "p", "k8s.container.name": "c"},
            {"instance": "p:c"},
        ),
        ({"service.instance.id": "", "k8s.pod.name": "p"}, {"instance": "p"}),
        ({"service.instance.id": "", "host.id": "h"}, {"instance": "h"}),
    ],
    ids=str,
)
def test_labels_of_the_target_come_from_the_resource(
    emulator: Parts, resource: dict[str, str], expected: dict[str, str]
) -> None:
    assert not export(emulator, gauge("x", point(1)), resource=RUN | resource).rejected_data_points
    labels = only_series(emulator, "x/gauge").resource_labels
    assert {key: labels.get(key) for key in expected} == expected


@known_from(docs=MAPPING)
@pytest.mark.parametrize(("missing", "label"), [("cloud.region", "location"), ("service.instance.id", "instance")])
def test_a_point_without_location_or_instance_is_rejected(emulator: Parts, missing: str, label: str) -> None:
    resource = {key: value for key, value in RUN.items() if key != missing}
    told = export(emulator, gauge("x", point(1)), resource=resource)
    assert told.rejected_data_points == 1
    assert f"The label {label} of prometheus_target is required" in told.error_message
    assert emulator.store.descriptors() == []


@known_from(issue="https://github.com/Stackdriver/stackdriver-prometheus-sidecar/issues/251")
def test_an_invented_location_is_rejected(emulator: Parts) -> None:
    told = export(emulator, gauge("x", point(1)), resource=RUN | {"cloud.region": "home"})
    assert told.rejected_data_points == 1  # target_info, refused as well, is not the caller's
    assert "Unrecognized region or location." in told.error_message


@known_from(docs=NAMES)
@pytest.mark.parametrize(
    "metric",
    [
        gauge("1st", point(1)),
        gauge("größe", point(1)),
        gauge("a b", point(1)),
        gauge("x", point(1, 0, -60, **{"a-b": "1"})),
    ],
    ids=["digit first", "umlaut", "space", "attribute with a dash"],
)
def test_names_and_attributes_outside_the_pattern_are_rejected(emulator: Parts, metric: dict[str, Any]) -> None:
    told = export(emulator, metric)
    assert told.rejected_data_points == 1
    assert "does not match" in told.error_message


@known_from(
    docs="https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/main/exporter/googlemanagedprometheusexporter/README.md"
)
def test_attributes_named_as_labels_of_the_target_are_rejected(emulator: Parts) -> None:
    told = export(emulator, gauge("x", point(1, job="mine"), point(1, size="L")))
    assert told.rejected_data_points == 1
    assert only_series(emulator, "x/gauge").metric_labels == {"size": "L"}


@known_from(docs=MIGRATION)
def test_a_resource_leaves_a_target_info_with_what_does_not_identify_it(emulator: Parts) -> None:
    export(emulator, gauge("x", point(1)), resource=RUN | {"telemetry.sdk.language": "python"})
    labels = only_series(emulator, "target_info/gauge").metric_labels
    assert labels["telemetry.sdk.language"] == "python"
    assert "service.name" not in labels


@known_from(docs=MIGRATION)
@pytest.mark.parametrize("domain", ["workload.googleapis.com/", "custom.googleapis.com/"])
def test_a_name_with_a_domain_of_users_keeps_it(emulator: Parts, domain: str) -> None:
    export(emulator, counter(f"{domain}orders.placed", point(3)))
    [series] = emulator.store.series(f"{domain}orders.placed")
    assert (series.kind, series.resource_type) == ("CUMULATIVE", "generic_task")
    assert series.resource_labels["task_id"] == "i-1"


@known_from(docs=NAMES)
def test_more_than_200_points_refuse_the_call(emulator: Parts) -> None:
    with pytest.raises(ApiError, match="200 data points") as caught:
        export(emulator, gauge("x", *(point(1, n=n) for n in range(201))))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert not export(emulator, gauge("x", *(point(1, n=n) for n in range(200)))).rejected_data_points
    assert len(emulator.store.series(PREFIX + "x/gauge")) == 200


@known_from(issue="https://github.com/open-telemetry/opentelemetry-go/pull/6677")
def test_points_that_come_too_soon_fail_the_call(emulator: Parts) -> None:
    export(emulator, gauge("x", point(1, at=0)))
    with pytest.raises(ApiError, match="more frequently") as caught:
        export(emulator, gauge("x", point(2, at=2)), gauge("y", point(1, at=2)))
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert only_series(emulator, "y/gauge")  # good points of the call are written


@our_choice("how the API treats several points of a series in one call is not published; each is a write of its own")
def test_a_call_may_hold_several_points_of_a_series(emulator: Parts) -> None:
    told = export(emulator, gauge("x", point(2, at=0), point(1, at=-10)))
    assert not told.rejected_data_points
    assert only_series(emulator, "x/gauge").window(0, NOW).values.tolist() == [1.0, 2.0]


@known_from(docs="https://github.com/GoogleCloudPlatform/opentelemetry-operations-go/blob/main/MIGRATION.md")
@pytest.mark.parametrize(
    ("resource", "code"), [({}, Code.INVALID_ARGUMENT), ({"gcp.project_id": "other"}, Code.NOT_FOUND)]
)
def test_data_names_its_project(emulator: Parts, resource: dict[str, str], code: Code) -> None:
    bare = {key: value for key, value in RUN.items() if key != "gcp.project_id"}
    with pytest.raises(ApiError) as caught:
        export(emulator, gauge("x", point(1)), resource=bare | resource)
    assert caught.value.code is code
    assert emulator.store.descriptors() == []


@our_choice("a switch for exporters that cannot set resource attributes")
def test_a_switch_lets_data_without_a_project_in() -> None:
    emulator = parts(otlp_project_required=False)
    bare = {key: value for key, value in RUN.items() if key != "gcp.project_id"}
    assert not export(emulator, gauge("x", point(1)), resource=bare).rejected_data_points


def timed(**fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(NOW), "startTimeUnixNano": str(NOW - 60 * 10**9), **fields}


@known_from(docs=MIGRATION)
@pytest.mark.parametrize(
    ("delta", "stored", "kind"),
    [(False, "latency/histogram", "CUMULATIVE"), (True, "latency/histogram:delta", "DELTA")],
)
def test_a_histogram_keeps_its_buckets(emulator: Parts, *, delta: bool, stored: str, kind: str) -> None:
    wanted = timed(count="4", sum=6.0, explicitBounds=[1, 2], bucketCounts=["1", "2", "1"])
    assert not export(emulator, histogram("latency", wanted, delta=delta)).rejected_data_points
    series = only_series(emulator, stored)
    points = series.window(0, NOW)
    assert series.kind == kind
    assert points.values.tolist() == [1.5]
    assert points.distributions.buckets.tolist() == [[1, 2, 1]]
    assert points.distributions.bounds.tolist() == [1.0, 2.0]


@known_from(proto="google/api/distribution.proto")
def test_exemplars_lead_to_the_spans_they_were_seen_in(emulator: Parts) -> None:
    request = metrics(histogram("latency", timed(count="2", sum=3.0, explicitBounds=[1], bucketCounts=["1", "1"])))
    given = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].exemplars
    given.add(as_double=2.0, trace_id=bytes([1] * 16), span_id=bytes([2] * 8), time_unix_nano=NOW)
    given.add(as_int=1, filtered_attributes=[{"key": "user", "value": {"string_value": "u-1"}}])
    service: Any = emulator.services[METRICS]
    assert not service.export(request).HasField("partial_success")
    [exemplars] = only_series(emulator, "latency/histogram").exemplars.values()
    assert [one.value for one in exemplars] == [1.0, 2.0]
    labels, span = DroppedLabels.pb()(), SpanContext.pb()()
    assert exemplars[0].attachments[0].Unpack(labels)
    assert exemplars[1].attachments[0].Unpack(span)
    assert dict(labels.label) == {"user": "u-1"}
    assert span.span_name == f"projects/demo/traces/{'01' * 16}/spans/{'02' * 8}"


@known_from(proto="google/api/distribution.proto")
def test_a_histogram_whose_buckets_do_not_add_up_is_rejected(emulator: Parts) -> None:
    told = export(emulator, histogram("latency", timed(count="5", explicitBounds=[1], bucketCounts=["1", "1"])))
    assert told.rejected_data_points == 1
    assert "sum of |bucket_counts|" in told.error_message


@known_from(
    docs="https://github.com/GoogleCloudPlatform/opentelemetry-operations-go/blob/main/exporter/collector/metrics.go"
)
def test_an_exponential_histogram_gets_growing_buckets(emulator: Parts) -> None:
    wanted = timed(
        count="10",
        sum=40.0,
        scale=0,
        zeroCount="1",
        positive={"offset": 1, "bucketCounts": ["2", "3"]},
        negative={"offset": 0, "bucketCounts": ["4"]},
    )
    export(emulator, histogram("size", wanted, kind="exponentialHistogram"))
    distributions = only_series(emulator, "size/histogram").window(0, NOW).distributions
    assert np.allclose(distributions.bounds, [2, 4, 8])
    assert distributions.buckets.tolist() == [[5, 2, 3, 0]]


@pytest.mark.parametrize(
    "wanted",
    [
        timed(count="1", scale=-2_000_000, positive={"bucketCounts": ["1"]}),
        timed(count="1", scale=0, positive={"offset": 2_000_000, "bucketCounts": ["1"]}),
        timed(count="1", scale=60, positive={"bucketCounts": ["1"]}),
        timed(count="1", scale=0, positive={"bucketCounts": ["0"] * 5000}),
        timed(count=str(2**63), sum=1.0),
        {"count": "1"},
    ],
    ids=["scale", "offset", "too fine", "buckets", "count", "time"],
)
@our_choice("what no distribution can hold is rejected, never an error of the emulator")
def test_a_hostile_histogram_is_rejected(emulator: Parts, wanted: dict[str, Any]) -> None:
    assert export(emulator, histogram("x", wanted, kind="exponentialHistogram")).rejected_data_points == 1


@known_from(docs=MIGRATION)
def test_a_summary_becomes_a_count_a_sum_and_quantiles(emulator: Parts) -> None:
    quantiles = [{"quantile": 0.5, "value": 1.0}, {"quantile": 0.99, "value": 9.0}]
    export(emulator, {"name": "rpc", "summary": {"dataPoints": [timed(count="3", sum=5.0, quantileValues=quantiles)]}})
    assert only_series(emulator, "rpc_count/summary").window(0, NOW).values.tolist() == [3.0]
    assert only_series(emulator, "rpc_sum/summary:counter").window(0, NOW).values.tolist() == [5.0]
    found = {
        one.metric_labels["quantile"]: one.window(0, NOW).values[0]
        for one in emulator.store.series(PREFIX + "rpc/summary")
    }
    assert found == {"0.5": 1.0, "0.99": 9.0}


@known_from(docs="https://docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql")
@pytest.mark.parametrize(
    ("metric", "query", "expected"),
    [
        (counter("orders.placed", point(3)), '{"orders.placed"}', "3"),
        (counter("orders_total", point(3), delta=True), "orders_total", "3"),
        (
            histogram("latency", timed(count="4", sum=6.0, explicitBounds=[1], bucketCounts=["1", "3"])),
            'latency_bucket{le="1"}',
            "1",
        ),
    ],
    ids=["counter", "delta", "histogram"],
)
def test_promql_reads_what_otlp_wrote(emulator: Parts, metric: dict[str, Any], query: str, expected: str) -> None:
    export(emulator, metric)
    [(_, value, _)] = instant(query, emulator.source, START * 1000).samples
    assert f"{value:g}" == expected
