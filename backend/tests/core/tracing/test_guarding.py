"""What goes wrong in tracing reaches neither a request nor its entries."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from opentelemetry import context as otel
from opentelemetry import trace

from app.core.tracing import provider, span
from app.core.tracing.provider import RequestSampler
from app.core.tracing.request_span import RequestSpan
from app.core.tracing.traces import Traces
from support.emulator import RunningEmulator, running_emulator
from support.tracing import traced


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Traces, "begin"),
        (Traces, "_keep"),
        (Traces, "_reason"),
        (Traces, "export"),
        (RequestSpan, "attach"),
        (RequestSpan, "keep"),
        (RequestSpan, "leave"),
        (RequestSpan, "ended"),
    ],
)
async def test_a_failure_of_tracing_stays_where_it_is(emulator, owner, name, monkeypatch, internal_failures):
    app = FastAPI()

    @app.get("/work")
    async def work() -> int:
        with span("charge"):
            return 42

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    with traced(emulator, app) as one:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            async with one.client() as client:
                answer = await client.get("/work")
        assert (answer.status_code, answer.json()) == (200, 42)
        assert internal_failures, "the failure is told"
        assert {str(error) for _, error in internal_failures} == {"planted"}
        internal_failures.clear()
        if name not in {"begin", "adopt", "attach"}:  # such a request is served without being observed
            assert len(one.service.access) == 1
        async with one.client() as client:
            assert (await client.get("/work")).status_code == 200
        assert one.service.access[-1]["httpRequest"]["status"] == 200


@pytest.mark.parametrize(("owner", "name"), [(RequestSampler, "_decide"), (provider, "_request_span")])
async def test_a_failure_of_ours_stays_out_of_the_spans_of_others(
    emulator, owner, name, monkeypatch, internal_failures
):
    app = FastAPI()

    @app.get("/work")
    async def work() -> int:
        with trace.get_tracer("shop").start_as_current_span("charge"):
            return 42

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    with traced(emulator, app) as one:
        monkeypatch.setattr(owner, name, broken)
        async with one.client() as client:
            assert (await client.get("/work")).json() == 42
        assert len(one.service.access) == 1
    assert {str(error) for _, error in internal_failures} == {"planted"}
    internal_failures.clear()


async def test_a_failure_of_a_span_stays_where_it_is(emulator, monkeypatch, internal_failures):
    with traced(emulator):
        monkeypatch.setattr(trace, "get_tracer", lambda _: None)

        @span("charge")
        def charge() -> Iterator[int]:
            yield 42

        with span("charge") as one:
            one.set(amount=3)
        assert list(charge()) == [42]
    assert len(internal_failures) == 2
    internal_failures.clear()


async def test_a_failure_to_see_who_has_begun_the_trace_stays_where_it_is(emulator, monkeypatch, internal_failures):
    app = FastAPI()

    @app.get("/work")
    async def work() -> int:
        return 42

    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    with traced(emulator, app) as one:
        token = otel.attach(otel.set_value("somebody", "else"))
        with monkeypatch.context() as patch:
            patch.setattr(RequestSpan, "adopt", broken)
            async with one.client() as client:
                answer = await client.get("/work")
        otel.detach(token)
        assert (answer.status_code, answer.json()) == (200, 42)
        assert {str(error) for _, error in internal_failures} == {"planted"}
        internal_failures.clear()
