from typing import Any

import pytest

from app.emulator.status import ApiError, Code
from support.monitoring import COUNTER, GAUGE, LATENCY, TASK, Metrics, aggregation, count, latencies, one
from support.provenance import known_from

COMMON = "google/monitoring/v3/common.proto"


@pytest.fixture
def gauges() -> Metrics:
    metrics = Metrics()
    for value, labels in (
        (1.0, {"zone": "a", "n": "1"}),
        (3.0, {"zone": "a", "n": "2"}),
        (8.0, {"zone": "b", "n": "1"}),
    ):
        metrics.write(one(value, 60, labels=labels))
    metrics.write(one(5.0, 120, labels={"zone": "b", "n": "1"}))
    return metrics


@known_from(proto=COMMON)
@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        ("REDUCE_SUM", [12.0, 5.0]),
        ("REDUCE_MEAN", [4.0, 5.0]),
        ("REDUCE_MIN", [1.0, 5.0]),
        ("REDUCE_MAX", [8.0, 5.0]),
        ("REDUCE_COUNT", ["3", "1"]),
        ("REDUCE_STDDEV", [pytest.approx((26 / 3) ** 0.5), 0.0]),
        ("REDUCE_PERCENTILE_50", [3.0, 5.0]),
    ],
)
def test_series_are_reduced_to_one(gauges: Metrics, reducer: str, expected: list[Any]) -> None:
    assert gauges.values(GAUGE, 0, 120, aggregation=aggregation("ALIGN_MEAN", reducer)) == [expected]


@known_from(proto=COMMON)
@pytest.mark.parametrize("field", ["metric.labels.zone", "metric.label.zone", 'metric.label."zone"'])
def test_groups_keep_the_labels_that_they_are_made_by(gauges: Metrics, field: str) -> None:
    series = gauges.read(GAUGE, 0, 60, aggregation=aggregation("ALIGN_MEAN", "REDUCE_SUM", by=(field,)))
    assert [(one["metric"]["labels"], one["points"][0]["value"]["doubleValue"]) for one in series] == [
        ({"zone": "a"}, 4.0),
        ({"zone": "b"}, 8.0),
    ]
    assert series[0]["resource"] == {"type": "generic_task", "labels": {"project_id": "demo"}}


@known_from(proto=COMMON)
def test_resource_types_are_never_reduced_together(gauges: Metrics) -> None:
    gauges.write(one(1.0, 60, resource={"type": "global"}))
    assert len(gauges.values(GAUGE, 0, 60, aggregation=aggregation("ALIGN_MEAN", "REDUCE_SUM"))) == 2


def test_groups_are_made_by_resource_labels(gauges: Metrics) -> None:
    gauges.write(one(2.0, 60, resource={"type": "generic_task", "labels": TASK | {"task_id": "9"}}))
    series = gauges.read(
        GAUGE, 0, 60, aggregation=aggregation("ALIGN_MEAN", "REDUCE_SUM", by=("resource.labels.task_id",))
    )
    assert [one["resource"]["labels"]["task_id"] for one in series] == ["0", "9"]


@known_from(proto=COMMON)
@pytest.mark.parametrize(
    ("reducer", "expected"),
    [("REDUCE_COUNT_TRUE", "1"), ("REDUCE_COUNT_FALSE", "2"), ("REDUCE_FRACTION_TRUE", pytest.approx(1 / 3))],
)
def test_booleans_are_counted(reducer: str, expected: Any) -> None:
    metrics = Metrics()
    metrics.write(*(one(value, 60, labels={"n": str(n)}) for n, value in enumerate((True, False, False))))
    assert metrics.values(GAUGE, 0, 60, aggregation=aggregation("ALIGN_NEXT_OLDER", reducer)) == [[expected]]


@known_from(proto=COMMON)
def test_the_growth_of_counters_is_summed_as_growth() -> None:
    metrics = Metrics()
    for at in (0, 60):
        metrics.write(*(count(at * n, at, labels={"n": str(n)}) for n in (1, 2)))
    [series] = metrics.read(COUNTER, 0, 60, aggregation=aggregation("ALIGN_DELTA", "REDUCE_SUM"))
    assert (series["metricKind"], series["valueType"]) == ("DELTA", "INT64")
    assert series["points"][0]["value"] == {"int64Value": "180"}
    assert series["points"][0]["interval"]["startTime"] == "2023-11-14T22:13:20Z"


@known_from(proto=COMMON)
def test_percentiles_over_services_come_from_merged_distributions() -> None:
    metrics = Metrics()
    metrics.write(latencies([0, 0, 0, 0], 0), latencies([0, 0, 0, 0], 0, labels={"n": "2"}))
    metrics.write(latencies([9, 0, 0, 0], 60), latencies([0, 0, 1, 0], 60, labels={"n": "2"}))
    percentile = aggregation("ALIGN_DELTA", "REDUCE_PERCENTILE_95")
    assert metrics.values(LATENCY, 0, 60, aggregation=percentile) == [[pytest.approx(3.0)]]
    summed = aggregation("ALIGN_DELTA", "REDUCE_SUM")
    [[total]] = metrics.values(LATENCY, 0, 60, aggregation=summed)
    assert (total["count"], total["bucketCounts"]) == ("10", ["9", "0", "1", "0"])


@known_from(proto=COMMON)
def test_a_reducer_needs_aligned_series(gauges: Metrics) -> None:
    with pytest.raises(ApiError, match=r"Field aggregation.crossSeriesReducer had an invalid value"):
        gauges.read(GAUGE, 0, 60, aggregation=aggregation("ALIGN_NONE", "REDUCE_SUM"))


@known_from(proto=COMMON)
def test_a_reducer_that_does_not_fit_is_refused(gauges: Metrics) -> None:
    with pytest.raises(
        ApiError, match="The reducer cannot be applied to metrics with kind GAUGE and value type DOUBLE"
    ):
        gauges.read(GAUGE, 0, 60, aggregation=aggregation("ALIGN_MEAN", "REDUCE_COUNT_TRUE"))


def test_groups_by_what_is_not_kept_are_named(gauges: Metrics) -> None:
    by_zone = aggregation("ALIGN_MEAN", "REDUCE_SUM", by=("metadata.system_labels.zone",))
    with pytest.raises(ApiError, match=r"metadata.system_labels.zone") as caught:
        gauges.read(GAUGE, 0, 60, aggregation=by_zone)
    assert caught.value.code == Code.UNIMPLEMENTED
    with pytest.raises(ApiError, match=r'Field aggregation.groupByFields had an invalid value of "zone"'):
        gauges.read(GAUGE, 0, 60, aggregation=aggregation("ALIGN_MEAN", "REDUCE_SUM", by=("zone",)))
