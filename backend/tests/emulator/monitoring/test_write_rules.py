from typing import Any

import pytest
from google.cloud import monitoring_v3

from app.emulator.status import ApiError, Code
from support.monitoring import BUCKETS, COUNTER, GAUGE, LATENCY, START, TASK, Metrics, count, create, latencies, one
from support.provenance import known_from, our_choice

SERVICE = "google/monitoring/v3/metric_service.proto"
METRIC = "google/monitoring/v3/metric.proto"
COMMON = "google/monitoring/v3/common.proto"
DISTRIBUTION = "google/api/distribution.proto"
TROUBLESHOOTING = "docs.cloud.google.com/monitoring/api/troubleshooting"


def refusal(metrics: Metrics, *series: dict[str, Any], code: Code = Code.INVALID_ARGUMENT) -> str:
    """The sentence with which a call is refused."""
    with pytest.raises(ApiError) as caught:
        metrics.write(*series)
    assert caught.value.code == code
    return caught.value.message


def summary(error: ApiError) -> Any:
    [detail] = error.details
    assert isinstance(detail, monitoring_v3.CreateTimeSeriesSummary.pb())
    return detail


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


@our_choice("the rule is in common.proto, the sentence is not published")
def test_a_point_has_an_end() -> None:
    series = one(1.0, 0)
    series["points"][0]["interval"] = {}
    assert "timeSeries[0].points[0].interval.end_time" in refusal(Metrics(), series)


@known_from(proto=COMMON)
@pytest.mark.parametrize(
    ("at", "why"),
    [(-25 * 3600 - 1, "written more than 25h in the past."), (301, "written more than 5m in the future.")],
)
def test_points_far_from_now_are_refused(at: float, why: str) -> None:
    message = refusal(Metrics(), one(1.0, at))
    assert message.startswith('Field timeSeries[0].points[0].interval.end_time had an invalid value of "2023-11-')
    assert message.endswith(f"Data points cannot be {why}")


@known_from(proto=COMMON)
@pytest.mark.parametrize("at", [-25 * 3600, 300])
def test_points_at_the_limits_of_time_are_taken(at: float) -> None:
    Metrics().write(one(1.0, at))


@known_from(proto=COMMON)
def test_a_gauge_has_no_duration() -> None:
    Metrics().write(one(1.0, 0, since=0))
    message = refusal(Metrics(), one(1.0, 0, since=-1))
    assert message.endswith(f"The start time and end time must be equal for the gauge metric '{GAUGE}'.")


@known_from(issue="Stackdriver/stackdriver-prometheus-sidecar#251")
@pytest.mark.parametrize("since", [0, 10])
def test_a_cumulative_point_starts_before_it_ends(since: float) -> None:
    message = refusal(Metrics(), count(1, 0, since=since))
    assert message.startswith("Field timeSeries[0].points[0].interval.start_time had an invalid value of")
    assert message.endswith(
        f"The start time must be before the end time (2023-11-14T22:13:20+00:00) for the non-gauge metric '{COUNTER}'."
    )


@known_from(issue="googleapis/python-monitoring#57")
@pytest.mark.parametrize("at", [100, 99])
def test_a_point_not_newer_than_the_last_is_refused(at: float) -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 100))
    assert refusal(metrics, one(2.0, at)).endswith(
        "Points must be written in order. "
        "One or more of the points specified had an older end time than the most recent point."
    )
    assert metrics.values(GAUGE, 0, 200) == [[1.0]]


@known_from(docs="google/monitoring/v3/common.proto, TimeInterval")
def test_intervals_of_deltas_touch_and_do_not_overlap() -> None:
    service = Metrics().service
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "items"}}
    metric = {"metric": "run.googleapis.com/request_count", "kind": "DELTA", "resource": resource}
    service.create_service_time_series(create(one(3, 0, since=-60, **metric)))
    with pytest.raises(ApiError, match="older start time"):
        service.create_service_time_series(create(one(2, 60, since=-1, **metric)))
    service.create_service_time_series(create(one(2, 60, since=0, **metric)))
    service.create_service_time_series(create(one(1, 180, since=90, **metric)))


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-go#1029")
@pytest.mark.parametrize("since", [-61, -59, 0])
def test_a_counter_keeps_its_start_until_it_is_reset_after_its_last_end(since: float) -> None:
    metrics = Metrics()
    metrics.write(count(1, 0))
    assert refusal(metrics, count(2, 60, since=since)).endswith(
        "Points must be written in order. "
        "One or more of the points specified had an older start time than the most recent point."
    )


@known_from(proto=COMMON)
def test_a_reset_begins_a_millisecond_after_the_last_end() -> None:
    metrics = Metrics()
    metrics.write(count(1, 0))
    metrics.write(count(2, 60, since=0.001))
    assert metrics.values(COUNTER, -1, 60) == [["1", "2"]]


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-python#431")
def test_points_closer_than_the_sampling_period_are_refused() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0.004))
    with pytest.raises(ApiError) as caught:
        metrics.write(one(2.0, 5))
    assert caught.value.message.endswith(
        "One or more points were written more frequently than the maximum sampling period configured for the metric. "
        f"{{Metric: {GAUGE}, Timestamps: {{Youngest Existing: '2023/11/14-22:13:20.004', "
        "New: '2023/11/14-22:13:25.000'}}"
    )
    metrics.write(one(2.0, 5.004))


@known_from(issue="open-telemetry/opentelemetry-collector-contrib#31507")
def test_the_summary_tells_how_many_points_failed_and_why() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0), one(1.0, 0, labels={"a": "1"}))
    with pytest.raises(ApiError) as caught:
        metrics.write(one(2.0, 1), one(2.0, 0, labels={"a": "1"}), one(2.0, 1, labels={"a": "2"}))
    assert caught.value.code == Code.INVALID_ARGUMENT
    told = summary(caught.value)
    assert (told.total_point_count, told.success_point_count) == (3, 1)
    assert [(error.status.code, error.point_count) for error in told.errors] == [(3, 1), (9, 1)]
    assert metrics.values(GAUGE, 0, 10) == [[2.0]]


@our_choice("which of several reasons the API gives for one point is not published")
def test_an_older_point_is_out_of_order_before_it_is_too_frequent() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 3))
    assert "older end time" in refusal(metrics, one(1.0, 2))


def test_the_sampling_period_is_a_switch() -> None:
    metrics = Metrics(minimum_gap_seconds=0.1)
    metrics.write(one(1.0, 0))
    metrics.write(one(1.0, 0.1))
    assert "sampling period" in refusal(metrics, one(1.0, 0.19))


@our_choice("Google does not say what it does; a reader sees a counter that fell")
def test_a_counter_may_fall_without_a_new_start() -> None:
    metrics = Metrics()
    metrics.write(count(5, 0))
    metrics.write(count(2, 60))
    assert metrics.values(COUNTER, -1, 60) == [["5", "2"]]


@known_from(issue="census-ecosystem/opencensus-go-exporter-stackdriver#41")
def test_explicit_bounds_are_not_empty() -> None:
    value = {"count": "1", "mean": 1.0, "bucketOptions": {"explicitBuckets": {}}}
    assert refusal(Metrics(), count(1, 0), one(value, 0, metric=LATENCY)) == (
        "One or more TimeSeries could not be written: Field timeSeries[1].points[0].distributionValue had an invalid "
        "value: Distribution |explicit_buckets.bounds| does not have at least one entry."
    )


@known_from(issue="census-ecosystem/opencensus-go-exporter-stackdriver#98")
def test_there_are_no_more_counts_than_buckets() -> None:
    assert refusal(Metrics(), latencies([1, 1, 1, 1, 1], 0)).endswith(
        "Distribution value has 5 |bucket_counts| fields, which is more than the 4 buckets allowed by the bucketing "
        "options."
    )


@known_from(proto=DISTRIBUTION)
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"count": "-1"}, "|count| is negative"),
        ({"count": "0", "mean": 1.0}, "|count| is zero"),
        ({"count": "0", "range": {"min": 0, "max": 1}}, "|count| is zero"),
        ({"count": "3", "bucketOptions": BUCKETS, "bucketCounts": [1, 1]}, "the sum of |bucket_counts| is 2"),
        ({"count": "2", "bucketCounts": [1, 1]}, "more than the 0 buckets"),
        ({"count": "1", "bucketOptions": {"explicitBuckets": {"bounds": [1, 1]}}}, "must increase"),
        ({"count": "1", "bucketOptions": {"explicitBuckets": {"bounds": ["NaN", 1]}}}, "must increase"),
        ({"count": "1", "bucketOptions": {"linearBuckets": {"numFiniteBuckets": 2}}}, "width > 0"),
        ({"count": "1", "bucketOptions": {"linearBuckets": {"width": 2}}}, "num_finite_buckets > 0"),
        (
            {
                "count": "1",
                "bucketOptions": {"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 1, "scale": 1}},
            },
            "growth_factor > 1",
        ),
        ({"count": "1", "mean": "NaN"}, "must be finite"),
        ({"count": "2", "mean": 1, "exemplars": [{"value": 2}, {"value": 1}]}, "increasing order"),
    ],
)
def test_a_distribution_that_contradicts_itself_is_refused(value: dict[str, Any], why: str) -> None:
    metrics = Metrics()
    message = refusal(metrics, one(value, 0, metric=LATENCY))
    assert message.startswith("Field timeSeries[0].points[0].distributionValue had an invalid value: Distribution")
    assert why in message
    assert metrics.store.series(LATENCY) == []


@known_from(proto=DISTRIBUTION)
def test_an_exemplar_has_one_attachment_of_a_type() -> None:
    attachment = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x"}
    value = {"count": "1", "mean": 1.0, "exemplars": [{"value": 1.0, "attachments": [attachment, attachment]}]}
    assert "one attachment of each type" in refusal(Metrics(), one(value, 0, metric=LATENCY))


@known_from(proto=DISTRIBUTION)
def test_missing_bucket_counts_are_zeros() -> None:
    metrics = Metrics()
    metrics.write(latencies([2, 1], 0))
    distributions = metrics.only_series(LATENCY).window(0, 2**62).distributions
    assert distributions is not None
    assert distributions.buckets.tolist() == [[2, 1, 0, 0]]


@our_choice("whether NaN gauges are stored is not published; a client that sends one should see it again")
def test_a_gauge_may_be_nan() -> None:
    metrics = Metrics()
    metrics.write(one(float("nan"), 0))
    assert metrics.values(GAUGE, -1, 0) == [["NaN"]]


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


@known_from(proto="google/api/distribution.proto")
def test_an_exemplar_attachment_of_a_strange_type_is_refused() -> None:
    attachment = {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}
    value = {"count": "1", "mean": 1.0, "exemplars": [{"value": 1.0, "attachments": [attachment]}]}
    assert "google.monitoring.v3.SpanContext" in refusal(Metrics(), one(value, 0, metric=LATENCY))


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
