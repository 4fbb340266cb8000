"""Threshold conditions: windows, durations, missing data, triggers, ratios, forecasts."""

from typing import Any

import pytest

from app.emulator.alerttest import AlertTester
from app.emulator.project import Switches
from support.alerting import METRIC, RESOURCE, alerts_of, policy_of, states_of, threshold
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/v3/alert.proto"
INDEPTH = "https://cloud.google.com/monitoring/alerts/concepts-indepth"
OTHER = {"type": "gce_instance", "instance_id": "2", "zone": "us-central1-a"}


def write(tester: AlertTester, values: str, resource: dict[str, str] = RESOURCE, **more: Any) -> None:
    tester.write(METRIC, values, **{"kind": "gauge", "resource": resource, **more})


@known_from(docs=INDEPTH)
def test_the_alignment_window_slides_by_one_minute() -> None:
    tester = alerts_of(threshold(20, period="300s"))
    # From 6m to 16m 100; at 6m the mean of five minutes is 20, at 7m 40, at 20m 20 again.
    write(tester, "0x5 100x10 0x10")
    assert states_of(tester, "25m") == [(0, "none"), (7, "open"), (20, "closed")]


@known_from(docs=INDEPTH)
def test_all_values_of_the_duration_must_violate_and_one_that_does_not_starts_it_anew() -> None:
    tester = alerts_of(threshold(duration="300s"))
    write(tester, "0x2 9x2 0 9x9 0x3")
    assert states_of(tester, "20m") == [
        (0, "none"), (3, "pending"), (6, "none"), (7, "pending"), (12, "open"), (17, "closed"),
    ]  # fmt: skip


@known_from(proto=PROTO)
@pytest.mark.parametrize(("comparison", "values"), [("COMPARISON_GT", "5 6"), ("COMPARISON_LT", "5 4")])
def test_the_threshold_itself_does_not_violate(comparison: str, values: str) -> None:
    tester = alerts_of(threshold(5, comparison=comparison))
    write(tester, values)
    tester.clock.advance(0)
    tester.assert_state("Policy", "none")
    tester.clock.advance("60s")
    tester.assert_open("Policy")


@known_from(proto=PROTO)
def test_each_series_has_its_own_incident_with_the_labels_of_metric_and_resource() -> None:
    tester = alerts_of(threshold())
    write(tester, "9x5", labels={"disk": "a"})
    write(tester, "1x5", OTHER)
    tester.clock.advance("2m")
    (incident,) = tester.incidents("Policy")
    assert incident.labels == {"disk": "a", "project_id": "demo", "instance_id": "1", "zone": "us-central1-a"}
    assert (incident.metric_type, incident.resource_type, incident.metric_labels) == (
        METRIC, "gce_instance", {"disk": "a"},
    )  # fmt: skip
    assert (incident.value, incident.threshold) == (9, 5)
    tester.assert_open("Policy", disk="a")
    tester.assert_state("Policy", "none", instance_id="2")


@known_from(proto=PROTO)
def test_aggregations_are_applied_in_their_order() -> None:
    second = {"alignmentPeriod": "180s", "perSeriesAligner": "ALIGN_MAX"}
    first = {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN", "crossSeriesReducer": "REDUCE_SUM"}
    tester = alerts_of(threshold(15, aggregations=[first, second]))
    write(tester, "0x2 8 0x8")
    write(tester, "0x2 8 0x8", OTHER)
    # 16 at 3m, and the greatest of three minutes until 5m.
    assert states_of(tester, "8m") == [(0, "none"), (3, "open"), (6, "closed")]


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("choice", "states"),
    [
        ("EVALUATION_MISSING_DATA_INACTIVE", [(0, "pending"), (2, "open"), (4, "closed")]),
        ("EVALUATION_MISSING_DATA_NO_OP", [(0, "pending"), (2, "open")]),
        ("EVALUATION_MISSING_DATA_UNSPECIFIED", [(0, "pending"), (2, "open")]),
        ("EVALUATION_MISSING_DATA_ACTIVE", [(0, "pending"), (2, "open")]),
    ],
)
def test_what_missing_data_does_to_an_open_incident(choice: str, states: list[tuple[float, str]]) -> None:
    tester = alerts_of(threshold(duration="120s", evaluationMissingData=choice))
    write(tester, "9x3 _x20")
    assert states_of(tester, "20m") == states


@known_from(docs=INDEPTH)
@pytest.mark.parametrize(
    ("choice", "states"),
    [
        ("EVALUATION_MISSING_DATA_INACTIVE", [(0, "none")]),
        ("EVALUATION_MISSING_DATA_NO_OP", [(0, "none")]),
        # "causes the metric-threshold condition to behave like a metric-absence condition"
        ("EVALUATION_MISSING_DATA_ACTIVE", [(0, "none"), (4, "pending"), (8, "open")]),
    ],
)
def test_what_missing_data_does_while_all_is_well(choice: str, states: list[tuple[float, str]]) -> None:
    tester = alerts_of(threshold(duration="300s", evaluationMissingData=choice))
    write(tester, "1x3 _x20")
    assert states_of(tester, "20m") == states


@known_from(issue="hashicorp/terraform-provider-google#16892")
def test_a_sparse_series_with_a_duration_never_fires() -> None:
    tester = alerts_of(threshold(duration="120s"))
    write(tester, "9 _ 9 _ 9 _ 9 _ 9 _ 9")
    tester.clock.advance("12m")
    assert not tester.incidents("Policy")


@known_from(proto=PROTO)
def test_auto_close_ends_an_incident_without_data_and_nothing_opens_it_again() -> None:
    tester = alerts_of(threshold(), alertStrategy={"autoClose": "1800s"})
    write(tester, "9x5 _x100")
    # The last data is of 5m.
    assert states_of(tester, "60m") == [(0, "open"), (35, "closed")]
    (incident,) = tester.incidents("Policy")
    assert incident.close_reason == "autoClose passed without data"


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("trigger", "violating", "fires"),
    [
        ({}, 1, True),
        ({"count": 2}, 1, False),
        ({"count": 2}, 2, True),
        ({"percent": 50}, 1, False),
        ({"percent": 50}, 2, True),
        ({"percent": 100}, 3, False),
        ({"percent": 100}, 4, True),
    ],
)
def test_a_trigger_counts_the_series_that_violate(trigger: dict[str, float], violating: int, fires: bool) -> None:
    tester = alerts_of(threshold(trigger=trigger))
    for number in range(4):
        write(tester, "9x3" if number < violating else "1x3", RESOURCE | {"instance_id": str(number)})
    tester.clock.advance("2m")
    assert len(tester.incidents("Policy")) == (violating if fires else 0)


def ratio_tester() -> AlertTester:
    group = {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_DELTA",
        "crossSeriesReducer": "REDUCE_SUM",
        "groupByFields": ["resource.labels.zone"],
    }
    errors = f'metric.type="{METRIC}" resource.type="gce_instance" metric.labels.code="500"'
    everything = f'metric.type="{METRIC}" resource.type="gce_instance"'
    return alerts_of(
        threshold(
            0.1, filter=errors, aggregations=[group], denominatorFilter=everything, denominatorAggregations=[group]
        )
    )


@known_from(proto=PROTO)
def test_a_ratio_divides_series_of_equal_labels() -> None:
    tester = ratio_tester()
    for zone, failing in (("us-central1-a", 20), ("us-central1-b", 10)):
        place = RESOURCE | {"zone": zone}
        write(tester, f"0+{failing}x5", place, kind="cumulative", labels={"code": "500"})
        write(tester, f"0+{100 - failing}x5", place, kind="cumulative", labels={"code": "200"})
    tester.clock.advance("3m")
    (incident,) = tester.incidents("Policy")
    # 10 of 100 is not more than a tenth.
    assert incident.labels["zone"] == "us-central1-a"
    assert incident.value == pytest.approx(0.2)


@our_choice("Google does not publish what a ratio over 0 is; a service without traffic has no share of errors")
def test_a_ratio_over_nothing_is_no_value() -> None:
    tester = ratio_tester()
    write(tester, "0x5", kind="cumulative", labels={"code": "500"})
    tester.clock.advance("5m")
    assert tester.state("Policy") == "none"
    assert not tester.errors


def forecasting(switches: Switches | None = None) -> AlertTester:
    tester = AlertTester(switches=switches)
    tester.add(policy_of(threshold(100, forecastOptions={"forecastHorizon": "3600s"})))
    return tester


@known_from(docs="https://cloud.google.com/monitoring/alerts/metric-forecast")
def test_a_forecast_fires_before_the_value_does_once_it_has_seen_twice_its_horizon() -> None:
    tester = forecasting()
    # 40 after two hours, 60 an hour later; 100 only after five hours: an hour ahead is four.
    write(tester, "0+0.3333333x400")
    found = states_of(tester, "6h", step="5m")
    assert [state for _, state in found[:2]] == ["none", "open"]
    assert 239 <= found[1][0] <= 245


@known_from(docs="https://cloud.google.com/monitoring/alerts/metric-forecast")
def test_a_forecast_waits_for_its_training_time() -> None:
    tester = AlertTester()
    tester.add(policy_of(threshold(1000, forecastOptions={"forecastHorizon": "3600s"})))
    # From 66m on the line reaches 1000 within the hour; the value does not before 126m.
    write(tester, "0+8x400")
    assert states_of(tester, "124m") == [(0, "none"), (119, "open")]


@our_choice("a forecast looks far back; what it finds there is not a value of now")
def test_a_forecast_of_a_series_that_stopped_is_missing_data() -> None:
    tester = AlertTester()
    missing = {"duration": "60s", "evaluationMissingData": "EVALUATION_MISSING_DATA_INACTIVE"}
    tester.add(policy_of(threshold(100, forecastOptions={"forecastHorizon": "3600s"}, **missing)))
    write(tester, "101x3 _x20")
    assert states_of(tester, "10m") == [(0, "pending"), (1, "open"), (4, "closed")]


@known_from(docs="https://cloud.google.com/monitoring/alerts/metric-forecast")
def test_a_value_over_the_threshold_needs_no_forecast() -> None:
    tester = forecasting()
    write(tester, "101x3")
    tester.clock.advance("2m")
    tester.assert_open("Policy")


@our_choice("Google's algorithm is not published: who does not trust a straight line turns it off")
def test_a_switch_turns_forecasts_off() -> None:
    tester = forecasting(Switches(forecast_training=0))
    write(tester, "0+0.3333333x290")
    tester.clock.advance("290m")
    tester.assert_state("Policy", "none")


@our_choice("how late Google sees data is not published")
def test_a_delay_makes_conditions_look_further_back() -> None:
    tester = AlertTester(ingest_delay=120)
    tester.add(policy_of(threshold()))
    write(tester, "0 9x10")
    assert states_of(tester, "5m") == [(0, "none"), (3, "open")]


@known_from(docs="https://cloud.google.com/monitoring/api/v3/filters")
def test_metadata_of_a_resource_filters_and_groups() -> None:
    group = {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_MEAN",
        "crossSeriesReducer": "REDUCE_MAX",
        "groupByFields": ['metadata.user_labels."app.kubernetes.io/name"'],
    }
    wanted = f'metric.type="{METRIC}" resource.type="gce_instance" metadata.system_labels.region="us-central1"'
    tester = alerts_of(threshold(filter=wanted, aggregations=[group]))
    for number, region in enumerate(("us-central1", "europe-west1")):
        write(
            tester,
            "9x3",
            RESOURCE | {"instance_id": str(number)},
            metadata={"userLabels": {"app.kubernetes.io/name": f"app{number}"}, "systemLabels": {"region": region}},
        )
    tester.clock.advance("2m")
    assert len(tester.incidents("Policy")) == 1
    told = tester.told("Policy")[0].incident
    assert told["metadata"] == {"system_labels": {}, "user_labels": {"app.kubernetes.io/name": "app0"}}
    assert told["resource"]["labels"] == {"project_id": "demo"}


@known_from(proto="google/monitoring/v3/common.proto")
def test_a_percent_change_compares_means_one_period_apart() -> None:
    tester = alerts_of(threshold(50, period="600s", aligner="ALIGN_PERCENT_CHANGE"))
    write(tester, "100x20 200x30")
    # At 26m the means are 100 and 160, at 34m 140 and 200.
    assert states_of(tester, "60m") == [(0, "none"), (26, "open"), (34, "closed")]


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("aggregation", "why"),
    [
        ({"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"}, "cannot be applied to metrics with kind GAUGE"),
        ({"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_COUNT_TRUE"}, "value type DOUBLE"),
    ],
)
def test_an_aggregation_that_does_not_fit_is_the_policys_error(aggregation: dict[str, str], why: str) -> None:
    tester = alerts_of(threshold(aggregations=[aggregation]))
    write(tester, "9x3")
    tester.clock.advance("2m")
    assert why in tester.errors["Policy"]


@known_from(docs="https://cloud.google.com/monitoring/alerts/concepts-indepth")
def test_a_text_cannot_be_compared() -> None:
    tester = alerts_of(threshold(aligner="ALIGN_NEXT_OLDER"))
    write(tester, "{{count:5 mean:3}}x3", type="distribution")
    tester.clock.advance("2m")
    assert "DISTRIBUTION cannot be compared" in tester.errors["Policy"]


@known_from(proto="google/api/distribution.proto")
def test_a_percentile_of_a_distribution_is_compared() -> None:
    tester = alerts_of(threshold(0.5, aligner="ALIGN_PERCENTILE_95"))
    write(tester, "{{count:100 p50:0.1 p95:0.3 p99:0.4}}x5 {{count:100 p50:0.1 p95:0.9 p99:2}}x5", kind="delta")
    assert states_of(tester, "11m")[:2] == [(0, "none"), (6, "open")]
