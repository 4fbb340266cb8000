"""What the judge says of a week and of accidents."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from app.emulator.alerting.messages import AlertPolicy
from app.emulator.alerttest.errors import ScriptError
from app.emulator.alerttest.policies import Policy, read_policies
from app.emulator.simulate.simulation import Options, run_case, run_week
from app.emulator.simulate.world import Case, World, read_cases, read_world

RATIO = 'sum(increase(http_request_total{status_code=~"5.."}[5m])) / sum(increase(http_request_total[5m]))'
BURST = Case("burst", "", begins=1800, lasts=1200, after=1800, set={"error_ratio": 0.2}, expect=["errors"])


def policy(key: str, query: str, priority: str = "p1", **more: Any) -> Policy:
    body = {"query": query, "duration": "0s", "evaluationInterval": "60s", "disableMetricValidation": True}
    data = {
        "displayName": key,
        "combiner": "OR",
        "userLabels": {"priority": priority},
        "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": body}],
        **more,
    }
    return Policy(key, json_format.ParseDict(data, AlertPolicy()), "the test")


@pytest.fixture(scope="module")
def world() -> World:
    return read_world()


def test_the_projects_own_policies_are_silent_in_an_ordinary_week(world: World) -> None:
    verdict = run_week(world, read_policies([], {}), Options())
    assert verdict.problems() == []


def test_a_nervous_policy_is_told_with_its_moments(world: World) -> None:
    nervous = policy("nervous", 'sum(increase(http_request_total{status_code=~"5.."}[5m])) > 3')
    verdict = run_week(world, [nervous], Options(days=1))
    assert verdict.unexpected == ["nervous"]
    assert verdict.pages > 0
    assert not verdict.passed
    assert all(0 <= one.detected_after <= 86_400 for one in verdict.fired)


def test_the_same_seed_gives_the_same_week_and_another_one_another(world: World) -> None:
    nervous = policy("nervous", 'sum(increase(http_request_total{status_code=~"5.."}[5m])) > 3')
    first, again, other = (
        [one.detected_after for one in run_week(world, [nervous], Options(days=1, seed=seed)).fired]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_an_accident_that_is_detected_passes_and_tells_how_fast(world: World) -> None:
    verdict = run_case(world, BURST, [policy("errors", f"{RATIO} > 0.05")], Options())
    assert verdict.problems() == []
    (fired,) = verdict.fired
    assert 0 <= fired.detected_after <= 180
    assert fired.recovered_after is not None
    assert 0 < fired.recovered_after <= 600


def test_an_expected_alert_that_stays_silent_fails(world: World) -> None:
    verdict = run_case(world, BURST, [policy("errors", f"{RATIO} > 0.9")], Options())
    assert verdict.silent == ["errors"]
    assert not verdict.passed


def test_two_pages_for_one_symptom_fail(world: World) -> None:
    both = [policy("errors", f"{RATIO} > 0.05"), policy("more_errors", f"{RATIO} > 0.1")]
    allowed = Case(
        "burst", "", begins=1800, lasts=1200, set={"error_ratio": 0.2}, expect=["errors"], allow=["more_errors"]
    )
    verdict = run_case(world, allowed, both, Options())
    assert verdict.pages == 2
    assert verdict.problems() == ["2 pages for 1 symptom: errors (1), more_errors (1)"]


def test_a_second_policy_that_does_not_page_is_no_second_page(world: World) -> None:
    both = [policy("errors", f"{RATIO} > 0.05"), policy("more_errors", f"{RATIO} > 0.1", priority="p3")]
    allowed = Case(
        "burst", "", begins=1800, lasts=1200, set={"error_ratio": 0.2}, expect=["errors"], allow=["more_errors"]
    )
    assert run_case(world, allowed, both, Options()).passed


def test_a_policy_that_flaps_pages_twice(world: World) -> None:
    """One incident that closes and opens again wakes somebody twice."""
    flapping = policy("errors", f"{RATIO} > 0.05 and (minute() % 10 < 5)")
    verdict = run_case(world, BURST, [flapping], Options())
    assert verdict.pages > 1
    assert not verdict.passed


def test_a_policy_that_nobody_expected_fails(world: World) -> None:
    verdict = run_case(world, BURST, [policy("errors", f"{RATIO} > 0.05"), policy("odd", "vector(1)", "p4")], Options())
    assert verdict.unexpected == ["odd"]


def test_one_of_several_expected_policies_is_enough_and_a_missing_one_is_told(world: World) -> None:
    case = Case("burst", "", begins=1800, lasts=1200, set={"error_ratio": 0.2}, expect=["errors | absent", "gone"])
    verdict = run_case(world, case, [policy("errors", f"{RATIO} > 0.05")], Options())
    assert verdict.silent == []
    assert verdict.unknown == ["gone"]
    assert verdict.passed


def test_a_new_revision_fails_beside_the_old_one(world: World) -> None:
    by_revision = policy(
        "regression",
        'sum by (revision_name) (rate(run_googleapis_com:request_count{response_code_class="5xx"}[5m]))'
        " / sum by (revision_name) (rate(run_googleapis_com:request_count[5m])) > 0.1",
    )
    case = Case("canary", "", begins=1800, lasts=1800, canary=0.2, set={"error_ratio": 0.3}, expect=["regression"])
    verdict = run_case(world, case, [by_revision], Options())
    (fired,) = verdict.fired
    assert fired.labels == {"revision_name": "test-00002"}


def test_every_case_of_the_catalogue_can_be_played(world: World) -> None:
    for case in read_cases():
        verdict = run_case(world, case, [policy("errors", f"{RATIO} > 2")], Options())
        assert verdict.errors == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases: [{name: a, set: {nothing: 1}}]", "there is no knob nothing"),
        ("cases: [{name: a, set: {up: 0}, lasts: soon}]", "case a: soon is not a duration"),
        ("cases: [{name: a, sett: {up: 0}}]", "sett is no field of a case"),
        ("cases: []", "cases are missing"),
        ("- a", "holds names and values"),
    ],
)
def test_a_catalogue_that_cannot_be_used_says_where(world: World, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "chaos.yaml"
    file.write_text(text)
    with pytest.raises(ScriptError, match=message):
        [run_case(world, case, [], Options()) for case in read_cases(file)]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ("{metric: x_total, counter: 'traffic *'}", "is no arithmetic"),
        ("{metric: x_total, counter: 'speed'}", "there is no knob speed"),
        ("{metric: x_total, counter: 'traffic.real'}", "only numbers"),
        ("{metric: run.googleapis.com/x, counter: '1'}", "kind is missing"),
        ("{metric: x_total}", "one of counter, gauge, histogram"),
    ],
)
def test_a_world_that_cannot_be_used_says_where(tmp_path: Path, series: str, message: str) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(f"knobs: {{traffic: 10}}\nseries:\n  - {series}\n")
    with pytest.raises(ScriptError, match=message):
        run_week(read_world(file), [], Options(days=0.1))
