"""The log entry of an unhandled exception, as Error Reporting wants it.

Source: cloud.google.com/error-reporting/docs/formatting-error-messages. Locals and argument values are never in it.
"""

import traceback
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..logging.entry import INSERT_ID, SPAN_ID, TRACE, TRACE_SAMPLED, Identity, InsertIds, Timestamps
from ..logging.processors import render
from ..redaction import Redaction
from .grouping import Repetitions, fingerprint
from .told import told

if TYPE_CHECKING:
    from ..exchange import Exchange

EVENT_TYPE: Final = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
LOGGER: Final = "fastapi_cloudops.errors"


class ErrorReports:
    """Writes the error events of one app."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        write: Callable[[bytes], None],
        time_ns: Callable[[], int],
        redaction: Redaction,
        *,
        tracing: bool,
        also: Callable[[Mapping[str, Any]], None] | None = None,
        cold: Callable[[], bool] = bool,
    ) -> None:
        self._cold = cold
        self._identity = identity
        self._write = write
        self._time_ns = time_ns
        self._tracing = tracing
        self._also = also
        self._redaction = redaction
        self._timestamps = Timestamps()
        self._ids = InsertIds()
        self._repetitions = Repetitions()

    def __call__(self, exchange: "Exchange", error: BaseException) -> None:
        told.set(error)
        repeated = self._repetitions.admit(fingerprint(error), monotonic())
        if repeated is None:
            return
        event = self.event(exchange, error, repeated)
        self._write(render(event))
        if self._also is not None:
            self._also(event)

    def event(self, exchange: "Exchange", error: BaseException, repeated: int = 0) -> dict[str, Any]:
        """The entry as a dict."""
        identity = self._identity()
        entry: dict[str, Any] = {
            "severity": "ERROR",
            "message": self._redaction.error("".join(traceback.format_exception_only(error)).strip()),
            "@type": EVENT_TYPE,
            # Chains and groups are kept; the service reads Python's own format.
            "stack_trace": self._redaction.stack_trace("".join(traceback.format_exception(error))),
            "context": self._context(exchange),
            "logger": LOGGER,
            "time": self._timestamps.render(self._time_ns()),
            INSERT_ID: self._ids.next(),
            "request_id": exchange.request_id,
            "outcome": exchange.outcome,
        }
        if exchange.template:
            entry["route"] = exchange.template
        if self._cold():
            entry["cold_start"] = True
        if repeated:
            entry["repeated"] = repeated
        if self._tracing:
            trace = exchange.trace
            entry[TRACE] = identity.trace_prefix + trace.trace_id
            entry[SPAN_ID] = trace.span_id
            entry[TRACE_SAMPLED] = trace.sampled
        for name, value in self._redaction.fields(dict(exchange.fields)).items():
            entry.setdefault(name, value)
        return entry | identity.constants

    def _context(self, exchange: "Exchange") -> dict[str, Any]:
        scope, agent = exchange.scope, exchange.headers.get(b"user-agent", b"")
        request = {
            "method": scope["method"],
            # The template, so that the errors of one route are one group of addresses.
            "url": exchange.template or self._redaction.url(scope["path"]),
            "userAgent": self._redaction.text(agent.decode("latin-1")),
            "responseStatusCode": exchange.status,
        }
        context: dict[str, Any] = {"httpRequest": request}
        if exchange.user_id:
            context["user"] = self._redaction.hash(exchange.user_id)
        return context
