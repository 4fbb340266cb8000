"""The service's end and start, in one process."""

import asyncio
import gc
import json
import os
import signal
import socket
import time
from collections.abc import MutableMapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.core import HealthRegistry, draining
from app.core.draining import process_draining
from app.core.ending import Ending
from app.core.lifecycle import Worker
from app.core.metrics.cells import Store
from app.core.termination import termination
from support.provenance import known_from
from support.servers import serving
from support.service import observed
from support.waiting import wait_until_async


@pytest.fixture(autouse=True)
def _as_before():
    yield
    termination.drain_seconds = 0.0
    process_draining.reset()


@pytest.fixture
def server_heard():
    heard: list[float] = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(time.monotonic()))
    yield heard
    signal.signal(signal.SIGTERM, before)


class Lifespan:
    """Drives an app's lifespan as a server does."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._in: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def say(self, kind: str) -> str:
        if self._task is None:
            self._task = asyncio.ensure_future(self._app({"type": "lifespan"}, self._in.get, self._out.put))
        await self._in.put({"type": f"lifespan.{kind}"})
        return str((await asyncio.wait_for(self._out.get(), 20))["type"])


async def test_the_server_hears_sigterm_after_readiness_has_turned(server_heard):
    with observed(enable_metrics=False) as service:
        lifespan = Lifespan(service.app)
        await lifespan.say("startup")
        async with service.client() as client:
            assert (await client.get("/health/ready")).status_code == 200
            waiting = asyncio.create_task(draining().wait())
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(waiting, 10)
            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.get("/health/live")).status_code == 200
        await wait_until_async(lambda: server_heard, what="the server's handler")
        assert await lifespan.say("shutdown") == "lifespan.shutdown.complete"


async def test_a_server_that_keeps_the_signal_to_itself_drains_with_the_shutdown():
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app):
        yield
        seen.append(service.observability.health.state)
        seen.append(str(draining().is_set()))

    with observed(FastAPI(lifespan=lifespan), enable_metrics=False) as service:
        driven = Lifespan(service.app)
        await driven.say("startup")
        assert service.observability.health.state == "ready"
        await driven.say("shutdown")
        assert seen == ["draining", "True"]


async def test_while_the_apps_own_start_takes_its_time_the_service_is_starting():
    states: list[str] = []

    @asynccontextmanager
    async def lifespan(app):
        states.append(service.observability.health.state)
        yield

    with observed(FastAPI(lifespan=lifespan), enable_metrics=False) as service:
        driven = Lifespan(service.app)
        await driven.say("startup")
        states.append(service.observability.health.state)
        await driven.say("shutdown")
        again = Lifespan(service.app)
        await again.say("startup")
        states.append(service.observability.health.state)
        await again.say("shutdown")
    assert states == ["starting", "ready", "starting", "ready"]


async def test_an_app_without_lifespan_is_ready_all_the_same():
    class Without(FastAPI):
        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                raise AssertionError("no lifespan here")
            await super().__call__(scope, receive, send)

    with observed(Without(), enable_metrics=False) as service:
        asked = asyncio.Queue[MutableMapping[str, Any]]()
        await asked.put({"type": "lifespan.startup"})
        with pytest.raises(AssertionError, match="no lifespan here"):
            await service.app({"type": "lifespan"}, asked.get, asked.put)
        async with service.client() as client:
            assert (await client.get("/health/ready")).status_code == 200
        await service.observability.stop()


@pytest.mark.parametrize(
    ("platform", "wanted", "given"), [("K_SERVICE", 60.0, 3.0), ("KUBERNETES_SERVICE_HOST", 60.0, 60.0), ("", 1.0, 1.0)]
)
@known_from(docs="https://cloud.google.com/run/docs/container-contract#instance-shutdown")
async def test_on_cloud_run_the_drain_is_cut_so_that_the_final_write_fits(monkeypatch, platform, wanted, given):
    if platform:
        monkeypatch.setenv(platform, "items")
        monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    with observed(enable_metrics=False, drain_seconds=wanted, google_cloud_project="shop") as service:
        service.observability.start()
        assert termination.drain_seconds == given
        await service.observability.stop()


async def test_clock_steps_of_an_hour_make_no_time_negative_and_no_result_older():
    step = 0

    def wall() -> int:
        return time.time_ns() + step

    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int) -> None:
        nonlocal step
        step = 3600 * 10**9 * (-1) ** item  # while the request is served

    with observed(app, health_token="s3cret") as service:
        registry = service.observability.health
        registry._time_ns = wall
        service.observability._time_ns = wall
        registry.add("database", lambda: True)
        async with service.client() as client:
            for number in range(6):
                await client.get(f"/items/{number}")
                told = await client.get("/health/detailed", headers={"authorization": "Bearer s3cret"})
                [check] = told.json()["checks"]["database:responseTime"]
                assert 0 <= check["ageSeconds"] < 60
                for window in told.json()["checks"]["requests:errorRatio"]:
                    assert 0 <= window["seenSeconds"] < 60
                    assert 0 <= window["requests"] <= 6
        [cell] = service.series("http_request_duration_seconds").values()
        assert sum(cell[:-1]) == 6
        assert 0 <= cell[-1] < 60
        assert all(not entry["httpRequest"]["latency"].startswith("-") for entry in service.access)


def test_a_metadata_server_that_never_answers_holds_up_no_start(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        environment = {
            "K_SERVICE": "items",
            "GCE_METADATA_HOST": f"127.0.0.1:{silent.getsockname()[1]}",
            "ENABLE_TRACING": "false",
        }
        with serving(tmp_path, environment) as server:
            assert httpx.get(f"{server.url}/items/1").status_code == 200
            lines = [json.loads(line) for line in server.output.read_text().splitlines()]
        # Between uvicorn's lines before and after the lifespan's start: the metadata server is not waited for.
        begun, ended = (
            datetime.fromisoformat(next(line["time"] for line in lines if text in line["message"])[:26])
            for text in ("Waiting for application startup", "Application startup complete")
        )
        assert (ended - begun).total_seconds() < 2.0, "each question to it takes as long as that"


async def test_a_service_that_starts_again_hears_the_next_signal_too(server_heard):
    with observed(enable_metrics=False) as service:
        for number in (1, 2):
            lifespan = Lifespan(service.app)
            await lifespan.say("startup")
            assert str(service.observability.health.state) == "ready"
            os.kill(os.getpid(), signal.SIGTERM)
            await wait_until_async(lambda: len(server_heard) == number, what="the server's handler")  # noqa: B023  # at once
            assert str(service.observability.health.state) == "draining"
            await lifespan.say("shutdown")


def test_an_app_that_is_gone_is_not_kept_for_its_end(server_heard):
    before = termination._at_once
    ending = Ending(HealthRegistry(), Worker(Store()), None, 0.0, on_cloud_run=False)
    ending.start()
    assert len(termination._at_once) == len(before) + 1
    del ending
    gc.collect()
    assert not {*termination._at_once} - {*before}
