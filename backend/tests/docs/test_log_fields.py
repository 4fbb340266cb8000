"""docs/reference/log-fields.md beside the fields of entries that real traffic leaves."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket

from app.core import bind, get_logger, guard, set_user
from app.core.context import RESERVED_FIELDS
from app.core.errors import reports
from app.core.logging.audit import declare
from support.emulator import running_emulator
from support.service import Observed, observed
from tools.log_fields import FIELDS, KINDS, Field
from tools.reference_pages import ROOT

PAGE = {one.name: one for one in FIELDS}
OWN = {"item_id", "actor", "color"}  # of the calls below
LONG = "x" * 300_000
TYPES: dict[str, Any] = {"text": str, "number": (int, float), "flag": bool, "object": dict, "list": list}


class Unspeakable:
    def __bool__(self) -> bool:
        raise ValueError("neither")


def _app() -> FastAPI:
    app = FastAPI()
    log = get_logger("shop")

    @app.get("/items/{item_id}")
    async def item(item_id: int, tasks: BackgroundTasks) -> None:
        set_user("user-42")
        with bind(item_id=item_id):
            log.warning("low")
        log.info("long", color=LONG)
        logging.getLogger("legacy").warning("here", stack_info=True)
        try:
            {0: "none"}[item_id]
        except KeyError:
            log.exception("handled")
        tasks.add_task(asyncio.sleep, 0.005)

    @app.get("/fails")
    async def fails() -> None:
        set_user("user-42")
        raise KeyError("nothing there")

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        set_user("user-42")
        await socket.accept()
        raise KeyError("nothing there")

    return app


async def _play(service: Observed, patch: pytest.MonkeyPatch) -> None:
    async with service.client(headers={"content-length": "2", "user-agent": "curl/8"}) as client:
        for path in ("/items/7", "/fails", "/nowhere", *["/fails"] * 12):
            await client.request("GET", path, content=b"{}")
        began = time.monotonic()
        patch.setattr(reports, "monotonic", lambda: began + 100)
        await client.get("/fails")
    get_logger().info("without a name")
    get_logger().error("said", exc_info=Unspeakable())
    service.observability.audit(declare("user_deleted", actor=str), actor="ada", color=LONG)
    scope: dict[str, Any] = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"", "client": None}

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        pass

    with pytest.raises(KeyError):
        await service.app({**scope, "subprotocols": [], "extensions": {}}, receive, send)
    await service.observability.stop()


def _kind(entry: dict[str, Any]) -> str:
    if "audit_event" in entry:
        return "audit"
    if "@type" in entry:
        return "error"
    if "close_code" in entry:
        return "websocket"
    return "access" if "httpRequest" in entry else "call"


def _flat(entry: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        yield prefix + name, value
        if isinstance(value, dict) and name != "fields":
            yield from _flat(value, f"{prefix}{name}.")


@pytest.fixture(scope="module")
def entries() -> list[tuple[str, dict[str, Any]]]:
    """Kind and fields of each, those of a service on Cloud Run in the examples included."""
    settings: dict[str, Any] = {
        "service_version": "7",
        "commit_sha": "0123abc",
        "google_cloud_project": "my-project",
        "hash_key": "k" * 32,
        "trace_sample_rate": 0.0,
        "traces_backend": "otlp",
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        running_emulator() as emulator,
        observed(_app(), **settings, otlp_traces_endpoint=f"grpc://{emulator.grpc}") as service,
    ):
        patch.setattr(guard, "report", lambda _where, _error: None)  # a field that cannot be told is a failure
        asyncio.run(_play(service, patch))
        found = service.entries
    example = (ROOT / "docs" / "examples" / "first_service.out.json").read_text()
    return [(_kind(entry), dict(_flat(entry))) for entry in [*found, json.loads(example)]]


def test_every_field_of_an_entry_is_on_the_page_with_its_type(entries):
    wrong = set()
    for kind, fields in entries:
        for name, value in fields.items():
            one = PAGE.get(name)
            if name not in OWN and (one is None or kind not in one.kinds or not _fits(value, one)):
                wrong.add((kind, name, type(value).__name__))
    assert wrong == set()


def _fits(value: Any, field: Field) -> bool:
    return isinstance(value, TYPES[field.type]) and (field.type == "flag") == isinstance(value, bool)


def test_the_page_has_no_field_that_no_entry_has(entries):
    assert set(PAGE) - {name for _, fields in entries for name in fields} == set()


def test_what_is_always_there_always_is(entries):
    missing = set()
    for kind, fields in entries:
        for one in FIELDS:
            parent = one.name.rpartition(".")[0] if not one.name.startswith("logging.") else ""
            always = not one.when and (parent in fields or not parent)
            if always and kind in one.kinds and one.name not in fields:
                missing.add((kind, one.name))
    assert missing == set()


def test_the_kinds_are_all_there(entries):
    assert {kind for kind, _ in entries} == set(KINDS)


def test_every_reserved_name_is_on_the_page():
    assert RESERVED_FIELDS - {"timestamp"} <= set(PAGE)  # Cloud Logging's other name of `time`
