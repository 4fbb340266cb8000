"""Spans of API v1 from and to those of v2, as which they are kept."""

from typing import Any

from google.cloud.trace_v1.types import Trace as TraceV1
from google.cloud.trace_v1.types import TraceSpan
from google.cloud.trace_v2.types import Span

from .store import Trace

_SPAN = Span.pb()
_KINDS_V2 = Span.SpanKind
_KINDS_V1 = TraceSpan.SpanKind
_TO_V1 = {
    int(_KINDS_V2.SERVER): int(_KINDS_V1.RPC_SERVER),
    int(_KINDS_V2.CLIENT): int(_KINDS_V1.RPC_CLIENT),
}
_TO_V2 = {old: new for new, old in _TO_V1.items()}


def as_v1(trace: Trace, project: str, spans: list[Any] | None = None) -> Any:
    """A trace with these spans (None: all of them, the earliest first)."""
    chosen = sorted(trace.spans.values(), key=lambda span: span.start_time.ToNanoseconds()) if spans is None else spans
    answer = TraceV1.pb()(project_id=project, trace_id=trace.trace_id)
    answer.spans.extend(_span_v1(span) for span in chosen)
    return answer


def _span_v1(span: Any) -> Any:
    answer = TraceSpan.pb()(
        span_id=int(span.span_id, 16),
        kind=_TO_V1.get(span.span_kind, 0),
        name=span.display_name.value,
        start_time=span.start_time,
        end_time=span.end_time,
        labels=labels_of(span),
    )
    if span.parent_span_id:
        answer.parent_span_id = int(span.parent_span_id, 16)
    return answer


def labels_of(span: Any) -> dict[str, str]:
    return {key: text_of(value) for key, value in sorted(span.attributes.attribute_map.items())}


def text_of(value: Any) -> str:
    which = value.WhichOneof("value")
    if which == "bool_value":
        return "true" if value.bool_value else "false"
    if which == "int_value":
        return str(value.int_value)
    return str(value.string_value.value)


def as_v2(span: Any, trace_id: str, project: str, known: Any) -> Any:
    """A v1 span over a known one: fields that it has replace, labels are merged (PatchTraces, v1/trace.proto)."""
    span_id = f"{span.span_id:016x}"
    answer = _SPAN()
    if known is not None:
        answer.CopyFrom(known)
    answer.name = f"projects/{project}/traces/{trace_id}/spans/{span_id}"
    answer.span_id = span_id
    if span.parent_span_id:
        answer.parent_span_id = f"{span.parent_span_id:016x}"
    if span.name:
        answer.display_name.value = span.name
    if span.kind:
        answer.span_kind = _TO_V2[span.kind]
    if span.HasField("start_time"):
        answer.start_time.CopyFrom(span.start_time)
    if span.HasField("end_time"):
        answer.end_time.CopyFrom(span.end_time)
    for key, value in span.labels.items():
        answer.attributes.attribute_map[key].string_value.value = value
    return answer
