"""ExportTraceServiceRequest as bytes, with the redaction policy applied to all that is in the spans.

Field numbers: opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto. Limits of Google's Telemetry API:
docs.cloud.google.com/stackdriver/quotas.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from ..metrics import wire
from ..redaction import Redaction
from ..texts import text_of

_KEY_BYTES: Final = 512
_NAME_LENGTH: Final = 256  # four bytes a character at most: 1024
_VALUE_LENGTH: Final = 16 * 1024  # as above: 64 KiB
_MOST_ATTRIBUTES: Final = 1024
_MOST_EVENTS: Final = 256
_MOST_LINKS: Final = 128
_SAMPLED: Final = 1
_UINT64: Final = (1 << 64) - 1
_DEEPEST: Final = 4
# Attributes that hold URLs, or parts of them (opentelemetry.io/docs/specs/semconv/registry/attributes/url).
_URLS: Final = frozenset({"url.full", "url.path", "url.query", "http.url", "http.target"})
# Ours, and the conventions' names that are no free text: policies on keys would take some of them for secrets.
_AS_THEY_ARE: Final = frozenset(
    {"http.request.method", "http.route", "http.response.status_code", "user.hash", "exception.type", "error.type"}
)


class Encoded(NamedTuple):
    """A span that is encoded already, for the spool or from it, with what its request says of it."""

    resource: Mapping[str, str]
    scope: tuple[str, str]
    body: bytes


def pack(spans: Sequence[Encoded], *, error: bool) -> bytes:
    """The spans of one request for the spool; they have one resource."""
    heads = [[*one.scope, len(one.body)] for one in spans]
    head = {"resource": dict(spans[0].resource) if spans else {}, "spans": heads, "error": error}
    return orjson.dumps(head) + b"\n" + b"".join(one.body for one in spans)


def unpack(record: bytes) -> tuple[list[Encoded], bool]:
    """What was packed: the spans, and whether their request failed.

    Raises:
        ValueError: It was not.
        KeyError: As above.
    """
    line, _, bodies = record.partition(b"\n")
    head = orjson.loads(line)
    spans, at = [], 0
    for name, version, length in head["spans"]:
        spans.append(Encoded(head["resource"], (name, version), bodies[at : at + length]))
        at += length
    return spans, head["error"]


class Encoding:
    """OTLP for one policy.

    Args:
        redaction: Applied to attributes, events, exceptions and status texts.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def request(self, resource: Mapping[str, str], spans: Iterable[Any]) -> bytes:
        """A request of spans in the shape of the SDK's `ReadableSpan`, or encoded ones with resources of their own."""
        groups: dict[tuple[tuple[str, str], ...], list[Encoded]] = {}
        for span in spans:
            one = span if isinstance(span, Encoded) else self.encoded(resource, span)
            groups.setdefault(tuple(one.resource.items()), []).append(one)
        return b"".join(_of_one_resource(group[0].resource, group) for group in groups.values())

    def encoded(self, resource: Mapping[str, str], span: Any) -> Encoded:
        scope = span.instrumentation_scope
        key = (scope.name, scope.version or "") if scope is not None else ("", "")
        return Encoded(resource, key, self.span(span))

    def span(self, span: Any) -> bytes:
        context, parent = span.context, span.parent
        body = wire.message(1, context.trace_id.to_bytes(16)) + wire.message(2, context.span_id.to_bytes(8))
        if parent is not None:
            body += wire.message(4, parent.span_id.to_bytes(8))
        body += wire.text(5, self._redaction.text(span.name)[:_NAME_LENGTH] or "(no name)")
        body += wire.number(6, span.kind.value + 1)  # the protocol has a number for "unspecified" before them
        body += wire.fixed64(7, span.start_time) + wire.fixed64(8, span.end_time or span.start_time)
        body += self._attributes(9, span.attributes)
        body += _count(10, span.dropped_attributes + max(0, len(span.attributes or ()) - _MOST_ATTRIBUTES))
        for event in span.events[:_MOST_EVENTS]:
            body += wire.message(11, self._event(event))
        body += _count(12, span.dropped_events + max(0, len(span.events) - _MOST_EVENTS))
        for link in span.links[:_MOST_LINKS]:
            ids = wire.message(1, link.context.trace_id.to_bytes(16)) + wire.message(
                2, link.context.span_id.to_bytes(8)
            )
            body += wire.message(13, ids + self._attributes(4, link.attributes))
        body += _count(14, span.dropped_links + max(0, len(span.links) - _MOST_LINKS))
        if code := span.status.status_code.value:
            described = self._redaction.error(span.status.description or "")[:_VALUE_LENGTH]
            body += wire.message(15, (wire.text(2, described) if described else b"") + wire.number(3, code))
        # What is exported is kept, whatever its caller's callers were told when it began.
        return body + wire.varint(16 << 3 | 5) + _SAMPLED.to_bytes(4, "little")

    def _event(self, event: Any) -> bytes:
        name = self._redaction.text(event.name)[:_NAME_LENGTH]
        return wire.fixed64(1, event.timestamp) + wire.text(2, name) + self._attributes(3, event.attributes)

    def _attributes(self, field: int, attributes: Mapping[str, Any] | None) -> bytes:
        encoded = b""
        for key, value in list((attributes or {}).items())[:_MOST_ATTRIBUTES]:
            safe = self._redacted(key, value)
            if safe is not None:
                encoded += _pair(field, key, _value(safe))
        return encoded

    def _redacted(self, key: str, value: Any) -> Any:
        policy = self._redaction
        if isinstance(value, bool | int | float) or key in _AS_THEY_ARE:
            # A number may be a card's; and whatever stands beneath a secret's name is one.
            return policy.value(value, key) if key not in _AS_THEY_ARE and policy.verdict(key) else value
        if not isinstance(value, str):
            return policy.value(list(value) if isinstance(value, tuple) else value, key)
        if key == "exception.message":
            return policy.error(value)
        if key == "exception.stacktrace":
            return policy.stack_trace(value)
        if key in _URLS:
            return policy.url(value)
        return policy.value(value, key)


def _of_one_resource(resource: Mapping[str, str], spans: Iterable[Encoded]) -> bytes:
    scopes: dict[tuple[str, str], list[bytes]] = {}
    for span in spans:
        scopes.setdefault(span.scope, []).append(wire.message(2, span.body))
    body = wire.message(1, b"".join(_pair(1, key, _text(value)) for key, value in resource.items()))
    for (name, version), encoded in scopes.items():
        named = wire.text(1, name) + (wire.text(2, version) if version else b"")
        body += wire.message(2, wire.message(1, named) + b"".join(encoded))
    return wire.message(1, body)


def _pair(field: int, key: str, value: bytes) -> bytes:
    name = key.encode(errors="replace")[:_KEY_BYTES].decode(errors="ignore")
    return wire.message(field, wire.text(1, name) + wire.message(2, value))


def _text(value: str) -> bytes:
    return wire.text(1, value[:_VALUE_LENGTH])


def _value(value: Any, depth: int = 0) -> bytes:
    """An AnyValue."""
    if isinstance(value, bool):
        return wire.number(2, int(value))
    if isinstance(value, int):
        return wire.number(3, value & _UINT64) if -(2**63) <= value < 2**63 else _text(str(value))
    if isinstance(value, float):
        return wire.double(4, value)
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            pairs = (_pair(1, text_of(key), _value(one, depth + 1)) for key, one in value.items())
            return wire.message(6, b"".join(pairs))
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return wire.message(5, b"".join(wire.message(1, _value(one, depth + 1)) for one in value))
    return _text(value if isinstance(value, str) else text_of(value))


def _count(field: int, count: int) -> bytes:
    return wire.number(field, count) if count else b""
