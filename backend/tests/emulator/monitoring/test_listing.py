from typing import Any

import pytest
from google.cloud import monitoring_v3
from google.protobuf import json_format

from app.emulator.status import ApiError, Code
from support.monitoring import COUNTER, GAUGE, LATENCY, Metrics, aggregation, count, create, latencies, moment, one
from support.provenance import known_from

SERVICE = "google/monitoring/v3/metric_service.proto"
TROUBLESHOOTING = "docs.cloud.google.com/monitoring/api/troubleshooting"


def asked(metrics: Metrics, **fields: Any) -> Any:
    request = monitoring_v3.ListTimeSeriesRequest.pb()()
    return metrics.service.list_time_series(json_format.ParseDict({"name": "projects/demo"} | fields, request))


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    for at in (0, 60, 120):
        metrics.write(one(at + 0.5, at, labels={"queue": "a"}, unit="1"), one(-1.0, at, labels={"queue": "b"}))
    return metrics


@known_from(proto=SERVICE)
def test_points_come_newest_first_with_their_identity(metrics: Metrics) -> None:
    [series] = metrics.read(GAUGE, 0, 120, where='metric.labels.queue = "a"')
    assert series["metric"] == {"type": GAUGE, "labels": {"queue": "a"}}
    assert series["resource"]["type"] == "generic_task"
    assert series["resource"]["labels"]["project_id"] == "demo"
    assert (series["metricKind"], series["valueType"], series["unit"]) == ("GAUGE", "DOUBLE", "1")
    assert [point["interval"]["endTime"] for point in series["points"]] == [
        "2023-11-14T22:15:20Z",
        "2023-11-14T22:14:20Z",
    ]
    assert series["points"][0]["interval"]["startTime"] == "2023-11-14T22:15:20Z"


@known_from(proto="google/monitoring/v3/common.proto")
def test_an_interval_leaves_its_start_out_and_takes_its_end_in(metrics: Metrics) -> None:
    assert metrics.values(GAUGE, 0, 120, where='metric.labels.queue = "a"') == [[60.5, 120.5]]
    assert metrics.values(GAUGE, -0.001, 119.999, where='metric.labels.queue = "a"') == [[0.5, 60.5]]


@known_from(proto="google/monitoring/v3/common.proto")
def test_an_interval_without_start_is_one_moment(metrics: Metrics) -> None:
    answer = asked(metrics, filter=f'metric.type = "{GAUGE}"', interval={"endTime": moment(60)})
    assert [len(series.points) for series in answer.time_series] == [1, 1]


@known_from(proto=SERVICE)
def test_series_without_a_point_in_the_interval_are_left_out(metrics: Metrics) -> None:
    assert metrics.read(GAUGE, 120, 500) == []


@known_from(proto=SERVICE)
def test_headers_come_without_points(metrics: Metrics) -> None:
    series = metrics.read(GAUGE, 0, 120, view="HEADERS")
    assert len(series) == 2
    assert not any("points" in one for one in series)


@known_from(proto=SERVICE)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_of_points_put_together_are_the_whole(metrics: Metrics, size: int) -> None:
    seen: list[tuple[str, float]] = []
    token, calls = "", 0
    while calls == 0 or token:
        answer = asked(
            metrics,
            filter=f'metric.type = "{GAUGE}"',
            interval={"startTime": moment(0), "endTime": moment(120)},
            pageSize=size,
            pageToken=token,
        )
        found = [
            (series.metric.labels["queue"], point.value.double_value)
            for series in answer.time_series
            for point in series.points
        ]
        assert len(found) <= size
        seen += found
        token, calls = answer.next_page_token, calls + 1
    assert seen == [("a", 120.5), ("a", 60.5), ("b", -1.0), ("b", -1.0)]
    assert calls == -(-4 // size)


@known_from(docs=TROUBLESHOOTING)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter": f'metric.type = "{GAUGE}"'}, "Request was missing field interval.endTime."),
        ({"interval": {"endTime": moment(0)}}, "Request was missing field filter."),
        (
            {"filter": 'resource.type = "global"', "interval": {"endTime": moment(0)}},
            "Field filter had an invalid value",
        ),
        (
            {"filter": f'metric.type = "{GAUGE}" OR metric.type = "{COUNTER}"', "interval": {"endTime": moment(0)}},
            "Field filter had an invalid value",
        ),
        ({"filter": "metric.type =", "interval": {"endTime": moment(0)}}, "Field filter had an invalid value"),
    ],
)
def test_a_call_names_what_it_lacks(metrics: Metrics, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        asked(metrics, **fields)
    assert caught.value.code == Code.INVALID_ARGUMENT


@known_from(issue="hashicorp/terraform-provider-google#11102")
def test_an_unknown_metric_is_not_found(metrics: Metrics) -> None:
    with pytest.raises(ApiError) as caught:
        metrics.read("custom.googleapis.com/nothing", 0, 1)
    assert caught.value.code == Code.NOT_FOUND
    assert caught.value.message == (
        'Cannot find metric(s) that match type = "custom.googleapis.com/nothing". If a metric was created recently, it '
        "could take up to 10 minutes to become available. Please try again soon."
    )


@known_from(proto=SERVICE)
def test_order_by_must_be_blank(metrics: Metrics) -> None:
    with pytest.raises(ApiError, match="Field orderBy had an invalid value"):
        metrics.read(GAUGE, 0, 1, orderBy="x")


@pytest.mark.parametrize("value", [True, 2**53, -1.5, "text"])
def test_every_type_of_value_comes_back_as_it_was_written(value: Any) -> None:
    metrics = Metrics()
    if isinstance(value, str):
        metrics.service.create_metric_descriptor(
            json_format.ParseDict(
                {
                    "name": "projects/demo",
                    "metricDescriptor": {"type": GAUGE, "metricKind": "GAUGE", "valueType": "STRING"},
                },
                monitoring_v3.CreateMetricDescriptorRequest.pb()(),
            )
        )
    metrics.write(one(value, 0))
    [[answer]] = metrics.values(GAUGE, -1, 0)
    assert answer == (str(value) if type(value) is int else value)


@pytest.mark.parametrize(
    "options",
    [
        {"explicitBuckets": {"bounds": [0.5, 1.0, 2.5]}},
        {"linearBuckets": {"numFiniteBuckets": 2, "width": 2.0, "offset": 1.0}},
        {"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 2.0, "scale": 1.0}},
    ],
    ids=lambda options: str(next(iter(options))),
)
def test_a_distribution_comes_back_as_it_was_written(options: dict[str, Any]) -> None:
    metrics = Metrics()
    value = {
        "count": "6",
        "mean": 1.1,
        "sumOfSquaredDeviation": 3.7,
        "bucketOptions": options,
        "bucketCounts": ["1", "2", "0", "3"],
        "exemplars": [{"value": 1.0, "timestamp": "2023-11-14T22:13:19Z"}],
    }
    metrics.write(one(value, 0, metric=LATENCY))
    assert metrics.values(LATENCY, -1, 0) == [[value]]


def test_a_distribution_without_histogram_comes_back_without_one() -> None:
    metrics = Metrics()
    metrics.write(one({"count": "2", "mean": 1.5}, 0, metric=LATENCY))
    assert metrics.values(LATENCY, -1, 0) == [[{"count": "2", "mean": 1.5}]]


def test_other_bounds_in_the_middle_of_a_series_lose_no_counts() -> None:
    metrics = Metrics()
    metrics.write(latencies([1, 2, 3, 4], 0))
    value = {"count": "3", "mean": 1.0, "bucketOptions": {"explicitBuckets": {"bounds": [1.5, 4.0]}}}
    metrics.write(one(value | {"bucketCounts": [1, 1, 1]}, 60, metric=LATENCY, since=0.5))
    distributions = metrics.only_series(LATENCY).window(0, 2**62).distributions
    assert distributions is not None
    assert distributions.bounds.tolist() == [1.0, 1.5, 2.0, 4.0]
    assert distributions.buckets.tolist() == [[1, 0, 2, 3, 4], [0, 1, 0, 1, 1]]


@known_from(proto=SERVICE)
def test_a_second_aggregation_needs_a_first(metrics: Metrics) -> None:
    second = aggregation("ALIGN_MEAN")
    with pytest.raises(ApiError, match="Field secondaryAggregation had an invalid value"):
        metrics.read(GAUGE, 0, 120, secondaryAggregation=second)


@known_from(proto=SERVICE)
def test_a_second_aggregation_reads_the_answer_of_the_first() -> None:
    metrics = Metrics()
    for at in (30, 90, 150, 210):
        metrics.write(*(count(at * factor, at, labels={"n": str(factor)}) for factor in (1, 10)))
    answer = metrics.values(
        COUNTER,
        0,
        240,
        aggregation=aggregation("ALIGN_DELTA", "REDUCE_SUM"),
        secondaryAggregation=aggregation("ALIGN_MEAN", period=240),
    )
    [[mean]] = answer
    assert mean == pytest.approx(11 * 210 * (210 / 270) / 4, abs=11 * 15)


def test_unknown_pages_are_refused(metrics: Metrics) -> None:
    with pytest.raises(ApiError, match="Field pageToken had an invalid value"):
        metrics.read(GAUGE, 0, 120, pageToken="third")


def test_a_write_that_was_refused_leaves_no_trace() -> None:
    metrics = Metrics()
    with pytest.raises(ApiError):
        metrics.service.create_time_series(create(one(1.0, 9999)))
    assert metrics.store.descriptors() == []
