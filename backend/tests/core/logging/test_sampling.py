import asyncio
import json
import logging

import pytest
from fastapi import FastAPI

from app.core import get_logger, request_context, set_level
from app.core.context import RequestContext
from app.core.logging.debug import HEADER, MOST_A_MINUTE, DebugRequests, sign
from app.core.logging.sampling import Sampling, hold
from support.service import observed

KEY = b"key"
NOW = 1_800_000_000


def _app() -> FastAPI:
    app = FastAPI()
    log = get_logger("shop")

    @app.get("/work/{number}")
    async def work(number: int, fail: bool = False, slow: float = 0.0) -> int:
        log.debug("one")
        logging.getLogger("library").debug("two")
        log.info("three")
        await asyncio.sleep(slow)
        if fail:
            raise RuntimeError("no")
        return number

    return app


def _debug_lines(service, request_id=None):
    return [
        entry["message"]
        for entry in service.entries
        if entry["severity"] == "DEBUG" and request_id in {None, entry["request_id"]}
    ]


async def test_a_requests_lines_stand_or_fall_together():
    with observed(_app(), log_level="DEBUG", log_sample_rates={"DEBUG": 0.5}) as service:
        async with service.client() as client:
            for number in range(60):
                await client.get(f"/work/{number}", headers={"x-request-id": f"r{number}"})
        kept = [_debug_lines(service, f"r{number}") for number in range(60)]
        assert {tuple(lines) for lines in kept} == {("one", "two"), ()}


@pytest.mark.parametrize(("query", "settings"), [("?fail=true", {}), ("?slow=0.6", {"slow_request_seconds": 0.5})])
async def test_what_was_held_back_is_written_when_the_request_fails_or_is_slow(query, settings):
    with observed(_app(), log_level="DEBUG", log_sample_rates={"DEBUG": 0.0}, **settings) as service:
        async with service.client() as client:
            await client.get("/work/1")
            assert _debug_lines(service) == []
            await client.get(f"/work/1{query}")
        assert _debug_lines(service) == ["one", "two"]
        times = {entry["message"]: entry["time"] for entry in service.entries}
        assert times["one"] < times["three"], "held lines keep their own times"


def test_a_job_that_fails_writes_what_was_held_back_too():
    with observed(log_level="DEBUG", log_sample_rates={"DEBUG": 0.0}) as service:
        with request_context(request_id="well"):
            get_logger("job").debug("step")

        @request_context(request_id="failed")
        def fails() -> None:
            get_logger("job").debug("step")
            raise KeyError

        with pytest.raises(KeyError):
            fails()
        assert [entry["request_id"] for entry in service.entries] == ["failed"]


@pytest.mark.parametrize(
    ("rates", "severity", "logger", "kept"),
    [
        ({"DEBUG": 0.0}, "DEBUG", "", False),
        ({"DEBUG": 0.0}, "WARNING", "", True),
        ({"DEBUG": 0.0, "logger:sql": 1.0}, "DEBUG", "sql", True),
        ({"logger:sql": 0.0}, "INFO", "sql", False),
        ({"logger:sql": 0.0, "route:None": 1.0}, "INFO", "sql", True),
        ({}, "DEBUG", "", True),
    ],
)
def test_the_most_particular_rate_counts_and_warnings_are_always_kept(rates, severity, logger, kept):
    assert Sampling(rates).keeps(severity, logger, RequestContext("r")) is kept


def test_a_request_holds_back_a_bounded_amount():
    context = RequestContext("r")
    for number in range(1_000):
        hold(context, b"%d" % number + b"x" * 2_000)
    assert context.held is not None
    assert sum(map(len, context.held)) <= 256 * 1024
    assert context.held[-1].startswith(b"999")


async def test_a_signed_header_turns_on_debug_for_one_request():
    expires = 4_000_000_000
    with observed(_app(), debug_header_key="key") as service:
        service.observability.debug_requests._now = lambda: expires - 60.0
        async with service.client() as client:
            await client.get("/work/1", headers={"x-debug-log": sign(KEY, expires), "x-request-id": "asked"})
            await client.get("/work/1", headers={"x-debug-log": sign(b"other", expires)})
            await client.get("/work/1")
        assert _debug_lines(service) == ["one", "two"]
        assert _debug_lines(service, "asked") == ["one", "two"]


@pytest.mark.parametrize(
    "value", [b"", b"x", sign(KEY, NOW - 1).encode(), sign(KEY, NOW + 10**6).encode(), b"9" * 10_000, b"\xff.\xff"]
)
def test_a_header_that_is_old_far_or_wrong_asks_for_nothing(value):
    assert not DebugRequests(KEY, lambda: float(NOW)).admits({HEADER: value})


def test_a_leaked_header_is_good_for_so_many_requests_a_minute():
    now = float(NOW)
    requests = DebugRequests(KEY, lambda: now)
    headers = {HEADER: sign(KEY, NOW + 600).encode()}
    assert sum(requests.admits(headers) for _ in range(3 * MOST_A_MINUTE)) == MOST_A_MINUTE
    now += 61
    assert requests.admits(headers)


async def test_the_level_changes_while_the_service_runs():
    with observed(_app(), log_sample_rates={}, admin_token="t0ken") as service:
        async with service.client(headers={"authorization": "Bearer t0ken"}) as client:
            await client.get("/work/1")
            assert _debug_lines(service) == []
            answer = await client.put("/admin/log-level", content=json.dumps({"level": "debug"}))
            assert answer.json() == {"level": "DEBUG"}
            await client.get("/work/1")
            assert _debug_lines(service) == ["one", "two"]
            await client.put("/admin/log-level", json={"level": "WARNING"})
            await client.get("/work/2", headers={"x-request-id": "quiet"})
        assert [
            e["message"] for e in service.entries if e.get("request_id") == "quiet" and "httpRequest" not in e
        ] == []


async def test_the_level_is_for_whoever_holds_the_token():
    with observed(_app(), admin_token="t0ken") as service:
        async with service.client() as client:
            assert (await client.put("/admin/log-level", json={"level": "DEBUG"})).status_code == 401
            headers = {"authorization": "Bearer t0ken"}
            for body in ("{}", "[]", '{"level": "LOUD"}', "nonsense"):
                assert (await client.put("/admin/log-level", content=body, headers=headers)).status_code == 422
    with observed(_app()) as service:
        async with service.client() as client:
            assert (await client.get("/admin/log-level")).status_code == 404


def test_an_unknown_level_is_refused_by_name():
    with pytest.raises(ValueError, match="'LOUD' is no level"):
        set_level("LOUD")
