"""The searches that the documents offer, run against entries of the library by the emulator's query language."""

import asyncio
import logging
import re
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket

from app.core import bind, set_user, shed
from app.core.logging.audit import declare
from app.core.monitoring_middleware import MonitoringMiddleware
from app.emulator.logging.query import compile_query
from app.emulator.logging.record import Record
from app.emulator.run.agent import Source
from app.emulator.run.lines import Line
from support.service import Observed, observed
from tools.reference_pages import ROOT

PAGE = ROOT / "docs" / "reference" / "searches.md"
SEARCHES = re.findall(r"^([^\n]+):\n\n```\n(.*?)\n```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
HEADERS = {
    "x-request-id": "0af7651916cd43dd8448eb211c80319c",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int, tasks: BackgroundTasks, slow: float = 0.0) -> dict[str, int]:
        set_user("user-42")
        with bind(item_id=item_id):
            logging.getLogger("stock").warning("low")
        tasks.add_task(asyncio.sleep, 0.06)
        await asyncio.sleep(slow)
        return {"id": item_id}

    @app.get("/fails")
    async def fails() -> None:
        raise KeyError("nothing there")

    @app.get("/refused")
    async def refused() -> None:
        shed()
        raise HTTPException(429)

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        await socket.close(4403)

    return app


async def _gone(service: Observed) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        raise OSError("gone")

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}
    with pytest.raises(OSError, match="gone"):
        await MonitoringMiddleware(app, service.observability)(scope, _nothing, send)


async def _nothing() -> dict[str, Any]:
    return {"type": "websocket.connect"}


async def _swallow(message: Any) -> None:
    pass


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    async def play(service: Observed) -> None:
        async with service.client() as client:
            for path in ("/items/7", "/items/7?slow=1.01", "/fails", "/refused", "/nowhere"):
                await client.get(path, headers=HEADERS)
        await _gone(service)
        scope: dict[str, Any] = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "client": None}
        service.observability.audit(declare("user_deleted", target=str), target="bob")
        await service.app({**scope, "subprotocols": [], "extensions": {}}, _nothing, _swallow)

    settings = {"environment": "production", "service_version": "shop-00007-abc", "google_cloud_project": "my-project"}
    with observed(_app(), **settings) as service:
        asyncio.run(play(service))
        return service.lines


@pytest.fixture(scope="module")
def records(lines) -> list[Record]:
    source = Source("my-project", "shop", "shop-00007-abc", "europe-west1", "instance", "run")
    other = b'{"message": "before", "logging.googleapis.com/labels": {"version": "shop-00006-xyz"}}'
    entries = [source.entry(Line("stdout", 0, number, line.rstrip())) for number, line in enumerate([*lines, other])]
    return [Record(entry, entry.ByteSize()) for entry in entries]


@pytest.mark.parametrize(("title", "search"), SEARCHES, ids=[title for title, _ in SEARCHES])
def test_a_search_of_the_page_finds_what_it_says(title, search, records):
    query = compile_query(search)
    found = sum(1 for record in records if query.matches(record))
    assert 0 < found < len(records), f"{title}: {found} of {len(records)}"


def test_the_page_offers_searches():
    assert len(SEARCHES) >= 12
