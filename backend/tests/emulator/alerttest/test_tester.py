"""The tester itself: time, states, assertions, scripts, explanations."""

import time
from pathlib import Path

import pytest

from app.emulator.alerttest import AlertTester, Policy, ScriptError
from app.emulator.alerttest.explain import Explanation
from app.emulator.alerttest.run import run_case
from app.emulator.alerttest.script import read_script
from app.emulator.alerttest.sides import sides
from app.emulator.alerttest.timeline import START
from support.alerting import METRIC, RESOURCE, parse_policy, policy_of, promql_policy, threshold
from support.provenance import known_from, our_choice


def alerts_on(query: str) -> AlertTester:
    tester = AlertTester()
    tester.add(promql_policy(query))
    return tester


def test_the_clock_moves_by_durations_and_to_moments_and_never_back() -> None:
    tester = AlertTester()
    tester.clock.advance("90s")
    tester.clock.advance(minutes=2)
    tester.clock.advance(30, hours=1)
    assert tester.clock.seconds == 90 + 120 + 30 + 3600
    tester.clock.advance_to("2h")
    assert tester.clock.seconds == 7200
    with pytest.raises(ValueError, match="only moves forward"):
        tester.clock.advance_to("1h")


def test_a_series_begins_when_it_is_written() -> None:
    tester = alerts_on("m > 5")
    tester.clock.advance("10m")
    tester.write("m", "0x4 9x5")
    tester.clock.advance("4m")
    tester.assert_silent("Policy")
    tester.clock.advance("1m")
    tester.assert_open("Policy")


@known_from(docs="https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/")
def test_a_sample_is_there_before_the_evaluation_of_its_time() -> None:
    tester = alerts_on("m > 5")
    tester.write("m", "9")
    tester.clock.advance(0)
    tester.assert_open("Policy")


def test_policies_of_several_intervals_are_each_evaluated_at_their_own() -> None:
    steps: dict[str, list[float]] = {"Fast": [], "Slow": []}
    tester = AlertTester(on_step=lambda step: steps[step.policy.display_name].append((step.at - START) / 1e9))
    tester.add(promql_policy("m > 5", evaluationInterval="30s") | {"displayName": "Fast"})
    tester.add(promql_policy("m > 5", evaluationInterval="90s") | {"displayName": "Slow"})
    tester.clock.advance("3m")
    assert steps == {"Fast": [0, 30, 60, 90, 120, 150, 180], "Slow": [0, 90, 180]}


@pytest.mark.parametrize(
    ("assertion", "told"),
    [
        (
            lambda one: one.assert_open("Policy"),
            r"at 2m Policy is none, expected open: 1 not > 5  \{.*job=test.*\}  in  m > 5",
        ),
        (lambda one: one.assert_pending("Policy", instance="7"), r"with \{'instance': '7'\} is none"),
        (lambda one: one.assert_notified("Policy"), "told nobody"),
        (lambda one: one.assert_open("Polcy"), "did you mean Policy"),
    ],
)
def test_an_assertion_that_fails_says_what_was_seen(assertion, told) -> None:
    tester = alerts_on("m > 5")
    tester.write("m", "1x5")
    tester.clock.advance("2m")
    with pytest.raises((AssertionError, ScriptError), match=told):
        assertion(tester)


def test_a_policy_that_cannot_be_evaluated_fails_every_assertion() -> None:
    tester = alerts_on("m * on(a) group_left m > 1")
    tester.write('m{a="x",b="1"}', "2x3")
    tester.write('m{a="x",b="2"}', "2x3")
    tester.clock.advance("1m")
    with pytest.raises(AssertionError, match="cannot be evaluated"):
        tester.assert_state("Policy", "none")


def test_notified_texts_and_events_are_compared() -> None:
    tester = AlertTester()
    tester.add(promql_policy("m > 5") | {"documentation": {"subject": "m is ${metric.label.value}", "content": "Look"}})
    tester.write("m", "9 0")
    tester.clock.advance(0)
    tester.assert_notified("Policy", "m is 9", "Look")
    with pytest.raises(AssertionError, match="last told of opened"):
        tester.assert_notified("Policy", event="closed")
    with pytest.raises(AssertionError, match="'Listen' is not in"):
        tester.assert_notified("Policy", "Listen")
    tester.clock.advance("1m")
    tester.assert_notified("Policy", event="closed")


def script_of(tmp_path: Path, expect: str, series: str = "{metric: m, values: '0x5 9x5'}"):
    path = tmp_path / "s.yaml"
    path.write_text(f"policy: P\ntests:\n- name: t\n  series: [{series}]\n  expect: [{expect}]\n")
    return read_script(path)


def failures(tmp_path: Path, expect: str, **more: str) -> list[str]:
    script = script_of(tmp_path, expect, **more)
    policy = Policy("P", parse_policy(promql_policy("m > 5")), "test")
    return [str(one) for one in run_case(script, script.cases[0], [policy]).failures]


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ("{at: 5m, state: open}", "at 5m  Policy: state\n    expected  open\n    got       none"),
        ("{at: 0s, until: 8m, state: none}", "at 6m  Policy: state\n    expected  none\n    got       open"),
        ("{at: 7m, open: 2}", "open incidents\n    expected  2\n    got       1"),
        ("{at: 7m, state: open, labels: {job: other}}", "state of job=other"),
        ("{at: 7m, open: 1, labels: {job: other}}", "labels of an open incident\n    expected  job=other"),
        ("{at: 7m, notified: false}", "expected  none\n    got       opened at 6m"),
        ("{at: 5m, notified: true}", "expected  some\n    got       nothing"),
        ("{at: 7m, notified: closed}", "the newest notification\n    expected  closed\n    got       opened at 6m"),
        (
            "{at: 7m, notified: {opened: 2, closed: 0}}",
            "expected  closed=0, opened=2\n    got       closed=0, opened=1",
        ),
        ("{at: 7m, subject: Other}", "subject\n    expected  Other\n    got       [ALERT]"),
        ("{at: 7m, text: [Condition, Other]}", "text\n    expected  ...Other..."),
        ("{at: 7m, policy: '*', closed: 1}", "closed incidents\n    expected  1\n    got       0"),
    ],
)
def test_an_expectation_that_does_not_hold_shows_expected_and_got(expect: str, told: str, tmp_path: Path) -> None:
    assert told in "\n".join(failures(tmp_path, expect))


@pytest.mark.parametrize(
    "expect",
    [
        "{at: 6m, state: open, labels: {job: test, nothing: ''}, notified: opened, open: 1, closed: 0}",
        "{at: 0s, until: 5m, state: none}, {at: 10m, state: open}",
        "{at: 6m, policy: Policy, notified: {opened: 1}}",
        "{at: 0s, until: 10m, closed: 0}",
    ],
)
def test_an_expectation_that_holds_says_nothing(expect: str, tmp_path: Path) -> None:
    assert failures(tmp_path, expect) == []


def test_a_metric_that_no_series_is_called_is_pointed_out(tmp_path: Path) -> None:
    told = "\n".join(failures(tmp_path, "{at: 7m, state: open}", series="{metric: mm, values: '9x9'}"))
    assert "it reads m\n    expected  a series of that name\n    got       prometheus.googleapis.com/mm/gauge" in told


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a > 1", [("a", ">", "1")]),
        ("(a / b > 0.05) and on(x) (c >= bool 3)", [("a / b", ">", "0.05"), ("c", ">=", "3")]),
        ('a{x="> 5 and"} == 2 unless b', [('a{x="> 5 and"}', "==", "2")]),
        ("a > on(x) group_left(y) b", [("a", ">", "b")]),
        ("sum(a > 1)", []),
        ("sum(a and b) > 1", [("sum(a and b)", ">", "1")]),
        ("((a > 1) or (b < 2))", [("a", ">", "1"), ("b", "<", "2")]),
        ("(a) > (b)", [("(a)", ">", "(b)")]),
        ("absent(a)", []),
        ("a >", [("a", ">", "")]),
        ('a{x="', []),
    ],
)
def test_the_sides_of_a_query_are_what_it_compares(query: str, found: list[tuple[str, str, str]]) -> None:
    assert [tuple(one) for one in sides(query)] == found


def test_an_explanation_draws_steps_that_say_the_same_together() -> None:
    explanation = Explanation(START)
    tester = AlertTester(on_step=explanation.add)
    tester.add(policy_of(threshold(duration="120s")))
    tester.write(METRIC, "1x2 9x3 _x3", kind="gauge", resource=RESOURCE)
    tester.clock.advance("8m")
    lines = [" ".join(line.split()) for line in explanation.lines()]
    labels = "{instance_id=1, project_id=demo, zone=us-central1-a}"
    assert lines == [
        "Policy / Condition",
        f"0s..2m 1 > 5 ok {labels}",
        f"3m..4m 9 > 5 violates since 3m: pending, met at 5m {labels}",
        f"5m..6m 9 > 5 violates since 3m: met {labels}",
        f"7m..8m no data > 5 violates since 3m: met {labels}",
    ]


@our_choice("a week at 60 s in seconds; the bound is generous because machines of CI are slow and shared")
def test_a_week_takes_seconds() -> None:
    tester = AlertTester()
    tester.add(policy_of(threshold()))
    tester.write(METRIC, "1x10000 9x10 1x69", kind="gauge", resource=RESOURCE)
    began = time.perf_counter()
    tester.clock.advance(days=7)
    assert time.perf_counter() - began < 60
    assert [one.event for one in tester.notifications] == ["opened", "closed"]
    assert tester.notifications[0].at == 10_001 * 60
