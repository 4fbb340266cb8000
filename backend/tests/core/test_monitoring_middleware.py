import asyncio
import logging

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from starlette.routing import Mount, Route

from app.core import MonitoringMiddleware, bind, get_logger
from support.service import observed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def app():
    app = FastAPI()
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/outer")
    mounted = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int):
        return {"id": item_id}

    @app.get("/boom")
    async def boom():
        raise RuntimeError("boom")

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418)

    @app.get("/stream")
    async def stream():
        async def chunks():
            for _ in range(5):
                yield b"12345"

        return StreamingResponse(chunks())

    @app.get("/broken-stream")
    async def broken_stream():
        async def chunks():
            yield b"12345"
            raise RuntimeError("half way")

        return StreamingResponse(chunks())

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.2)
        return {}

    @inner.get("/{name}")
    async def nested(name: str):
        return name

    @mounted.get("/thing/{thing}")
    async def thing(thing: str):
        return thing

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/tenants/{tenant}", mounted)
    return app


@pytest.mark.parametrize(
    ("path", "status", "template", "outcome"),
    [
        ("/items/7", 200, "/items/{item_id}", "ok"),
        ("/items/seven", 422, "/items/{item_id}", "client_error"),
        ("/boom", 500, "/boom", "server_error"),
        ("/teapot", 418, "/teapot", "client_error"),
        ("/outer/inner/x", 200, "/outer/inner/{name}", "ok"),
        ("/tenants/acme/thing/x", 200, "/tenants/{tenant}/thing/{thing}", "ok"),
        ("/tenants/acme/nothing", 404, None, "client_error"),
        ("/nothing", 404, None, "client_error"),
        ("/broken-stream", 200, "/broken-stream", "aborted_stream"),
    ],
)
async def test_a_request_is_told_by_template_status_and_outcome(app, path, status, template, outcome):
    with observed(app) as service:
        async with service.client() as client:
            await client.get(path)
        [entry] = service.access
        assert (entry["httpRequest"]["status"], entry.get("route"), entry["outcome"]) == (status, template, outcome)
        assert service.series("http_request_total") == {(template or "_unmatched", "GET", outcome, str(status)): [1.0]}
        [(labels, cell)] = service.series("http_request_duration_seconds").items()
        assert labels == (template or "_unmatched", "GET")
        assert sum(cell[:-1]) == 1
        assert service.series("http_requests_in_flight") == {(): [0.0]}


async def test_all_bytes_of_a_stream_are_counted(app):
    with observed(app) as service:
        async with service.client() as client:
            await client.get("/stream")
        assert service.access[0]["httpRequest"]["responseSize"] == "25"


async def test_a_background_task_is_no_latency(app):
    with observed(app) as service:
        async with service.client() as client:
            await client.get("/later")
        assert float(service.access[0]["httpRequest"]["latency"].rstrip("s")) < 0.2


async def test_a_made_up_method_is_one_label(app):
    with observed(app) as service:
        async with service.client() as client:
            for number in range(20):
                await client.request(f"FOO{number}", "/items/1")
        assert {labels[1] for labels in service.series("http_request_total")} == {"_OTHER"}
        assert len(service.series("http_request_total")) == 1


@pytest.mark.parametrize("path", ["/items/1", "/nothing", "/boom", "/stream"])
async def test_every_response_carries_the_clients_request_id(app, path):
    with observed(app) as service:
        async with service.client() as client:
            answer = await client.get(path, headers={"X-Request-ID": "abc-1"})
        assert answer.headers.get_list("x-request-id") == ["abc-1"]
        assert service.access[0]["request_id"] == "abc-1"


async def test_an_unacceptable_request_id_is_replaced_and_logged_nowhere(app):
    with observed(app) as service:
        async with service.client() as client:
            answer = await client.get("/items/1", headers={"X-Request-ID": "a b"})
        assert len(answer.headers["x-request-id"]) == 32
        assert b"a b" not in b"".join(service.lines)


async def test_the_apps_own_request_id_header_is_not_sent_beside_ours():
    app = FastAPI()

    @app.get("/")
    async def root():
        from fastapi.responses import JSONResponse  # noqa: PLC0415  # only this endpoint

        return JSONResponse({}, headers={"X-Request-ID": "its-own"})

    with observed(app) as service:
        async with service.client() as client:
            answer = await client.get("/", headers={"X-Request-ID": "ours"})
        assert answer.headers.get_list("x-request-id") == ["ours"]


async def test_a_trace_is_continued_from_traceparent_before_the_older_header(app):
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Cloud-Trace-Context": f"{'a' * 32}/1;o=0"}
    with observed(app, google_cloud_project="shop") as service:
        async with service.client() as client:
            await client.get("/items/1", headers=headers)
        entry = service.access[0]
        assert entry["logging.googleapis.com/trace"] == f"projects/shop/traces/{TRACE}"
        assert entry["logging.googleapis.com/trace_sampled"] is True
        assert entry["logging.googleapis.com/spanId"] != "00f067aa0ba902b7"


async def test_a_trace_is_continued_from_the_older_header_when_it_is_alone(app):
    with observed(app) as service:
        async with service.client() as client:
            await client.get("/items/1", headers={"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"})
        assert service.access[0]["logging.googleapis.com/trace"] == TRACE


async def test_a_request_without_a_trace_header_starts_a_trace(app):
    with observed(app) as service:
        async with service.client() as client:
            await client.get("/items/1")
            await client.get("/items/1")
        traces = {entry["logging.googleapis.com/trace"] for entry in service.access}
        assert len(traces) == 2
        assert all(len(trace) == 32 for trace in traces)


async def test_fields_bound_in_one_request_never_reach_another():
    app = FastAPI()
    log = get_logger("test")

    @app.get("/{user}")
    async def endpoint(user: str):
        with bind(user=user):
            await asyncio.sleep(0)
            await asyncio.to_thread(logging.getLogger("thread").info, "in a thread")
            log.info("in the endpoint")
        log.info("after the block")
        return user

    with observed(app) as service:
        async with service.client() as client:
            await asyncio.gather(*(client.get(f"/u{n}", headers={"X-Request-ID": f"u{n}"}) for n in range(200)))
        told = [entry for entry in service.entries if entry["message"] in {"in a thread", "in the endpoint"}]
        assert len(told) == 400
        assert all(entry["user"] == entry["request_id"] for entry in told)
        after = [entry for entry in service.entries if entry["message"] == "after the block"]
        assert all("user" not in entry for entry in after)


async def test_the_exception_of_the_app_goes_on_unchanged():
    cause = ValueError("cause")
    error = RuntimeError("boom")
    error.__cause__ = cause

    async def app(scope, receive, send):
        raise error

    with observed() as service, pytest.raises(RuntimeError) as caught:
        await MonitoringMiddleware(app, service.observability)(_scope(), _never, _swallow)
    assert caught.value is error
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("raised", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_what_is_no_exception_goes_on_too(raised):
    async def app(scope, receive, send):
        raise raised

    with observed() as service:
        with pytest.raises(raised):
            await MonitoringMiddleware(app, service.observability)(_scope(), _never, _swallow)
        assert service.series("http_requests_in_flight") == {(): [0.0]}


async def test_a_client_that_left_is_no_server_error():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    async def gone(message):
        raise OSError("client disconnected")

    with observed() as service:
        with pytest.raises(OSError, match="disconnected"):
            await MonitoringMiddleware(app, service.observability)(_scope(), _never, gone)
        assert service.access[0]["outcome"] == "client_closed"


async def test_unknown_scopes_and_messages_pass_untouched():
    seen: list[object] = []

    async def app(scope, receive, send):
        await send({"type": "something.new", "scope": scope["type"]})

    async def send(message):
        seen.append(message)

    with observed() as service:
        await MonitoringMiddleware(app, service.observability)({"type": "something"}, _never, send)
        assert seen == [{"type": "something.new", "scope": "something"}]
        assert service.access == []


async def test_a_message_that_telemetry_cannot_read_reaches_the_server(internal_failures):
    seen: list[object] = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": None})

    async def send(message):
        seen.append(message)

    with observed() as service:
        await MonitoringMiddleware(app, service.observability)(_scope(), _never, send)
        assert seen[1] == {"type": "http.response.body", "body": None}
    assert [where for where, _ in internal_failures] == ["response"]
    internal_failures.clear()


async def test_a_failing_access_log_never_fails_the_request(app, internal_failures):
    with observed(app) as service:
        service.observability._access.render = None  # type: ignore[assignment]  # the fault
        async with service.client() as client:
            answer = await client.get("/items/1")
        assert answer.status_code == 200
    assert [where for where, _ in internal_failures] == ["access log"]
    internal_failures.clear()


async def test_the_layer_as_middleware_and_from_outside_count_once(app):
    with observed(app) as service:
        app.add_middleware(MonitoringMiddleware, observability=service.observability)
        async with service.client() as client:
            await client.get("/items/1")
        assert len(service.access) == 1
        assert service.series("http_request_total") == {("/items/{item_id}", "GET", "ok", "200"): [1.0]}


async def test_the_middleware_alone_observes_too():
    with observed() as service:
        app = FastAPI(routes=[Mount("/m", routes=[Route("/{x}", lambda request: None)])])
        app.add_middleware(MonitoringMiddleware, observability=service.observability)

        @app.get("/items/{item_id}")
        async def item(item_id: int):
            return item_id

        service.app = app
        async with service.client() as client:
            answer = await client.get("/items/1")
        assert answer.headers["x-request-id"]
        assert service.access[0]["route"] == "/items/{item_id}"


def _scope() -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": "", "client": ("10.0.0.1", 1)}


async def _never() -> dict[str, object]:
    raise AssertionError("the layer never calls receive")


async def _swallow(message) -> None:
    pass
