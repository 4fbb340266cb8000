"""Absence conditions, and policies of several conditions."""

import pytest

from app.emulator.alerttest import AlertTester
from support.alerting import METRIC, RESOURCE, absent, alerts_of, policy_of, states_of, threshold
from support.provenance import known_from, our_choice

ABSENCE = "https://cloud.google.com/monitoring/alerts/metric-absence"
PROTO = "google/monitoring/v3/alert.proto"
OTHER = RESOURCE | {"instance_id": "2"}
SECOND = "custom.googleapis.com/second"


@known_from(docs=ABSENCE)
def test_a_series_that_stops_is_absent_after_the_duration_and_back_with_its_next_point() -> None:
    tester = alerts_of(absent("300s"))
    tester.write(METRIC, "1x5 _x10 1x5", kind="gauge", resource=RESOURCE)
    # The last point before the gap is of 5m, the next one of 16m.
    assert states_of(tester, "20m") == [(0, "none"), (6, "pending"), (10, "open"), (16, "closed")]
    assert tester.incidents("Policy")[0].close_reason == "the series has data again"


@known_from(docs=ABSENCE)
def test_a_series_that_never_was_there_is_not_absent() -> None:
    tester = alerts_of(absent("300s"))
    tester.clock.advance("3h")
    tester.assert_silent("Policy")


@known_from(docs=ABSENCE)
def test_a_series_that_stopped_before_the_policy_came_is_not_absent() -> None:
    tester = AlertTester()
    tester.write(METRIC, "1x5", kind="gauge", resource=RESOURCE)
    tester.clock.advance("10m")
    tester.add(policy_of(absent("300s")))
    tester.clock.advance("3h")
    tester.assert_silent("Policy")


@known_from(proto=PROTO)
def test_each_series_is_absent_for_itself() -> None:
    tester = alerts_of(absent("120s"))
    tester.write(METRIC, "1x20", kind="gauge", resource=RESOURCE)
    tester.write(METRIC, "1x5", kind="gauge", resource=OTHER)
    tester.clock.advance("15m")
    tester.assert_open("Policy", instance_id="2")
    tester.assert_state("Policy", "none", instance_id="1")


@our_choice("an alert on silence must end some time, and not begin anew without a point in between")
def test_auto_close_ends_an_absence_for_good() -> None:
    tester = alerts_of(absent("120s"), alertStrategy={"autoClose": "1800s"})
    tester.write(METRIC, "1x5", kind="gauge", resource=RESOURCE)
    assert states_of(tester, "2h") == [(0, "none"), (6, "pending"), (7, "open"), (37, "closed")]


def two_conditions(combiner: str) -> AlertTester:
    return alerts_of(threshold(), threshold(metric=SECOND), combiner=combiner)


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("combiner", "states"),
    [
        ("OR", [(0, "none"), (3, "open"), (10, "closed")]),
        ("AND", [(0, "none"), (3, "pending"), (5, "open"), (8, "pending"), (10, "closed")]),
        ("AND_WITH_MATCHING_RESOURCE", [(0, "none"), (3, "pending"), (5, "open"), (8, "pending"), (10, "closed")]),
    ],
)
def test_a_combiner_says_how_conditions_make_an_incident(combiner: str, states: list[tuple[float, str]]) -> None:
    tester = two_conditions(combiner)
    tester.write(METRIC, "0x2 9x4 0x9", kind="gauge", resource=RESOURCE)
    tester.write(SECOND, "0x4 9x4 0x9", kind="gauge", resource=RESOURCE)
    assert states_of(tester, "12m") == states


@known_from(proto=PROTO)
@pytest.mark.parametrize(("combiner", "count"), [("AND", 2), ("AND_WITH_MATCHING_RESOURCE", 0), ("OR", 2)])
def test_only_a_matching_resource_asks_that_it_is_the_same(combiner: str, count: int) -> None:
    tester = two_conditions(combiner)
    tester.write(METRIC, "9x5", kind="gauge", resource=RESOURCE)
    tester.write(SECOND, "9x5", kind="gauge", resource=OTHER)
    tester.clock.advance("3m")
    assert len(tester.incidents("Policy")) == count


@our_choice('"for the same resource": labels that one condition grouped away cannot differ')
def test_a_grouped_condition_matches_by_the_labels_that_are_left() -> None:
    by_zone = {
        "alignmentPeriod": "60s",
        "perSeriesAligner": "ALIGN_MEAN",
        "crossSeriesReducer": "REDUCE_MAX",
        "groupByFields": ["resource.labels.zone"],
    }
    tester = alerts_of(
        threshold(), threshold(metric=SECOND, aggregations=[by_zone]), combiner="AND_WITH_MATCHING_RESOURCE"
    )
    tester.write(METRIC, "9x5", kind="gauge", resource=RESOURCE)
    tester.write(METRIC, "9x5", kind="gauge", resource=OTHER | {"zone": "us-central1-b"})
    tester.write(SECOND, "9x5", kind="gauge", resource=OTHER)
    tester.clock.advance("3m")
    assert {one.labels.get("instance_id", "grouped") for one in tester.incidents("Policy")} == {"1", "grouped"}


@known_from(proto=PROTO)
def test_threshold_and_absence_stand_in_one_policy() -> None:
    tester = alerts_of(threshold(), absent("120s", metric=SECOND), combiner="AND")
    tester.write(METRIC, "9x20", kind="gauge", resource=RESOURCE)
    tester.write(SECOND, "1x5", kind="gauge", resource=RESOURCE)
    assert states_of(tester, "12m") == [(0, "pending"), (7, "open")]


@our_choice("what the emulator cannot evaluate is told by name, never passed over in silence")
def test_mql_and_sql_are_named() -> None:
    tester = AlertTester()
    body = {"query": "fetch gce_instance", "duration": "0s"}
    tester.add(policy_of({"displayName": "C", "conditionMonitoringQueryLanguage": body}))
    assert "conditionMonitoringQueryLanguage" in tester.errors["Policy"]
