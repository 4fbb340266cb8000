"""`span()` and the spans of others, as trees in the emulator."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import context as otel
from opentelemetry import trace

from app.core import bind, get_logger, outgoing_headers, request_context, set_user
from app.core.propagation import from_pubsub_message, pubsub_attributes
from app.core.tracing import span
from app.core.tracing.request_span import HELD
from support.emulator import RunningEmulator, running_emulator
from support.provenance import our_choice
from support.tracing import Node, Traced, trace_id_of, traced
from support.waiting import wait_until


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


async def serve(emulator: RunningEmulator, endpoint: Any, **settings: Any) -> tuple[Node, Traced]:
    """The tree of one request, whose endpoint is given."""
    app = FastAPI()
    app.get("/work")(endpoint)
    with traced(emulator, app, **settings) as one:
        async with one.client() as client:
            await client.get("/work")
        return one.root(trace_id_of(one)), one


async def test_a_span_stands_beneath_the_request_and_within_other_spans(emulator):
    async def work() -> None:
        with span("charge", amount=3) as charge:
            charge.set(currency="EUR").event("asked", shop="north")
            async with span("card"):
                await asyncio.sleep(0)
        with span("mail"):
            pass

    root, _ = await serve(emulator, work)
    assert root.tree() == {"GET /work": [{"charge": ["card"]}, "mail"]}
    charge = next(child for child in root.children if child.name == "charge")
    assert (charge.labels["amount"], charge.labels["currency"]) == ("3", "EUR")
    assert [(event["name"], event["labels"]) for event in charge.events] == [("asked", {"shop": "north"})]


async def test_functions_of_every_kind_can_be_decorated(emulator):
    @span("sync")
    def sync(value: int) -> int:
        return value + 1

    @span
    async def named_after_itself(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    @span("generator", kind="sync")
    def generator(value: int) -> Generator[int, int | None, None]:
        with span("within"):
            got: int | None = yield value
            yield value + 1 if got is None else got

    @span("async generator")
    async def async_generator(value: int) -> AsyncIterator[int]:
        with span("within too"):
            yield value
            await asyncio.sleep(0)
            yield value + 1

    found: list[Any] = []

    async def work() -> None:
        found.append(sync(1))
        found.append(await named_after_itself(1))
        for value in generator(1):
            with span("consumer"):
                found.append(value)
        async for value in async_generator(1):
            with span("async consumer"):
                found.append(value)

    root, _ = await serve(emulator, work)
    assert found == [2, 2, 1, 2, 1, 2]
    name = "test_functions_of_every_kind_can_be_decorated.<locals>.named_after_itself"
    assert sorted(map(str, root.tree()["GET /work"])) == sorted(
        map(
            str,
            [
                "sync",
                name,
                {"generator": ["within"]},
                *["consumer"] * 2,
                {"async generator": ["within too"]},
                *["async consumer"] * 2,
            ],
        )
    )


async def test_a_decorated_generator_is_still_one(emulator):
    seen: list[Any] = []

    @span("given to")
    def given_to() -> Any:
        try:
            seen.append((yield 1))
            yield 2
        except KeyError as error:
            seen.append(repr(error))
            yield 3
        finally:
            seen.append("closed")
        return "done"

    @span("given to, asynchronously")
    async def async_given_to() -> Any:
        try:
            seen.append((yield 1))
            yield 2
        finally:
            seen.append("closed too")

    async def work() -> None:
        one = given_to()
        assert (next(one), one.send("sent"), one.throw(KeyError("thrown"))) == (1, 2, 3)
        with pytest.raises(StopIteration) as stop:
            next(one)
        assert stop.value.value == "done"
        left = given_to()
        next(left)
        left.close()
        other = async_given_to()
        assert (await anext(other), await other.asend("sent too")) == (1, 2)
        await other.aclose()

    root, _ = await serve(emulator, work)
    assert seen == ["sent", "KeyError('thrown')", "closed", "closed", "sent too", "closed too"]
    assert root.tree() == {"GET /work": ["given to", "given to", "given to, asynchronously"]}
    assert not any(child.failed for child in root.children), "a generator that is not read to its end has not failed"


async def test_a_generator_that_goes_on_in_other_threads_keeps_its_span(emulator, caplog):
    @span("chunks")
    def chunks() -> Iterator[str]:
        with span("within"):
            for _ in range(3):
                yield threading.current_thread().name

    async def work() -> None:
        one = chunks()
        for _ in range(3):
            await asyncio.to_thread(next, one)
        await asyncio.to_thread(next, one, None)

    root, _ = await serve(emulator, work)
    assert root.tree() == {"GET /work": [{"chunks": ["within"]}]}
    assert "detach" not in caplog.text


async def test_what_is_raised_goes_on_and_is_told_without_secrets(emulator):
    raised = ValueError("card 4111 1111 1111 1111 of ada@example.com")

    async def work() -> None:
        with pytest.raises(ValueError, match="card") as info, span("charge", password="hunter2", to="ada@example.com"):
            raise raised
        assert info.value is raised

    root, _ = await serve(emulator, work)
    [charge] = root.children
    assert charge.failed
    assert not root.failed
    assert charge.labels["error.type"] == "ValueError"
    assert charge.labels["password"] == "[redacted]"
    told = str([charge.labels, charge.events])
    assert "4111" not in told
    assert "ada@" not in told
    assert "hunter2" not in told


async def test_a_span_carries_what_is_bound_to_the_request(emulator):
    async def work() -> None:
        set_user("ada@example.com")
        with bind(tenant="north"), span("charge"):
            pass

    root, _ = await serve(emulator, work)
    [charge] = root.children
    assert charge.labels["app.tenant"] == "north"
    assert charge.labels["user.hash"] == root.labels["user.hash"]
    assert charge.labels["user.hash"].startswith("h:")


async def test_entries_and_calls_within_a_span_name_that_span(emulator):
    sent: list[Any] = []

    async def work() -> None:
        sent.append(outgoing_headers()["traceparent"])
        with span("charge"):
            get_logger("shop").info("charging")
            sent.append(outgoing_headers()["traceparent"])
            sent.append(pubsub_attributes()["googclient_traceparent"])

    root, one = await serve(emulator, work)
    [charge] = root.children
    [entry] = [entry for entry in one.service.entries if entry["message"] == "charging"]
    assert entry["logging.googleapis.com/spanId"] == charge.span_id
    assert [header[36:52] for header in sent] == [root.span_id, charge.span_id, charge.span_id]


async def test_spans_of_others_stand_beneath_ours(emulator):
    async def work() -> None:
        tracer = trace.get_tracer("others")
        with (
            tracer.start_as_current_span("select", attributes={"db.query.text": "SELECT 'ada@example.com'"}),
            span("x"),
        ):
            await asyncio.to_thread(lambda: tracer.start_span("in a thread").end())

    root, _ = await serve(emulator, work)
    assert root.tree() == {"GET /work": [{"select": [{"x": ["in a thread"]}]}]}
    assert root.children[0].labels["db.query.text"] == "SELECT '[redacted]'"


async def test_a_span_that_ends_after_its_request_follows_it(emulator):
    late: list[trace.Span] = []
    app = FastAPI()

    @app.get("/late/{status}")
    async def begin(status: int) -> None:
        late.append(trace.get_tracer("others").start_span("late"))
        if status >= 500:
            raise ValueError("broken")

    with traced(emulator, app, trace_sample_rate=0.0) as one:
        ids = []
        async with one.client() as client:
            for status in (200, 500):
                await client.get(f"/late/{status}")
                ids.append(trace_id_of(one))
        for span_ in late:
            span_.end()
        good, bad = (one.roots(trace_id) for trace_id in ids)
    assert good == []
    assert [root.tree() for root in bad] == [{"GET /late/{status}": ["late"]}]


@our_choice("a request's spans that are held back are bounded; what is beyond is dropped and counted")
async def test_a_request_with_very_many_spans_keeps_a_bounded_number_of_them(emulator):
    async def work() -> None:
        tracer = trace.get_tracer("others")
        for _ in range(HELD + 8):
            tracer.start_span("one of many").end()
        raise ValueError("broken")

    app = FastAPI()
    app.get("/work")(work)
    with traced(emulator, app, trace_sample_rate=0.0) as one:
        async with one.client() as client:
            await client.get("/work")
        root = one.root(trace_id_of(one))
        assert len(root.children) == HELD
        assert one.dropped() == {"overflow": 8.0}
        assert one.traces.buffer.used == 0


async def test_a_sampled_request_with_very_many_spans_keeps_them_all(emulator):
    async def work() -> None:
        for _ in range(HELD + 8):
            trace.get_tracer("others").start_span("one of many").end()

    root, _ = await serve(emulator, work)
    assert len(root.children) == HELD + 8


async def test_the_context_is_as_it_was_when_a_request_has_ended(emulator):
    before = otel.get_current()

    async def work() -> None:
        span("left open").__enter__()

    await serve(emulator, work)
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert otel.get_current() == before


async def test_a_message_is_a_span_of_its_own_beneath_its_sender(emulator):
    message = {
        "message_id": "17",
        "attributes": {"googclient_traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4799-00f067aa0ba902b7-01"},
    }
    with traced(emulator) as one:
        with request_context(from_pubsub_message(message)), span("handle"):
            pass
        root = one.root("4bf92f3577b34da6a3ce929d0e0e4799")
    assert (root.tree(), root.kind, root.parent) == ({"process": ["handle"]}, "consumer", "00f067aa0ba902b7")
    assert root.labels["messaging.message.id"] == "17"


async def test_a_job_that_fails_is_kept_whatever_the_rate(emulator):
    seen: list[str] = []

    @request_context()
    async def job(*, fails: bool) -> None:
        with span("step"):
            seen.append(outgoing_headers()["traceparent"][3:35])
            if fails:
                raise ValueError("broken")

    with traced(emulator, trace_sample_rate=0.0) as one:
        await job(fails=False)
        with pytest.raises(ValueError, match="broken"):
            await job(fails=True)
        good, bad = seen
        assert one.roots(good) == []
        root = one.root(bad)
    assert root.tree() == {"job": ["step"]}
    assert root.failed
    assert root.labels["error.type"] == "ValueError"


async def test_a_batch_links_to_where_its_messages_came_from(emulator):
    parents = [f"00-{number:032x}-{number:016x}-01" for number in (7, 8)]
    batch = [from_pubsub_message({"attributes": {"googclient_traceparent": parent}}) for parent in parents]

    async def work() -> None:
        with span("import batch", links=[*batch, from_pubsub_message({})]):
            pass

    root, _ = await serve(emulator, work)
    assert root.children[0].links == [{"traceId": f"{number:032x}", "spanId": f"{number:016x}"} for number in (7, 8)]


async def test_a_span_outside_of_requests_is_sampled_by_its_trace(emulator):
    with traced(emulator) as one:
        with span("warm up") as scope:
            assert scope._span is not None
            trace_id = f"{scope._span.get_span_context().trace_id:032x}"
            with span("cache"):
                pass
        assert one.root(trace_id).tree() == {"warm up": ["cache"]}
    with traced(emulator, trace_sample_rate=0.0), span("warm up") as scope:
        assert scope._span is not None
        assert not scope._span.is_recording()


async def test_without_a_running_exporter_a_span_is_nothing_at_all():
    before = otel.get_current()
    with span("nothing", amount=3) as one:
        one.set(more=1).event("and nothing")
        assert otel.get_current() is before

    @span("nothing")
    def call() -> int:
        return 7

    assert call() == 7


async def test_other_processors_of_the_provider_get_the_request_too(emulator):
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # the SDK, where it is needed
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415  # as above

    kept = InMemorySpanExporter()
    app = FastAPI()

    @app.get("/work")
    async def work() -> None:
        with span("charge"):
            pass

    with traced(emulator, app) as one:
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        provider.add_span_processor(SimpleSpanProcessor(kept))
        async with one.client() as client:
            await client.get("/work")
        wait_until(lambda: len(kept.get_finished_spans()) == 2, seconds=20, what="both spans")
    assert {finished.name for finished in kept.get_finished_spans()} == {"charge", "GET /work"}
