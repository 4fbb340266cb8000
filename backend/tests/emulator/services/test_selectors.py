"""What select_slo_* answer: by hand-counted events, for every kind of SLI."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core import exceptions

from app.emulator.monitoring.model import KINDS, VALUE_TYPES
from support.provenance import known_from, our_choice
from support.slo import DAY, GOOD, START, TOTAL, Slos, only, slos

SELECTORS = "https://cloud.google.com/stackdriver/docs/solutions/slo-monitoring/api/timeseries-selectors"
PROTO = "google/monitoring/v3/service.proto"


@pytest.fixture
def bench() -> Iterator[Slos]:
    with slos() as running:
        yield running


@known_from(docs=SELECTORS)
def test_the_burn_rate_is_the_share_of_bad_events_over_what_the_goal_allows(bench: Slos) -> None:
    slo = bench.slo(bench.service())
    bench.traffic(10, good=95, bad=5)
    assert bench.value("select_slo_burn_rate", slo, "300s") == pytest.approx(0.5)
    bench.traffic(5, good=50, bad=50)
    assert bench.value("select_slo_burn_rate", slo, "300s") == pytest.approx(5.0)
    assert bench.value("select_slo_burn_rate", slo, "10m") == pytest.approx(0.275 / 0.1)
    assert bench.value("select_slo_health", slo) == pytest.approx(0.5)


@known_from(docs=SELECTORS)
def test_compliance_and_budgets_look_at_the_whole_period(bench: Slos) -> None:
    slo = bench.slo(bench.service())
    bench.traffic(10, good=95, bad=5)
    assert bench.value("select_slo_compliance", slo) == pytest.approx(0.95)
    assert bench.value("select_slo_budget_total", slo) == pytest.approx(100)
    assert bench.value("select_slo_budget", slo) == pytest.approx(50)
    assert bench.value("select_slo_budget_fraction", slo) == pytest.approx(0.5)
    bench.traffic(10, good=80, bad=20)
    assert bench.value("select_slo_budget_fraction", slo) == pytest.approx(-0.25)


@known_from(issue="google/slo-generator (backends/cloud_service_monitoring.py reads these labels and this kind)")
def test_counts_tell_good_and_bad_events_apart_and_add_up(bench: Slos) -> None:
    slo = bench.slo(bench.service())
    bench.traffic(30, good=7, bad=3)
    found = bench.select(f'select_slo_counts("{slo.name}")', 1200)
    assert {
        (one.metric.labels["event_type"], KINDS.Name(one.metric_kind), VALUE_TYPES.Name(one.value_type))
        for one in found
    } == {
        ("good", "DELTA", "DOUBLE"),
        ("bad", "DELTA", "DOUBLE"),
    }
    aggregation = {
        "alignment_period": {"seconds": 1200},
        "per_series_aligner": "ALIGN_SUM",
        "cross_series_reducer": "REDUCE_SUM",
        "group_by_fields": ["metric.labels.event_type"],
    }
    summed = bench.select(f'select_slo_counts("{slo.name}")', 1200, aggregation=aggregation)
    totals = {one.metric.labels["event_type"]: one.points[0].value.double_value for one in summed}
    assert totals == {"good": pytest.approx(140), "bad": pytest.approx(60)}


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    "ratio",
    [
        {"bad_service_filter": only("custom.googleapis.com/bad"), "total_service_filter": only(TOTAL)},
        {"bad_service_filter": only("custom.googleapis.com/bad"), "good_service_filter": only(GOOD)},
    ],
)
def test_any_two_of_good_bad_and_total_make_a_ratio(bench: Slos, ratio: dict[str, str]) -> None:
    slo = bench.slo(bench.service(), {"request_based": {"good_total_ratio": ratio}})
    for minute in range(1, 6):
        bench.clock.advance(60)
        bench.write(
            {"metric": GOOD, "value": {"int64_value": 8 * minute}},
            {"metric": "custom.googleapis.com/bad", "value": {"int64_value": 2 * minute}},
            {"metric": TOTAL, "value": {"int64_value": 10 * minute}},
        )
    assert bench.value("select_slo_burn_rate", slo, "120s") == pytest.approx(2.0)


def distribution(*buckets: int) -> dict[str, Any]:
    bounds = [0.1, 0.5, 1.0]
    return {
        "distribution_value": {
            "count": sum(buckets), "mean": 0.3, "bucket_counts": list(buckets),
            "bucket_options": {"explicit_buckets": {"bounds": bounds}},
        }
    }  # fmt: skip


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("range_", "health"),
    [({"max_": 0.5}, 0.7), ({"min_": 0.1, "max_": 1.0}, 0.6), ({"min_": 0.5}, 0.3), ({"max_": 0.3}, 0.5)],
)
def test_a_distribution_cut_counts_what_lies_in_the_range(bench: Slos, range_: dict[str, float], health: float) -> None:
    latency = "custom.googleapis.com/latency"
    cut = {"distribution_filter": only(latency), "range_": range_}
    slo = bench.slo(bench.service(), {"request_based": {"distribution_cut": cut}})
    for minute in range(1, 4):
        bench.clock.advance(60)
        bench.write({"metric": latency, "value": distribution(3 * minute, 4 * minute, 2 * minute, minute)})
    # Of 10: 3 below 0.1, 4 below 0.5, 2 below 1, 1 above; a bucket that the range cuts counts by its width.
    assert bench.value("select_slo_health", slo) == pytest.approx(health)


@known_from(proto=PROTO)
def test_windows_are_good_when_their_ratio_is(bench: Slos) -> None:
    performance = {"good_total_ratio": {"good_service_filter": only(GOOD), "total_service_filter": only(TOTAL)}}
    criterion = {"threshold": 0.9, "performance": performance}
    sli = {"windows_based": {"window_period": {"seconds": 300}, "good_total_ratio_threshold": criterion}}
    slo = bench.slo(bench.service(), sli)
    bench.traffic(10, good=95, bad=5)
    bench.traffic(5, good=80, bad=20)
    assert bench.value("select_slo_compliance", slo) == pytest.approx(2 / 3)
    assert bench.value("select_slo_health", slo) == pytest.approx(0.0)
    counted = bench.select(f'select_slo_counts("{slo.name}")', 900)
    assert {one.metric.labels["event_type"]: sum(p.value.double_value for p in one.points) for one in counted} == {
        "good": 2.0,
        "bad": 1.0,
    }


@known_from(proto=PROTO)
def test_windows_are_good_when_a_true_value_appears(bench: Slos) -> None:
    up = "custom.googleapis.com/up"
    sli = {"windows_based": {"window_period": {"seconds": 120}, "good_bad_metric_filter": only(up)}}
    slo = bench.slo(bench.service(), sli)
    for value in (False, True, False, False, True, True):
        bench.clock.advance(60)
        bench.write({"metric": up, "kind": "GAUGE", "value": {"bool_value": value}})
    assert bench.value("select_slo_compliance", slo) == pytest.approx(2 / 3)


@known_from(proto=PROTO)
@pytest.mark.parametrize(("criterion", "good"), [("metric_mean_in_range", 2 / 3), ("metric_sum_in_range", 1 / 3)])
def test_windows_are_good_when_the_metric_lies_in_a_range(bench: Slos, criterion: str, good: float) -> None:
    level = "custom.googleapis.com/level"
    body = {"time_series": only(level), "range_": {"min_": 1, "max_": 10}}
    slo = bench.slo(bench.service(), {"windows_based": {"window_period": {"seconds": 60}, criterion: body}})
    # Two series: their means are 4, 9 and 10, their sums 8, 18 and 20.
    for value in (4.0, 9.0, 10.0):
        bench.clock.advance(60)
        bench.write(
            *(
                {"metric": level, "kind": "GAUGE", "labels": {"of": of}, "value": {"double_value": value}}
                for of in ("a", "b")
            )
        )
    assert bench.value("select_slo_compliance", slo) == pytest.approx(good)


@known_from(docs="https://cloud.google.com/monitoring/api/metrics_gcp")
def test_a_basic_sli_of_cloud_run_reads_what_the_platform_writes(bench: Slos) -> None:
    labels = {"service_name": "shop", "location": "europe-west1"}
    service = bench.service(basic_service={"service_type": "CLOUD_RUN", "service_labels": labels})
    available = bench.slo(service, {"basic_sli": {"availability": {}}})
    fast = bench.slo(service, {"basic_sli": {"latency": {"threshold": {"nanos": 500_000_000}}}})
    resource = {
        "type": "cloud_run_revision",
        "labels": {**labels, "revision_name": "shop-1", "configuration_name": "shop"},
    }
    other = {"type": "cloud_run_revision", "labels": {**labels, "service_name": "other"}}
    count = {"metric": "run.googleapis.com/request_count", "kind": "DELTA"}
    slow = {
        "count": 10,
        "mean": 300,
        "bucket_counts": [4, 4, 2],
        "bucket_options": {"explicit_buckets": {"bounds": [250, 500]}},
    }
    for _ in range(3):
        bench.clock.advance(60)
        bench.write(
            {**count, "resource": resource, "labels": {"response_code_class": "2xx"}, "value": {"int64_value": 95}},
            {**count, "resource": resource, "labels": {"response_code_class": "5xx"}, "value": {"int64_value": 5}},
            {**count, "resource": other, "labels": {"response_code_class": "5xx"}, "value": {"int64_value": 500}},
            {
                "metric": "run.googleapis.com/request_latencies", "kind": "DELTA", "resource": resource,
                "value": {"distribution_value": slow},
            },
        )  # fmt: skip
    assert bench.value("select_slo_health", available) == pytest.approx(0.95)
    assert bench.value("select_slo_health", fast) == pytest.approx(0.8)


@our_choice("where nothing happened there is nothing to judge: no point, neither good nor bad")
def test_without_events_there_is_no_value(bench: Slos) -> None:
    slo = bench.slo(bench.service())
    assert bench.value("select_slo_burn_rate", slo, "300s") is None
    bench.traffic(3, good=10, bad=0)
    bench.clock.advance(3600)
    assert bench.value("select_slo_burn_rate", slo, "300s") is None
    assert bench.value("select_slo_compliance", slo) == pytest.approx(1.0)


@our_choice("calendar periods begin at midnight UTC, weeks on Monday; Google does not publish their time zone")
@pytest.mark.parametrize(("period", "expected"), [("DAY", 0.0), ("WEEK", 0.5), ("MONTH", 0.5), ("FORTNIGHT", 0.5)])
def test_calendar_periods_begin_anew(bench: Slos, period: str, expected: float) -> None:
    slo = bench.slo(bench.service(), calendar_period=period)
    bench.clock.advance(DAY - 600 - 60)
    bench.traffic(10, good=10, bad=0)
    bench.clock.advance(60)
    bench.traffic(0, good=0, bad=0)
    bench.clock.advance(600)
    # Ten good minutes on Wednesday, then as many bad events in the first minutes of Thursday.
    for _ in range(10):
        bench.traffic(1, good=0, bad=10)
    value = bench.value("select_slo_compliance", slo)
    assert value is not None
    assert value == pytest.approx(expected, abs=0.05)
    assert bench.clock.now() // 10**9 - START < 2 * DAY


@known_from(docs=SELECTORS)
@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ('select_slo_burn_rate("{slo}")', "needs a lookback period"),
        ('select_slo_burn_rate("{slo}", "1 hour")', "number and one of"),
        ('select_slo_burn_rate("{slo}", "10s")', "at least a minute"),
        ('select_slo_health("{slo}", "60s")', "takes no lookback"),
        ('select_slo_luck("{slo}")', "the selectors are"),
        ('select_slo_health("projects/demo/services/shop")', "first argument"),
        ('select_slo_health("{slo}") AND metric.type="x"', "stands alone"),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused_with_its_reason(bench: Slos, filter_: str, message: str) -> None:
    slo = bench.slo(bench.service())
    with pytest.raises(exceptions.InvalidArgument, match=message):
        bench.select(filter_.replace("{slo}", slo.name))


@known_from(docs=SELECTORS)
def test_an_slo_that_does_not_exist_is_not_found(bench: Slos) -> None:
    slo = bench.slo(bench.service())
    missing = f'select_slo_health("{slo.name}x")'
    with pytest.raises(exceptions.NotFound):
        bench.select(missing)
    condition = {
        "displayName": "Burning",
        "conditionThreshold": {"filter": missing, "comparison": "COMPARISON_GT", "thresholdValue": 1, "duration": "0s"},
    }
    policy = {"displayName": "Burning", "combiner": "OR", "conditions": [condition]}
    refused = httpx.post(f"{bench.emulator.http}/v3/projects/demo/alertPolicies", json=policy)
    assert refused.status_code == 404


@known_from(docs="https://cloud.google.com/stackdriver/docs/solutions/slo-monitoring/alerting-on-budget-burn-rate")
def test_a_burn_rate_policy_with_two_windows_fires_and_ends(bench: Slos) -> None:
    slo = bench.slo(bench.service(), goal=0.99)

    def condition(lookback: str) -> dict[str, Any]:
        return {
            "displayName": f"Burning over {lookback}",
            "conditionThreshold": {
                "filter": f'select_slo_burn_rate("{slo.name}", "{lookback}")',
                "comparison": "COMPARISON_GT",
                "thresholdValue": 10,
                "duration": "0s",
            },
        }

    policy = {"displayName": "Burning", "combiner": "AND", "conditions": [condition("3600s"), condition("300s")]}
    with httpx.Client(base_url=bench.emulator.http, timeout=30) as http:
        assert http.post("/v3/projects/demo/alertPolicies", json=policy).is_success

        def states() -> set[str]:
            http.post("/control/clock/advance", json={"seconds": 30}).raise_for_status()
            return {one["state"] for one in http.get("/v3/projects/demo/alerts").json().get("alerts", [])}

        bench.traffic(30, good=100, bad=0)
        assert states() == set()
        bench.traffic(20, good=50, bad=50)
        assert states() == {"OPEN"}
        bench.traffic(10, good=100, bad=0)
        assert states() == {"CLOSED"}
