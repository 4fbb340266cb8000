"""Whole ranges at once answer what the evaluator answers moment by moment."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from app.emulator.alerting.messages import AlertPolicy
from app.emulator.alerttest.policies import DEFAULT_VARIABLES, Policy
from app.emulator.alerttest.timeline import Timeline
from app.emulator.clock import NANOS
from app.emulator.simulate.foresee import each_moment, foresee
from app.emulator.simulate.play import Scene, play, stage
from app.emulator.simulate.signals import as_written, signals
from app.emulator.simulate.stretch import Stretch, accident
from app.emulator.simulate.world import Case, World, read_world

RUN = 'resource.type = "cloud_run_revision" AND metric.type = "run.googleapis.com/request_count"'
FAILED = f'{RUN} AND metric.labels.response_code_class = "5xx"'
COUNTED = 'resource.type = "prometheus_target" AND metric.type = "prometheus.googleapis.com/http_request_total/counter"'
LATENCY = 'resource.type = "cloud_run_revision" AND metric.type = "run.googleapis.com/request_latencies"'
PASSED = 'resource.type = "uptime_url" AND metric.type = "monitoring.googleapis.com/uptime_check/check_passed"'


def summed(aligner: str, seconds: int = 300, reducer: str = "REDUCE_SUM") -> list[dict[str, Any]]:
    return [
        {
            "alignmentPeriod": f"{seconds}s",
            "perSeriesAligner": aligner,
            "crossSeriesReducer": reducer,
            "groupByFields": ["resource.labels.service_name"],
        }
    ]


def promql(query: str, **more: Any) -> dict[str, Any]:
    body = {"query": query, "duration": "0s", "evaluationInterval": "60s", **more}
    return {"displayName": "c", "conditionPrometheusQueryLanguage": body}


def threshold(filter_: str, aggregations: Any, limit: float, **more: Any) -> dict[str, Any]:
    body = {"filter": filter_, "aggregations": aggregations, "comparison": "COMPARISON_GT", "duration": "0s"}
    return {"displayName": "c", "conditionThreshold": {**body, "thresholdValue": limit, **more}}


CONDITIONS: Mapping[str, list[dict[str, Any]]] = {
    "an_error_ratio": [
        promql(
            'sum(increase(http_request_total{status_code=~"5.."}[5m])) / sum(increase(http_request_total[5m])) > 0.05'
        )
    ],
    "errors_by_instance_for_two_minutes": [
        promql(
            'sum by (instance) (rate(http_request_total{status_code=~"5.."}[5m])) > 0.01',
            duration="120s",
            evaluationInterval="30s",
            labels={"place": "{{$labels.instance}}"},
        )
    ],
    "a_value_as_a_label": [promql("sum(http_requests_in_flight) > 4", labels={"how_many": "{{$value}}"})],
    "a_quantile": [
        promql("histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 1")
    ],
    "a_subquery": [
        promql(
            "max_over_time(sum(rate(http_request_total[5m]))[20m:1m]) > 3.2 and sum(rate(http_request_total[5m])) < 3"
        )
    ],
    "silence": [promql("absent(sum(rate(http_request_total[5m])))")],
    "a_short_window_at_the_slow_way": [promql("sum(count_over_time(http_request_total[30s])) > 0")],
    "a_rate_of_the_platform": [threshold(FAILED, summed("ALIGN_RATE"), 0.5)],
    "a_lasting_rate_of_the_platform": [threshold(FAILED, summed("ALIGN_DELTA", 120), 20, duration="180s")],
    "a_ratio_of_the_platform": [
        threshold(
            FAILED,
            summed("ALIGN_RATE"),
            0.1,
            denominatorFilter=RUN,
            denominatorAggregations=summed("ALIGN_RATE"),
        )
    ],
    "a_percentile_of_the_platform": [threshold(LATENCY, summed("ALIGN_DELTA", 300, "REDUCE_PERCENTILE_95"), 1000)],
    "two_steps": [
        threshold(
            FAILED,
            [*summed("ALIGN_DELTA", 60), {"alignmentPeriod": "600s", "perSeriesAligner": "ALIGN_MAX"}],
            30,
        )
    ],
    "a_probe_without_aligner": [
        threshold(PASSED, [{"alignmentPeriod": "300s", "perSeriesAligner": "ALIGN_FRACTION_TRUE"}], 0.0)
        | {"displayName": "passes"}
    ],
    "a_missing_metric_that_counts": [
        threshold(
            COUNTED,
            summed("ALIGN_RATE", 60),
            1e9,
            duration="120s",
            evaluationMissingData="EVALUATION_MISSING_DATA_ACTIVE",
        )
    ],
    "an_absence": [
        {
            "displayName": "c",
            "conditionAbsent": {
                "filter": COUNTED,
                "aggregations": [
                    {
                        "alignmentPeriod": "60s",
                        "perSeriesAligner": "ALIGN_RATE",
                        "crossSeriesReducer": "REDUCE_SUM",
                    }
                ],
                "duration": "300s",
            },
        }
    ],
    "both": [
        threshold(FAILED, summed("ALIGN_RATE"), 0.5),
        threshold(LATENCY, summed("ALIGN_DELTA", 300, "REDUCE_PERCENTILE_95"), 1000),
    ],
}

CASE = Case(
    "trouble",
    "errors, slowness, then telemetry stops",
    begins=1200,
    lasts=1500,
    after=2400,
    set={"error_ratio": 0.3, "slowness": 40, "probe": 0},
)


def policy(name: str) -> Policy:
    data = {"displayName": name, "combiner": "AND" if name == "both" else "OR", "conditions": CONDITIONS[name]}
    return Policy(name, json_format.ParseDict(data, AlertPolicy()), "the test")


@pytest.fixture(scope="module")
def world() -> World:
    return read_world()


@pytest.fixture(scope="module")
def stretch(world: World) -> Stretch:
    made = accident(world, CASE)
    # Later the service falls silent, for policies that wait for that.
    for lane in made.lanes:
        lane.knobs["up"][60:75] = 0
    return made


@pytest.fixture(scope="module")
def scene(world: World, stretch: Stretch) -> Scene:
    return stage(world, stretch, DEFAULT_VARIABLES)


@pytest.fixture(scope="module")
def timeline(world: World, stretch: Stretch) -> Timeline:
    """The test runner, which writes the same through the API and evaluates each moment."""
    line = Timeline([policy(name) for name in CONDITIONS], variables=DEFAULT_VARIABLES, start=stretch.start)
    for signal in signals(world, stretch, DEFAULT_VARIABLES):
        series, first = as_written(signal)
        line.write_series(replace(series, start=first))
    line.clock.advance_to((stretch.end - stretch.start) / NANOS)
    return line


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_range_gives_the_incidents_that_the_test_runner_gives(name: str, scene: Scene, timeline: Timeline) -> None:
    played = play(policy(name), scene)
    assert played.error == timeline.errors.get(name, "")
    ours = sorted((one.opened, one.closed or 0, sorted(one.labels)) for one in played.episodes)
    theirs = sorted((one.opened_at, one.closed_at or 0, sorted(one.labels)) for one in timeline.incidents(name))
    assert ours == theirs
    assert ours, "the policy must fire for this to prove anything"


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_range_sees_at_each_moment_what_the_evaluator_sees(name: str, scene: Scene) -> None:
    moments = list(range(scene.stretch.start, scene.stretch.end + 1, 60 * NANOS))
    for condition in policy(name).message.conditions:
        quick, slow = foresee(condition, scene.sources, moments), each_moment(condition, scene.sources, moments)
        for moment in moments:
            ours = sorted((sorted(one.labels.items()), one.violates) for one in quick.see(moment))
            theirs = sorted((sorted(one.labels.items()), one.violates) for one in slow.see(moment))
            assert ours == theirs, (moment - scene.stretch.start) / NANOS
        assert quick.violations == slow.violations


def test_values_agree_too(scene: Scene) -> None:
    moments = list(range(scene.stretch.start, scene.stretch.end + 1, 60 * NANOS))
    for name in ("an_error_ratio", "a_quantile", "a_ratio_of_the_platform", "a_percentile_of_the_platform"):
        (condition,) = policy(name).message.conditions
        quick, slow = foresee(condition, scene.sources, moments), each_moment(condition, scene.sources, moments)
        for moment in moments:
            ours = [one.value for one in quick.see(moment)]
            assert ours == pytest.approx([one.value for one in slow.see(moment)], rel=1e-9)


def test_a_log_condition_opens_once_and_closes_by_itself(world: World) -> None:
    data = {
        "displayName": "logged",
        "combiner": "OR",
        "conditions": [{"displayName": "c", "conditionMatchedLog": {"filter": "severity>=ERROR"}}],
        "alertStrategy": {"notificationRateLimit": {"period": "3600s"}, "autoClose": "1800s"},
    }
    case = Case("logs", "", begins=600, lasts=600, after=3600, set={"errors_logged": 5})
    made = accident(world, case)
    one = Policy("logged", json_format.ParseDict(data, AlertPolicy()), "the test")
    played = play(one, stage(world, made, DEFAULT_VARIABLES))
    (episode,) = played.episodes
    assert (episode.opened - made.start) / NANOS == 600
    assert episode.closed is not None
    assert [told.event for told in played.told] == ["opened"]


def test_a_policy_that_cannot_be_evaluated_says_why(scene: Scene) -> None:
    data = {
        "displayName": "sql",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": "c",
                "conditionSql": {"query": "SELECT 1", "minutes": {"periodicity": 5}, "rowCountTest": {}},
            }
        ],
    }
    played = play(Policy("sql", json_format.ParseDict(data, AlertPolicy()), "the test"), scene)
    assert "is not evaluated" in played.error
    assert played.episodes == []


def test_the_data_files_can_be_read_from_where_they_are_installed() -> None:
    assert Path(read_world().path).is_file()
