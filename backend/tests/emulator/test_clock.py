"""Clocks: real, fast, and moved by hand in steps at which everything that is due happens."""

import time
from typing import Any

import httpx
import pytest

from app.emulator.clock import NANOS, FastClock, ManualClock, SystemClock, make_clock
from support.alerting import promql_policy
from support.emulator import running_emulator
from support.provenance import our_choice
from support.waiting import wait_until


@our_choice("a clock is told by a word")
def test_a_clock_is_made_from_its_name() -> None:
    assert isinstance(make_clock("real"), SystemClock)
    manual = make_clock("manual")
    assert isinstance(manual, ManualClock)
    assert abs(manual.now() - time.time_ns()) < 60 * NANOS
    fast = make_clock("2.5x")
    assert isinstance(fast, FastClock)
    assert fast.rate == 2.5
    for wrong in ("", "x", "0x", "-1x", "fast", "1000000x"):
        with pytest.raises(ValueError, match="no clock"):
            make_clock(wrong)


@our_choice("a fast clock begins now and runs ahead")
def test_a_fast_clock_runs_ahead_of_real_time() -> None:
    clock = FastClock(1000)
    begun = clock.now()
    assert abs(begun - time.time_ns()) < 3600 * NANOS
    wait_until(lambda: clock.now() - begun > 20 * NANOS, seconds=10, what="20 s on a clock of 1000x")


@our_choice("a clock that jumps would skip the evaluations between; stepping makes them all")
def test_advancing_evaluates_policies_at_every_step_on_the_way() -> None:
    clock = ManualClock(1_760_000_000 * NANOS)
    with running_emulator(clock=clock) as emulator, httpx.Client(base_url=emulator.http, timeout=30) as http:
        # True for one minute in ten: a jump of half an hour would never see it.
        policy = promql_policy("minute() % 10 == 5")
        assert http.post("/v3/projects/demo/alertPolicies", json=policy).is_success
        told = http.post("/control/clock/advance", json={"seconds": 1800}).json()
        assert int(told["nanoseconds"]) == clock.now() == (1_760_000_000 + 1800) * NANOS
        alerts = http.get("/v3/projects/demo/alerts").json()["alerts"]
        assert len(alerts) == 3
        assert {one["state"] for one in alerts} == {"CLOSED"}


@our_choice("how far to go at once can be chosen; nonsense is refused")
def test_the_step_can_be_chosen() -> None:
    clock = ManualClock(1_760_000_000 * NANOS)
    with running_emulator(clock=clock) as emulator, httpx.Client(base_url=emulator.http, timeout=30) as http:
        assert http.post("/control/clock/advance", json={"seconds": 10, "step": 0.5}).is_success
        assert clock.now() == 1_760_000_010 * NANOS
        wrong: list[Any] = [
            {},
            {"seconds": -1},
            {"seconds": 1, "step": 0},
            {"seconds": True},
            {"seconds": 1, "more": 1},
            [],
        ]
        for body in wrong:
            assert http.post("/control/clock/advance", json=body).status_code == 400
        assert clock.now() == 1_760_000_010 * NANOS
