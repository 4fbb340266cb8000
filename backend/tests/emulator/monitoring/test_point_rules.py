"""Which points can be written: their times, their order, their distributions."""

from typing import Any

import pytest
from google.cloud import monitoring_v3

from app.emulator.status import ApiError, Code
from support.monitoring import BUCKETS, COUNTER, GAUGE, LATENCY, Metrics, count, create, latencies, one, refusal
from support.provenance import known_from, our_choice

COMMON = "google/monitoring/v3/common.proto"
DISTRIBUTION = "google/api/distribution.proto"


def summary(error: ApiError) -> Any:
    [detail] = error.details
    assert isinstance(detail, monitoring_v3.CreateTimeSeriesSummary.pb())
    return detail


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


@known_from(proto="google/api/distribution.proto")
def test_an_exemplar_attachment_of_a_strange_type_is_refused() -> None:
    attachment = {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}
    value = {"count": "1", "mean": 1.0, "exemplars": [{"value": 1.0, "attachments": [attachment]}]}
    assert "google.monitoring.v3.SpanContext" in refusal(Metrics(), one(value, 0, metric=LATENCY))
