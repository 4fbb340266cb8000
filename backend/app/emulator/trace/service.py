"""google.devtools.cloudtrace.v1.TraceService and its v2, over one store."""

from collections.abc import Iterable
from typing import Any

from google.cloud.trace_v1.types import ListTracesRequest, ListTracesResponse, PatchTracesRequest
from google.cloud.trace_v2.types import BatchWriteSpansRequest, Span
from google.protobuf.empty_pb2 import Empty

from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import invalid, invalid_field, missing_field, not_found
from .convert import as_v1, as_v2
from .filter import in_order, parse_filter
from .limits import OF_PROTO, OF_STORAGE, shorten
from .names import check_trace_id, is_span_id, read_span_name
from .store import Trace, TraceStore, nanos

SPANS = "trace.spans"
PATCH = "trace.patch"

_SPAN = Span.pb()
_LARGEST_PAGE = 1000  # ours: the proto leaves it to the implementation
_VIEWS = ListTracesRequest.ViewType
_NAME_V1 = 128  # "Must be less than 128 bytes" (google/devtools/cloudtrace/v1/trace.proto, TraceSpan.name)


class Traces:
    """What both versions of the API, OTLP and the console share."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = TraceStore(context.switches.trace_spans_kept, context.switches.trace_retention_days)

    def write(self, spans: list[tuple[str, Any]]) -> None:
        """Keep checked spans, by trace id."""
        request = BatchWriteSpansRequest.pb()(name=f"projects/{self.context.project_id}")
        request.spans.extend(span for _, span in spans)
        until = max((nanos(span.end_time) for _, span in spans), default=0)
        self.context.journal.append(SPANS, request.SerializeToString(), until)
        self.store.put(spans)

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record; it was valid when it was written."""
        if kind == SPANS:
            spans = BatchWriteSpansRequest.pb().FromString(record).spans
            self.store.put((span.name.split("/")[3], span) for span in spans)
        elif kind == PATCH:
            self.patch(PatchTracesRequest.pb().FromString(record).traces.traces)
        else:
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")

    def sweep(self) -> None:
        """Let go of traces that are too old, and of the records of spans that are no longer kept."""
        before = self.store.sweep(self.context.clock.now()) - 1
        for kind in (SPANS, PATCH):
            self.context.journal.forget(kind, before)

    def patch(self, traces: Iterable[Any]) -> None:
        project, now = self.context.project_id, self.context.clock.now()
        for trace in traces:
            trace_id = trace.trace_id.lower()
            kept = self.store.get(trace_id, now)
            known = {} if kept is None else kept.spans
            spans = [as_v2(span, trace_id, project, known.get(f"{span.span_id:016x}")) for span in trace.spans]
            self.store.put(((trace_id, span) for span in spans), overwrite=True)


class TraceServiceV2:
    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def batch_write_spans(self, request: Any) -> Empty:
        """Write spans; one bad span refuses the call."""
        context = self._traces.context
        if not request.name:
            raise missing_field("name")
        require_project(request.name, context.project_id, context.project_number)
        if not request.spans:
            raise missing_field("spans")
        self._traces.write([self._checked(span) for span in request.spans])
        return Empty()

    def create_span(self, request: Any) -> Any:
        trace_id, span = self._checked(request)
        self._traces.write([(trace_id, span)])
        return span

    def _checked(self, given: Any) -> tuple[str, Any]:
        """Trace id and a copy of a span as it is kept (google/devtools/cloudtrace/v2/trace.proto)."""
        context = self._traces.context
        trace_id, span_id = read_span_name(given.name, context)
        if given.span_id.lower() != span_id:
            raise invalid_field("span_id", f"It must be the one in the name, {span_id}.", given.span_id)
        if given.parent_span_id and not is_span_id(given.parent_span_id):
            raise invalid_field("parent_span_id", "It must be 16 hexadecimal digits.", given.parent_span_id)
        for field in ("display_name", "start_time", "end_time"):
            if not given.HasField(field):
                raise missing_field(field)
        if not given.display_name.value:
            raise missing_field("display_name")
        span = _SPAN()
        span.CopyFrom(given)
        span.name = f"projects/{context.project_id}/traces/{trace_id}/spans/{span_id}"
        span.span_id = span_id
        span.parent_span_id = span.parent_span_id.lower()
        shorten(span, OF_PROTO if context.switches.trace_limits_of_proto else OF_STORAGE)
        return trace_id, span


class TraceServiceV1:
    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def patch_traces(self, request: Any) -> Empty:
        self._check_project(request.project_id)
        traces = request.traces.traces
        if not traces:
            raise missing_field("traces")
        for trace in traces:
            check_trace_id(trace.trace_id)
            self._check_project(trace.project_id or request.project_id)
            for span in trace.spans:
                if not span.span_id:
                    raise invalid(f"A span of trace {trace.trace_id} has no span_id, which must not be 0.")
                if len(span.name.encode()) > _NAME_V1:
                    raise invalid(f"The span name '{span.name[:40]}...' has more than {_NAME_V1} bytes.")
        now = self._traces.context.clock.now()
        until = max(now, *(nanos(span.end_time) for trace in traces for span in trace.spans), 0)
        self._traces.context.journal.append(PATCH, request.SerializeToString(), until)
        self._traces.patch(traces)
        return Empty()

    def get_trace(self, request: Any) -> Any:
        self._check_project(request.project_id)
        trace_id = check_trace_id(request.trace_id)
        trace = self._traces.store.get(trace_id, self._traces.context.clock.now())
        if trace is None:
            raise not_found(f"Requested entity was not found: there is no trace {trace_id}.")
        return as_v1(trace, self._traces.context.project_id)

    def list_traces(self, request: Any) -> Any:
        self._check_project(request.project_id)
        start = nanos(request.start_time)
        end = nanos(request.end_time) if request.HasField("end_time") else None
        matches = parse_filter(request.filter)
        found = [
            trace
            for trace in self._traces.store.all(self._traces.context.clock.now())
            if trace.last >= start and (end is None or trace.first <= end) and matches(trace)
        ]
        page, token = page_of(
            in_order(found, request.order_by), max(0, request.page_size), request.page_token, _LARGEST_PAGE
        )
        view = request.view or _VIEWS.MINIMAL
        answer = ListTracesResponse.pb()(next_page_token=token)
        answer.traces.extend(self._viewed(trace, view) for trace in page)
        return answer

    def _viewed(self, trace: Trace, view: int) -> Any:
        project = self._traces.context.project_id
        if view == _VIEWS.COMPLETE:
            return as_v1(trace, project)
        return as_v1(trace, project, trace.roots() if view == _VIEWS.ROOTSPAN else [])

    def _check_project(self, project: str) -> None:
        context = self._traces.context
        if not project:
            raise missing_field("project_id")
        require_project(f"projects/{project}", context.project_id, context.project_number, "project_id")
