import asyncio
import functools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from fastapi import FastAPI

from app.core import ReservedFieldError, bind, get_logger
from app.core.context import RequestContext, current
from app.core.propagation import Origin, from_pubsub_message, from_pubsub_push, outgoing_headers, request_context
from support.service import observed

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def _current() -> RequestContext:
    context = current.get()
    assert context is not None
    return context


def _fail_inside(request_id: str) -> None:
    assert _current().request_id == request_id
    raise ZeroDivisionError


def test_log_calls_and_bind_work_in_a_job_as_in_a_request():
    with observed(google_cloud_project="shop") as service:
        log = get_logger("worker")
        with request_context(request_id="job-1", traceparent=TRACEPARENT, queue="mail") as context:
            bind(user="ada")
            with bind(step=1):
                log.info("inside")
            log.info("later")
        log.info("outside")
        inside, later, outside = service.entries
    assert (inside["request_id"], inside["queue"], inside["user"], inside["step"]) == ("job-1", "mail", "ada", 1)
    assert inside["logging.googleapis.com/trace"] == f"projects/shop/traces/{TRACE}"
    assert inside["logging.googleapis.com/spanId"] == context.trace.span_id != SPAN
    assert inside["logging.googleapis.com/trace_sampled"] is True
    assert (later["request_id"], "step" in later, "route" in later) == ("job-1", False, False)
    assert "request_id" not in outside
    assert "queue" not in outside


def test_a_push_request_is_handled_in_the_context_of_its_message():
    app = FastAPI()
    log = get_logger("worker")

    @app.post("/push")
    def push(body: dict[str, Any]) -> None:
        with request_context(from_pubsub_push(body)):
            log.info("handled")

    message = {"attributes": {"request_id": "req-1", "googclient_traceparent": TRACEPARENT}, "messageId": "7"}
    with observed(app) as service:

        async def call() -> None:
            async with service.client(headers={"x-request-id": "push-1"}) as client:
                await client.post("/push", json={"message": message})

        asyncio.run(call())
        handled, access = service.entries
    assert (handled["request_id"], handled["pubsub"]) == ("req-1", {"message_id": "7"})
    assert handled["logging.googleapis.com/trace"].endswith(TRACE)
    assert access["request_id"] == "push-1"


def test_ids_are_made_where_none_are_given():
    with request_context() as one:
        assert current.get() is one
    with request_context() as two:
        pass
    assert len({one.request_id, two.request_id, one.trace.trace_id, two.trace.trace_id}) == 4
    assert one.trace == one.trace
    assert one.route is None
    assert current.get() is None


@pytest.mark.parametrize("given", ["a b", "", "x" * 129, "a\r\nb", "é", "\udc80"])
def test_an_id_that_is_not_acceptable_counts_as_none(given):
    with request_context(request_id=given, traceparent=given) as context:
        assert context.request_id != given
        assert len(context.trace.trace_id) == 32


def test_what_the_call_names_goes_before_what_the_delivery_says():
    origin = Origin("theirs", ("1" * 32, "2" * 16, False), {"pubsub": {"message_id": "7"}, "tenant": "theirs"})
    with request_context(origin, request_id="ours", traceparent=TRACEPARENT, tenant="ours") as context:
        assert (context.request_id, context.trace.trace_id) == ("ours", TRACE)
        assert context.fields == {"pubsub": {"message_id": "7"}, "tenant": "ours"}
    with request_context(origin, request_id="not acceptable") as context:
        assert (context.request_id, context.trace.trace_id, context.trace.sampled) == ("theirs", "1" * 32, False)


def test_a_reserved_field_is_refused_before_any_work_and_bound_to_nothing():
    with request_context(request_id="outer") as outer:
        with pytest.raises(ReservedFieldError, match="app_severity"):
            request_context(severity="LOUD", tenant="blue")
        with pytest.raises(ReservedFieldError):
            request_context(Origin(fields={"message": "mine"}))
        request_context(tenant="blue")
        assert outer.fields == {}


def test_contexts_nest_and_an_error_leaves_the_outer_one():
    with request_context(request_id="outer") as outer:
        with pytest.raises(ZeroDivisionError), request_context(request_id="inner"):
            _fail_inside("inner")
        assert current.get() is outer
    assert current.get() is None


def test_one_scope_serves_many_threads_at_once():
    scope = request_context(queue="mail")
    barrier = threading.Barrier(8, timeout=10)

    def work(number: int) -> tuple[str, object, bool]:
        with scope as mine:
            bind(number=number)
            barrier.wait()
            seen = current.get() is mine, _current().fields
            barrier.wait()
        return mine.request_id, seen[1], seen[0] and current.get() is None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert len({request_id for request_id, _, _ in results}) == 8
    assert [fields for _, fields, _ in results] == [{"queue": "mail", "number": number} for number in range(8)]
    assert all(alone for _, _, alone in results)


async def test_a_thousand_jobs_at_the_same_time_never_mix():
    with observed() as service:
        log = get_logger("worker")

        @request_context(from_pubsub_message)
        async def work(message: dict[str, Any]) -> None:
            mine = message["attributes"]["request_id"]
            for _ in range(3):
                await asyncio.sleep(0)
                bind(mine=mine)
                assert outgoing_headers()["x-request-id"] == mine
            await asyncio.to_thread(log.info, "done", said=mine)

        await asyncio.gather(*(work({"attributes": {"request_id": f"job-{number}"}}) for number in range(1000)))
        entries = service.entries
    assert len(entries) == 1000
    assert [entry for entry in entries if not entry["said"] == entry["mine"] == entry["request_id"]] == []
    assert len({entry["logging.googleapis.com/trace"] for entry in entries}) == 1000


def test_each_call_of_a_decorated_function_has_a_context_of_its_own():
    @request_context(job="nightly")
    def work(answer: int, *, more: int = 0) -> tuple[int, str, object]:
        """Says what it is for."""
        return answer + more, _current().request_id, _current().fields

    first, second = work(1), work(1, more=1)
    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert first[2] == {"job": "nightly"}
    assert (work.__name__, work.__doc__) == ("work", "Says what it is for.")
    assert current.get() is None


async def test_a_decorated_coroutine_keeps_its_context_until_it_ends():
    @request_context(job="nightly")
    async def work() -> list[str]:
        seen = [_current().request_id]
        await asyncio.sleep(0)
        return [*seen, _current().request_id]

    coroutine = work()
    assert current.get() is None
    seen = await coroutine
    assert len(set(seen)) == 1
    assert current.get() is None


async def test_a_function_that_only_returns_a_coroutine_is_waited_for_in_a_context():
    async def inner() -> object:
        await asyncio.sleep(0)
        return _current().fields

    assert await request_context(job="nightly")(functools.partial(inner))() == {"job": "nightly"}
    assert await request_context(job="nightly")(lambda: inner())() == {"job": "nightly"}  # noqa: PLW0108  # on purpose no coroutine function


def test_the_origin_is_read_from_each_calls_arguments():
    def of_event(event: dict[str, str], _context: object = None) -> Origin:
        return Origin(event["id"], None, {"kind": event["kind"]})

    @request_context(of_event, job="import")
    def handle(_event: dict[str, str], _context: object = None) -> tuple[str, object]:
        return _current().request_id, _current().fields

    assert handle({"id": "e-1", "kind": "new"}, None) == ("e-1", {"kind": "new", "job": "import"})
    assert handle({"id": "e-2", "kind": "old"}) == ("e-2", {"kind": "old", "job": "import"})


def test_an_origin_that_needs_arguments_is_no_with_block():
    with pytest.raises(TypeError, match="decorator"), request_context(from_pubsub_message):
        pass
    assert current.get() is None


def test_a_generator_is_refused_because_its_context_would_leak():
    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    for function in (generator, async_generator):
        with pytest.raises(TypeError, match="generator"):
            request_context()(function)


def test_a_generator_that_ends_in_another_context_raises_nothing_and_changes_nothing():
    def steps() -> Any:
        with request_context(request_id="inside"):
            yield _current().request_id

    generator = steps()
    assert copy_context().run(next, generator) == "inside"
    with request_context(request_id="outside") as outside:
        assert next(generator, "end") == "end"
        assert current.get() is outside


def test_a_job_ends_even_over_a_generator_that_was_left_half_way():
    def steps() -> Any:
        with request_context(request_id="left behind"):
            yield

    with request_context(request_id="outer"):
        generator = steps()
        next(generator)
    assert current.get() is None
    generator.close()
    assert current.get() is None


async def test_a_task_that_outlives_its_job_keeps_the_ids_but_not_what_stood_around_the_job():
    gate = asyncio.Event()

    async def straggler() -> RequestContext:
        await gate.wait()
        return _current()

    with request_context(request_id="outer"), request_context(request_id="inner"):
        task = asyncio.create_task(straggler())
        await asyncio.sleep(0)
    gate.set()
    context: Any = await task
    assert (context.request_id, context.before) == ("inner", None)


def test_a_field_with_any_value_comes_out_as_json():
    with observed() as service:
        with request_context(weird=object(), nested={"a": [1, b"x"]}):
            get_logger().info("x")
        [line] = service.lines
    assert json.loads(line)["request_id"]
