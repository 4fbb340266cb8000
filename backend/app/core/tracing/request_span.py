"""The span of the request that is being served, for whoever asks OpenTelemetry which one is current.

It is no span of the SDK: it costs a request next to nothing, remembers what the app sets on it, and holds back the
spans made beneath it until it is known whether the request is kept.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from .. import guard
from ..context import Ids, RequestContext
from ..texts import text_of
from .buffer import Waiting, size_of
from .record import Finished, error_type

if TYPE_CHECKING:
    from contextvars import Token

    from .traces import Traces

#: Spans of one request that are held back; more are dropped, or sent at once where it is known that they are kept.
HELD: Final = 512
#: FastAPI >= 0.142 looks here in a scope before it starts telemetry of its own.
NATIVE: Final = "fastapi.telemetry"
_ATTRIBUTES: Final = 128
_EVENTS: Final = 128
# Under which a context knows its current span; setting it by itself spares a request three calls.
[_KEY] = set_span_in_context(INVALID_SPAN, otel.Context())
_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class RequestSpan(Span):
    """One request's place in its trace.

    Args:
        traces: What keeps or drops it.
        context: The request, forgotten at its end: the two know each other.
    """

    __slots__ = (
        "_attributes",
        "_before",
        "_context",
        "_events",
        "_held",
        "_ids",
        "_span_context",
        "_status",
        "_token",
        "_traces",
        "bytes_held",
        "kept",
        "learnt",
        "left",
    )

    def __init__(self, traces: "Traces", context: RequestContext) -> None:
        self._traces = traces
        self._context: RequestContext | None = context
        self._ids: Ids | None = None
        self._token: Token[otel.Context] | None = None
        self._before: otel.Context | None = None
        self._span_context: SpanContext | None = None
        self._attributes: dict[str, Any] | None = None
        self._events: list[tuple[str, int, dict[str, Any]]] | None = None
        self._status: Status | None = None
        self._held: list[Any] | None = None
        self.bytes_held = 0
        #: Whether the SERVER span is somebody else's, whether the spans are kept, and whether the request is over.
        self.learnt = self.kept = self.left = False

    # --- the layer

    def attach(self, within: otel.Context) -> None:
        """Make it OpenTelemetry's current span."""
        self._token = otel.attach(otel.Context({**within, _KEY: self}))

    def attach_job(self) -> None:
        """The same without a token: a generator may end in another context than it began in."""
        self._before = otel.get_current()
        otel.attach(set_span_in_context(self))

    def finish_job(self, started: float, parent: str, error: BaseException | None) -> None:
        """The piece of work is over, that began at `started` on the clock of `time.perf_counter`. Never raises."""
        try:
            if self._context is not None:
                self._traces.finish_job(self._context, self, started, parent, error)
            before, self._before = self._before, None
            if before is not None and get_current_span() is self:
                otel.attach(before)
            self.leave()
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the service
            guard.caught("span", failure)

    def adopt(self, within: otel.Context) -> bool:
        """Whether somebody outside of us has begun a SERVER span for this request, whose ids are then ours."""
        outer = get_current_span(within)
        if outer is INVALID_SPAN or getattr(outer, "kind", None) is not SpanKind.SERVER or not outer.is_recording():
            return False
        self.learn(outer.get_span_context())
        return True

    def learn(self, context: SpanContext) -> None:
        """The SERVER span has been made by somebody else."""
        if self._context is not None and not self.learnt:
            self.learnt = True
            ids = f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled
            self._context.place(ids)
            self._span_context = None
            # Where contrib has made it, a FastAPI that is mounted below would make another one.
            if (scope := getattr(self._context, "scope", None)) is not None:
                scope.setdefault(NATIVE, None)

    def leave(self) -> None:
        """The request is over; what is still held was not kept."""
        if self._token is not None:
            otel.detach(self._token)
            self._token = None
        context, self._context = self._context, None
        if context is not None:
            self._ids = context.ids
        with self._traces.lock:
            self.left = True
            held, self._held = self._held, None
        if held is not None:
            self._traces.buffer.give_back(self.bytes_held)

    def keep(self, finished: Finished | None, *, error: bool) -> None:
        """The request's own span, unless it is somebody else's, and all that was held go to the exporter."""
        if finished is not None:
            self._complete(finished)
        with self._traces.lock:
            self.kept = self.left = True
            held, self._held = self._held or [], None
        size = self.bytes_held + (finished.size if finished is not None else 0)
        self._traces.buffer.give_back(self.bytes_held)
        self._traces.export(_waiting(self._traces, finished, held, size, error=error))

    @property
    def learns(self) -> bool:
        """Whether the SERVER span is to be made by somebody else, who has not yet."""
        return self._traces.learns and not self.learnt and not self.left

    @property
    def failed(self) -> bool:
        """Whether the app itself said that this is a failure."""
        return self._status is not None and self._status.status_code is StatusCode.ERROR

    def _complete(self, finished: Finished) -> None:
        if self._attributes is not None:
            finished.attributes = {**self._attributes, **finished.attributes}
        if self._events is not None:
            finished.events[:0] = self._events
        if self._status is not None and self._status.status_code is StatusCode.ERROR:
            finished.failed, finished.description = True, self._status.description or ""

    # --- the collector

    @property
    def ids(self) -> Ids:
        if self._context is not None:
            return self._context.ids
        assert self._ids is not None
        return self._ids

    @property
    def may_be_kept(self) -> bool:
        """Whether what happens now may still be exported."""
        ids = self.ids
        return self.kept if self.left else ids[2] or self._traces.rules.may_be_kept(ids[0])

    @property
    def undecided(self) -> bool:
        """Whether it is not sampled so far, and may be kept all the same."""
        return not self.left and not self.ids[2] and self._traces.rules.may_be_kept(self.ids[0])

    def ended(self, span: Any) -> None:
        """A span beneath this one has ended."""
        size = size_of(span)
        traces = self._traces
        with traces.lock:
            if not self.left:
                held = self._held = self._held if self._held is not None else []
                if len(held) < HELD and traces.buffer.reserve(size):
                    held.append(span)
                    self.bytes_held += size
                    return
                if not self.ids[2] or self._context is None or traces.excluded(self._context):
                    traces.dropped("overflow", 1)
                    return
            elif not self.kept:
                return
        traces.export(Waiting(lambda: [span], 1, size, error=False))

    def promote(self) -> None:
        """It is known before its end that the request is kept."""
        if self._context is not None and self.undecided:
            trace_id, span_id, _ = self._context.ids
            self._context.place((trace_id, span_id, True))
            self._span_context = None

    def innermost(self) -> Ids:
        """The ids of the span that is current now, in this trace; of the request's own span otherwise."""
        ids = self.ids
        span = get_current_span()
        if span is self or span is INVALID_SPAN:
            return ids
        context = span.get_span_context()
        if isinstance(span, RequestSpan) or not context.is_valid or f"{context.trace_id:032x}" != ids[0]:
            return ids
        return ids[0], f"{context.span_id:016x}", ids[2]

    # --- OpenTelemetry's interface

    def get_span_context(self) -> SpanContext:
        if self._span_context is None:
            trace_id, span_id, sampled = self.ids
            self._span_context = SpanContext(
                int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED if sampled else _NOT_SAMPLED
            )
        return self._span_context

    def is_recording(self) -> bool:
        return not self.left and self.may_be_kept

    def end(self, end_time: int | None = None) -> None:
        """Nothing: the layer knows when the request ends."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: Any) -> None:
        if not self.is_recording():
            return
        if self._attributes is None:
            self._attributes = {}
        if len(self._attributes) < _ATTRIBUTES or key in self._attributes:
            self._attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if not self.is_recording():
            return
        if self._events is None:
            self._events = []
        if len(self._events) < _EVENTS:
            self._events.append((name, timestamp or time.time_ns(), dict(attributes or {})))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Nothing: a request has one parent, and links are for batches."""

    def update_name(self, name: str) -> None:
        """Nothing: the name is the route's, so that the spans of a route are found together."""

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.is_recording():
            self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        told = {"exception.type": error_type(exception), "exception.message": text_of(exception)}
        self.add_event("exception", {**told, **(attributes or {}), "exception.escaped": str(escaped)}, timestamp)


def _waiting(traces: "Traces", finished: Finished | None, held: list[Any], size: int, *, error: bool) -> Waiting:
    def spans() -> list[Any]:
        return held if finished is None else [traces.readable(finished), *held]

    return Waiting(spans, len(held) + (finished is not None), size, error=error)
