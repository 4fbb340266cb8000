"""Which calls, metrics, labels and resources can be written."""

from typing import Any

import pytest

from app.emulator.status import ApiError, Code
from support.monitoring import COUNTER, GAUGE, START, TASK, Metrics, count, create, one, refusal
from support.provenance import known_from, our_choice

SERVICE = "google/monitoring/v3/metric_service.proto"
METRIC = "google/monitoring/v3/metric.proto"
TROUBLESHOOTING = "docs.cloud.google.com/monitoring/api/troubleshooting"


@known_from(docs=TROUBLESHOOTING)
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (create(one(1.0, 0), name=""), "Request was missing field name."),
        (create(), "Request was missing field timeSeries."),
    ],
)
def test_a_call_names_the_field_that_it_lacks(wanted: Any, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        Metrics().service.create_time_series(wanted)
    assert caught.value.message == message


@known_from(proto=SERVICE)
def test_a_call_takes_200_series_and_refuses_201_without_writing_any() -> None:
    metrics = Metrics()
    many = [one(1.0, 0, labels={"n": str(n)}) for n in range(201)]
    assert "A maximum of 200 TimeSeries can be written in a single request." in refusal(metrics, *many)
    assert metrics.store.series(GAUGE) == []
    metrics.write(*many[:200])
    assert len(metrics.store.series(GAUGE)) == 200


@known_from(proto=SERVICE)
@pytest.mark.parametrize("number", [0, 2])
def test_a_series_carries_exactly_one_point(number: int) -> None:
    series = one(1.0, 0)
    series["points"] *= number
    assert refusal(Metrics(), series).startswith("Field timeSeries[0].points had an invalid value: Exactly one point")


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-python#255")
def test_the_same_series_twice_in_a_call_is_written_once() -> None:
    metrics = Metrics()
    message = refusal(metrics, one(1.0, 0), one(2.0, 0), one(3.0, 0, labels={"a": "b"}))
    assert message == (
        "One or more TimeSeries could not be written: Field timeSeries[1] had an invalid value: "
        "Duplicate TimeSeries encountered. Only one point can be written per TimeSeries per request."
    )
    assert metrics.values(GAUGE, -1, 0) == [[1.0], [3.0]]


@known_from(issue="Stackdriver/stackdriver-prometheus-sidecar#251")
@pytest.mark.parametrize("wrong", ["requests", "custom.googleapis.com/", "custom.googleapis.com/a:b", "nodomain/x", ""])
def test_a_metric_type_is_a_domain_and_a_path(wrong: str) -> None:
    assert refusal(Metrics(), one(1.0, 0, metric=wrong)) == (
        f'Field timeSeries[0].metric.type had an invalid value of "{wrong}": '
        "The metric type must be a URL-formatted string with a domain and non-empty path."
    )


@known_from(proto=METRIC)
def test_the_metrics_of_googles_services_cannot_be_written() -> None:
    message = refusal(Metrics(), one(1.0, 0, metric="run.googleapis.com/request_count"))
    assert "Metrics of the domain run.googleapis.com cannot be written" in message


@known_from(proto=SERVICE)
def test_service_metrics_are_written_by_their_own_method() -> None:
    metrics = Metrics()
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "items"}}
    series = one(3, 0, metric="run.googleapis.com/request_count", kind="DELTA", since=-60, resource=resource)
    metrics.service.create_service_time_series(create(series))
    assert metrics.only_series("run.googleapis.com/request_count").kind == "DELTA"


@known_from(proto=METRIC)
def test_the_first_write_makes_the_descriptor() -> None:
    metrics = Metrics()
    metrics.write(count(5, 0, labels={"route": "/"}, unit="1", description="Requests."))
    descriptor = metrics.store.descriptor(COUNTER)
    assert descriptor is not None
    assert (descriptor.metric_kind, descriptor.value_type) == (3, 2)
    assert (descriptor.unit, descriptor.description) == ("1", "Requests.")
    assert [label.key for label in descriptor.labels] == ["route"]
    assert descriptor.name == f"projects/demo/metricDescriptors/{COUNTER}"


@known_from(proto=METRIC)
def test_a_write_fills_an_empty_unit_and_never_changes_one() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0))
    metrics.write(one(1.0, 0, labels={"a": "1"}, unit="By", description="Bytes."))
    metrics.write(one(1.0, 0, labels={"a": "2"}, unit="s", description="Seconds."))
    descriptor = metrics.store.descriptor(GAUGE)
    assert descriptor is not None
    assert (descriptor.unit, descriptor.description) == ("By", "Bytes.")


@known_from(proto=METRIC)
@pytest.mark.parametrize(
    ("series", "field"),
    [
        (one("text", 0), "valueType"),
        (one(1.0, 0, kind="DELTA", since=-60), "metricKind"),
        (one(True, 0, kind="CUMULATIVE", since=-60), "metricKind"),
    ],
)
def test_what_a_write_cannot_declare(series: dict[str, Any], field: str) -> None:
    metrics = Metrics()
    assert refusal(metrics, series).startswith(f"Field timeSeries[0].{field} had an invalid value of")
    assert metrics.store.descriptors() == []


@known_from(proto=METRIC)
def test_a_kind_that_is_given_must_be_that_of_the_metric() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0))
    message = refusal(metrics, one(1.0, 10, kind="CUMULATIVE", since=0))
    assert message.endswith(f"The metric kind for metric {GAUGE} must be GAUGE, but is CUMULATIVE.")


@known_from(issue="micrometer-metrics/micrometer#2160")
def test_a_point_of_another_type_than_its_metric_is_refused() -> None:
    metrics = Metrics()
    metrics.write(one(1, 0))
    message = refusal(metrics, one(1.5, 10))
    assert message.startswith("One or more TimeSeries could not be written: timeSeries[0] (example metric.type=")
    assert message.endswith(f"failed with: Value type for metric {GAUGE} must be INT64, but is DOUBLE.")


@known_from(issue="micrometer-metrics/micrometer#2160")
def test_two_types_for_one_new_metric_in_one_call_conflict() -> None:
    message = refusal(Metrics(), one(1, 0), one(1.5, 0, labels={"a": "b"}))
    assert message.endswith(f"Value type for metric {GAUGE} conflicts with the existing value type (INT64).")


@known_from(proto=METRIC)
def test_a_value_type_that_is_given_must_be_that_of_the_point() -> None:
    assert "The value type must be that of the point" in refusal(Metrics(), one(1, 0, valueType="DOUBLE"))


@known_from(issue="GoogleCloudPlatform/docker-clamav-malware-scanner#278")
def test_a_point_without_a_value_is_refused() -> None:
    series = one(1.0, 0)
    del series["points"][0]["value"]
    assert refusal(Metrics(), series) == (
        "Field timeSeries[0].points[0].value had an invalid value: A point has an unrecognized value type."
    )


@known_from(issue="GoogleCloudPlatform/prometheus-engine#493")
@pytest.mark.parametrize(("domain", "limit"), [("custom.googleapis.com", 30), ("prometheus.googleapis.com", 200)])
def test_labels_grow_up_to_a_limit(domain: str, limit: int) -> None:
    metrics = Metrics()
    name = f"{domain}/wide/gauge"
    metrics.write(one(1.0, 0, metric=name, labels={f"a{n}": "x" for n in range(limit - 1)}))
    metrics.write(one(1.0, 0, metric=name, labels={"b": "x"}))
    message = refusal(metrics, one(1.0, 0, metric=name, labels={"c": "x"}))
    assert message.endswith(f"The new labels would cause the metric {name} to have over {limit} labels.")


@known_from(docs="docs.cloud.google.com/monitoring/quotas")
@pytest.mark.parametrize(
    "labels", [{"k" * 101: "v"}, {"1st": "v"}, {"a-b": "v"}, {"k": "v" * 1025}], ids=["long", "digit", "dash", "value"]
)
def test_label_keys_and_values_have_a_form(labels: dict[str, str]) -> None:
    assert refusal(Metrics(), one(1.0, 0, labels=labels)).startswith("Field timeSeries[0].metric.labels had an invalid")


@known_from(docs="docs.cloud.google.com/monitoring/quotas")
def test_the_longest_label_is_taken() -> None:
    Metrics().write(one(1.0, 0, labels={"k" * 100: "v" * 1024}))


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-java#248")
@pytest.mark.parametrize(
    "kind", ["cloud_run_revision", "cloud_run_job", "cloud_function", "uptime_url", "no_such_type"]
)
def test_some_resources_take_no_user_metrics(kind: str) -> None:
    message = refusal(Metrics(), one(1.0, 0, resource={"type": kind, "labels": {}}))
    assert message.endswith(
        f"Metrics cannot be written to {kind}. See https://cloud.google.com/monitoring/custom-metrics/"
        "creating-metrics#which-resource for a list of writable resource types."
    )


@our_choice("a missing resource is global: Google does not publish it, clients rely on it")
def test_a_series_without_resource_belongs_to_the_project() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0, resource={}))
    series = metrics.only_series()
    assert (series.resource_type, series.resource_labels) == ("global", {"project_id": "demo"})


@known_from(issue="census-instrumentation/opencensus-node#706")
def test_every_label_of_the_resource_is_present() -> None:
    labels = {"location": "us-central1", "job": "x"}
    message = refusal(Metrics(), one(1.0, 0, resource={"type": "generic_task", "labels": labels}))
    assert message.endswith("The set of resource labels is incomplete. Missing labels: (namespace task_id).")


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-go#1029")
def test_a_resource_label_may_be_empty() -> None:
    Metrics().write(one(1.0, 0, resource={"type": "generic_task", "labels": TASK | {"task_id": ""}}))


@known_from(issue="census-ecosystem/opencensus-go-exporter-stackdriver#93")
def test_a_label_that_the_resource_lacks_is_refused() -> None:
    message = refusal(Metrics(), one(1.0, 0, resource={"type": "generic_task", "labels": TASK | {"pod": "x"}}))
    assert message.endswith("Unrecognized resource label: pod")


@known_from(issue="Stackdriver/stackdriver-prometheus-sidecar#251")
@pytest.mark.parametrize("location", ["local", "mars-west1", "", "us-central"])
def test_a_location_is_a_place_of_google_cloud(location: str) -> None:
    resource = {"type": "generic_task", "labels": TASK | {"location": location}}
    assert refusal(Metrics(), one(1.0, 0, resource=resource)).endswith("Unrecognized region or location.")


@known_from(docs="docs.cloud.google.com/compute/docs/regions-zones")
@pytest.mark.parametrize(
    "location", ["global", "us-central1", "europe-west12", "northamerica-northeast1-a", "me-west1"]
)
def test_regions_zones_and_global_are_places(location: str) -> None:
    Metrics().write(one(1.0, 0, resource={"type": "generic_task", "labels": TASK | {"location": location}}))


def test_an_absent_label_and_an_empty_one_name_the_same_series() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0, labels={"a": ""}))
    metrics.write(one(2.0, 10))
    metrics.write(one(3.0, 20, resource={"type": "generic_task", "labels": TASK | {"project_id": "demo"}}))
    assert metrics.values(GAUGE, -1, 20) == [[1.0, 2.0, 3.0]]


def test_equal_refusals_are_told_once_with_the_range_of_their_series() -> None:
    metrics = Metrics()
    many = [one(1.0, 0, labels={"n": str(n)}) for n in range(200)]
    metrics.write(*many)
    message = refusal(metrics, *many)
    assert message.count("timeSeries[") == 1
    assert (
        'timeSeries[0-199] (example metric.type="custom.googleapis.com/queue/depth", metric.labels={"n": "0"})'
        in message
    )
    assert "write for resource=generic_task{job:items,location:europe-west1,namespace:test,task_id:0} failed" in message


def test_a_call_that_fails_in_200_ways_still_fits_into_a_trailer() -> None:
    message = refusal(Metrics(), *[one(1.0, 0, metric=f"wrong{n}") for n in range(200)])
    assert len(message) < 2500
    assert message.endswith("more reasons")


def test_another_project_is_not_emulated() -> None:
    metrics = Metrics()
    with pytest.raises(ApiError, match="Project other is not emulated here: this is demo") as caught:
        metrics.service.create_time_series(create(one(1.0, 0), name="projects/other"))
    assert caught.value.code == Code.NOT_FOUND
    metrics.service.create_time_series(create(one(1.0, 0), name=f"projects/{metrics.context.project_number}"))


def test_the_clock_of_these_tests_begins_where_the_sentences_say() -> None:
    assert Metrics().clock.now() == START * 10**9


@known_from(issue="micrometer-metrics/micrometer#2160")
def test_the_form_of_2020_is_a_switch() -> None:
    metrics = Metrics(old_write_errors=True)
    metrics.write(one(1, 0))
    with pytest.raises(ApiError) as caught:
        metrics.write(one(1.5, 10), one(1.5, 10, labels={"k": "v"}))
    told = caught.value.message
    assert told.startswith("One or more TimeSeries could not be written: Value type for metric ")
    assert "timeSeries[0-1]: custom.googleapis.com/queue/depth{}" in told


@our_choice("some notes name a longer gap for Prometheus metrics, Google's pages do not: a switch")
def test_prometheus_metrics_have_a_gap_of_their_own_when_told() -> None:
    target = {"location": "europe-west1", "cluster": "", "namespace": "", "job": "items", "instance": "a"}
    changes = {
        "metric": "prometheus.googleapis.com/up/gauge",
        "resource": {"type": "prometheus_target", "labels": target},
    }
    metrics = Metrics(prometheus_gap_seconds=10)
    metrics.write(one(1.0, 0, **changes), one(1.0, 0))
    assert "more frequently" in refusal(metrics, one(1.0, 6, **changes))
    metrics.write(one(1.0, 6), one(1.0, 11, **changes))
