"""What is told about requests under load, over time and from hostile clients."""

import asyncio
import json
import random
import re
from collections import Counter
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from app.core import bind, get_logger
from app.core.monitoring_middleware import MonitoringMiddleware
from support.probe_app import make_app
from support.probe_client import Connection, ask, http_scope, request, run
from support.probe_server import watching
from support.service import observed

REQUESTS = 1000
_OUR_ID = re.compile(rb"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def watched():
    with watching(make_app(), "h11") as served:
        yield served


def seconds(value: str) -> float:
    assert value.endswith("s")
    return float(value.removesuffix("s"))


def bindings_app() -> FastAPI:
    """Binds and logs in every place where a service can: endpoint, thread, dependencies, background."""
    app = FastAPI()
    log = get_logger("probe")
    Name = Annotated[str, Header()]  # noqa: N806  # a type

    def in_thread(x_name: Name):
        with bind(dependency=x_name):
            log.info("dependency")
            yield x_name

    async def on_loop(x_name: Name):
        bind(name=x_name)
        await asyncio.sleep(0)
        return x_name

    @app.get("/async/{turns}")
    async def on_the_loop(
        turns: int, name: Annotated[str, Depends(on_loop)], other: Annotated[str, Depends(in_thread)]
    ):
        for _ in range(turns):
            await asyncio.sleep(0)
            with bind(inner=name):
                await asyncio.gather(asyncio.to_thread(log.info, "thread"), asyncio.sleep(0))
        log.info("endpoint", expected=other)
        return name

    @app.get("/sync/{turns}")
    def in_the_pool(turns: int, name: Annotated[str, Depends(on_loop)]):
        for _ in range(turns):
            log.info("pool")
        return name

    return app


async def test_fields_of_a_thousand_interleaved_requests_never_mix():
    dice = random.Random(11)
    app = bindings_app()
    with observed(app) as service:
        async with service.client() as client:

            async def one(number: int) -> None:
                path = f"/{dice.choice(['async', 'async', 'sync'])}/{dice.randrange(4)}"
                name = f"n{number}"
                answer = await client.get(path, headers={"X-Name": name, "X-Request-ID": name})
                assert answer.json() == name

            await asyncio.gather(*(one(number) for number in range(REQUESTS)))
        told = service.entries
    assert len({entry["request_id"] for entry in told}) == REQUESTS
    for entry in told:
        for field in ("name", "dependency", "inner", "expected"):
            assert entry.get(field, entry["request_id"]) == entry["request_id"], entry
    kinds = Counter(entry["message"] for entry in told)
    assert kinds["dependency"] == kinds["endpoint"] > 500
    assert kinds["pool"] > 100
    assert all(
        entry["name"] == entry["request_id"] for entry in told if entry["message"] in {"endpoint", "pool", "thread"}
    )
    assert all("inner" not in entry for entry in told if entry["message"] == "endpoint")


async def test_the_same_over_real_connections():
    with watching(bindings_app(), "h11") as watched:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{watched.port}", limits=limits, timeout=30) as client:

            async def one(number: int) -> Any:
                name = f"n{number}"
                headers = {"X-Name": name, "X-Request-ID": name}
                return (await client.get(f"/async/{number % 3}", headers=headers)).json()

            names = await asyncio.gather(*(one(number) for number in range(300)))
        watched.wait_until_idle()
        assert names == [f"n{number}" for number in range(300)]
        told = [entry for entry in watched.entries if entry.get("logger") in {"probe", "fastapi_cloudops.access"}]
    assert len({entry["request_id"] for entry in told}) == 300
    assert all(entry.get("name", entry["request_id"]) == entry["request_id"] for entry in told)


def test_background_work_is_told_and_is_no_latency(watched):
    with watched.counting("http_background_duration_seconds") as added:
        with Connection(watched.port) as connection:
            connection.send(request("GET", "/task", [("X-Request-ID", "background")]))
            assert connection.answer().body == b'"task"'
        entry = watched.wait_for_access("background")
    assert entry["background_seconds"] >= 0.14
    assert seconds(entry["httpRequest"]["latency"]) < 0.14
    assert added["http_background_duration_seconds"] == {("/task",): 1}


def test_a_request_without_background_work_tells_none(watched):
    ask(watched.port, request("GET", "/plain", [("X-Request-ID", "no-background")]))
    entry = watched.wait_for_access("no-background")
    assert entry.get("background_seconds", 0) < 0.05


def test_first_byte_last_byte_and_background_are_three_times(watched):
    ask(watched.port, request("GET", "/timed-stream", [("X-Request-ID", "times")]))
    entry = watched.wait_for_access("times")
    first, last = seconds(entry["time_to_first_byte"]), seconds(entry["httpRequest"]["latency"])
    assert first < 0.1 <= last < 0.1 + entry["background_seconds"]
    assert last - first >= 0.09
    assert entry["background_seconds"] >= 0.09


def test_the_client_has_its_first_byte_before_the_rest_is_made(watched):
    watched.gate.close()
    with Connection(watched.port) as connection:
        connection.send(request("GET", "/held-stream"))
        # The app stands at its gate: were anything held back, this would wait for ever.
        assert connection.read_until(b"first").endswith(b"first")
        watched.gate.open()
        assert connection.read_until(b"\r\n0\r\n\r\n").endswith(b"more\r\n0\r\n\r\n")


HOSTILE_IDS = [
    b"x" * 129,
    b"x" * 60_000,
    b"",
    b"a b",
    b"caf\xe9",
    b'{"severity":"CRITICAL"}',
    b"\x1b[31mred",
    b"a;b",
    b"../../etc/passwd",
    b"urn:uuid:12345678-1234-5678-1234-567812345678",
]


@pytest.mark.parametrize("hostile", HOSTILE_IDS, ids=lambda value: repr(value[:20]))
async def test_a_hostile_request_id_is_replaced_and_told_nowhere(hostile):
    with observed(make_app()) as service:
        scope = http_scope("/plain")
        scope["headers"].append((b"x-request-id", hostile))
        ran = await run(service.app, scope)
        written = b"".join(service.lines)
    ids = [value for name, value in ran.sent[0]["headers"] if name == b"x-request-id"]
    assert len(ids) == 1
    assert _OUR_ID.fullmatch(ids[0])
    assert not hostile or hostile not in written
    assert len(written) < 5_000


@pytest.mark.parametrize(
    "given", [[b"good"] * 100, [b"good", b"b a d"], [b"b a d", b"good"]], ids=["100", "good", "bad"]
)
async def test_a_request_id_that_comes_more_than_once_gives_one_header(given):
    with observed(make_app()) as service:
        scope = http_scope("/plain")
        scope["headers"] += [(b"x-request-id", value) for value in given]
        ran = await run(service.app, scope)
    ids = [value for name, value in ran.sent[0]["headers"] if name == b"x-request-id"]
    assert len(ids) == 1
    assert ids[0] == b"good" or _OUR_ID.fullmatch(ids[0])


@pytest.mark.parametrize(
    "line", [b"X-Request-ID: a\r\n evil: folded", b"X-Request-ID:", b"X-Request-ID: " + b"y" * 8_000]
)
def test_a_hostile_request_id_over_a_socket_never_splits_a_header(line, watched):
    data = b"GET /plain HTTP/1.1\r\nHost: probe.example\r\n" + line + b"\r\n\r\n"
    answer = ask(watched.port, data)
    if answer.status == 200:
        [given] = answer.header("x-request-id")
        assert _OUR_ID.fullmatch(given)
        assert answer.header("evil") == []


async def test_what_clients_invent_never_becomes_a_series():
    dice = random.Random(5)
    with observed(make_app()) as service:
        for number in range(2_000):
            path = dice.choice(
                [f"/nothing/{number}", f"/items/{number}/", f"/tenants/t{number}/things/x", f"/raw/r{number}"]
            )
            method = dice.choice(["GET", f"FOO{number}", "get", "PROPFIND"])
            invented = [
                ("user-agent", f"agent {number}"),
                ("x-tenant", str(number)),
                ("x-forwarded-for", f"192.0.2.{number % 250}"),
            ]
            scope = http_scope(path, method, invented)
            scope["headers"][0] = (b"host", b"host%d.example" % number)
            await run(service.app, scope)
        series = [(one.metric.name, one.values) for one in service.store.series]
    told = {value for _, values in series for value in values}
    assert len(series) < 60
    assert not [value for value in told if re.search(r"\d{4}|FOO|agent|host\d|192\.", value)]


async def test_a_scope_that_lacks_what_servers_may_leave_out():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with observed() as service:
        for missing in ("client", "root_path", "server", "state", "http_version", "raw_path", "scheme"):
            scope = http_scope("/x")
            del scope[missing]
            await MonitoringMiddleware(app, service.observability)(scope, _silent, _swallow)
        await MonitoringMiddleware(app, service.observability)(
            {**http_scope("/x"), "client": None, "server": None}, _silent, _swallow
        )
        assert {entry["outcome"] for entry in service.access} == {"ok"}
        assert len(service.access) == 8


async def _silent():
    raise AssertionError("nobody asked")


async def _swallow(message):
    pass


async def test_a_scope_whose_path_is_no_text_for_a_terminal_is_one_line():
    with observed(make_app()) as service:
        await run(service.app, http_scope("/nothing\n\r\x1b[2J\x00\u2028\ud800"))
        [line] = [line for line in service.lines if b"httpRequest" in line]
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
    json.loads(line)


class TestHealth:
    """One exclusion rule: what answers well leaves no trace, what fails is told."""

    @pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/detailed"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_a_healthy_probe_leaves_no_trace(self, path, method):
        with observed(make_app()) as service:
            ran = await run(service.app, http_scope(path, method))
            assert ran.sent[0]["status"] == 200
            assert service.access == []
            assert service.series("http_request_total") == {}
            assert service.series("http_request_duration_seconds") == {}
            assert service.series("http_requests_in_flight") == {(): [0.0]}

    async def test_a_failing_probe_is_told(self):
        with observed(make_app()) as service:
            service.observability.health.check("database")(lambda: False)
            ran = await run(service.app, http_scope("/health/ready"))
            assert ran.sent[0]["status"] == 503
            [entry] = service.access
            assert (entry["httpRequest"]["status"], entry["outcome"]) == (503, "server_error")
            assert sum(cell[0] for cell in service.series("http_request_total").values()) == 1

    async def test_what_only_looks_like_a_probe_is_told(self):
        with observed(make_app()) as service:
            for path in ("/health/../plain", "/healthy", "/v1/health/live", "/nothing?/health/live"):
                await run(service.app, http_scope(path))
            assert len(service.access) == 4

    async def test_a_probe_with_a_wrong_method_is_told(self):
        with observed(make_app()) as service:
            await run(service.app, http_scope("/health/live", "POST"))
            assert service.access[0]["httpRequest"]["status"] == 405


async def test_an_http_exception_in_a_dependency_is_told_by_its_status():
    app = FastAPI()

    def refuse():
        raise HTTPException(403)

    @app.get("/{name}", dependencies=[Depends(refuse)])
    async def endpoint(name: str):
        return name

    with observed(app) as service:
        await run(service.app, http_scope("/x"))
        entry = service.access[0]
    assert (entry["httpRequest"]["status"], entry["route"], entry["outcome"]) == (403, "/{name}", "client_error")
