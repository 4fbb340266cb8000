"""OpenTelemetry's side: the provider that instrumentations find, and what becomes of their spans.

Imports the SDK; loaded in the exporter's thread only. One provider a process, whatever number of apps it has.
"""

import random
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span

from .. import guard
from ..context import current
from .buffer import Waiting, size_of
from .record import Finished
from .request_span import RequestSpan
from .sampling import below
from .state import running

if TYPE_CHECKING:
    from .traces import Traces

SCOPE: Final = "fastapi_cloudops"
#: Spans that were begun and not yet ended; one more and the oldest is no longer waited for.
_MOST_OPEN: Final = 65_536
_OUR_THREADS: Final = "fastapi-cloudops"
_LIMITS: Final = {"max_span_attributes": 128, "max_span_attribute_length": 16 * 1024}


def _request_span() -> RequestSpan | None:
    """The request that this runs for."""
    context = current.get()
    return context.span if context is not None else None


class RequestSampler(Sampler):
    """Records what may be kept: within a request as the request goes, elsewhere a share of the traces."""

    def should_sample(  # noqa: PLR0917  # the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002  # the SDK's signature
        kind: SpanKind | None = None,  # noqa: ARG002  # as above
        attributes: Any = None,
        links: Sequence[trace.Link] | None = None,  # noqa: ARG002  # as above
        trace_state: trace.TraceState | None = None,  # noqa: ARG002  # as above
    ) -> SamplingResult:
        try:
            parent = get_current_span(parent_context).get_span_context()
            decision = self._decide(parent, f"{trace_id:032x}")
            return SamplingResult(decision, attributes, parent.trace_state if parent.is_valid else None)
        except Exception as error:  # noqa: BLE001  # whoever begins a span is within the service
            guard.caught("span", error)
            return SamplingResult(Decision.DROP)

    @staticmethod
    def _decide(parent: SpanContext, trace_id: str) -> Decision:
        request = _request_span()
        if request is not None:
            if not request.may_be_kept:
                return Decision.DROP
            return Decision.RECORD_AND_SAMPLE if request.ids[2] else Decision.RECORD_ONLY
        traces = running()
        if traces is None or threading.current_thread().name.startswith(_OUR_THREADS):
            return Decision.DROP
        kept = parent.trace_flags.sampled if parent.is_valid else below(trace_id, traces.rules.rate)
        return Decision.RECORD_AND_SAMPLE if kept else Decision.DROP

    def get_description(self) -> str:
        return "RequestSampler"


class RequestIds(IdGenerator):
    """A trace that begins within a request is the request's."""

    def generate_trace_id(self) -> int:
        try:
            request = _request_span()
            if request is not None and not request.left:
                return int(request.ids[0], 16)
        except Exception as error:  # noqa: BLE001  # as above
            guard.caught("span", error)
        return random.getrandbits(128) or 1  # an id, not a secret

    def generate_span_id(self) -> int:
        return random.getrandbits(64) or 1  # as above

    def is_trace_id_random(self) -> bool:
        return True


class Collector(SpanProcessor):
    """Hands each span to the request it belongs to, and learns of SERVER spans that others make."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, RequestSpan] = OrderedDict()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # the SDK's signature
        try:
            request = _request_span()
            if request is None:
                return
            context = span.get_span_context()
            if span.kind is SpanKind.SERVER and request.learns:
                request.learn(context)
            self._open[context.span_id] = request
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        except Exception as error:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("span", error)

    def on_end(self, span: ReadableSpan) -> None:
        try:
            context = span.context
            if context is None:
                return
            request = self._open.pop(context.span_id, None)
            if request is not None:
                request.ended(span)
            elif context.trace_flags.sampled and (traces := running()) is not None:
                failed = span.status.status_code is StatusCode.ERROR
                traces.export(Waiting(lambda: [span], 1, size_of(span), error=failed))
        except Exception as error:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("span", error)

    def shutdown(self) -> None:
        """Nothing: spans are flushed with the app."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        traces = running()
        return traces is None or traces.flush(timeout_millis / 1000)


class Provider(TracerProvider):
    """OpenTelemetry's provider; remembers what else wants the spans."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(
            sampler=RequestSampler(),
            resource=resource,
            id_generator=RequestIds(),
            span_limits=SpanLimits(**_LIMITS),
            shutdown_on_exit=False,
        )
        self.others: list[SpanProcessor] = []
        super().add_span_processor(Collector())

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.others.append(span_processor)
        super().add_span_processor(span_processor)


_lock: Final = threading.Lock()
_joined: list[Any] = []


def install(traces: "Traces") -> None:
    """Let instrumentations find us: as the global provider, or through those that the service has set."""
    with _lock:
        if traces.native_provider is not None:
            _listen(traces.native_provider)
        provider = trace.get_tracer_provider()
        if not isinstance(provider, trace.ProxyTracerProvider):
            _listen(provider)
        elif traces.exports:
            provider = Provider(Resource(traces.resource))
            trace.set_tracer_provider(provider)
            _joined.append(provider)
            _listen(trace.get_tracer_provider())  # another thread may have been first


def _listen(provider: Any) -> None:
    """Learn of the spans of a provider that is not ours; once."""
    if provider in _joined:
        return
    if hasattr(provider, "add_span_processor"):
        provider.add_span_processor(Collector())
    else:
        guard.warn(
            "fastapi-cloudops: the service's tracer provider takes no span processors; its spans are not ours",
            provider=type(provider).__qualname__,
        )
    _joined.append(provider)


def readable(finished: Finished, resource: dict[str, str], version: str) -> ReadableSpan:
    """A span of the SDK from a plain record; whoever else processes our provider's spans gets it too."""
    trace_id, span_id, _ = finished.ids
    flags = TraceFlags(TraceFlags.SAMPLED)
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
    parent = SpanContext(context.trace_id, int(finished.parent, 16), is_remote=True) if finished.parent else None
    span = ReadableSpan(
        name=finished.name,
        context=context,
        parent=parent,
        resource=Resource(resource),
        attributes=finished.attributes,
        events=[Event(name, attributes, at) for name, at, attributes in finished.events],
        links=[trace.Link(SpanContext(int(one, 16), int(other, 16), is_remote=True)) for one, other in finished.links],
        kind=SpanKind.SERVER if finished.server else SpanKind.CONSUMER,
        status=Status(StatusCode.ERROR, finished.description or None) if finished.failed else Status(StatusCode.UNSET),
        start_time=finished.start,
        end_time=finished.end,
        instrumentation_scope=InstrumentationScope(SCOPE, version),
    )
    provider = trace.get_tracer_provider()
    for other in provider.others if isinstance(provider, Provider) else ():
        try:
            other.on_end(span)
        except Exception as error:  # noqa: BLE001  # one of theirs must not hold up the others
            guard.caught("span processor", error)
    return span
