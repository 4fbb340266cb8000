"""One SERVER span a request, seen in the emulator."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry import trace

from app.core import bind, set_user
from app.core.redaction import Redaction
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.service import observed
from support.tracing import SECONDS, Traced, trace_id_of, traced

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = CALLER[3:35]


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


def make_app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/api")

    @router.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @router.get("/broken")
    async def broken() -> None:
        raise ValueError("no item for ada@example.com")

    @router.get("/unavailable")
    async def unavailable() -> None:
        raise HTTPException(503)

    @router.get("/missing")
    async def missing() -> None:
        raise HTTPException(404)

    @router.get("/users")
    async def users(tasks: BackgroundTasks) -> None:
        set_user("ada@example.com")
        bind(tenant="north", attempt=3)
        trace.get_current_span().set_attribute("shop.cart", 4)
        trace.get_current_span().add_event("looked up", {"password": "hunter2"})

    app.include_router(router)
    inner = FastAPI()

    @inner.get("/parts/{part}")
    async def part(part: str) -> str:
        return part

    app.mount("/inner", inner)

    @app.websocket("/talk/{room}")
    async def talk(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    return app


async def ask(one: Traced, path: str, method: str = "GET", **headers: str) -> str:
    """The trace id of a request that was answered."""
    async with one.client() as client:
        await client.request(method, path, headers=headers)
    return trace_id_of(one)


@known_from(docs="https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span")
async def test_a_request_leaves_one_server_span_with_the_stable_conventions(emulator):
    with traced(emulator, make_app()) as one:
        trace_id = await ask(one, "/api/items/7", traceparent=CALLER, **{"user-agent": "probe/1"})
        assert trace_id == TRACE
        [span] = one.spans(trace_id)
    assert (span.name, span.kind, span.parent) == ("GET /api/items/{item_id}", "server", "00f067aa0ba902b7")
    assert not span.failed
    wanted = {
        "http.request.method": "GET",
        "http.route": "/api/items/{item_id}",
        "http.response.status_code": "200",
        "url.path": "/api/items/7",
        "url.scheme": "http",
        "server.address": "service",
        "server.port": "80",
        "client.address": "127.0.0.1",
        "user_agent.original": "probe/1",
        "network.protocol.version": "1.1",
        "cloudops.outcome": "ok",
        "cloudops.sampled_by": "parent",
        "service.name": "items",
        "service.namespace": "test",
        "deployment.environment.name": "test",
    }
    assert {name: span.labels.get(name) for name in wanted} == wanted
    assert span.labels["g.co/agent"].startswith("fastapi-cloudops ")
    assert "error.type" not in span.labels


async def test_the_first_version_of_cloud_traces_api_lists_it_too(emulator):
    with traced(emulator, make_app()) as one:
        trace_id = await ask(one, "/api/items/7")
        [span] = one.spans(trace_id)
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            answer = await client.get(f"{emulator.http}/v1/{emulator.project}/traces/{trace_id}")
    [told] = answer.json()["spans"]
    assert (told["name"], told["kind"]) == ("GET /api/items/{item_id}", "RPC_SERVER")
    assert int(told["spanId"]) == int(span.span_id, 16)


async def test_the_access_entry_names_the_span_that_is_exported(emulator):
    with traced(emulator, make_app()) as one:
        trace_id = await ask(one, "/api/items/7")
        [span] = one.spans(trace_id)
        [entry] = one.service.access
    assert entry["logging.googleapis.com/spanId"] == span.span_id
    assert entry["logging.googleapis.com/trace"] == f"projects/demo/traces/{trace_id}"
    assert entry["logging.googleapis.com/trace_sampled"] is True


@pytest.mark.parametrize(
    ("path", "name", "status", "error"),
    [
        ("/api/broken", "GET /api/broken", "500", "ValueError"),
        ("/api/unavailable", "GET /api/unavailable", "503", "503"),
        ("/api/missing", "GET /api/missing", "404", ""),
        ("/nowhere", "GET", "404", ""),
        ("/inner/parts/3", "GET /inner/parts/{part}", "200", ""),
    ],
)
async def test_each_outcome_is_told_as_it_was(emulator, path, name, status, error):
    with traced(emulator, make_app()) as one:
        [span] = one.spans(await ask(one, path))
    assert (span.name, span.labels["http.response.status_code"]) == (name, status)
    assert span.labels.get("error.type", "") == error
    assert span.failed is bool(error)


async def test_an_exception_is_an_event_without_secrets(emulator):
    with traced(emulator, make_app()) as one:
        [span] = one.spans(await ask(one, "/api/broken"))
    [event] = span.events
    assert event["name"] == "exception"
    assert event["labels"]["exception.type"] == "ValueError"
    assert event["labels"]["exception.message"] == "no item for [redacted]"
    assert "in broken" in event["labels"]["exception.stacktrace"]
    assert "ada@" not in str(event)


@our_choice("what the request context knows stands in the span: bound fields, and its user as a keyed hash")
async def test_the_span_tells_bound_fields_the_hashed_user_and_what_the_app_set_on_it(emulator):
    with traced(emulator, make_app(), hash_key="k") as one:
        [span] = one.spans(await ask(one, "/api/users"))
    assert span.labels["app.tenant"] == "north"
    assert span.labels["app.attempt"] == "3"
    assert span.labels["shop.cart"] == "4"
    assert span.labels["user.hash"] == Redaction(hash_key=b"k").hash("ada@example.com")
    assert "ada@" not in str(span)
    assert span.events[0]["labels"] == {"password": "[redacted]"}


async def test_a_method_that_somebody_made_up_is_no_part_of_the_name(emulator):
    with traced(emulator, make_app()) as one:
        [span] = one.spans(await ask(one, "/api/items/7", method="BREW"))
    assert span.name == "HTTP /api/items/{item_id}"
    assert (span.labels["http.request.method"], span.labels["http.request.method_original"]) == ("_OTHER", "BREW")


async def test_a_client_that_left_is_no_error(emulator):
    app = FastAPI()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 10

        return StreamingResponse(body())

    with traced(emulator, app) as one:
        await _leave_early(one.app)
        [span] = one.spans(trace_id_of(one))
    assert span.labels["cloudops.outcome"] == "client_closed"
    assert not span.failed
    assert "error.type" not in span.labels


async def _leave_early(app: FastAPI) -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False} if not sent else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise OSError("the client has left")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/stream",
        "raw_path": b"/stream",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("10.0.0.1", 5000),
        "server": ("10.0.0.2", 80),
    }
    with suppress(Exception):  # what the app makes of it differs between versions
        await app(scope, receive, send)


async def test_a_websocket_connection_leaves_one_server_span(emulator):
    sent: list[Any] = []
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/talk/blue",
        "raw_path": b"/talk/blue",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"traceparent", CALLER.replace("4bf9", "cccc").encode())],
        "client": ("10.0.0.1", 5000),
        "server": ("10.0.0.2", 80),
        "subprotocols": [],
    }
    with traced(emulator, make_app()) as one:
        await one.app(scope, receive, send)
        [span] = one.spans(TRACE.replace("4bf9", "cccc"))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert (span.name, span.kind) == ("WEBSOCKET /talk/{room}", "server")
    assert span.labels["http.response.status_code"] == "101"
    assert not span.failed


async def test_what_is_excluded_leaves_no_span_unless_it_fails(emulator):
    with traced(emulator, make_app(), excluded_routes="/api/items/{item_id},/api/broken") as one:
        async with one.client() as client:
            await client.get("/api/items/7", headers={"traceparent": CALLER.replace("4bf9", "aaaa")})
            await client.get("/api/broken", headers={"traceparent": CALLER.replace("4bf9", "bbbb")})
        assert one.spans(TRACE.replace("4bf9", "aaaa")) == []
        assert [span.name for span in one.spans(TRACE.replace("4bf9", "bbbb"))] == ["GET /api/broken"]


async def test_an_app_without_a_place_to_send_spans_to_does_not_trace():

    with observed(make_app()) as service:
        assert service.observability.traces is None
        async with service.client() as client:
            await client.get("/api/items/7", headers={"traceparent": CALLER})
    [entry] = service.access
    assert entry["logging.googleapis.com/trace_sampled"] is True
