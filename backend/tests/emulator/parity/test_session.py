"""The emulator against a second emulator that acts as the real API."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.emulator.parity.comparison import Compared, plain
from app.emulator.parity.probe import Run
from app.emulator.parity.probes import probes
from app.emulator.parity.session import Session, Side, keep, own_emulator
from app.emulator.parity.wire import WIRES, method_of, rest_form
from app.emulator.project import Switches
from support.emulator import RunningEmulator, running_emulator


@pytest.fixture
def real() -> Iterator[RunningEmulator]:
    with running_emulator(project="my-test") as running:
        yield running


def side(running: RunningEmulator) -> Side:
    return Side(running.emulator.context.project_id, rest=running.http, grpc_address=running.grpc)


def everything(running: RunningEmulator, **options: Any) -> tuple[list[Compared], Session]:
    theirs = side(running)
    with own_emulator("demo") as ours:
        session = Session(ours, theirs, **options)
        with session:
            found = list(session.run(probes()))
    theirs.close()
    return found, session


def left_behind(running: RunningEmulator) -> list[str]:
    """Names of what a run wrote and did not take away."""
    parts = running.emulator.parts

    def look() -> list[str]:
        metrics = [one.type for one in parts.store.descriptors() if "cloudops_parity" in one.type]
        policies = [one.display_name for one in parts.alerting.policies.policies()]
        return metrics + policies

    return running.call(look)


def test_two_alike_differ_in_nothing_over_both_wires(real: RunningEmulator) -> None:
    found, session = everything(real)
    assert [one.differences for one in found if one.differences] == []
    assert len(found) == len(probes()) * len(WIRES)
    assert session.left == []
    assert left_behind(real) == []


def test_both_wires_give_the_same_codes(real: RunningEmulator) -> None:
    found, _ = everything(real)
    codes = {wire: {one.probe.name: one.api.code for one in found if one.wire == wire} for wire in WIRES}
    assert codes["rest"] == codes["grpc"]


def test_a_rule_that_differs_is_listed() -> None:
    with running_emulator(project="my-test", switches=Switches(minimum_gap_seconds=0.0)) as other:
        found, _ = everything(other, wires=["rest"])
    (difference,) = [difference for one in found for difference in one.differences]
    assert difference.probe == "a_point_a_second_later"
    assert difference.what == "code"
    assert difference.emulator.startswith("INVALID_ARGUMENT: One or more TimeSeries could not be written")
    assert difference.api == "OK: "


def test_what_was_written_is_taken_away_when_the_run_is_stopped(real: RunningEmulator) -> None:
    theirs = side(real)
    with own_emulator("demo") as ours:
        session = Session(ours, theirs, wires=["rest"])

        def stopped() -> None:
            with session:
                for one in session.run(probes()):
                    if one.probe.name == "a_descriptor":
                        assert left_behind(real) != []
                        raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped()
    assert session.left == []
    assert left_behind(real) == []
    theirs.close()


def test_what_cannot_be_taken_away_is_told() -> None:
    with own_emulator("demo") as ours:
        with running_emulator(project="my-test") as real:
            theirs = side(real)
            session = Session(ours, theirs, wires=["rest"])
            session.__enter__()
            next(iter(session.run(probes())))
        session.__exit__(None, None, None)
    theirs.close()
    assert len(session.left) == 1
    assert session.name in session.left[0]


def test_an_answer_is_recorded_with_its_day_and_without_names(real: RunningEmulator, tmp_path: Path) -> None:
    found, session = everything(real, wires=["grpc"])
    one = next(each for each in found if each.probe.name == "an_older_point")
    path = keep(tmp_path, one, datetime(2026, 11, 21, tzinfo=UTC))
    kept = json.loads(path.read_text())
    assert path.name == "an_older_point.grpc.json"
    assert kept["recorded"] == "2026-11-21"
    assert kept["answer"]["code"] == "INVALID_ARGUMENT"
    assert "older end time than the most recent point" in kept["answer"]["message"]
    assert kept["request"]["timeSeries"][0]["points"][0]["interval"] == {"endTime": "TIME"}
    assert session.name not in path.read_text()
    assert "my-test" not in path.read_text()


def test_only_a_metric_prefix_and_a_log_of_its_own_are_written() -> None:
    run = Run("p", "abc", datetime(2026, 11, 21, tzinfo=UTC))
    for probe in probes():
        request = probe.request(run)
        if not probe.writes:
            continue
        for series in request.get("timeSeries", ()):
            assert series["metric"]["type"].startswith("custom.googleapis.com/cloudops_parity/abc/")
        if "metricDescriptor" in request:
            assert request["metricDescriptor"]["type"].startswith("custom.googleapis.com/cloudops_parity/abc/")
        if "entries" in request:
            assert request["logName"] == "projects/p/logs/cloudops-parity-abc"


def test_names_are_told_once() -> None:
    names = [probe.name for probe in probes()]
    assert len(names) == len(set(names))


def test_what_differs_from_run_to_run_is_left_out() -> None:
    run = Run("my-test", "abc", datetime(2026, 11, 21, tzinfo=UTC))
    value = {"name": "projects/my-test/alertPolicies/1234567", "etag": "x", "at": "2026-11-21T10:00:00.5Z of abc"}
    assert plain(value, run) == {"name": "projects/PROJECT/alertPolicies/NUMBER", "at": "TIME of RUN"}


def test_a_call_finds_its_path() -> None:
    read = method_of("google.monitoring.v3.MetricService.ListTimeSeries")
    request = {"name": "projects/p", "filter": "x", "interval": {"endTime": "now"}}
    assert rest_form(read, request) == (
        "GET",
        "/v3/projects/p/timeSeries",
        [("filter", "x"), ("interval.endTime", "now")],
        None,
    )
    create = method_of("google.monitoring.v3.AlertPolicyService.CreateAlertPolicy")
    assert rest_form(create, {"name": "projects/p", "alertPolicy": {"displayName": "a"}}) == (
        "POST",
        "/v3/projects/p/alertPolicies",
        [],
        {"displayName": "a"},
    )
    with pytest.raises(ValueError, match="no path fits"):
        rest_form(read, {"name": "nothing/p"})
