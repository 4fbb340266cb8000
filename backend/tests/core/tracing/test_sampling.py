"""Which requests leave spans, decided at their beginning or at their end."""

import time
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, HTTPException, Request
from opentelemetry import trace

from app.core import get_logger
from app.core.logging.debug import sign
from app.core.tracing.sampling import ByRoute, Sampling, below
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.tracing import Traced, traced

# By their last 56 bits, these are the first and the last that any rate between 0 and 1 keeps.
FIRST, LAST = "4bf92f3577b34da6a300000000000000", "4bf92f3577b34da6a3ffffffffffffff"
SAMPLED, HEADER = "logging.googleapis.com/trace_sampled", "traceparent"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


def caller(trace_id: str, *, sampled: bool, span: str = "00f067aa0ba902b7") -> dict[str, str]:
    return {HEADER: f"00-{trace_id}-{span}-{'01' if sampled else '00'}"}


def fresh(last: str = LAST) -> str:
    """A trace id of its own with the given lot."""
    return f"{time.time_ns():018x}"[-18:] + last[-14:]


def make_app() -> FastAPI:
    app = FastAPI()
    log = get_logger("shop")

    @app.get("/fine")
    async def fine() -> None:
        log.info("looked up")

    @app.get("/often")
    async def often() -> None:
        return None

    @app.get("/slow")
    async def slow(request: Request) -> None:
        # As slow as the clock says: nothing waits.
        request.state.none = None

    @app.get("/broken")
    async def broken() -> None:
        with trace.get_tracer("shop").start_as_current_span("look up"):
            raise HTTPException(503)

    @app.get("/told")
    async def told() -> None:
        log.info("before")
        log.error("something is wrong")
        log.info("after")

    @app.get("/child")
    async def child() -> None:
        with trace.get_tracer("shop").start_as_current_span("look up"):
            pass

    return app


async def get(one: Traced, path: str, headers: dict[str, str]) -> None:
    async with one.client() as client:
        await client.get(path, headers=headers)


@known_from(docs="https://www.w3.org/TR/trace-context-2/#random-trace-id-flag")
def test_a_draw_is_the_random_part_of_the_trace_id():
    assert below(FIRST, 0.0001)
    assert not below(FIRST, 0.0)
    assert not below(LAST, 0.9999)
    assert below(LAST, 1.0)
    kept = sum(below(f"{'0' * 18}{number << 46:014x}", 0.1) for number in range(1024))
    assert kept == 103


@our_choice("the first pattern that fits counts")
def test_a_route_may_have_a_number_of_its_own():
    rates = ByRoute(0.1, {"/admin/*": 1.0, "*": 0.5})
    assert [rates.of(path) for path in ("/admin/x", "/items", "")] == [1.0, 0.5, 0.1]


@our_choice("Google's front end samples for its own ends, so its decision is none on Cloud Run")
@pytest.mark.parametrize(
    ("parent", "behind", "honours"),
    [("auto", True, False), ("auto", False, True), ("honour", True, True), ("ignore", False, False)],
)
def test_whose_decision_counts(parent, behind, honours):
    rules = Sampling(rate=0.1, error_rate=1.0, slow_seconds=5.0, rates={}, slow={}, parent=parent, behind_google=behind)
    assert rules.honours_parent is honours


async def test_the_callers_decision_is_honoured(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.5) as one:
        yes, no = fresh(LAST), fresh(FIRST)
        await get(one, "/fine", caller(yes, sampled=True))
        await get(one, "/fine", caller(no, sampled=False))
        assert [span.name for span in one.spans(yes)] == ["GET /fine"]
        assert one.spans(no) == []
        assert [entry[SAMPLED] for entry in one.service.access] == [True, False]


async def test_the_callers_decision_is_none_where_the_setting_says_so(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.5, trace_parent="ignore") as one:
        yes, no = fresh(FIRST), fresh(LAST)
        await get(one, "/fine", caller(yes, sampled=False))
        await get(one, "/fine", caller(no, sampled=True))
        [span] = one.spans(yes)
        assert span.labels["cloudops.sampled_by"] == "rate"
        assert span.parent == "00f067aa0ba902b7"
        assert one.spans(no) == []


async def test_on_cloud_run_the_front_ends_flag_is_no_decision(emulator, monkeypatch):
    monkeypatch.setenv("K_SERVICE", "items")
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    with traced(emulator, make_app(), trace_sample_rate=0.5, google_cloud_project="demo") as one:
        yes = fresh(FIRST)
        await get(one, "/fine", caller(yes, sampled=False))
        [span] = one.spans(yes)
    assert span.labels["cloud.platform"] == "gcp_cloud_run"
    assert span.labels["faas.name"] == "items"
    assert span.labels["g.co/r/cloud_run_revision/service_name"] == "items"


async def test_routes_have_rates_of_their_own(emulator):
    given = {"trace_sample_rate": 0.0, "trace_sample_rates": {"/oft*": 1.0}, "trace_parent": "ignore"}
    with traced(emulator, make_app(), **given) as one:
        yes, no = fresh(), fresh(FIRST)
        await get(one, "/often", caller(yes, sampled=False))
        await get(one, "/fine", caller(no, sampled=False))
        assert [span.name for span in one.spans(yes)] == ["GET /often"]
        assert one.spans(no) == []


async def test_a_failed_request_that_was_not_sampled_leaves_its_spans_with_true_times_and_ids(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.0) as one:
        trace_id = fresh()
        before = time.time()
        await get(one, "/broken", caller(trace_id, sampled=False))
        after = time.time()
        root = one.root(trace_id)
    assert root.tree() == {"GET /broken": ["look up"]}
    assert root.failed
    assert root.labels["cloudops.sampled_by"] == "error"
    assert (root.parent, root.labels["error.type"]) == ("00f067aa0ba902b7", "503")
    [child] = root.children
    assert before - 0.01 <= root.start <= child.start
    assert child.start + child.seconds <= root.start + root.seconds + 0.001 <= after + 0.01
    [entry] = one.service.access
    assert entry[SAMPLED] is True
    assert entry["logging.googleapis.com/spanId"] == root.span_id


async def test_the_error_rate_is_a_rate(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.0, error_trace_sample_rate=0.5) as one:
        yes, no = fresh(FIRST), fresh(LAST)
        await get(one, "/broken", caller(yes, sampled=False))
        await get(one, "/broken", caller(no, sampled=False))
        assert one.root(yes).tree() == {"GET /broken": ["look up"]}
        assert one.spans(no) == []


async def test_a_slow_request_is_kept_by_the_threshold_of_its_route(emulator):
    given = {"trace_sample_rate": 0.0, "slow_request_seconds": 60.0, "trace_slow_seconds": {"/slow": 1e-9}}
    with traced(emulator, make_app(), **given) as one:
        yes, no = fresh(), fresh()
        await get(one, "/slow", caller(yes, sampled=False))
        await get(one, "/fine", caller(no, sampled=False))
        [span] = one.spans(yes)
        assert span.labels["cloudops.sampled_by"] == "slow"
        assert not span.failed
        assert one.spans(no) == []


async def test_a_good_request_that_is_not_sampled_leaves_nothing_and_holds_nothing(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.0) as one:
        trace_id = fresh()
        await get(one, "/child", caller(trace_id, sampled=False))
        assert one.spans(trace_id) == []
        assert one.traces.buffer.count == 0
        assert one.traces.buffer.used == 0
        assert one.dropped() == {}


async def test_the_signed_debug_header_keeps_a_request(emulator):
    key = b"a-secret-key"
    given = {"trace_sample_rate": 0.0, "trace_parent": "ignore", "debug_header_key": key.decode()}
    with traced(emulator, make_app(), **given) as one:
        yes, no = fresh(), fresh()
        header = {"x-debug-log": sign(key, int(time.time()) + 60)}
        await get(one, "/fine", caller(yes, sampled=False) | header)
        await get(
            one, "/fine", caller(no, sampled=False) | {"x-debug-log": header["x-debug-log"].replace(".", ".0")[:-1]}
        )
        [span] = one.spans(yes)
        assert span.labels["cloudops.sampled_by"] == "debug"
        assert one.spans(no) == []


@known_from(docs="google/logging/v2/log_entry.proto, trace_sampled: false also means not known at the time")
async def test_entries_say_whether_their_flag_is_the_last_word(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.0) as one:
        trace_id = fresh()
        await get(one, "/told", caller(trace_id, sampled=False))
        entries = [
            entry for entry in one.service.entries if entry["message"] in {"before", "something is wrong", "after"}
        ]
        assert [(entry[SAMPLED], entry.get("trace_decision")) for entry in entries] == [
            (False, "at_end"),
            (True, None),  # an error: it is known from here on that the request is kept
            (True, None),
        ]
        [access] = one.service.access
        assert access[SAMPLED] is True
        assert "trace_decision" not in access
        [span] = one.spans(trace_id)
        assert span.labels["cloudops.sampled_by"] == "error"
        assert not span.failed


async def test_entries_of_a_request_that_cannot_be_kept_say_no_such_thing(emulator):
    with traced(emulator, make_app(), trace_sample_rate=0.0, error_trace_sample_rate=0.0) as one:
        await get(one, "/fine", caller(fresh(), sampled=False))
        [entry] = [entry for entry in one.service.entries if entry["message"] == "looked up"]
    assert (entry[SAMPLED], entry.get("trace_decision")) == (False, None)
