"""Where work that arrives comes from: ids and facts of a delivery by Pub/Sub, Eventarc, Cloud Tasks or Cloud Scheduler.

Anybody who reaches the service can send such headers: they tell, they prove nothing. Values that do not look right are
left out, none is cut or repaired, and nothing in them raises.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from ..context import acceptable_request_id, read_cloud_trace_context, read_traceparent
from .headers import PUBSUB_REQUEST_ID, PUBSUB_TRACEPARENT, REQUEST_ID, TRACEPARENT

Text = str | bytes
Headers = Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[Text, Text]]

_CLOUD_TRACE: Final = b"x-cloud-trace-context"
_MOST_LINES: Final = 1000
# Task ids have up to 500 characters (google/cloud/tasks/v2/task.proto), the longest of these names.
_LONGEST: Final = 512
_NAME: Final = re.compile(rb"[\x21-\x7e]{1,512}")
_COUNT: Final = re.compile(rb"[0-9]{1,9}")
_MOST_ATTEMPTS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Origin:
    """What a delivery says about the work it brings, for `request_context`.

    `parent` is (trace id, span id of the sender or empty, sampled); `fields` go into every log entry.
    """

    request_id: str | None = None
    parent: tuple[str, str, bool] | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


def _name(value: bytes) -> str | None:
    return value.decode() if _NAME.fullmatch(value) else None


def _count(value: bytes) -> int | None:
    return int(value) if _COUNT.fullmatch(value) else None


# The header that tells a kind of delivery, the name of its log field, and what goes into it.
_DELIVERIES: Final = (
    # cloud.google.com/tasks/docs/creating-http-target-tasks#handler
    (
        b"x-cloudtasks-taskname",
        "cloud_task",
        {
            "queue": (b"x-cloudtasks-queuename", _name),
            "name": (b"x-cloudtasks-taskname", _name),
            "retry_count": (b"x-cloudtasks-taskretrycount", _count),
            "execution_count": (b"x-cloudtasks-taskexecutioncount", _count),
            "previous_response": (b"x-cloudtasks-taskpreviousresponse", _count),
        },
    ),
    # google/cloud/scheduler/v1/target.proto, HttpTarget.headers
    (
        b"x-cloudscheduler-jobname",
        "cloud_scheduler",
        {
            "job": (b"x-cloudscheduler-jobname", _name),
            "schedule_time": (b"x-cloudscheduler-scheduletime", _name),
        },
    ),
    # A push subscription without wrapper: cloud.google.com/pubsub/docs/payload-unwrapping
    (
        b"x-goog-pubsub-message-id",
        "pubsub",
        {
            "message_id": (b"x-goog-pubsub-message-id", _name),
            "subscription": (b"x-goog-pubsub-subscription-name", _name),
        },
    ),
    # Eventarc sends CloudEvents in binary mode. The subject may name a person's file, so it stays out.
    # github.com/cloudevents/spec, bindings/http-protocol-binding.md
    (
        b"ce-id",
        "cloud_event",
        {"id": (b"ce-id", _name), "type": (b"ce-type", _name), "source": (b"ce-source", _name)},
    ),
)
#: Each kind of delivery has one of these headers.
DELIVERY_MARKERS: Final = frozenset(marker for marker, _, _ in _DELIVERIES)

_WANTED: Final = frozenset(
    {
        TRACEPARENT.encode(),
        REQUEST_ID.encode(),
        PUBSUB_TRACEPARENT.encode(),
        PUBSUB_REQUEST_ID.encode(),
        _CLOUD_TRACE,
        b"ce-traceparent",
        *(header for _, _, parts in _DELIVERIES for header, _ in parts.values()),
    }
)
_LONGEST_WANTED: Final = max(map(len, _WANTED))


def delivery_fields(headers: Mapping[bytes, bytes]) -> dict[str, dict[str, object]]:
    """Log fields `cloud_task`, `cloud_scheduler`, `pubsub`, `cloud_event`, as far as the headers tell; mostly none.

    Args:
        headers: Names in lower case, as ASGI servers give them.
    """
    fields: dict[str, dict[str, object]] = {}
    for marker, title, parts in _DELIVERIES:
        if marker in headers:
            told = {part: read(headers[header]) for part, (header, read) in parts.items() if header in headers}
            _keep(fields, title, told)
    return fields


def from_headers(headers: Headers) -> Origin:
    """The origin of an HTTP request, or of anything else with headers; one that is sent twice counts by its last line.

    The event's own `ce-traceparent` goes before `traceparent`: the first names where the event began, the second the
    last hop (github.com/cloudevents/spec, extensions/distributed-tracing.md).
    """
    found = _wanted(headers)
    parent = None
    for name in (b"ce-traceparent", PUBSUB_TRACEPARENT.encode(), TRACEPARENT.encode()):
        parent = parent or read_traceparent(found.get(name, b""))
    return Origin(
        acceptable_request_id(found.get(REQUEST_ID.encode()))
        or acceptable_request_id(found.get(PUBSUB_REQUEST_ID.encode())),
        parent or read_cloud_trace_context(found.get(_CLOUD_TRACE, b"")),
        delivery_fields(found),
    )


def from_pubsub_push(body: object) -> Origin:
    """The origin of a push request's JSON body, which Eventarc sends for Pub/Sub triggers too.

    Source of its shape: cloud.google.com/pubsub/docs/push#receive_push. Anything else gives an empty origin.
    """
    if not isinstance(body, Mapping):
        return Origin()
    return _of_message(body.get("message"), body.get("subscription"), body.get("deliveryAttempt"))


def from_pubsub_message(message: object) -> Origin:
    """The origin of a message as a subscriber's callback or a pull receives it (object or mapping)."""
    received = _get(message, "message")
    if received is not None:  # google/pubsub/v1/pubsub.proto, ReceivedMessage: the message and its delivery attempt
        return _of_message(received, None, _get(message, "delivery_attempt") or _get(message, "deliveryAttempt"))
    return _of_message(message, None, _get(message, "delivery_attempt"))


def _of_message(message: object, subscription: object, attempt: object) -> Origin:
    attributes = _get(message, "attributes")
    told = {
        "message_id": _name(_ascii(_get(message, "message_id") or _get(message, "messageId"))),
        "subscription": _name(_ascii(subscription)),
        # Zero, or none, without a dead letter policy.
        "delivery_attempt": attempt if type(attempt) is int and 0 < attempt < _MOST_ATTEMPTS else None,
    }
    fields: dict[str, dict[str, object]] = {}
    _keep(fields, "pubsub", told)
    return Origin(
        acceptable_request_id(_attribute(attributes, PUBSUB_REQUEST_ID) or _attribute(attributes, REQUEST_ID)),
        read_traceparent(_attribute(attributes, PUBSUB_TRACEPARENT))
        or read_traceparent(_attribute(attributes, TRACEPARENT)),
        fields,
    )


def _keep(fields: dict[str, dict[str, object]], title: str, told: Mapping[str, object]) -> None:
    known = {part: value for part, value in told.items() if value is not None}
    if known:
        fields[title] = known


def _get(owner: object, name: str) -> Any:
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def _attribute(attributes: object, name: str) -> bytes:
    # Maps of protobuf messages are no `Mapping` in every implementation; they have `get` all the same.
    get = getattr(attributes, "get", None)
    return _ascii(get(name)) if get is not None else b""


def _wanted(headers: Headers) -> dict[bytes, bytes]:
    items = getattr(headers, "items", None)
    found = {}
    for name, value in islice(items() if items is not None else headers, _MOST_LINES):
        if len(name) <= _LONGEST_WANTED:
            key = _ascii(name).lower()
            if key in _WANTED:
                found[key] = _ascii(value)
    return found


def _ascii(value: object) -> bytes:
    """The value's bytes; none when it is no text, too long, or holds anything but ASCII."""
    if not isinstance(value, str | bytes) or len(value) > _LONGEST or not value.isascii():
        return b""
    return value.encode() if isinstance(value, str) else value
