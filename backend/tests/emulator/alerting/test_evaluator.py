"""Incidents over time: pending, open, closed, reminded of, and what must never happen on the way."""

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.incidents import Incidents
from app.emulator.clock import NANOS
from app.emulator.project import Context
from support.alerting import (
    METRIC,
    PROJECT,
    RESOURCE,
    Journalled,
    Workbench,
    absent,
    policy_of,
    promql_policy,
    threshold,
)
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/v3/alert.proto"


def states(bench: Workbench) -> list[str]:
    return [condition["state"] for one in bench.evaluator.evaluations() for condition in one["conditions"]]


@known_from(proto=PROTO)
def test_without_a_duration_a_series_fires_at_the_first_evaluation_that_sees_it() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))
    bench.source.set(1)
    assert bench.evaluate() == []
    bench.source.set(2)
    (opened,) = bench.evaluate(30)
    assert (opened.kind, opened.incident.value, opened.incident.state) == ("opened", 2.0, "open")
    assert opened.incident.id.startswith("0.")
    assert bench.evaluate(30) == []


@known_from(proto=PROTO)
def test_a_series_is_pending_until_it_has_violated_for_the_whole_duration() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", duration="120s"))
    bench.source.set(2)
    assert bench.evaluate_until(119, step=1) == []
    assert states(bench) == ["pending"]
    assert bench.evaluate_until(60, step=1) == [(2.0, "opened")]
    assert states(bench) == ["firing"]


@known_from(proto=PROTO)
def test_one_conforming_evaluation_starts_the_duration_anew() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", duration="60s"))
    for value in (2, 2, 0, 2, 2):
        bench.source.set(value)
        assert bench.evaluate(30) == []
    assert [one.kind for one in bench.evaluate(30)] == ["opened"]


@known_from(proto=PROTO)
def test_each_result_series_has_its_own_incident() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))
    bench.source.set(2, instance="a")
    bench.source.set(3, instance="b")
    assert {one.incident.labels["instance"] for one in bench.evaluate()} == {"a", "b"}
    bench.source.set(0, instance="a")
    (closed,) = bench.evaluate(30)
    assert (closed.kind, closed.incident.labels) == ("closed", {"instance": "a"})
    assert [one.labels for one in bench.incidents.open()] == [{"instance": "b"}]


@known_from(proto=PROTO)
def test_an_incident_closes_when_the_query_no_longer_returns_the_series() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))
    bench.source.set(2)
    bench.evaluate()
    bench.source.set(None)
    (closed,) = bench.evaluate(30)
    assert closed.incident.closed_at == bench.clock.now()
    bench.source.set(2)
    (reopened,) = bench.evaluate(30)
    assert reopened.incident.id != closed.incident.id


@our_choice("rule F25 of Google's behaviour is not published: an incident without a condition has nothing to close it")
def test_deleting_disabling_or_changing_what_fires_closes_its_incidents() -> None:
    bench = Workbench()
    bench.source.set(2)
    deleted, disabled, changed, documented = (bench.create(promql_policy("m > 1")) for _ in range(4))
    assert len(bench.evaluate()) == 4
    bench.delete(deleted)
    off = type(disabled)(name=disabled.name)
    off.enabled.value = False
    bench.update(off, "enabled")
    edited = type(changed)()
    edited.CopyFrom(changed)
    edited.conditions[0].condition_prometheus_query_language.query = "m > 1.5"
    bench.update(edited, "conditions")
    noted = type(documented)(name=documented.name)
    noted.documentation.content = "more"
    bench.update(noted, "documentation")

    transitions = bench.evaluate(0.001)
    assert {(one.kind, one.incident.policy.name, one.reason) for one in transitions if one.kind == "closed"} == {
        ("closed", deleted.name, "the policy was deleted"),
        ("closed", disabled.name, "the policy was disabled"),
        ("closed", changed.name, "the condition was changed"),
    }
    # The changed condition is new and due at once; the documented one goes on.
    assert [one.incident.policy.name for one in transitions if one.kind == "opened"] == [changed.name]
    assert {one.policy.name for one in bench.incidents.open()} == {changed.name, documented.name}


@known_from(proto=PROTO)
def test_a_policy_is_evaluated_as_often_as_it_asks_and_every_30_seconds_when_it_does_not() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", evaluationInterval="60s"))
    bench.create(promql_policy("m > 1"))
    seen: dict[str, list[int]] = {}
    start = bench.clock.now()
    for _ in range(120):
        bench.evaluate(1)
        for number, one in enumerate(bench.evaluator.evaluations()):
            last = (one["conditions"][0]["last"] - start) // NANOS
            if last not in seen.setdefault(str(number), []):
                seen[str(number)].append(last)
    assert seen == {"0": [1, 61], "1": [1, 31, 61, 91]}


@our_choice("the demo must not wait a minute: a switch of the command line evaluates more often")
def test_every_overrides_what_the_policies_ask() -> None:
    bench = Workbench(every=2.0)
    bench.create(promql_policy("m > 1", evaluationInterval="60s"))
    bench.evaluate()
    bench.source.set(2)
    assert bench.evaluate(1.9) == []
    assert [one.kind for one in bench.evaluate(0.1)] == ["opened"]


def test_force_evaluates_what_is_not_due() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", evaluationInterval="3600s"))
    bench.evaluate()
    bench.source.set(2)
    assert bench.evaluate(1) == []
    assert [one.kind for one in bench.evaluate(force=True)] == ["opened"]


@our_choice("one broken query must not silence the other policies")
def test_a_query_that_fails_is_the_policys_error_and_nobody_elses() -> None:
    bench = Workbench()
    bench.create(promql_policy("m * on(a) group_left m > 1"))
    bench.create(promql_policy("m > 1"))
    bench.source.set(2, a="x", b="1")
    bench.source.set(2, a="x", b="2")
    assert len(bench.evaluate()) == 2
    broken, fine = (one["conditions"][0] for one in bench.evaluator.evaluations())
    assert broken["state"] == "error"
    assert broken["error"]
    assert fine["state"] == "firing"


@our_choice("a bug of ours in one evaluation must not end alerting")
def test_a_source_that_raises_is_told_as_the_policys_error() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))

    def broken(*_: object) -> list[object]:
        raise RuntimeError("boom")

    bench.source.select = broken  # type: ignore[assignment,method-assign]  # a fault planted from outside
    assert bench.evaluate() == []
    assert "boom" in bench.evaluator.evaluations()[0]["conditions"][0]["error"]


def test_an_open_incident_outlives_a_failing_query_until_auto_close() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", strategy={"autoClose": "1800s"}))
    bench.source.set(2)
    bench.evaluate()
    working = bench.source.select

    def broken(*_: object) -> list[object]:
        raise RuntimeError("boom")

    bench.source.select = broken  # type: ignore[assignment,method-assign]  # a fault planted from outside
    assert bench.evaluate_until(1799, step=1) == []
    assert bench.evaluate_until(1, step=1) == [(1.0, "closed")]
    bench.source.select = working  # type: ignore[method-assign]  # the fault is over
    assert [one.kind for one in bench.evaluate(30)] == ["opened"]


@known_from(proto=PROTO)
def test_labels_of_the_condition_are_added_and_filled() -> None:
    bench = Workbench()
    labels = {"who": "{{ $labels.instance }}", "how_much": "${value}", "also": "${instance}!", "instance": "all"}
    bench.create(promql_policy("m > 1", labels=labels))
    bench.source.set(2.5, instance="a")
    (opened,) = bench.evaluate()
    assert opened.incident.labels == {"who": "a", "how_much": "2.5", "also": "a!", "instance": "all"}


@known_from(docs="https://github.com/prometheus/prometheus/blob/main/rules/alerting.go")
def test_two_series_that_labels_make_one_are_an_error() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1", labels={"instance": "all"}))
    bench.source.set(2, instance="a")
    bench.source.set(2, instance="b")
    assert bench.evaluate() == []
    assert "same labelset" in bench.evaluator.evaluations()[0]["conditions"][0]["error"]


@our_choice("a scalar is a vector of one series without labels, as Prometheus's rules take it")
def test_a_scalar_fires_and_a_range_is_an_error() -> None:
    bench = Workbench()
    bench.create(promql_policy("1"))
    bench.create(promql_policy("m[5m]"))
    bench.source.set(2)
    assert [one.incident.labels for one in bench.evaluate()] == [{}]
    assert states(bench) == ["firing", "error"]


@our_choice("what is stored and not evaluated must be told, never silent")
def test_conditions_of_other_kinds_are_named_as_not_evaluated() -> None:
    bench = Workbench()
    body = {"query": "fetch cloud_run_revision | every 1m", "duration": "0s"}
    condition = {"displayName": "C", "conditionMonitoringQueryLanguage": body}
    bench.create({"displayName": "In MQL", "combiner": "OR", "conditions": [condition]})
    bench.evaluate()
    bench.evaluate(60)
    (told,) = bench.warnings
    assert "In MQL" in told
    assert "conditionMonitoringQueryLanguage" in told
    assert states(bench) == ["not evaluated yet"]


def test_a_disabled_policy_is_not_evaluated() -> None:
    bench = Workbench()
    bench.source.set(2)
    bench.create(promql_policy("m > 1") | {"enabled": False})
    assert bench.evaluate() == []
    assert states(bench) == ["disabled"]


@known_from(docs="https://docs.cloud.google.com/monitoring/quotas")
def test_no_more_than_a_thousand_incidents_of_a_policy_are_open() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))
    for number in range(1001):
        bench.source.set(2, number=str(number))
    assert len(bench.evaluate()) == 1000
    assert "1001 series" in bench.evaluator.evaluations()[0]["conditions"][0]["error"]
    assert bench.evaluate(30) == []


@our_choice("a restart must neither lose an incident nor open it twice")
def test_an_open_incident_goes_on_after_a_restart() -> None:
    journal = Journalled()
    bench = Workbench(journal=journal)
    bench.create(promql_policy("m > 1"))
    bench.source.set(2, instance="a")
    (opened,) = bench.evaluate()

    again = Workbench()
    again.source.set(2, instance="a")
    for kind, record in journal.kept:
        assert again.policies.restore(kind, record) or again.incidents.restore(kind, record)
    assert again.evaluate(60) == []
    assert [one.id for one in again.incidents.open()] == [opened.incident.id]
    again.source.set(None, instance="a")
    assert [one.incident.id for one in again.evaluate(60)] == [opened.incident.id]


@our_choice("a restart must neither close nor forget what waits for data")
def test_threshold_incidents_and_known_series_go_on_after_a_restart() -> None:
    journal = Journalled()
    bench = Workbench(journal=journal)
    bench.create(policy_of(threshold(), absent("300s"), combiner="OR"))
    write_point(bench, 9)
    assert [one.kind for one in bench.evaluate()] == ["opened"]

    again = Workbench()
    again.clock.advance(1)
    write_point(again, 9, at=bench.clock.now())
    for kind, record in journal.kept:
        if not kind.startswith("monitoring."):
            assert again.policies.restore(kind, record) or again.incidents.restore(kind, record)
    # Without data the incident stays (NO_OP), and the silence is counted from the last point.
    transitions = again.evaluate(120) + again.evaluate(120) + again.evaluate(60)
    assert [(one.kind, one.incident.condition.WhichOneof("condition")) for one in transitions] == [
        ("opened", "condition_absent")
    ]
    assert len(again.incidents.open()) == 2


def write_point(bench: Workbench, value: float, at: int | None = None) -> None:
    """A gauge of the metric that the helpers' conditions read."""
    series = types.TimeSeries.pb()()
    series.metric.type = METRIC
    series.resource.type = RESOURCE["type"]
    series.resource.labels.update({key: text for key, text in RESOURCE.items() if key != "type"})
    point = series.points.add()
    point.value.double_value = value
    point.interval.end_time.FromNanoseconds(bench.clock.now() if at is None else at)
    bench.metrics.create_time_series(types.CreateTimeSeriesRequest.pb()(name=PROJECT, time_series=[series]))


@our_choice("history is bounded; nothing that is open is ever forgotten")
def test_only_the_newest_closed_incidents_are_kept() -> None:
    bench = Workbench()
    bench.create(promql_policy("m > 1"))
    bench.source.set(2, instance="stays")
    bench.evaluate()
    for _ in range(1005):
        bench.source.set(2, instance="flaps")
        bench.evaluate(1, force=True)
        bench.source.set(0, instance="flaps")
        bench.evaluate(1, force=True)
    assert len(bench.incidents.all()) == 1001
    assert [one.labels["instance"] for one in bench.incidents.open()] == ["stays"]


@pytest.mark.parametrize("kind", ["alerting.policy", "monitoring.points"])
def test_incidents_leave_records_of_other_parts_alone(kind: str) -> None:
    assert not Incidents(Context()).restore(kind, b"")
