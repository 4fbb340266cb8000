"""A wall clock that is set, and one that changes to winter time: durations and order are not of it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI

from app.core.clock import SystemClock
from app.core.logging.entry import Timestamps
from support.emulator import running_emulator
from support.tracing import trace_id_of, traced

HOUR_NS = 3600 * 10**9


class Stepping(SystemClock):
    """A wall clock that somebody sets; the other one is never set."""

    step = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.step


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_span_is_as_long_as_its_request_although_the_wall_clock_is_set_meanwhile(hours):
    clock = Stepping()
    app = FastAPI()

    @app.get("/work")
    async def work() -> None:
        clock.step += hours * HOUR_NS

    with running_emulator() as emulator, traced(emulator, app) as one:
        one.traces._clock = clock
        async with one.client() as client:
            await client.get("/work")
            first = one.root(trace_id_of(one))
            await client.get("/work")
            second = one.root(trace_id_of(one))
    assert 0 <= first.seconds < 60
    assert 0 <= second.seconds < 60
    assert round((second.start - first.start) / 3600) == hours


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
def test_times_of_entries_go_on_when_summer_time_begins_and_ends(in_berlin, change):
    assert time.localtime().tm_zone in {"CET", "CEST"}
    moments = [change + timedelta(minutes=minutes) for minutes in range(-120, 121, 10)]
    times = Timestamps()
    told = [times.render(round(moment.timestamp()) * 10**9) for moment in moments]
    assert told == sorted(told)
    assert [datetime.fromisoformat(text.replace("000Z", "+00:00")) for text in told] == moments
