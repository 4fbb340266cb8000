"""`FastAPI(telemetry=...)` says that FastAPI makes the SERVER spans, where SERVER_SPAN does not say who does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fastapi
import pytest
from fastapi import FastAPI, WebSocket
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import ProxyTracerProvider, SpanKind, get_tracer_provider

from app.core import get_logger
from app.core.tracing.exporter import Exporter
from app.core.tracing.native import telemetry_of
from support.emulator import RunningEmulator, running_emulator
from support.service import Observed, observed
from support.tracing import Traced, spans_of, trace_id_of, traced

NATIVE = tuple(map(int, fastapi.__version__.split(".")[:2])) >= (0, 142)
pytestmark = pytest.mark.skipif(not NATIVE, reason="this FastAPI has no telemetry of its own")


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


def make_app(**options: Any) -> FastAPI:
    app, inner = FastAPI(**options), FastAPI()

    async def work() -> None:
        get_logger("shop").info("charged")

    app.get("/work")(work)
    inner.get("/work")(work)
    app.mount("/inner", inner)

    @app.websocket("/room")
    async def room(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    return app


def own_provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    """A provider beside the global one, and what it exported."""
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider, spans


def native_spans(spans: InMemorySpanExporter) -> list[str]:
    found = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return [f"{span.context.span_id:016x}" for span in found if span.context is not None]


def servers(one: Traced) -> list[tuple[str, str]]:
    """Ids and makers of the SERVER spans in the trace of the last request."""
    spans = one.spans(trace_id_of(one))
    return [(span.span_id, span.labels["otel.scope.name"]) for span in spans if span.kind == "server"]


def nobody(_scope: Any) -> bool:
    return False


@pytest.mark.parametrize("path", ["/work", "/inner/work"], ids=["own route", "mounted app"])
@pytest.mark.parametrize(
    ("telemetry", "setting", "maker"),
    [
        (None, None, "fastapi_cloudops"),
        (None, "native", "fastapi"),
        ({"tracing": False}, None, "fastapi_cloudops"),
        ({"metrics": False, "logs": False}, None, "fastapi"),
        ({"operation_spans": False}, None, "fastapi"),
        ({"exclude": nobody}, None, "fastapi"),
        ({"operation_spans": False}, "ours", "fastapi_cloudops"),
        ({"operation_spans": False}, "native", "fastapi"),
        ({"operation_spans": False, "tracing": False}, None, "fastapi_cloudops"),
        ({"operation_spans": False, "tracing": False}, "native", "fastapi_cloudops"),
    ],
)
async def test_each_request_has_one_server_span(emulator, telemetry, setting, maker, path):
    if path == "/inner/work" and setting == "native" and telemetry is not None and "tracing" in telemetry:
        maker = "fastapi"  # the mounted app's, which has not been told to make none
    said = {} if setting is None else {"server_span": setting}
    with traced(emulator, make_app(telemetry=telemetry), **said) as one:
        async with one.client() as client:
            await client.get(path)
        [(span_id, made_by)] = servers(one)
        assert made_by == maker
        [access] = one.service.access
    assert access["logging.googleapis.com/spanId"] == span_id


@pytest.mark.parametrize("setting", [None, "native", "ours"])
async def test_a_provider_of_the_apps_own_makes_one_and_we_know_of_it(emulator, setting):
    provider, spans = own_provider()
    said = {} if setting is None else {"server_span": setting}
    with traced(emulator, make_app(telemetry={"tracer_provider": provider}), **said) as one:
        async with one.client() as client:
            await client.get("/work")
            await client.get("/inner/work")
        native = native_spans(spans)
        [(span_id, maker)] = servers(one)
        entries = [entry["logging.googleapis.com/spanId"] for entry in one.service.access]
    assert entries[-1] == span_id
    if setting == "ours":
        assert native == []
        assert maker == "fastapi_cloudops"
    else:
        assert native == entries
        assert maker == "fastapi"


@contextmanager
def unprepared(monkeypatch: pytest.MonkeyPatch, app: FastAPI, **settings: Any) -> Iterator[Observed]:
    """An app whose exporter's thread, which loads the SDK, has not come to run."""
    monkeypatch.setattr(Exporter, "start", lambda _self: None)
    with observed(app, traces_backend="otlp", enable_metrics=False, **settings) as one:
        traces = one.observability.traces
        assert traces is not None
        yield one
        assert not traces.ready.is_set()
        traces.close()


async def test_the_first_request_has_one_span_too(emulator, monkeypatch):
    provider, spans = own_provider()
    app = make_app(telemetry={"tracer_provider": provider})
    with unprepared(monkeypatch, app, cloudops_emulator_host=emulator.grpc) as one:
        async with one.client() as client:
            await client.get("/work")
        [access] = one.access
    assert native_spans(spans) == [access["logging.googleapis.com/spanId"]]


async def test_a_missing_span_is_not_told_while_nobody_could_have_made_one(emulator, monkeypatch, capfd):
    given = {"server_span": "contrib", "trace_sample_rate": 1.0, "cloudops_emulator_host": emulator.grpc}
    with unprepared(monkeypatch, make_app(), **given) as one:
        async with one.client() as client:
            await client.get("/work")
    assert "nothing made a SERVER span" not in capfd.readouterr().err


async def test_contribs_instrumentation_comes_before_it(emulator):
    """FastAPI keeps quiet where contrib stands in the app."""
    app = make_app(telemetry={"operation_spans": False})
    with traced(emulator, app) as one:
        FastAPIInstrumentor.instrument_app(app)
        async with one.client() as client:
            await client.get("/work")
        [(_, maker)] = servers(one)
    assert maker == "opentelemetry.instrumentation.fastapi"


async def test_a_websocket_connection_has_one_server_span(emulator):
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/room",
        "raw_path": b"/room",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("10.0.0.1", 5000),
        "server": ("10.0.0.2", 80),
        "subprotocols": [],
    }
    with traced(emulator, make_app(telemetry={"operation_spans": False})) as one:
        await one.app(scope, receive, send)
        [entry] = [entry for entry in one.service.entries if "logging.googleapis.com/spanId" in entry]
        trace_id = entry["logging.googleapis.com/trace"].rpartition("/")[2]
        [server] = [span for span in one.spans(trace_id) if span.kind == "server"]
    assert sent == ["websocket.accept", "websocket.send", "websocket.close"]
    assert server.labels["otel.scope.name"] == "fastapi"
    assert entry["logging.googleapis.com/spanId"] == server.span_id


async def test_what_the_argument_excludes_has_a_span_of_ours_and_nothing_is_told(emulator, capfd):
    with traced(emulator, make_app(telemetry={"exclude": lambda scope: scope["path"] == "/work"})) as one:
        async with one.client() as client:
            await client.get("/work")
        [(_, maker)] = servers(one)
    assert maker == "fastapi_cloudops"
    assert "nothing made a SERVER span" not in capfd.readouterr().err


@pytest.mark.parametrize("off", [{"enable_tracing": False}, {"traces_backend": "none"}])
async def test_spans_that_go_elsewhere_are_left_alone_where_we_export_none(emulator, off):
    provider, spans = own_provider()
    app = make_app(telemetry={"tracer_provider": provider})
    given = {"traces_backend": "otlp", "cloudops_emulator_host": emulator.grpc, "enable_metrics": False, **off}
    with observed(app, trace_sample_rate=1.0, **given) as one:
        async with one.client() as client:
            await client.get("/work")
        await one.observability.stop()
        [access] = one.access
    [span] = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert span.context is not None
    assert spans_of(emulator, f"{span.context.trace_id:032x}") == []
    if "enable_tracing" not in off:  # otherwise entries name no span
        assert access["logging.googleapis.com/spanId"] == f"{span.context.span_id:016x}"


@pytest.mark.parametrize("telemetry", [None, {}, {"tracing": True}])
def test_an_argument_that_says_no_more_than_the_defaults_is_none(telemetry):
    assert telemetry_of(FastAPI(telemetry=telemetry)) == {}


def test_an_argument_is_known_with_the_defaults_of_what_it_leaves_out():
    found = telemetry_of(FastAPI(telemetry={"operation_spans": False}))
    assert found["operation_spans"] is False
    assert found["tracing"] is True


def test_the_apps_own_provider_is_not_made_the_global_one(emulator):
    provider, _ = own_provider()
    with traced(emulator, make_app(telemetry={"tracer_provider": provider})):
        assert not isinstance(get_tracer_provider(), ProxyTracerProvider)
        assert get_tracer_provider() is not provider
