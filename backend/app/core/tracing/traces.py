"""Tracing of one app: what a request begins with, what is decided at its end, and who sends it.

Loads OpenTelemetry's API, which FastAPI has loaded anyway; the SDK is loaded in the exporter's thread.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel

from .. import guard
from ..context import RequestContext
from ..logging.entry import Identity
from ..metrics.instruments import MetricsClient
from ..redaction import Redaction
from ..termination import on_sigterm
from . import state
from .buffer import Buffer, Waiting
from .encoding import Encoded, Encoding
from .exporter import Connection, Exporter
from .record import FAILED, Finished, of_connection, of_job, of_request
from .request_span import RequestSpan
from .resource import labels, resource
from .sampling import Reason, Sampling, below
from .secured import Secured, spooled

if TYPE_CHECKING:
    from ..clock import Clock
    from ..exchange import Exchange, Observed
    from ..settings import Settings
    from ..websocket import Connection as WebsocketConnection

_ERROR: Final = 40  # the level's number
#: Seconds in which what waits is sent at the end of the process.
FLUSH_SECONDS: Final = 3.0
_PREPARE_SECONDS: Final = 5.0
_GRPC: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_HTTP: Final = "/v1/traces"

_all: "weakref.WeakSet[Traces]" = weakref.WeakSet()


class Traces:
    """Spans of one app.

    Args:
        settings: Rates, and where to.
        identity: Who this is, as far as it is known.
        redaction: What spans must not say.
        metrics: Where losses are counted.
        clock: Wall time and deadlines.
        excluded: Whether a route's template is left out while it answers well.
        located: Waits some seconds until it is known where this process runs.
        exports: Whether spans are sent; otherwise this only learns who makes them.
        telemetry: What `FastAPI(telemetry=...)` was given.
    """

    def __init__(
        self,
        settings: "Settings",
        identity: Callable[[], Identity],
        redaction: Redaction,
        metrics: MetricsClient,
        clock: "Clock",
        *,
        excluded: Callable[[str], bool],
        located: Callable[[float], object],
        exports: bool = True,
        telemetry: Mapping[str, Any] | None = None,
    ) -> None:
        self.exports = exports
        self.lock = threading.RLock()
        self.rules = Sampling(
            rate=settings.trace_sample_rate if exports else 0.0,
            error_rate=settings.error_trace_sample_rate if exports else 0.0,
            slow_seconds=settings.slow_request_seconds,
            rates=settings.trace_sample_rates if exports else {},
            slow=settings.trace_slow_seconds,
            parent=settings.trace_parent if exports else "honour",
            behind_google=identity().runtime.platform == "cloud_run",
        )
        self._mode = server_span(settings.server_span)
        #: Whether the SERVER span is somebody else's.
        self.learns = self._mode != "ours"
        #: Whether FastAPI's own telemetry stays off.
        self.without_native = self._mode != "native"
        telemetry = telemetry or {}
        #: Makes FastAPI's own spans; None: OpenTelemetry's global provider does.
        self.native_provider = None if self.without_native else telemetry.get("tracer_provider")
        self._identity = identity
        self._redaction = redaction
        self._metrics = metrics
        self._excluded = excluded
        self._limit = settings.trace_buffer_bytes
        spool = spooled(settings)
        self.buffer = Buffer(self._limit, self.dropped, spool.done if spool is not None else None)
        self._described: tuple[Identity, dict[str, str], dict[str, str]] | None = None
        self._endpoint, self._emulator = settings.otlp_traces_endpoint, settings.cloudops_emulator_host
        self._encoding = Encoding(redaction)
        self._clock = clock
        self._located = located
        self._exporter = Exporter(
            self.buffer,
            prepare=self._prepare,
            connect=self._connect,
            encode=self._encode,
            located=located,
            dropped=self.dropped,
            clock=clock,
            tells_credentials=not (settings.enable_metrics and settings.metrics_backend != "none"),
            survives_fork=self._endpoint.startswith("http"),
            spool=spool,
        )
        self._secure = (
            None if spool is None else Secured(spool, self._encode_each, self._exporter.put, self.buffer, self.dropped)
        )
        #: Set once instrumentations find a provider.
        self.ready = threading.Event()
        # FastAPI makes no span of what its user excludes.
        self._told_missing = telemetry.get("exclude") is not None
        self._undo_sigterm: Callable[[], None] = _nothing
        _all.add(self)

    # --- a request

    def begin(self, context: "Observed") -> RequestSpan:
        """A request begins; to be called within its own context, and followed by the span's `leave`."""
        span = context.span = RequestSpan(self, context)
        within = otel.get_current()
        if not (within and span.adopt(within)) and not self.learns:  # most begin within nothing
            span.attach(within)
        return span

    def sampled(self, observed: "Observed", trace_id: str, flag: bool | None) -> bool:
        """What is decided before anything is known of a request's fate.

        Args:
            observed: The request.
            trace_id: Its trace.
            flag: What the caller decided; None: nothing.
        """
        if observed.verbose:
            return self.exports
        rules = self.rules
        if flag is not None and rules.honours_parent:
            return flag
        rates = rules.rates
        return below(trace_id, rules.rate if rates.constant else rates.of(observed.find_template()))

    def finish(self, exchange: "Exchange", error: BaseException | None) -> None:
        """A request is over: keep its spans, or not. Never raises: its entries are still to be written."""
        try:
            span = exchange.span
            if span is None:
                return
            failed = exchange.outcome in FAILED or exchange.worst >= _ERROR or span.failed
            reason = self._reason(exchange, failed=failed)
            if reason is not None and self.exports:
                self._keep(exchange, span, error, reason, failed=failed)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("span", failure)

    def _keep(
        self, exchange: "Exchange", span: RequestSpan, error: BaseException | None, reason: Reason, *, failed: bool
    ) -> None:
        span.promote()
        finished = None
        if not span.learnt:
            finished = of_request(exchange, error, reason, self._clock.time_ns(), self._redaction)
            self._tell_if_missing()
        span.keep(finished, error=failed)

    def disconnected(self, connection: "WebsocketConnection", error: BaseException | None) -> None:
        """A websocket connection is over: keep its spans, or not. Never raises."""
        try:
            self._disconnected(connection, error)
        except Exception as failure:  # noqa: BLE001  # as above
            guard.caught("span", failure)

    def _disconnected(self, connection: "WebsocketConnection", error: BaseException | None) -> None:
        span = connection.span
        if span is None:
            return
        failed = connection.failed or connection.worst >= _ERROR or span.failed
        # How long a connection stays open says nothing about how slow it was.
        reason = self._reason(connection, failed=failed, may_be_slow=False)
        if reason is None or not self.exports:
            return
        span.promote()
        finished = None
        if not span.learnt:
            finished = of_connection(connection, error, reason, self._clock.time_ns(), self._redaction)
        span.keep(finished, error=failed)

    def _reason(self, observed: "Observed", *, failed: bool, may_be_slow: bool = True) -> Reason | None:
        ids = observed.ids
        rules = self.rules
        slow = False
        if may_be_slow:
            slowest = rules.slow.default if rules.slow.constant else rules.slow.of(observed.template)
            slow = observed.ended - observed.started >= slowest
        if ids[2]:
            if failed or slow:
                return "error" if failed else "slow"
            if observed.verbose:
                return "debug"
            return "parent" if rules.honours_parent and b"traceparent" in observed.headers else "rate"
        if (failed or slow) and rules.may_be_kept(ids[0]):
            return "error" if failed else "slow"
        return None

    # --- work without a request

    def begin_job(self, context: RequestContext) -> None:
        """A piece of work begins; to be followed by its span's `finish_job`. Never raises."""
        try:
            if not context.placed:
                trace_id, span_id, _ = context.ids
                context.place((trace_id, span_id, below(trace_id, self.rules.rate)))
            span = RequestSpan(self, context)
            span.attach_job()
            context.span = span
        except Exception as failure:  # noqa: BLE001  # as above
            guard.caught("span", failure)

    def finish_job(
        self, context: RequestContext, span: RequestSpan, started: float, parent: str, error: BaseException | None
    ) -> None:
        """A piece of work is over: keep its spans, or not."""
        failed = isinstance(error, Exception) or context.worst >= _ERROR
        if context.ids[2] or (failed and span.may_be_kept):
            span.promote()
            finished = of_job(context, started, parent, error, self._clock.time_ns(), self._redaction)
            span.keep(finished, error=failed)

    def excluded(self, context: RequestContext) -> bool:
        """Whether a request is of a route that is left out while it answers well."""
        return self._excluded(context.route or "")

    # --- export

    def hash(self, user_id: str) -> str:
        return self._redaction.hash(user_id)

    def export(self, waiting: Waiting) -> None:
        if self.exports and waiting.count:
            secure = None if self._exporter.forked else self._secure
            self._exporter.put(waiting if secure is None else secure(waiting))

    def dropped(self, reason: str, count: int) -> None:
        self._metrics.counter("cloudops_dropped_total", {"signal": "traces", "reason": reason}).add(count)

    @property
    def sent(self) -> float:
        """Spans that the back end has taken."""
        return float(self._exporter.sent)

    def start(self) -> None:
        """Start the thread: it loads the SDK, and gives instrumentations a provider. Does not wait for it."""
        state.joined(self)
        self._listen()
        self._exporter.start()
        if self._secure is not None and self.exports and not self._exporter.forked:
            self._secure.start()
        self._undo_sigterm = on_sigterm(self._exporter.about_to_stop)
        atexit.register(self.close)

    def flush(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Send what there is; whether all of it was taken in time. Blocks."""
        return self._exporter.flush(timeout)

    def close(self, timeout: float = FLUSH_SECONDS) -> None:
        """Send what there is, within some seconds, and end the thread. Blocks."""
        state.left(self)
        atexit.unregister(self.close)
        self._undo_sigterm()
        self._undo_sigterm = _nothing
        self._exporter.close(timeout)

    @property
    def resource(self) -> dict[str, str]:
        return self._describe()[0]

    def readable(self, finished: Finished) -> Any:
        """The SDK's span; called in the exporter's thread."""
        from . import provider  # noqa: PLC0415  # the SDK is slow to load

        found, shown = self._describe()
        finished.attributes |= shown
        return provider.readable(finished, found, _VERSION)

    def _describe(self) -> tuple[dict[str, str], dict[str, str]]:
        identity = self._identity()
        if self._described is None or self._described[0] is not identity:
            self._described = identity, resource(identity), labels(identity, _VERSION)
        return self._described[1:]

    def _listen(self) -> None:
        """Where others make SERVER spans with a provider that is there already, know of them from the first request on.

        The service has loaded the SDK for it.
        """
        if not self.learns:
            return
        try:
            from opentelemetry import trace  # noqa: PLC0415  # only for those who ask

            if self.native_provider is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
                return
            from . import provider  # noqa: PLC0415  # the SDK is slow to load

            provider.install(self)
        except Exception as error:  # noqa: BLE001  # telemetry never reaches the service
            guard.caught("spans of others", error)

    def _prepare(self) -> None:
        try:
            from . import provider  # noqa: PLC0415  # the SDK is slow to load

            _suppress_own_spans()
            provider.install(self)
        finally:
            self.ready.set()

    def _encode(self, spans: Iterable[Any]) -> bytes:
        return self._encoding.request(self._describe()[0], spans)

    def _encode_each(self, spans: Iterable[Any]) -> list[Encoded]:
        """For the spool, in its thread."""
        self.ready.wait(_PREPARE_SECONDS)
        self._located(_PREPARE_SECONDS)
        described = self.resource
        return [self._encoding.encoded(described, span) for span in spans]

    def _connect(self) -> Connection:
        from ..metrics.otlp_transport import connect_otlp  # noqa: PLC0415  # gRPC is slow to load

        if not self._identity().runtime.project and not self._endpoint:
            raise LookupError("no project: set GOOGLE_CLOUD_PROJECT, or CLOUDOPS_EMULATOR_HOST for the emulator")
        return connect_otlp(self._endpoint, self._emulator, method=_GRPC, path=_HTTP)

    def _tell_if_missing(self) -> None:
        if self.learns and self.ready.is_set() and not self._told_missing:
            self._told_missing = True
            guard.warn(
                f"fastapi-cloudops: SERVER_SPAN={self._mode}, but nothing made a SERVER span for a request; ours is"
            )

    def in_child_after_fork(self) -> None:
        self.lock = threading.RLock()
        self.buffer.in_child_after_fork()
        self._exporter.in_child_after_fork()


def server_span(wanted: str) -> str:
    """Who makes SERVER spans here: what was asked for, unless this FastAPI has none of its own."""
    from importlib.util import find_spec  # noqa: PLC0415  # only for those who ask

    if wanted == "native" and find_spec("fastapi.telemetry") is None:
        guard.warn("fastapi-cloudops: SERVER_SPAN=native needs FastAPI 0.142 or newer; the SERVER spans are ours")
        return "ours"
    return wanted


def _suppress_own_spans() -> None:
    """What the exporter's thread calls is no part of anybody's trace, whatever is instrumented."""
    from opentelemetry import context  # noqa: PLC0415  # loaded by now

    for name in ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY"):
        if (key := getattr(context, name, None)) is not None:
            context.attach(context.set_value(key, value=True))


def _nothing() -> None:
    return


def _own_version() -> str:
    try:
        return version("fastapi-cloudops")
    except PackageNotFoundError:  # the folder alone, without its distribution
        return "0"


_VERSION: Final = _own_version()


def _in_child() -> None:
    for traces in list(_all):
        traces.in_child_after_fork()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_in_child)
