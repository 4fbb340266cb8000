import asyncio
import logging

import pytest
from fastapi import FastAPI

from app.core import Settings, SettingsError, instrument
from app.core.lifecycle import Worker
from app.core.metrics.cells import Store
from support.service import observed


def test_calling_instrument_twice_gives_the_same_and_changes_nothing():
    with observed() as service:
        kind, routes = type(service.app), len(service.app.routes)
        assert instrument(service.app) is service.observability
        assert (type(service.app), len(service.app.routes)) == (kind, routes)


def test_the_app_stays_the_object_and_the_class_it_was():
    app = FastAPI(title="Shop")
    with observed(app) as service:
        assert service.app is app
        assert isinstance(app, FastAPI)
        assert type(app).__name__ == "FastAPI"


def test_a_wrong_setting_stops_the_start(monkeypatch):
    monkeypatch.setenv("TRACE_SAMPLE_RATE", "2")
    with pytest.raises(SettingsError, match="TRACE_SAMPLE_RATE"):
        instrument(FastAPI())


async def test_routes_and_middleware_added_later_are_observed_too():
    with observed() as service:

        @service.app.middleware("http")
        async def shortcut(request, call_next):
            return await call_next(request)

        @service.app.get("/late")
        async def late() -> str:
            return "x"

        async with service.client() as client:
            assert (await client.get("/late")).headers["x-request-id"]
        assert service.access[0]["route"] == "/late"


async def test_two_apps_in_one_process_keep_their_request_metrics_apart():
    store = Store()
    lines: list[bytes] = []
    worker = Worker(store)
    apps = [FastAPI(), FastAPI()]
    for name, app in zip(("shop", "stock"), apps, strict=True):
        instrument(app, Settings.load(service_name=name), worker=worker, write=lines.append)
    import httpx  # noqa: PLC0415  # only this test builds its own client

    for app, calls in zip(apps, (1, 3), strict=True):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            await asyncio.gather(*(client.get("/nothing") for _ in range(calls)))
    counts = {one.job: one.cell[0] for one in store.series if one.metric.name == "http_request_total"}
    assert counts == {"shop": 1, "stock": 3}
    worker.stop_now()


async def test_without_metrics_nothing_is_counted():
    with observed(enable_metrics=False) as service:
        async with service.client() as client:
            await client.get("/nothing")
        assert service.series("http_request_total") == {}
        assert len(service.access) == 1


async def test_the_users_lifespan_runs_as_it_would_alone():
    events: list[str] = []

    from contextlib import asynccontextmanager  # noqa: PLC0415  # only this test has a lifespan

    @asynccontextmanager
    async def lifespan(app):
        events.append("start")
        yield {"pool": 1}
        events.append("stop")

    with observed(FastAPI(lifespan=lifespan)) as service:
        messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            messages.put_nowait({"type": kind})
        sent: list[str] = []

        async def send(message):
            sent.append(message["type"])

        state: dict[str, object] = {}
        await service.app({"type": "lifespan", "state": state}, messages.get, send)
        assert events == ["start", "stop"]
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert state == {"pool": 1}
        assert not service.observability.started


async def test_an_error_in_the_users_lifespan_is_its_own():
    from contextlib import asynccontextmanager  # noqa: PLC0415  # only this test has a lifespan

    @asynccontextmanager
    async def lifespan(app):
        if app is not None:
            raise RuntimeError("no database")
        yield

    with observed(FastAPI(lifespan=lifespan)) as service:
        sent: list[str] = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message["type"])

        with pytest.raises(RuntimeError, match="no database"):
            await service.app({"type": "lifespan", "state": {}}, receive, send)
        assert sent == ["lifespan.startup.failed"]


def test_instrument_leaves_foreign_log_handlers_alone(caplog):
    with observed():
        logging.getLogger("x").warning("seen by both")
    assert "seen by both" in caplog.text
