"""opentelemetry.proto.collector.trace.v1.TraceService: spans into Cloud Trace's store.

Limits: docs.cloud.google.com/stackdriver/quotas. What is too long is cut, what is too many is dropped and counted.
"""

from collections.abc import Callable
from typing import Any

from google.cloud.trace_v2.types import Span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ..project import Context
from ..trace.limits import OF_STORAGE, shorten
from .attributes import text
from .partial import Rejected
from .projects import check_project

_SPAN = Span.pb()
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_ERROR = 2  # Status.StatusCode of opentelemetry/proto/trace/v1/trace.proto
_UNKNOWN = 2  # google.rpc.Code
_LATEST = 2**63
_MOST_OF_RESOURCE = 1024


class TraceService:
    """`write` keeps spans by trace id."""

    def __init__(self, context: Context, write: Callable[[list[tuple[str, Any]]], None]) -> None:
        self._context = context
        self._write = write

    def export(self, request: Any) -> ExportTraceServiceResponse:
        for group in request.resource_spans:
            check_project({one.key: text(one.value) for one in group.resource.attributes}, self._context)
        rejected = Rejected()
        found = []
        for group in request.resource_spans:
            resource = list(group.resource.attributes)[:_MOST_OF_RESOURCE]
            for scope in group.scope_spans:
                for span in scope.spans:
                    try:
                        found.append(self._span(span, resource, scope.scope))
                    except ValueError as error:
                        rejected.add(str(error))
        if found:
            self._write(found)
        answer = ExportTraceServiceResponse()
        if rejected.count:
            answer.partial_success.CopyFrom(
                ExportTracePartialSuccess(rejected_spans=rejected.count, error_message=rejected.message)
            )
        return answer

    def _span(self, given: Any, resource: list[Any], scope: Any) -> tuple[str, Any]:
        trace_id, span_id = given.trace_id.hex(), given.span_id.hex()
        _check(given)
        span = _SPAN(
            name=f"projects/{self._context.project_id}/traces/{trace_id}/spans/{span_id}",
            span_id=span_id,
            parent_span_id=given.parent_span_id.hex(),
            span_kind=given.kind if 0 <= given.kind <= int(Span.SpanKind.CONSUMER) else 0,
        )
        span.display_name.value = given.name
        span.start_time.FromNanoseconds(given.start_time_unix_nano)
        span.end_time.FromNanoseconds(given.end_time_unix_nano or given.start_time_unix_nano)
        if given.status.code == _ERROR:
            span.status.code, span.status.message = _UNKNOWN, given.status.message
        # Cloud Trace keeps what a resource says beside the span; here it is among the labels, where v1 shows it.
        _set(span.attributes, given.attributes)
        for one in resource:
            if one.key not in span.attributes.attribute_map and one.key != "gcp.project_id":
                _set_value(span.attributes.attribute_map[one.key], one.value)
        if scope.name and "otel.scope.name" not in span.attributes.attribute_map:
            span.attributes.attribute_map["otel.scope.name"].string_value.value = scope.name
        span.attributes.dropped_attributes_count = given.dropped_attributes_count
        for event in given.events:
            one = span.time_events.time_event.add()
            one.time.FromNanoseconds(min(event.time_unix_nano, _LATEST - 1))
            one.annotation.description.value = event.name
            _set(one.annotation.attributes, event.attributes)
        span.time_events.dropped_annotations_count = given.dropped_events_count
        for link in given.links:
            if len(link.trace_id) == _TRACE_BYTES and len(link.span_id) == _SPAN_BYTES:
                other = span.links.link.add(trace_id=link.trace_id.hex(), span_id=link.span_id.hex())
                _set(other.attributes, link.attributes)
        span.links.dropped_links_count = given.dropped_links_count
        shorten(span, OF_STORAGE)
        return trace_id, span


def _check(span: Any) -> None:
    """Ids as opentelemetry/proto/trace/v1/trace.proto demands them: of the right length and not all zero."""
    if len(span.trace_id) != _TRACE_BYTES or not any(span.trace_id):
        raise ValueError("A span's trace_id must be 16 bytes, not all zero")
    if len(span.span_id) != _SPAN_BYTES or not any(span.span_id):
        raise ValueError("A span's span_id must be 8 bytes, not all zero")
    if span.parent_span_id and len(span.parent_span_id) != _SPAN_BYTES:
        raise ValueError("A span's parent_span_id must be 8 bytes or empty")
    if not span.name:
        raise ValueError("A span must have a name")
    if not 0 < span.start_time_unix_nano < _LATEST or span.end_time_unix_nano >= _LATEST:
        raise ValueError("A span's start or end is missing or out of range")


def _set(attributes: Any, given: Any) -> None:
    for one in given:
        _set_value(attributes.attribute_map[one.key], one.value)


def _set_value(target: Any, value: Any) -> None:
    which = value.WhichOneof("value")
    if which == "bool_value":
        target.bool_value = value.bool_value
    elif which == "int_value":
        target.int_value = value.int_value
    else:
        # v2 knows texts, whole numbers and truth values only.
        target.string_value.value = text(value)
