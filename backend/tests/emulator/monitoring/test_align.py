from typing import Any

import numpy as np
import pytest

from app.emulator.status import ApiError
from support.monitoring import COUNTER, GAUGE, LATENCY, Metrics, aggregation, count, latencies, one
from support.provenance import known_from, our_choice

COMMON = "google/monitoring/v3/common.proto"


def aligned(metrics: Metrics, metric: str, start: float, end: float, aligner: str) -> list[Any]:
    [values] = metrics.values(metric, start, end, aggregation=aggregation(aligner))
    return [float(value) if isinstance(value, str) else value for value in values]


@known_from(proto=COMMON)
@pytest.mark.parametrize(
    ("aligner", "expected"),
    [
        ("ALIGN_MIN", [1.0, 5.0]),
        ("ALIGN_MAX", [4.0, 5.0]),
        ("ALIGN_MEAN", [2.5, 5.0]),
        ("ALIGN_SUM", [5.0, 5.0]),
        ("ALIGN_COUNT", [2, 1]),
        ("ALIGN_STDDEV", [1.5, 0.0]),
        ("ALIGN_NEXT_OLDER", [4.0, 5.0]),
    ],
)
def test_gauges_are_summed_up_by_period(aligner: str, expected: list[float]) -> None:
    metrics = Metrics()
    for at, value in ((30, 1.0), (60, 4.0), (61, 5.0), (240, 9.0)):
        metrics.write(one(value, at, labels={"at": str(at)} if at == 61 else {}))
    metrics = Metrics()
    for at, value in ((30, 1.0), (60, 4.0), (66, 5.0), (240, 9.0)):
        metrics.write(one(value, at))
    assert aligned(metrics, GAUGE, 0, 180, aligner) == expected


@our_choice("Google publishes only that an aligned point lies at the end of its period; ours end with the interval")
def test_an_aligned_point_lies_at_the_end_of_its_period() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0), one(2.0, 0, labels={"a": "1"}))
    metrics.write(one(1.0, 65))
    [first, _] = metrics.read(GAUGE, -10, 110, aggregation=aggregation("ALIGN_MEAN"))
    assert [point["interval"] for point in first["points"]] == [
        {"startTime": "2023-11-14T22:15:10Z", "endTime": "2023-11-14T22:15:10Z"},
        {"startTime": "2023-11-14T22:14:10Z", "endTime": "2023-11-14T22:14:10Z"},
    ]


@known_from(proto=COMMON)
def test_interpolation_takes_the_line_between_two_points() -> None:
    metrics = Metrics()
    metrics.write(one(10.0, 30))
    metrics.write(one(20.0, 130))
    assert aligned(metrics, GAUGE, 0, 180, "ALIGN_INTERPOLATE") == [13.0, 19.0]


@known_from(proto=COMMON)
@pytest.mark.parametrize(
    ("aligner", "expected"),
    [("ALIGN_COUNT_TRUE", [1]), ("ALIGN_COUNT_FALSE", [2]), ("ALIGN_FRACTION_TRUE", [pytest.approx(1 / 3)])],
)
def test_booleans_are_counted(aligner: str, expected: list[Any]) -> None:
    metrics = Metrics()
    for at, value in ((10, True), (20, False), (30, False)):
        metrics.write(one(value, at))
    assert aligned(metrics, GAUGE, 0, 60, aligner) == expected


@known_from(proto=COMMON)
def test_a_counter_becomes_its_growth_in_each_period() -> None:
    metrics = Metrics()
    for at, value in ((0, 100), (60, 130), (120, 190)):
        metrics.write(count(value, at))
    assert aligned(metrics, COUNTER, 0, 120, "ALIGN_DELTA") == [30.0, 60.0]
    assert aligned(metrics, COUNTER, 0, 120, "ALIGN_RATE") == [0.5, 1.0]
    [series] = metrics.read(COUNTER, 0, 120, aggregation=aggregation("ALIGN_DELTA"))
    assert (series["metricKind"], series["valueType"]) == ("DELTA", "INT64")
    assert series["points"][0]["interval"] == {
        "startTime": "2023-11-14T22:14:20Z",
        "endTime": "2023-11-14T22:15:20Z",
    }


@known_from(proto=COMMON)
def test_the_first_point_of_a_counter_counts_from_its_start() -> None:
    metrics = Metrics()
    metrics.write(count(12, 60, since=0))
    assert aligned(metrics, COUNTER, 0, 60, "ALIGN_DELTA") == [12.0]


@known_from(proto=COMMON)
def test_growth_over_a_reset_begins_at_zero() -> None:
    metrics = Metrics()
    metrics.write(count(100, 0))
    metrics.write(count(7, 60, since=1))
    assert aligned(metrics, COUNTER, 0, 60, "ALIGN_DELTA") == [7.0]


@our_choice("a counter that falls without a new start was reset: a negative rate would help nobody")
def test_a_counter_that_falls_was_reset() -> None:
    metrics = Metrics()
    metrics.write(count(100, 0))
    metrics.write(count(7, 60))
    assert aligned(metrics, COUNTER, 0, 60, "ALIGN_DELTA") == [7.0]


@known_from(proto=COMMON)
def test_periods_without_data_are_interpolated() -> None:
    metrics = Metrics()
    metrics.write(count(0, 0))
    metrics.write(count(90, 180))
    assert aligned(metrics, COUNTER, 0, 180, "ALIGN_DELTA") == [30.0, 30.0, 30.0]


def test_the_growth_of_all_periods_adds_up_wherever_the_points_lie() -> None:
    metrics = Metrics()
    generator = np.random.default_rng(7)
    total = 0
    metrics.write(count(0, 0))
    for at in range(17, 290, 17):
        total += int(generator.integers(0, 1000))
        metrics.write(count(total, at))
    assert sum(aligned(metrics, COUNTER, 0, 300, "ALIGN_DELTA")) == total


@known_from(proto=COMMON)
def test_a_distribution_that_accumulates_becomes_what_came_in_each_period() -> None:
    metrics = Metrics()
    metrics.write(latencies([1, 0, 0, 0], 0))
    metrics.write(latencies([2, 3, 0, 0], 60))
    [delta] = aligned(metrics, LATENCY, 0, 60, "ALIGN_DELTA")
    assert (delta["count"], delta["bucketCounts"]) == ("4", ["1", "3", "0", "0"])
    assert delta["mean"] == pytest.approx(2.0)


@our_choice("linear within a bucket, as console charts look; Google does not publish its interpolation")
def test_percentiles_of_distributions_lie_inside_their_bucket() -> None:
    metrics = Metrics()
    value = {"count": "10", "mean": 1, "bucketOptions": {"explicitBuckets": {"bounds": [1.0, 2.0, 4.0]}}}
    metrics.write(one(value | {"bucketCounts": [5, 4, 1, 0]}, 60, metric=LATENCY))
    for aligner, expected in (("50", 1.0), ("95", 3.0), ("99", 3.8), ("05", 0.1)):
        assert aligned(metrics, LATENCY, 0, 60, f"ALIGN_PERCENTILE_{aligner}") == [pytest.approx(expected)]


@known_from(issue="google/slo-generator#231")
@pytest.mark.parametrize(
    ("series", "aligner", "kind"),
    [
        (one(1, 0), "ALIGN_RATE", "GAUGE and value type INT64"),
        (one(1, 0), "ALIGN_DELTA", "GAUGE and value type INT64"),
        (one(True, 0), "ALIGN_MEAN", "GAUGE and value type BOOL"),
        (one(1.0, 0), "ALIGN_COUNT_TRUE", "GAUGE and value type DOUBLE"),
        (count(1, 0), "ALIGN_MEAN", "CUMULATIVE and value type INT64"),
        (count(1, 0), "ALIGN_NEXT_OLDER", "CUMULATIVE and value type INT64"),
        (latencies([1], 0), "ALIGN_PERCENTILE_99", "CUMULATIVE and value type DISTRIBUTION"),
        (latencies([1], 0), "ALIGN_RATE", "CUMULATIVE and value type DISTRIBUTION"),
    ],
)
def test_an_aligner_that_does_not_fit_is_refused(series: dict[str, Any], aligner: str, kind: str) -> None:
    metrics = Metrics()
    metrics.write(series)
    with pytest.raises(ApiError) as caught:
        metrics.read(series["metric"]["type"], -1, 0, aggregation=aggregation(aligner))
    assert caught.value.message == (
        f'Field aggregation.perSeriesAligner had an invalid value of "{aligner}": '
        f"The aligner cannot be applied to metrics with kind {kind}."
    )


@known_from(proto=COMMON)
def test_a_percent_change_compares_ten_minute_means_one_period_apart() -> None:
    metrics = Metrics()
    for minute in range(21):
        metrics.clock.advance(60)
        metrics.write(one(10.0 if minute <= 10 else 20.0, minute * 60))
    (found,) = metrics.read(GAUGE, 600, 1200, aggregation=aggregation("ALIGN_PERCENT_CHANGE", period=600))
    # (600 s, 1200 s] holds twenties only, (0 s, 600 s] tens only.
    assert [point["value"]["doubleValue"] for point in found["points"]] == [pytest.approx(100.0)]


@known_from(proto=COMMON)
def test_a_percent_change_from_nothing_to_nothing_is_none_and_negative_values_are_no_data() -> None:
    metrics = Metrics()
    for minute, value in ((0, 0.0), (5, -1.0), (11, 0.0), (22, 5.0)):
        metrics.clock.advance(300)
        metrics.write(one(value, minute * 60))
    (found,) = metrics.read(GAUGE, 0, 1320, aggregation=aggregation("ALIGN_PERCENT_CHANGE", period=660))
    assert [point["value"]["doubleValue"] for point in found["points"]] == ["Infinity", 0.0]


@known_from(proto=COMMON)
@pytest.mark.parametrize("period", [59, 104 * 7 * 86400 + 1])
def test_alignment_periods_have_limits(period: int) -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0))
    with pytest.raises(ApiError, match=r"Field aggregation.alignmentPeriod had an invalid value"):
        metrics.read(GAUGE, -1, 0, aggregation=aggregation("ALIGN_MEAN", period=period))


@known_from(proto=COMMON)
def test_an_aligner_needs_a_period() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0))
    with pytest.raises(ApiError, match=r"Request was missing field aggregation.alignmentPeriod"):
        metrics.read(GAUGE, -1, 0, aggregation={"perSeriesAligner": "ALIGN_MEAN"})


def test_nan_is_no_value_to_an_aligner() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 10))
    metrics.write(one(float("nan"), 20))
    assert aligned(metrics, GAUGE, 0, 60, "ALIGN_MEAN") == [1.0]
