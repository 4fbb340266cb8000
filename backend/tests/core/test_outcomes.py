"""One taxonomy of outcomes, told alike by logs and metrics."""

import asyncio
import functools

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Response, WebSocket, WebSocketDisconnect

from app.core import shed
from app.core.http import outcome_of
from app.core.monitoring_middleware import MonitoringMiddleware
from support.service import observed


@pytest.mark.parametrize(
    ("status", "error", "facts", "outcome"),
    [
        (200, None, {}, "ok"),
        (304, None, {}, "ok"),
        (404, None, {}, "client_error"),
        (429, None, {}, "client_error"),
        (429, None, {"shed": True}, "shed"),
        (503, None, {"shed": True}, "shed"),
        (500, None, {"shed": True}, "server_error"),
        (503, None, {}, "server_error"),
        (504, None, {}, "timeout"),
        (500, TimeoutError(), {}, "timeout"),
        (500, ValueError(), {}, "server_error"),
        (200, ValueError(), {"complete": False}, "aborted_stream"),
        (0, ValueError(), {"complete": False}, "server_error"),
        (0, asyncio.CancelledError(), {"complete": False}, "client_closed"),
        (200, None, {"left": True, "complete": False}, "client_closed"),
        (500, ValueError(), {"left": True}, "client_closed"),
    ],
)
def test_the_outcome_follows_from_status_error_and_who_left(status, error, facts, outcome):
    known = {"complete": True, "left": False, "shed": False, **facts}
    assert outcome_of(status, error, **known) == outcome


@pytest.fixture
def app():
    app = FastAPI()

    @app.get("/refused")
    async def refused():
        shed()
        raise HTTPException(429)

    @app.middleware("http")
    async def limiter(request, call_next):
        if request.headers.get("x-refuse"):
            shed(request.headers["x-refuse"])
            return Response(status_code=429)
        return await call_next(request)

    @app.get("/late")
    async def late():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)

    @app.get("/after")
    async def after(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.05)
        return {}

    @app.websocket("/ws/{room}")
    async def room(socket: WebSocket, room: str):
        await socket.accept()
        try:
            while (text := await socket.receive_text()) != "bye":
                await socket.send_text(text)
            await socket.close(4321)
        except WebSocketDisconnect:
            pass

    @app.websocket("/denied")
    async def denied(socket: WebSocket):
        await socket.close(4403)

    @app.websocket("/broken")
    async def broken(socket: WebSocket):
        await socket.accept()
        raise RuntimeError("broken")

    return app


@pytest.mark.parametrize(("path", "status", "outcome"), [("/refused", 429, "shed"), ("/late", 500, "timeout")])
async def test_a_refusal_of_ours_and_a_timeout_are_told_apart(app, path, status, outcome):
    with observed(app) as service:
        async with service.client() as client:
            assert (await client.get(path)).status_code == status
        assert service.access[0]["outcome"] == outcome
        assert list(service.series("http_request_total")) == [(path, "GET", outcome, str(status))]


@pytest.mark.parametrize(("meant", "told"), [("/late", "/late"), ("/late/7", "_unmatched")])
async def test_a_refusal_before_routing_is_told_by_the_route_it_was_for_if_there_is_such_a_route(app, meant, told):
    with observed(app) as service:
        async with service.client() as client:
            assert (await client.get("/late", headers={"x-refuse": meant})).status_code == 429
        assert list(service.series("http_request_total")) == [(told, "GET", "shed", "429")]


async def test_background_work_has_its_own_time_and_metric(app):
    with observed(app) as service:
        async with service.client() as client:
            await client.get("/after")
        entry = service.access[0]
        assert entry["background_seconds"] >= 0.05
        assert float(entry["httpRequest"]["latency"].rstrip("s")) < 0.05
        [(labels, cell)] = service.series("http_background_duration_seconds").items()
        assert (labels, sum(cell[:-1])) == (("/after",), 1)


async def test_a_client_that_leaves_while_the_app_works_is_noticed_without_asking():
    class Cycle:  # as uvicorn has it: `receive` is a method of the object that knows
        disconnected = False

        async def receive(self):
            raise AssertionError("the layer never calls receive")

    cycle = Cycle()

    async def app(scope, receive, send):
        cycle.disconnected = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message):
        pass

    scope: dict[str, object] = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}
    with observed() as service:
        await MonitoringMiddleware(app, service.observability)(scope, cycle.receive, send)
        [entry] = service.access
        assert (entry["outcome"], entry["httpRequest"]["status"], entry["severity"]) == (
            "client_closed",
            499,
            "WARNING",
        )


async def test_a_probe_leaves_no_trace_until_it_fails():
    with observed() as service:
        async with service.client() as client:
            await client.get("/health/ready")
            assert (service.access, service.series("http_request_total")) == ([], {})
            assert service.series("http_requests_in_flight") == {(): [0.0]}
            service.observability.health.check("database")(lambda: False)
            await client.get("/health/ready")
        assert service.access[0]["httpRequest"]["status"] == 503


async def test_exclusion_is_anchored_on_templates(app: FastAPI):
    @app.get("/internal/{name}")
    async def internal(name: str):
        return name

    @app.get("/internals")
    async def internals():
        return ""

    with observed(app, excluded_routes="/internal/*") as service:
        async with service.client() as client:
            await client.get("/internal/x")
            await client.get("/internals")
        assert [entry["route"] for entry in service.access] == ["/internals"]


@pytest.mark.parametrize(("level", "told"), [("all", 2), ("problems", 1), ("off", 0)])
async def test_the_access_log_can_tell_only_problems(app, level, told):
    with observed(app, access_log=level) as service:
        async with service.client() as client:
            await client.get("/after")
            await client.get("/nothing")
        assert len(service.access) == told


async def _connect(service, path, *texts, wrap=lambda send: send):
    """Speak with a websocket endpoint: connect, say some texts, then leave."""
    messages = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in texts)]
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "websocket.disconnect", "code": 1001}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "headers": [],
        "query_string": b"",
        "subprotocols": [],
        "client": None,
        "extensions": {},
    }
    await service.app(scope, receive, wrap(send))
    return sent


def _endings(service):
    return [entry for entry in service.entries if "close_code" in entry]


async def test_a_websocket_connection_is_told_at_its_end(app):
    with observed(app) as service:
        sent = await _connect(service, "/ws/blue", "hello", "bye")
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
        assert dict(sent[0]["headers"])[b"x-request-id"]
        [entry] = _endings(service)
        assert (entry["message"], entry["route"]) == ("WEBSOCKET /ws/{room} 4321", "/ws/{room}")
        assert entry["accepted"] is True
        assert service.series("websocket_connections") == {("/ws/{room}",): [0.0]}
        assert service.series("websocket_closed_total") == {("4xxx", "/ws/{room}"): [1.0]}
        assert sum(service.series("websocket_duration_seconds")[("/ws/{room}",)][:-1]) == 1


async def test_a_websocket_connection_is_told_where_the_servers_send_is_not_written_in_python(app):
    with observed(app) as service:
        await _connect(service, "/ws/blue", "bye", wrap=functools.partial)
        assert [entry["close_code"] for entry in _endings(service)] == [4321]
        assert service.series("websocket_connections") == {("/ws/{room}",): [0.0]}


async def test_the_client_that_closes_a_websocket_gives_its_code(app):
    with observed(app) as service:
        await _connect(service, "/ws/blue", "hello")
        assert _endings(service)[0]["close_code"] == 1001


async def test_a_websocket_that_was_refused_was_never_open(app):
    with observed(app) as service:
        await _connect(service, "/denied")
        [entry] = _endings(service)
        assert (entry["close_code"], entry["accepted"]) == (4403, False)
        assert service.series("websocket_duration_seconds") == {}


async def test_an_exception_in_a_websocket_is_an_error_with_its_name(app):
    with observed(app) as service:
        with pytest.raises(RuntimeError):
            await _connect(service, "/broken")
        [entry] = _endings(service)
        assert (entry["severity"], entry["close_code"], entry["error_type"]) == ("ERROR", 1011, "RuntimeError")
