"""`core.testing`, as a user's tests use it."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from app.core import get_logger, instrument, metrics_client
from app.core.testing import ManualClock, observe
from app.core.tracing import span

BACKEND = Path(__file__).parents[2]
orders = metrics_client.declare.counter(
    "test_orders_total", "Orders of these tests.", labels={"kind": ["big", "small"]}
)


def make_app() -> FastAPI:
    app = FastAPI()
    log = get_logger("shop")

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        log.debug("looked up", item_id=item_id)
        logging.getLogger("stock").warning("low")
        orders.labels(kind="small").add()
        with span("find the price"):
            return 100 // item_id

    return app


@pytest.fixture(params=["bare", "instrumented"])
def app(request) -> FastAPI:
    app = make_app()
    if request.param == "instrumented":
        instrument(app)
    return app


def get(app: FastAPI, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.get(path)

    return asyncio.run(ask())


async def live(app: FastAPI, path: str) -> None:
    """A server's way: begin the lifespan, one request, end it."""
    orders: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, orders.get, answers.put))
    await orders.put({"type": "lifespan.startup"})
    assert (await answers.get())["type"] == "lifespan.startup.complete"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        await client.get(path)
    await orders.put({"type": "lifespan.shutdown"})
    assert (await answers.get())["type"] == "lifespan.shutdown.complete"
    await running


def test_what_the_app_logs_is_told_apart_from_its_requests(app):
    with observe(app, log_level="DEBUG") as seen:
        get(app, "/items/7")
    assert [(one["severity"], one["message"]) for one in seen.logs] == [("DEBUG", "looked up"), ("WARNING", "low")]
    [access] = seen.access
    assert (access["route"], access["outcome"], access["httpRequest"]["status"]) == ("/items/{item_id}", "ok", 200)
    assert seen.errors == []


def test_an_unhandled_exception_is_an_error_and_a_failed_span(app):
    with observe(app) as seen:
        assert get(app, "/items/0").status_code == 500
    [error] = seen.errors
    assert "ZeroDivisionError" in error["stack_trace"]
    assert seen.metrics["http_request_total"].value(outcome="server_error") == 1
    assert [(one.name, one.failed) for one in seen.spans if one.kind == "SERVER"] == [("GET /items/{item_id}", True)]


def test_spans_know_their_request(app):
    with observe(app) as seen:
        get(app, "/items/7")
    inner, outer = sorted(seen.spans, key=lambda one: one.kind == "SERVER")
    assert (inner.name, outer.name) == ("find the price", "GET /items/{item_id}")
    assert (inner.parent, inner.trace_id) == (outer.span_id, outer.trace_id)
    assert outer.attributes["http.route"] == "/items/{item_id}"


def test_only_what_was_counted_in_the_block_is_seen(app):
    for requests in (2, 3):
        with observe(app) as seen:
            for _ in range(requests):
                get(app, "/items/7")
            assert seen.metrics["test_orders_total"].value(kind="small") == requests
            assert seen.metrics["http_request_total"].value(endpoint="/items/{item_id}") == requests
            duration = seen.metrics["http_request_duration_seconds"]
            assert duration.value(method="GET") == requests
            assert duration.sum() > 0


def test_a_metric_that_nobody_declared_is_a_mistake(app):
    with observe(app) as seen, pytest.raises(KeyError, match="no catalogue has this metric"):
        assert seen.metrics["http_requests_total"].value() == 0


def test_a_metric_that_nobody_counted_is_zero(app):
    with observe(app) as seen:
        assert seen.metrics["errors_total"].value() == 0


def test_the_lifespan_of_the_app_is_observed_too(app):
    with observe(app) as seen:
        asyncio.run(live(app, "/items/7"))
        asyncio.run(live(app, "/items/7"))
    assert len(seen.access) == 2
    assert len([one for one in seen.spans if one.kind == "SERVER"]) == 2


def test_a_clock_that_stands_still_dates_the_entries(app):
    clock = ManualClock(1_700_000_000)
    with observe(app, clock=clock) as seen:
        get(app, "/items/7")
        clock.advance(60)
        get(app, "/items/7")
    assert [one["time"][:19] for one in seen.access] == ["2023-11-14T22:13:20", "2023-11-14T22:14:20"]


def test_settings_of_the_block_go_before_those_of_the_app(app):
    with observe(app, enable_tracing=False, access_log="off") as seen:
        get(app, "/items/7")
    assert seen.access == []
    with pytest.raises(RuntimeError, match="ENABLE_TRACING is off"):
        assert seen.spans


def test_afterwards_everything_is_as_it_was(capfd):
    app = make_app()
    written: list[bytes] = []
    before = instrument(app, write=written.append)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    with observe(app, log_level="DEBUG"):
        get(app, "/items/7")
    assert written == []
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)
    get(app, "/items/7")
    told = [json.loads(line) for line in written]
    assert [one["severity"] for one in told if one["logger"] != "httpx"] == ["WARNING", "INFO"]  # DEBUG is off again
    assert capfd.readouterr().out == ""
    before.worker.stop_now()
    if before.traces is not None:
        before.traces.close()


def test_an_app_that_was_not_instrumented_is_not_so_afterwards():
    app = make_app()
    configured = structlog.is_configured()
    with observe(app):
        pass
    assert type(app) is FastAPI
    assert structlog.is_configured() == configured


def test_a_project_of_its_own_uses_the_fixture(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["app.core.pytest_plugin"]\n')
    (tmp_path / "test_shop.py").write_text(
        "from fastapi import FastAPI\n"
        "import httpx\n\n"
        "async def test_a_request(telemetry):\n"
        "    app = FastAPI()\n"
        "    seen = telemetry(app, service_name='shop')\n"
        "    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url='http://shop') as client:\n"
        "        await client.get('/nowhere')\n"
        "    assert seen.access[0]['httpRequest']['status'] == 404\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", tmp_path]
    command += ["-o", "anyio_mode=auto"]
    answer = subprocess.run(
        [*map(str, command), str(tmp_path)], cwd=BACKEND, capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_no_part_of_the_library_loads_pytest():
    code = "import sys, app.core.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=BACKEND, check=True, timeout=60)
