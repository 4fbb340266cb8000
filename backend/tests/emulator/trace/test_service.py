"""Cloud Trace v1 and v2: rules, filters, limits."""

from typing import Any

import pytest
from google.cloud.trace_v1.types import GetTraceRequest, ListTracesRequest, PatchTracesRequest
from google.cloud.trace_v2.types import BatchWriteSpansRequest
from google.protobuf import json_format

from app.emulator.clock import NANOS, ManualClock
from app.emulator.project import Context, Switches
from app.emulator.status import ApiError, Code
from app.emulator.trace.suite import CloudTrace
from support.monitoring import START, moment
from support.provenance import known_from, our_choice

V1 = "google/devtools/cloudtrace/v1/trace.proto"
V2 = "google/devtools/cloudtrace/v2/trace.proto"
TRACE = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


@pytest.fixture
def trace() -> CloudTrace:
    return make()


def make(**switches: Any) -> CloudTrace:
    return CloudTrace(Context(clock=ManualClock(START * NANOS), switches=Switches(**switches)))


def v1(trace: CloudTrace) -> Any:
    return trace.services["google.devtools.cloudtrace.v1.TraceService"]


def v2(trace: CloudTrace) -> Any:
    return trace.services["google.devtools.cloudtrace.v2.TraceService"]


def span(number: int = 1, trace_id: str = TRACE, parent: int = 0, **fields: Any) -> dict[str, Any]:
    span_id = f"{number:016x}"
    return {
        "name": f"projects/demo/traces/{trace_id}/spans/{span_id}",
        "spanId": span_id,
        "displayName": {"value": "GET /items"},
        "startTime": moment(-2),
        "endTime": moment(-1),
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        **fields,
    }


def labels(**values: str) -> dict[str, Any]:
    return {"attributeMap": {key: {"stringValue": {"value": value}} for key, value in values.items()}}


def write(trace: CloudTrace, *spans: dict[str, Any]) -> None:
    request = BatchWriteSpansRequest.pb()()
    v2(trace).batch_write_spans(json_format.ParseDict({"name": "projects/demo", "spans": list(spans)}, request))


def listed(trace: CloudTrace, **fields: Any) -> list[dict[str, Any]]:
    request = json_format.ParseDict({"projectId": "demo", **fields}, ListTracesRequest.pb()())
    answer = json_format.MessageToDict(v1(trace).list_traces(request))
    return list(answer.get("traces", []))


def got(trace: CloudTrace, trace_id: str = TRACE) -> dict[str, Any]:
    answer: dict[str, Any] = json_format.MessageToDict(
        v1(trace).get_trace(GetTraceRequest.pb()(project_id="demo", trace_id=trace_id))
    )
    return answer


@known_from(proto=V2)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "projects/demo/traces/12/spans/34"}, "Field name had an invalid value"),
        ({"name": f"projects/demo/traces/{'0' * 32}/spans/{1:016x}"}, "must not be zero"),
        ({"spanId": f"{2:016x}"}, "It must be the one in the name"),
        ({"parentSpanId": "7"}, "16 hexadecimal digits"),
        ({"displayName": None}, "missing field display_name"),
        ({"displayName": {"value": ""}}, "missing field display_name"),
        ({"startTime": None}, "missing field start_time"),
        ({"endTime": None}, "missing field end_time"),
    ],
    ids=str,
)
def test_a_malformed_span_refuses_the_call(trace: CloudTrace, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ApiError, match=told) as caught:
        write(trace, span(2), span(1, **wrong))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert listed(trace) == []


def test_a_span_of_another_project_is_not_found(trace: CloudTrace) -> None:
    with pytest.raises(ApiError, match="not emulated here") as caught:
        write(trace, span(name=f"projects/other/traces/{TRACE}/spans/{1:016x}"))
    assert caught.value.code is Code.NOT_FOUND


@known_from(proto="google/devtools/cloudtrace/v2/tracing.proto")
def test_spans_that_exist_are_not_updated_by_v2(trace: CloudTrace) -> None:
    write(trace, span())
    write(trace, span(displayName={"value": "another"}))
    assert [one["name"] for one in got(trace)["spans"]] == ["GET /items"]


@known_from(proto=V2)
def test_v2_cuts_and_drops_what_the_proto_does_not_allow() -> None:
    trace = make(trace_limits_of_proto=True)
    many = labels(**{f"k{number:02}": "v" * 300 for number in range(40)})
    events = [{"time": moment(-1), "annotation": {"description": {"value": "e" * 300}}}] * 40
    messages = [{"time": moment(-1), "messageEvent": {"id": "1"}}] * 130
    links = [{"traceId": OTHER, "spanId": f"{1:016x}"}] * 130
    wanted = span(
        displayName={"value": "n" * 200},
        attributes=many,
        timeEvents={"timeEvent": [*events, *messages]},
        links={"link": links},
        stackTrace={"stackFrames": {"frame": [{"lineNumber": "1"}] * 130}},
    )
    write(trace, wanted)
    found = trace.traces.store.get(TRACE, START * NANOS)
    assert found is not None
    [kept] = found.spans.values()
    assert (len(kept.display_name.value), kept.display_name.truncated_byte_count) == (128, 72)
    assert (len(kept.attributes.attribute_map), kept.attributes.dropped_attributes_count) == (32, 8)
    assert len(kept.attributes.attribute_map["k00"].string_value.value) == 256
    assert kept.time_events.dropped_annotations_count == 8
    assert kept.time_events.dropped_message_events_count == 2
    assert len(kept.time_events.time_event) == 32 + 128
    assert len(kept.time_events.time_event[0].annotation.description.value) == 256
    assert (len(kept.links.link), kept.links.dropped_links_count) == (128, 2)
    assert len(kept.stack_trace.stack_frames.frame) == 128


@known_from(docs="https://docs.cloud.google.com/stackdriver/quotas")
def test_the_storage_takes_more_than_the_proto_says(trace: CloudTrace) -> None:
    write(trace, span(attributes=labels(**{f"k{number}": "v" * 300 for number in range(40)})))
    assert len(got(trace)["spans"][0]["labels"]) == 40


@known_from(proto=V1)
def test_patch_merges_into_what_is_there(trace: CloudTrace) -> None:
    write(trace, span(attributes=labels(a="1", b="1")))
    body = {
        "projectId": "demo",
        "traces": {"traces": [{"traceId": TRACE, "spans": [{"spanId": "1", "labels": {"b": "2", "c": "3"}}]}]},
    }
    v1(trace).patch_traces(json_format.ParseDict(body, PatchTracesRequest.pb()()))
    [found] = got(trace)["spans"]
    assert found["labels"] == {"a": "1", "b": "2", "c": "3"}
    assert found["name"] == "GET /items"


@known_from(proto=V1)
@pytest.mark.parametrize(
    ("patched", "told"),
    [
        ({"traceId": "12", "spans": [{"spanId": "1"}]}, "Invalid trace id"),
        ({"traceId": TRACE, "spans": [{"name": "x"}]}, "no span_id"),
        ({"traceId": TRACE, "spans": [{"spanId": "1", "name": "x" * 129}]}, "more than 128 bytes"),
    ],
    ids=["trace id", "span id", "name"],
)
def test_patch_refuses_what_is_malformed(trace: CloudTrace, patched: dict[str, Any], told: str) -> None:
    body = {"projectId": "demo", "traces": {"traces": [patched]}}
    with pytest.raises(ApiError, match=told):
        v1(trace).patch_traces(json_format.ParseDict(body, PatchTracesRequest.pb()()))


def test_an_unknown_trace_is_not_found(trace: CloudTrace) -> None:
    with pytest.raises(ApiError, match="Requested entity was not found") as caught:
        got(trace)
    assert caught.value.code is Code.NOT_FOUND


def tree(trace: CloudTrace) -> None:
    """One slow trace of two spans, and one quick one."""
    write(
        trace,
        span(
            1, startTime=moment(-10), endTime=moment(-5), attributes=labels(**{"/http/method": "GET", "tenant": "a b"})
        ),
        span(2, parent=1, displayName={"value": "SELECT items"}, startTime=moment(-9), endTime=moment(-8)),
        span(
            3,
            OTHER,
            displayName={"value": "POST /orders"},
            startTime=moment(-2),
            endTime=moment(-1.99),
            attributes=labels(**{"/http/url": "https://x.example/orders"}),
        ),
    )


@known_from(proto=V1)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {TRACE, OTHER}),
        ("GET", {TRACE}),
        ("+GET", set()),
        ('+"GET /items"', {TRACE}),
        ("root:POST", {OTHER}),
        ("root:SELECT", set()),
        ("span:SELECT", {TRACE}),
        ('+span:"SELECT items"', {TRACE}),
        ("+span:SELECT", set()),
        ("latency:24ms", {TRACE}),
        ("latency:24", {TRACE}),
        ("latency:5s", {TRACE}),
        ("latency:5001ms", set()),
        ("latency:1000000ns", {TRACE, OTHER}),
        ("label:tenant", {TRACE}),
        ("label:Tenant", set()),
        ("tenant:a", {TRACE}),
        ('+tenant:"a b"', {TRACE}),
        ("+tenant:a", set()),
        ("method:GET", {TRACE}),
        ("/http/method:GET", {TRACE}),
        ('url:"https://x.example"', {OTHER}),
        ("url:https://x.example", {OTHER}),
        ("GET latency:24ms", {TRACE}),
        ("GET root:POST", set()),
    ],
)
def test_filters_choose_traces(trace: CloudTrace, text: str, expected: set[str]) -> None:
    tree(trace)
    assert {one["traceId"] for one in listed(trace, filter=text)} == expected


@our_choice("how a malformed filter is refused is not published")
@pytest.mark.parametrize("text", ["latency:soon", '"open', "+", "x" * 20_001, 'a:"', "\0" * 3 + '"'])
def test_a_malformed_filter_is_refused(trace: CloudTrace, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        listed(trace, filter=text)
    assert caught.value.code is Code.INVALID_ARGUMENT


@known_from(proto=V1)
def test_views_tell_ids_roots_or_everything(trace: CloudTrace) -> None:
    tree(trace)
    counts = {
        view: [len(one.get("spans", [])) for one in listed(trace, view=view, orderBy="start")]
        for view in ("VIEW_TYPE_UNSPECIFIED", "MINIMAL", "ROOTSPAN", "COMPLETE")
    }
    assert counts == {"VIEW_TYPE_UNSPECIFIED": [0, 0], "MINIMAL": [0, 0], "ROOTSPAN": [1, 1], "COMPLETE": [2, 1]}


@known_from(proto=V1)
@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("trace_id", TRACE),
        ("trace_id desc", OTHER),
        ("name", TRACE),
        ("name desc", OTHER),
        ("duration", OTHER),
        ("duration desc", TRACE),
        ("start", TRACE),
        ("start desc", OTHER),
    ],
)
def test_traces_come_in_the_order_asked(trace: CloudTrace, order: str, first: str) -> None:
    tree(trace)
    assert listed(trace, orderBy=order)[0]["traceId"] == first


@known_from(proto=V1)
def test_the_interval_and_pages_bound_a_list(trace: CloudTrace) -> None:
    tree(trace)
    assert [one["traceId"] for one in listed(trace, endTime=moment(-4))] == [TRACE]
    assert [one["traceId"] for one in listed(trace, startTime=moment(-4))] == [OTHER]
    request = json_format.ParseDict({"projectId": "demo", "pageSize": 1}, ListTracesRequest.pb()())
    first = v1(trace).list_traces(request)
    request.page_token = first.next_page_token
    second = v1(trace).list_traces(request)
    assert [one.traces[0].trace_id for one in (first, second)] == [OTHER, TRACE]
    assert second.next_page_token == ""


@our_choice("a laptop keeps so many spans; the oldest trace gives way")
def test_the_oldest_trace_gives_way() -> None:
    trace = make(trace_spans_kept=3)
    for number in range(1, 6):
        write(trace, span(number, f"{number:032x}"))
    assert {one["traceId"] for one in listed(trace)} == {f"{number:032x}" for number in (3, 4, 5)}
    assert trace.traces.store.evicted == 2


@known_from(docs="https://docs.cloud.google.com/stackdriver/quotas")
def test_traces_are_kept_for_thirty_days(trace: CloudTrace) -> None:
    write(trace, span())
    clock = trace.traces.context.clock
    assert isinstance(clock, ManualClock)
    clock.advance(29 * 86_400)
    assert listed(trace)
    clock.advance(2 * 86_400)
    assert listed(trace) == []
