"""OTLP spans in Cloud Trace's store."""

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.emulator.parts import Parts
from support.otlp import NOW, RUN, TRACES, parts, spans
from support.provenance import known_from, our_choice

QUOTAS = "https://docs.cloud.google.com/stackdriver/quotas"
TRACE = bytes(range(1, 17))


@pytest.fixture
def emulator() -> Parts:
    return parts()


def span(number: int = 1, **fields: Any) -> Span:
    times = {"start_time_unix_nano": NOW - 2 * 10**9, "end_time_unix_nano": NOW - 10**9}
    identity = {"trace_id": TRACE, "span_id": number.to_bytes(8, "big"), "name": "GET /items"}
    return Span(**{**times, **identity, **fields})


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def export(emulator: Parts, *given: Span, **changes: Any) -> Any:
    service: Any = emulator.services[TRACES]
    return service.export(spans(*given, **changes)).partial_success


def stored(emulator: Parts) -> dict[str, Any]:
    trace = emulator.trace.traces.store.get(TRACE.hex(), NOW)
    return {} if trace is None else trace.spans


@known_from(docs="https://github.com/GoogleCloudPlatform/opentelemetry-operations-python/blob/main/MIGRATION.md")
def test_attributes_keep_their_names_and_what_the_resource_says_stands_beside_them(emulator: Parts) -> None:
    export(emulator, span(attributes=[text("http.request.method", "GET")]))
    [found] = stored(emulator).values()
    labels = found.attributes.attribute_map
    assert labels["http.request.method"].string_value.value == "GET"
    assert labels["service.name"].string_value.value == "items"
    assert found.display_name.value == "GET /items"


def test_kind_status_events_and_links_are_kept(emulator: Parts) -> None:
    given = span(
        kind=Span.SPAN_KIND_SERVER,
        parent_span_id=bytes([9] * 8),
        status={"code": 2, "message": "timeout"},
        events=[Span.Event(time_unix_nano=NOW, name="retry", attributes=[text("attempt", "2")])],
        links=[Span.Link(trace_id=bytes([7] * 16), span_id=bytes([8] * 8))],
    )
    export(emulator, given)
    [found] = stored(emulator).values()
    assert (found.span_kind, found.parent_span_id) == (2, "09" * 8)
    assert (found.status.code, found.status.message) == (2, "timeout")
    [event] = found.time_events.time_event
    assert event.annotation.description.value == "retry"
    assert found.links.link[0].trace_id == "07" * 16


@known_from(proto="opentelemetry/proto/trace/v1/trace.proto")
@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": b"\x01" * 15},
        {"trace_id": bytes(16)},
        {"span_id": b"\x01" * 7},
        {"span_id": bytes(8)},
        {"parent_span_id": b"\x01"},
        {"name": ""},
        {"start_time_unix_nano": 0},
        {"start_time_unix_nano": 2**64 - 1},
        {"end_time_unix_nano": 2**64 - 1},
    ],
    ids=str,
)
def test_a_malformed_span_is_rejected_and_the_others_stay(emulator: Parts, wrong: dict[str, Any]) -> None:
    told = export(emulator, span(1, **wrong), span(2))
    assert told.rejected_spans == 1
    assert told.error_message
    assert list(stored(emulator)) == ["0000000000000002"]


@known_from(docs=QUOTAS)
def test_what_is_too_long_is_cut_and_what_is_too_many_is_counted(emulator: Parts) -> None:
    many = [text(f"k{number:04}", "v") for number in range(1100)]
    given = span(
        name="n" * 2000,
        attributes=[*many, text("K" * 600, "v"), text("k0000", "v" * 70_000)],
        events=[Span.Event(time_unix_nano=NOW, name="e" * 2000)] * 300,
        links=[Span.Link(trace_id=TRACE, span_id=b"\x01" * 8)] * 200,
    )
    assert not export(emulator, given, resource={"gcp.project_id": "demo"}).rejected_spans
    [found] = stored(emulator).values()
    assert len(found.display_name.value) == 1024
    assert len(found.attributes.attribute_map) == 1024
    assert found.attributes.dropped_attributes_count == 77
    assert len(found.attributes.attribute_map["k0000"].string_value.value) == 65_536
    assert found.attributes.attribute_map["k0000"].string_value.truncated_byte_count == 70_000 - 65_536
    assert len(found.time_events.time_event) == 256
    assert found.time_events.dropped_annotations_count == 44
    assert len(found.time_events.time_event[0].annotation.description.value) == 1024
    assert (len(found.links.link), found.links.dropped_links_count) == (128, 72)


@our_choice("a text is cut at the end of a character, so that it stays a text")
def test_a_cut_leaves_whole_characters(emulator: Parts) -> None:
    export(emulator, span(name="ä" * 600))
    [found] = stored(emulator).values()
    assert found.display_name.value == "ä" * 512


@known_from(proto="google/devtools/cloudtrace/v2/tracing.proto")
def test_a_span_that_comes_again_does_not_replace_the_first(emulator: Parts) -> None:
    export(emulator, span(name="first"))
    export(emulator, span(name="second"))
    [found] = stored(emulator).values()
    assert found.display_name.value == "first"


@our_choice("OTLP has more types than Cloud Trace v2: they are told as JSON")
def test_numbers_and_lists_become_texts(emulator: Parts) -> None:
    mixed = ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="b")])
    rows = KeyValue(key="rows", value=AnyValue(array_value=mixed))
    export(emulator, span(attributes=[rows, KeyValue(key="share", value=AnyValue(double_value=0.5))]))
    [found] = stored(emulator).values()
    labels = found.attributes.attribute_map
    assert labels["rows"].string_value.value == '[1, "b"]'
    assert labels["share"].string_value.value == "0.5"


def test_a_resource_s_attributes_do_not_hide_the_span_s_own(emulator: Parts) -> None:
    export(emulator, span(attributes=[text("service.name", "mine")]), resource=RUN)
    [found] = stored(emulator).values()
    assert found.attributes.attribute_map["service.name"].string_value.value == "mine"
