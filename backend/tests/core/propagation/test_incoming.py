import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from app.core.context import acceptable_request_id
from app.core.propagation import Origin, delivery_fields, from_headers, from_pubsub_message, from_pubsub_push
from support.provenance import known_from, our_choice

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"
PARENT = (TRACE, SPAN, True)
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
ATTRIBUTES = {"googclient_traceparent": TRACEPARENT, "request_id": "req-1", "tenant": "blue"}


@known_from(docs="https://cloud.google.com/pubsub/docs/push#receive_push")
def test_a_push_body_tells_ids_and_delivery():
    body = {
        "message": {
            "attributes": ATTRIBUTES,
            "data": "SGVsbG8=",
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "publishTime": "2021-02-26T19:13:55.749Z",
        },
        "subscription": "projects/shop/subscriptions/orders",
        "deliveryAttempt": 3,
    }
    assert from_pubsub_push(body) == Origin(
        "req-1",
        PARENT,
        {
            "pubsub": {
                "message_id": "2070443601311540",
                "subscription": "projects/shop/subscriptions/orders",
                "delivery_attempt": 3,
            }
        },
    )


def _mapping() -> dict[str, Any]:
    return {"attributes": ATTRIBUTES, "message_id": "7", "delivery_attempt": 2}


def _message() -> SimpleNamespace:
    return SimpleNamespace(**_mapping())


def _pulled() -> SimpleNamespace:
    message = SimpleNamespace(attributes=ATTRIBUTES, message_id="7")
    return SimpleNamespace(ack_id="a", message=message, delivery_attempt=2)


def _pulled_json() -> dict[str, Any]:
    return {"ackId": "a", "message": {"attributes": ATTRIBUTES, "messageId": "7"}, "deliveryAttempt": 2}


@known_from(proto="google/pubsub/v1/pubsub.proto")
@pytest.mark.parametrize("message", [_mapping(), _message(), _pulled(), _pulled_json()])
def test_a_message_is_read_in_every_shape_a_subscriber_meets(message):
    assert from_pubsub_message(message) == Origin(
        "req-1", PARENT, {"pubsub": {"message_id": "7", "delivery_attempt": 2}}
    )


def test_attributes_in_a_map_of_protobuf_are_read():
    attributes = Struct()
    attributes.update({"unrelated": "1"})
    assert from_pubsub_message(SimpleNamespace(attributes=attributes.fields, message_id="7")).request_id is None


@our_choice("senders that use OpenTelemetry's own propagator, or copy HTTP headers, write these names")
def test_plain_attribute_names_are_read_where_those_of_the_client_are_missing():
    attributes = {"traceparent": TRACEPARENT, "x-request-id": "req-2"}
    assert from_pubsub_message({"attributes": attributes}) == Origin("req-2", PARENT)


def test_without_a_dead_letter_policy_there_is_no_delivery_attempt():
    assert from_pubsub_message({"attributes": {}, "message_id": "7", "delivery_attempt": 0}).fields == {
        "pubsub": {"message_id": "7"}
    }


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        7,
        {},
        {"message": None},
        {"message": []},
        {"message": "text"},
        {"message": {"attributes": ["traceparent"]}},
        {"message": {"attributes": {"request_id": 7, "googclient_traceparent": None}, "messageId": {}}},
        {"message": {"attributes": {"request_id": "x" * 60_000, "googclient_traceparent": "00-" + "a" * 60_000}}},
        {"message": {"attributes": {"request_id": "a\r\nb"}, "messageId": "a b"}, "deliveryAttempt": True},
        {"message": {"messageId": "x" * 60_000}, "subscription": ["a"], "deliveryAttempt": -1},
        {"message": {"messageId": ""}, "subscription": "café", "deliveryAttempt": 10**30},
    ],
)
def test_a_body_that_is_no_push_has_an_empty_origin(body):
    assert from_pubsub_push(body) == Origin()


TASK = {
    "X-CloudTasks-QueueName": "mail",
    "X-CloudTasks-TaskName": "72810312",
    "X-CloudTasks-TaskRetryCount": "2",
    "X-CloudTasks-TaskExecutionCount": "1",
    "X-CloudTasks-TaskPreviousResponse": "503",
    "X-CloudTasks-TaskETA": "1700000000.5",
}


@known_from(docs="https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler")
def test_headers_of_cloud_tasks_tell_queue_task_and_attempt():
    origin = from_headers({**TASK, "x-request-id": "req-1", "traceparent": TRACEPARENT})
    assert origin == Origin(
        "req-1",
        PARENT,
        {
            "cloud_task": {
                "queue": "mail",
                "name": "72810312",
                "retry_count": 2,
                "execution_count": 1,
                "previous_response": 503,
            }
        },
    )


@known_from(proto="google/cloud/scheduler/v1/target.proto")
def test_headers_of_cloud_scheduler_tell_the_job():
    headers = {"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "nightly"}
    headers["X-CloudScheduler-ScheduleTime"] = "2026-11-21T01:00:00Z"
    assert from_headers(headers).fields == {
        "cloud_scheduler": {"job": "nightly", "schedule_time": "2026-11-21T01:00:00Z"}
    }


@known_from(docs="https://cloud.google.com/pubsub/docs/payload-unwrapping")
def test_headers_of_a_push_without_wrapper_tell_message_and_ids():
    headers = {
        "x-goog-pubsub-message-id": "7",
        "x-goog-pubsub-subscription-name": "projects/shop/subscriptions/orders",
        **ATTRIBUTES,
    }
    assert from_headers(headers) == Origin(
        "req-1", PARENT, {"pubsub": {"message_id": "7", "subscription": "projects/shop/subscriptions/orders"}}
    )


EVENT = {
    "ce-id": "1096434104173400",
    "ce-type": "google.cloud.storage.object.v1.finalized",
    "ce-source": "//storage.googleapis.com/projects/_/buckets/shop",
    "ce-subject": "objects/ada-lovelace.pdf",
    "ce-specversion": "1.0",
}


@known_from(docs="https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md")
def test_an_event_keeps_to_the_trace_it_began_in():
    hop = f"00-{OTHER}-{SPAN}-00"
    origin = from_headers({**EVENT, "ce-traceparent": TRACEPARENT, "traceparent": hop})
    assert origin.parent == PARENT
    assert from_headers({**EVENT, "traceparent": hop}).parent == (OTHER, SPAN, False)
    assert from_headers({**EVENT, "ce-traceparent": "broken", "traceparent": hop}).parent == (OTHER, SPAN, False)


@our_choice("the subject names the thing the event is about, which may be a person's file")
def test_an_event_tells_its_id_type_and_source_and_not_its_subject():
    assert from_headers(EVENT).fields == {
        "cloud_event": {"id": EVENT["ce-id"], "type": EVENT["ce-type"], "source": EVENT["ce-source"]}
    }


def test_the_older_trace_header_is_the_last_resort():
    older = {"X-Cloud-Trace-Context": f"{OTHER}/1;o=1"}
    assert from_headers(older).parent == (OTHER, "0000000000000001", True)
    assert from_headers({**older, "traceparent": TRACEPARENT}).parent == PARENT


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "req-1", "Traceparent": TRACEPARENT},
        {b"x-request-id": b"req-1", b"traceparent": TRACEPARENT.encode()},
        [(b"x-request-id", b"req-1"), (b"traceparent", TRACEPARENT.encode())],
        [("X-REQUEST-ID", "req-1"), ("TraceParent", TRACEPARENT)],
        Headers({"x-request-id": "req-1", "traceparent": TRACEPARENT}),
    ],
)
def test_headers_are_read_in_every_form_they_come_in(headers):
    assert from_headers(headers) == Origin("req-1", PARENT)


def test_a_header_that_is_sent_twice_counts_by_its_last_line_as_in_a_request():
    headers = [("traceparent", f"00-{OTHER}-{SPAN}-00"), ("traceparent", TRACEPARENT)]
    assert from_headers(headers).parent == PARENT


HOSTILE = [
    "",
    " ",
    "a b",
    "\r\nx: y",
    "\x1b[31m",
    "café",
    "\u202e",
    "\udc80",
    "x" * 60_000,
    '{"a":1}',
    "00-" + "0" * 60_000,
    f"cc-{TRACE}-{SPAN}-01-" + "x" * 60_000,
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_counts_as_none(value):
    names = ("x-request-id", "traceparent", "ce-traceparent", "x-cloud-trace-context", "googclient_traceparent")
    origin = from_headers({**dict.fromkeys(TASK, value), **dict.fromkeys(EVENT, value), **dict.fromkeys(names, value)})
    assert (origin.request_id, origin.parent) == (None, None)
    kept = [text for part in origin.fields.values() for text in part.values()]  # type: ignore[attr-defined]
    assert kept in ([], [value] * len(kept))
    assert all(text.isprintable() and " " not in text and len(text) <= 512 for text in kept)


@pytest.mark.parametrize("value", ["x" * 60_000, "00-" + "a" * 60_000, "\r\n" * 30_000])
@pytest.mark.parametrize("name", ["x-request-id", "traceparent", "baggage", "x-cloudtasks-taskname", "é" * 60_000])
def test_five_hundred_repeated_headers_take_milliseconds(name, value):
    headers = [(name, value)] * 500
    started = time.perf_counter()
    assert from_headers(headers) == Origin()
    assert time.perf_counter() - started < 0.1


@our_choice("servers stop at 64 KiB of headers; whoever calls us with more does not get more work out of us")
def test_lines_beyond_the_thousandth_are_not_read():
    assert from_headers([("a", "b")] * 1000 + [("x-request-id", "req-1")]) == Origin()


def test_baggage_is_not_picked_up():
    assert from_headers({"baggage": "user=ada", "tracestate": "a=b"}) == Origin()


def test_a_plain_request_has_no_delivery_fields():
    assert delivery_fields({b"host": b"example.com", b"user-agent": b"curl"}) == {}


_TEXTS = st.text(max_size=600) | st.sampled_from([TRACEPARENT, "req-1", "3", *HOSTILE])
_NAMES = st.sampled_from([*TASK, *EVENT, "traceparent", "ce-traceparent", "x-request-id", "baggage"]) | st.text(
    max_size=60
)


def _is_sound(origin: Origin) -> bool:
    assert origin.request_id is None or acceptable_request_id(origin.request_id.encode()) == origin.request_id
    for part in origin.fields.values():
        assert isinstance(part, Mapping)
        assert all(isinstance(value, int) or (value.isascii() and value.isprintable()) for value in part.values())
    return True


@given(st.lists(st.tuples(_NAMES, _TEXTS) | st.tuples(st.binary(max_size=60), st.binary(max_size=600)), max_size=30))
def test_no_headers_raise(headers):
    assert _is_sound(from_headers(headers))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["message", "attributes", "messageId", "subscription", "deliveryAttempt", "request_id"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_no_body_raises(body):
    assert _is_sound(from_pubsub_push(body))
    assert _is_sound(from_pubsub_message(body))
