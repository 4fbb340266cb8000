"""OpenTelemetry's instrumentations beneath a request, with the real libraries."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from fastapi import FastAPI

from app.core import tracing
from support.databases import postgresql, redis_server
from support.emulator import RunningEmulator, running_emulator
from support.servers import TESTS
from support.tracing import Node, trace_id_of, traced


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


@pytest.fixture(autouse=True)
def _instrumented_here_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a helper has patched is put back after its test."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    yield
    for package, names in {
        "sqlalchemy": ("SQLAlchemyInstrumentor",),
        "asyncpg": ("AsyncPGInstrumentor",),
        "redis": ("RedisInstrumentor",),
        "httpx": ("HTTPXClientInstrumentor",),
        "grpc": ("GrpcInstrumentorClient", "GrpcAioInstrumentorClient"),
    }.items():
        if sys.modules.get(f"opentelemetry.instrumentation.{package}") is not None:
            for name in names:
                one = getattr(importlib.import_module(f"opentelemetry.instrumentation.{package}"), name)()
                if one.is_instrumented_by_opentelemetry:
                    one.uninstrument()


def needs(package: str) -> pytest.MarkDecorator:
    missing = find_spec(f"opentelemetry.instrumentation.{package}") is None
    return pytest.mark.skipif(missing, reason=f"opentelemetry-instrumentation-{package} is not installed")


async def tree(emulator: RunningEmulator, work: Any) -> Node:
    app = FastAPI()
    app.get("/work")(work)
    with traced(emulator, app) as one:
        async with one.client() as client:
            answer = await client.get("/work")
        assert answer.status_code == 200, answer.text
        return one.root(trace_id_of(one))


@needs("sqlalchemy")
async def test_sqlalchemys_queries_are_spans(emulator):
    from sqlalchemy import create_engine, text  # noqa: PLC0415  # beside what instruments it
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415  # as above

    before, asynchronous = create_engine("sqlite://"), create_async_engine("sqlite+aiosqlite://")
    tracing.trace_sqlalchemy(before, asynchronous, unchecked=True)
    tracing.trace_sqlalchemy()

    async def work() -> None:
        with before.connect() as connection:
            connection.execute(text("SELECT 'ada@example.com'"))
        async with asynchronous.connect() as asked:
            await asked.execute(text("SELECT 2"))

    root = await tree(emulator, work)
    before.dispose()
    await asynchronous.dispose()
    told = [child.labels.get("db.query.text") or child.labels.get("db.statement") for child in root.children]
    assert [one for one in told if one] == ["SELECT '[redacted]'", "SELECT 2"]


@needs("asyncpg")
async def test_asyncpgs_queries_are_spans(emulator):
    import asyncpg  # noqa: PLC0415  # beside what instruments it

    tracing.trace_asyncpg()
    tracing.trace_asyncpg()
    with postgresql() as url:

        async def work() -> None:
            connection = await asyncpg.connect(url)
            await connection.fetchval("SELECT 2")
            await connection.close()

        root = await tree(emulator, work)
    assert [child.kind for child in root.children] == ["client"]


@needs("redis")
async def test_rediss_commands_are_spans(emulator):
    from redis.asyncio import Redis  # noqa: PLC0415  # beside what instruments it

    tracing.trace_redis()
    tracing.trace_redis()
    with redis_server() as port:

        async def work() -> None:
            async with Redis(port=port) as client:
                await client.set("key", "value")

        root = await tree(emulator, work)
    assert "SET" in [child.name for child in root.children]


@needs("httpx")
async def test_a_call_by_httpx_is_a_span_that_its_callee_stands_beneath(emulator):
    tracing.trace_httpx()
    tracing.trace_httpx()
    callee = FastAPI()
    seen: list[str] = []

    @callee.get("/answer")
    async def answer() -> int:
        return 42

    async def work() -> None:
        transport = httpx.ASGITransport(_noting(callee, seen))
        async with httpx.AsyncClient(transport=transport, base_url="http://callee") as client:
            tracing.trace_httpx(client)
            await client.get("/answer", params={"token": "hunter2hunter2"})

    root = await tree(emulator, work)
    [call] = root.children
    assert (call.name, call.kind) == ("GET", "client")
    assert "hunter2" not in str(call.labels)
    assert seen[0][36:52] == call.span_id


def _noting(app: Any, seen: list[str]) -> Any:
    async def noting(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(value.decode() for name, value in scope["headers"] if name == b"traceparent")
        await app(scope, receive, send)

    return noting


@needs("grpc")
async def test_a_call_by_grpc_is_a_span_and_the_exporters_own_calls_are_none(emulator):
    tracing.trace_grpc()
    tracing.trace_grpc()

    def upper(request: bytes, _context: Any) -> bytes:
        return request.upper()

    handler = grpc.method_handlers_generic_handler("shop.Words", {"Upper": grpc.unary_unary_rpc_method_handler(upper)})
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def work() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/shop.Words/Upper")
            assert call(b"word") == b"WORD"

    try:
        root = await tree(emulator, work)
    finally:
        server.stop(None)
    assert [(child.name, child.kind) for child in root.children] == [("/shop.Words/Upper", "client")]
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(f"{emulator.http}/emulator/v1/traces")
    assert not [one for one in answer.json()["traces"] if "TraceService" in one["name"]]


@pytest.mark.parametrize("package", ["sqlalchemy", "asyncpg", "redis", "httpx", "grpc"])
def test_a_missing_package_is_named(package, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, f"opentelemetry.instrumentation.{package}", None)
        _check_named(package)


@needs("sqlalchemy")
def test_a_version_that_the_package_does_not_take_is_an_error_not_a_silence(monkeypatch):
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415  # see the mark

    monkeypatch.setattr(SQLAlchemyInstrumentor, "instrumentation_dependencies", lambda _: ("sqlalchemy < 1.0",))
    with pytest.raises(tracing.InstrumentationError, match=r"SQLAlchemyInstrumentor does not take .*sqlalchemy < 1.0"):
        tracing.trace_sqlalchemy()


def _check_named(package: str) -> None:
    with pytest.raises(tracing.InstrumentationError, match=f"pip install opentelemetry-instrumentation-{package}"):
        getattr(tracing, f"trace_{package}")()


_WITHOUT = """
import asyncio, sys
sys.modules["opentelemetry.sdk"] = None  # as if it were not installed

import importlib.machinery, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "opentelemetry.sdk" else real(name, package)

import httpx
from fastapi import FastAPI
from app.core import instrument
from app.core.tracing import span

app = FastAPI()

@app.get("/work")
async def work():
    with span("charge") as charge:
        charge.set(amount=3)
    return 42

telemetry = instrument(app)
assert telemetry.traces is None

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answer = await client.get("/work", headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
        assert answer.json() == 42

asyncio.run(ask())
"""


@pytest.mark.parametrize("backend", ["otlp", "none"])
def test_without_the_extra_everything_else_works_and_the_message_names_it(backend, tmp_path):
    done = _run(_WITHOUT, tmp_path, TRACES_BACKEND=backend, GOOGLE_CLOUD_PROJECT="shop", ENABLE_METRICS="false")
    assert done.returncode == 0, done.stderr
    assert '"logging.googleapis.com/trace":"projects/shop/traces/' + "a" * 32 in done.stdout
    assert done.stderr.count("pip install 'fastapi-cloudops[traces]'") == (1 if backend == "otlp" else 0)


_CONVENTIONS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import httpx
from app.core.tracing import trace_httpx

kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
trace_httpx()
with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
    trace_httpx(client)
    client.get("http://callee/answer")
with httpx.Client() as usual:
    trace_httpx(usual)
    try:
        usual.get("http://127.0.0.1:9/")
    except httpx.ConnectError:
        pass
assert len(kept.get_finished_spans()) == 2, "each call is one span"
print(sorted(kept.get_finished_spans()[0].attributes))
"""


@needs("httpx")
def test_a_helper_switches_on_the_stable_conventions(tmp_path):
    done = _run(_CONVENTIONS, tmp_path, OTEL_SEMCONV_STABILITY_OPT_IN="")
    assert "http.method" in done.stdout, done.stderr  # what an empty setting asks for stays
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    command = [sys.executable, "-c", _CONVENTIONS]
    environment |= {"PYTHONPATH": str(TESTS.parent)}
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment).stdout
    assert "http.request.method" in told
    assert "http.method" not in told


_LOADED = """
import sys
import fastapi
before = set(sys.modules)
import app.core
import app.core.tracing
loaded = {name for name in set(sys.modules) - before if name.startswith(("opentelemetry", "grpc", "google"))}
assert not loaded, loaded
from app.core import instrument
instrument(fastapi.FastAPI())
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "grpc"))]
import threading
assert threading.active_count() == 1
"""


def test_neither_import_nor_instrument_loads_the_sdk_or_starts_a_thread(tmp_path):
    done = _run(_LOADED, tmp_path, GOOGLE_CLOUD_PROJECT="shop")
    assert done.returncode == 0, done.stderr


def _run(script: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "TMPDIR": str(tmp_path), **environment},
    )
