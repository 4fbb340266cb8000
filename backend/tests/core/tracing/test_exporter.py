"""The way of spans to the back end, over real wires: good ones, dead ones, and those that refuse."""

import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from app.core.clock import SystemClock
from app.core.metrics.refusals import Refused
from app.core.termination import termination
from app.core.tracing.buffer import Buffer, Waiting
from app.core.tracing.exporter import Exporter
from app.core.tracing.request_span import RequestSpan
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.service import observed
from support.tracing import SECONDS, Traced, spans_of, trace_id_of, traced
from support.waiting import wait_until

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService.Export"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


@pytest.fixture
def faults(emulator: RunningEmulator) -> Iterator[Callable[..., None]]:
    def add(**fault: Any) -> None:
        emulator.call(lambda: emulator.emulator.parts.faults.add({"method": EXPORT, **fault}))

    yield add
    emulator.call(emulator.emulator.parts.faults.delete)


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/work")
    async def work() -> None:
        return None

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    return app


async def ask(one: Traced, path: str = "/work") -> str:
    async with one.client() as client:
        await client.get(path)
    return trace_id_of(one)


@contextmanager
def blackhole() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def collector(answer: Callable[[ExportTraceServiceRequest], bytes]) -> Iterator[tuple[str, list[Any]]]:
    """A collector over HTTP, and what it was sent."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            seen.append((self.path, body))
            told = answer(body)
            self.send_response(200)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


async def test_spans_arrive_over_http_too(emulator):
    given = {"otlp_traces_endpoint": emulator.http, "cloudops_emulator_host": "", "google_cloud_project": "demo"}
    with traced(emulator, make_app(), **given) as one:
        assert [span.name for span in one.spans(await ask(one))] == ["GET /work"]


async def test_an_app_that_is_started_again_sends_again(emulator):
    with traced(emulator, make_app()) as one:
        first = await ask(one)
        await one.service.observability.stop()
        assert len(spans_of(emulator, first)) == 1
        one.service.observability.start()
        assert [span.name for span in one.spans(await ask(one))] == ["GET /work"]


async def test_what_has_ended_listens_to_no_signal_any_more(emulator):
    before = termination._at_once
    with traced(emulator, make_app()):
        assert len(termination._at_once) > len(before)
    assert termination._at_once == before


async def test_two_apps_in_one_process_send_their_own_spans(emulator):
    app, other = make_app(), make_app()

    @app.get("/child")
    @other.get("/child")
    async def child() -> None:
        trace.get_tracer("others").start_span("look up").end()

    with traced(emulator, app, service_name="one") as one, traced(emulator, other, service_name="two") as two:
        for which, name in ((one, "one"), (two, "two")):
            found = which.spans(await ask(which, "/child"))
            assert {span.name: span.labels["service.name"] for span in found} == {"GET /child": name, "look up": name}


def _request_spans() -> set[int]:
    # By type: an object may lie about its class.
    return {id(kept) for kept in gc.get_objects() if type(kept) is RequestSpan}


async def test_a_request_leaves_nothing_to_the_garbage_collector(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.5, trace_parent="ignore") as one:
        await ask(one)
        gc.collect()
        before = _request_spans()  # of spans that other tests never ended
        gc.disable()
        try:
            for last in "0f" * 5:
                async with one.client() as client:
                    headers = {"traceparent": f"00-4bf92f3577b34da6a3{last * 14}-00f067aa0ba902b7-01"}
                    await client.get("/work", headers=headers)
            assert one.traces.flush(SECONDS)
            assert _request_spans() <= before
        finally:
            gc.enable()


async def test_the_request_is_what_the_protocol_says():
    with collector(lambda _: b"") as (url, seen), observed(make_app(), **_to(url)) as service:
        one = Traced(service, None)  # type: ignore[arg-type]  # there is no emulator
        service.observability.start()
        trace_id = await ask(one)
        assert one.traces.flush(SECONDS)
        one.traces.close()
    [(path, request)] = seen
    assert path == "/v1/traces"
    [group] = request.resource_spans
    resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
    assert resource["gcp.project_id"] == "shop"
    [scope] = group.scope_spans
    [span] = scope.spans
    assert (span.trace_id.hex(), span.name, span.kind) == (trace_id, "GET /work", 2)
    assert span.flags & 1
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns()
    types = {pair.key: pair.value.WhichOneof("value") for pair in span.attributes}
    assert (types["http.response.status_code"], types["http.route"]) == ("int_value", "string_value")


def _to(url: str) -> dict[str, Any]:
    return {
        "otlp_traces_endpoint": url,
        "google_cloud_project": "shop",
        "traces_backend": "otlp",
        "enable_metrics": False,
        "trace_sample_rate": 1.0,
    }


@known_from(docs="https://opentelemetry.io/docs/specs/otlp/#partial-success")
async def test_what_a_partial_success_rejects_is_counted_and_told(capfd):
    def answer(_: ExportTraceServiceRequest) -> bytes:
        told = ExportTraceServiceResponse()
        told.partial_success.rejected_spans, told.partial_success.error_message = 1, "too old"
        return told.SerializeToString()

    with collector(answer) as (url, seen), observed(make_app(), **_to(url)) as service:
        one = Traced(service, None)  # type: ignore[arg-type]  # there is no emulator
        service.observability.start()
        await ask(one)
        assert one.traces.flush(SECONDS)
        assert one.dropped() == {"refused": 1.0}
        assert one.traces.sent == 0
        one.traces.close()
    assert len(seen) == 1, "what was answered is not sent again"
    assert "too old" in capfd.readouterr().err


async def test_the_emulators_own_partial_success_is_read(emulator):
    with traced(emulator, make_app()) as one:
        trace.get_tracer("others").start_span("from the far future").end(2**63)
        trace_id = await ask(one)
        assert [span.name for span in one.spans(trace_id)] == ["GET /work"]
        assert one.dropped() == {"refused": 1.0}


async def test_an_outage_loses_nothing_that_there_is_room_for(emulator, faults):
    faults(kind="unavailable", count=2)
    with traced(emulator, make_app()) as one:
        one.traces._exporter._interval = one.traces._exporter._pause = 0.2
        ids = [await ask(one) for _ in range(5)]
        wait_until(lambda: one.traces.sent == 5, seconds=30, what="the spans")
        assert all(len(spans_of(emulator, trace_id)) == 1 for trace_id in ids)
        assert one.dropped() == {}


@pytest.mark.parametrize("how", ["nobody there", "blackhole"])
async def test_a_dead_back_end_holds_up_neither_requests_nor_the_end(emulator, how, capfd):
    with blackhole() as hole:
        address = hole if how == "blackhole" else "127.0.0.1:9"
        with traced(emulator, make_app(), cloudops_emulator_host=address) as one:
            for _ in range(20):
                await ask(one)
            began = time.monotonic()
            one.traces.close(1.0)
            took = time.monotonic() - began
            assert one.dropped() == {"undelivered": 20.0}
    # Of a second that was given; the rest is for a busy machine.
    assert took < 15
    [line] = [line for line in capfd.readouterr().err.splitlines() if "telemetry was lost" in line]
    assert json.loads(line)["lost"] == {"traces": "20 spans"}


async def test_waiting_spans_are_bounded_and_errors_go_last(emulator):
    with (
        blackhole() as hole,
        traced(emulator, make_app(), cloudops_emulator_host=hole, trace_buffer_bytes=2**20) as one,
    ):
        await ask(one, "/broken")
        for _ in range(400):
            await ask(one)
        assert one.traces.buffer.used <= 2**20
        dropped = one.dropped()["overflow"]
        assert 0 < dropped < 400
        assert any(waiting.error for waiting in one.traces.buffer._errors) or one.traces._exporter._busy
        one.traces.close(0.3)
        assert one.dropped()["overflow"] + one.dropped()["undelivered"] == 401


class Wire:
    """A connection that answers as it is told, and remembers what it was sent."""

    def __init__(self, *answers: Refused | None, poison: str = "") -> None:
        self.answers = list(answers)
        self.poison = poison
        self.sent: list[list[str]] = []

    def write(self, request: bytes, _timeout: float) -> Refused | None:
        names = request.decode().split(",")
        self.sent.append(names)
        if self.poison in names:
            return Refused("INVALID_ARGUMENT", "a bad span")
        return self.answers.pop(0) if self.answers else None

    def close(self) -> None:
        return


def exporter(wire: Wire, dropped: dict[str, int]) -> tuple[Exporter, Buffer]:
    def drop(reason: str, count: int) -> None:
        dropped[reason] = dropped.get(reason, 0) + count

    buffer = Buffer(1 << 20, drop)
    made = Exporter(
        buffer,
        prepare=lambda: None,
        connect=lambda: wire,
        encode=lambda spans: ",".join(spans).encode(),
        located=lambda _: None,
        dropped=drop,
        clock=SystemClock(),
        interval=0.05,
    )
    return made, buffer


def one_span(name: str, *, error: bool = False) -> Waiting:
    return Waiting(lambda: [name], 1, 100, error=error)


@known_from(docs="https://opentelemetry.io/docs/specs/otlp/#failures")
def test_one_bad_span_costs_the_others_nothing(capfd):
    dropped: dict[str, int] = {}
    wire = Wire(poison="bad")
    made, buffer = exporter(wire, dropped)
    for name in ("a", "b", "bad", "c", "d"):
        buffer.put(one_span(name))
    made.start()
    assert made.flush(SECONDS)
    made.close(1.0)
    assert (made.sent, dropped, buffer.used) == (4, {"refused": 1}, 0)
    assert sorted(name for names in wire.sent if "bad" not in names for name in names) == ["a", "b", "c", "d"]
    assert "a bad span" in capfd.readouterr().err


@our_choice("who lacks a permission may get it while spans wait; the spans themselves are not at fault")
@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_what_may_pass_is_tried_again(code, capfd):
    dropped: dict[str, int] = {}
    made, buffer = exporter(Wire(Refused(code, "not now")), dropped)
    buffer.put(one_span("a"))
    made.start()
    wait_until(lambda: made.sent == 1, seconds=SECONDS, what="the second try")
    made.close(1.0)
    assert dropped == {}
    assert capfd.readouterr().err.count("not now") == 1


def test_a_span_that_cannot_be_made_costs_the_others_nothing(internal_failures):
    def broken() -> list[Any]:
        raise ValueError("broken")

    made, buffer = exporter(Wire(), {})
    buffer.put(Waiting(broken, 1, 100, error=False))
    buffer.put(one_span("a"))
    made.start()
    assert made.flush(SECONDS)
    made.close(1.0)
    assert (made.sent, buffer.used) == (1, 0)
    assert [where for where, _ in internal_failures] == ["span"]
    internal_failures.clear()
