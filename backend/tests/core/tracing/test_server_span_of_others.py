"""Exactly one SERVER span a request, whoever makes it, and log entries that name it."""

from collections.abc import Iterator
from typing import Any

import fastapi
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from app.core import MonitoringMiddleware, get_logger
from app.core.tracing import span
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from
from support.tracing import Traced, roots, trace_id_of, traced

NATIVE = tuple(map(int, fastapi.__version__.split(".")[:2])) >= (0, 142)
CALLER = {"traceparent": "00-{}-00f067aa0ba902b7-01"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


def make_app() -> FastAPI:
    app, inner = FastAPI(), FastAPI()

    async def work(item_id: int) -> None:
        with span("charge"):
            get_logger("shop").info("charging")
        get_logger("shop").info("charged")
        if item_id > 7:
            raise ValueError("broken")

    app.get("/items/{item_id}")(work)
    inner.get("/parts/{item_id}")(work)
    app.mount("/inner", inner)
    return app


def contrib_on(app: FastAPI) -> None:
    FastAPIInstrumentor.instrument_app(app)


def contrib_on_both(app: FastAPI) -> None:
    FastAPIInstrumentor.instrument_app(app)
    [mount] = [route for route in app.routes if getattr(route, "path", "") == "/inner"]
    FastAPIInstrumentor.instrument_app(mount.app)  # type: ignore[attr-defined]  # it is a mount


def nothing(_app: FastAPI) -> None:
    return


def servers(one: Traced, trace_id: str) -> list[Any]:
    return [found for found in one.spans(trace_id) if found.kind == "server"]


@known_from(issue="open-telemetry/opentelemetry-python-contrib: a SERVER span for the outermost, INTERNAL within")
@pytest.mark.parametrize("path", ["/items/{}", "/inner/parts/{}"], ids=["own route", "mounted app"])
@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["sampled", "kept at its end"])
@pytest.mark.parametrize(
    ("mode", "also", "maker"),
    [
        ("ours", nothing, "fastapi_cloudops"),
        ("ours", contrib_on, "fastapi_cloudops"),
        ("ours", contrib_on_both, "fastapi_cloudops"),
        ("contrib", contrib_on, "opentelemetry.instrumentation.fastapi"),
        ("contrib", contrib_on_both, "opentelemetry.instrumentation.fastapi"),
        ("native", nothing, "fastapi" if NATIVE else "fastapi_cloudops"),
        ("native", contrib_on, "opentelemetry.instrumentation.fastapi" if NATIVE else "fastapi_cloudops"),
    ],
)
async def test_each_request_has_one_server_span(emulator, mode, also, maker, rate, path):  # noqa: PLR0917  # a table
    app = make_app()
    with traced(emulator, app, server_span=mode, trace_sample_rate=rate, trace_parent="ignore") as one:
        also(app)
        async with one.client() as client:
            await client.get(path.format(7 if rate else 8))
        trace_id = trace_id_of(one)
        found = one.spans(trace_id)
        [server] = [span_ for span_ in found if span_.kind == "server"]
        assert server.labels["otel.scope.name"] == maker
        assert [root.span_id for root in roots(found)] == [server.span_id], "everything is in one tree"
        [charge] = [span_ for span_ in found if span_.name == "charge"]
        entries = {entry["message"]: entry["logging.googleapis.com/spanId"] for entry in one.service.entries}
        assert entries["charging"] == charge.span_id
        assert charge.span_id != server.span_id
        [access] = one.service.access
        assert access["logging.googleapis.com/spanId"] == server.span_id
        assert access["logging.googleapis.com/trace_sampled"] is True
        # Spans of others may stand between the endpoint and the request.
        by_id = {span_.span_id: span_ for span_ in found}
        above = by_id[entries["charged"]]
        while above.kind != "server":
            above = by_id[above.parent]
    trace_ids = {entry["logging.googleapis.com/trace"] for entry in one.service.entries}
    assert len(trace_ids) == 1


@pytest.mark.parametrize("mode", ["contrib", "native"] if NATIVE else ["contrib"])
async def test_the_callers_trace_goes_on_in_the_span_of_others(emulator, mode):
    trace_id = f"4bf92f3577b34da6a3ce929d0e0e47{'a1' if mode == 'native' else 'a2'}"
    app = make_app()
    with traced(emulator, app, server_span=mode) as one:
        if mode == "contrib":
            contrib_on(app)
        async with one.client() as client:
            await client.get("/items/7", headers={"traceparent": CALLER["traceparent"].format(trace_id)})
        [server] = servers(one, trace_id)
        [access] = one.service.access
    assert server.parent == "00f067aa0ba902b7"
    assert access["logging.googleapis.com/spanId"] == server.span_id


@pytest.mark.parametrize("mode", ["contrib"])
async def test_where_nobody_made_a_server_span_it_is_ours_and_told_once(emulator, mode, capfd):
    app = make_app()
    with traced(emulator, app, server_span=mode) as one:
        async with one.client() as client:
            await client.get("/items/7")
            await client.get("/items/7")
        [server] = servers(one, trace_id_of(one))
    assert server.labels["otel.scope.name"] == "fastapi_cloudops"
    assert capfd.readouterr().err.count("nothing made a SERVER span") == 1


@pytest.mark.parametrize("outside", ["contrib", *(["native"] if NATIVE else [])])
async def test_a_span_from_outside_of_our_layer_is_the_requests(emulator, outside):
    """As a mere middleware we stand within somebody else's span, which has begun by then."""
    plain = FastAPI(telemetry={"tracing": outside == "native"}) if NATIVE else FastAPI()

    @plain.get("/work")
    async def work() -> None:
        with span("charge"):
            pass

    with traced(emulator) as one:
        plain.add_middleware(MonitoringMiddleware, observability=one.service.observability)
        served: Any = plain
        if outside == "contrib":
            served = OpenTelemetryMiddleware(plain, exclude_spans=["send", "receive"])
        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            await client.get("/work")
        trace_id = trace_id_of(one)
        [root] = one.roots(trace_id)
        assert [server.span_id for server in servers(one, trace_id)] == [root.span_id]
        assert "charge" in str(root.tree())
        [access] = one.service.access
    assert access["logging.googleapis.com/spanId"] == root.span_id


def test_the_provider_is_global_and_the_only_one():
    assert not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
