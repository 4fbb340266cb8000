"""What is known about the current request, for everything that runs on its behalf."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from random import getrandbits
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from .tracing.request_span import RequestSpan

#: Fields that Cloud Logging or this library write themselves (cloud.google.com/logging/docs/structured-logging).
RESERVED_FIELDS: Final = frozenset(
    {
        "background_seconds",
        "cold_start",
        "error_type",
        "httpRequest",
        "logger",
        "message",
        "outcome",
        "request_id",
        "route",
        "serviceContext",
        "severity",
        "stack_trace",
        "time",
        "time_to_first_byte",
        "timestamp",
        "user_id",
        "worst_severity",
    }
)
_RESERVED_PREFIX = "logging.googleapis.com/"

# www.w3.org/TR/trace-context/#traceparent-header; later versions may append fields.
_TRACEPARENT = re.compile(rb"(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_DASH = ord("-")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_ODD = "13579bdf"
# Trace id, then perhaps a decimal span id and options: cloud.google.com/trace/docs/trace-context#legacy-http-header
_CLOUD_TRACE = re.compile(rb"([0-9a-fA-F]{32})(?:/(\d{1,20}))?(?:;o=(\d{1,3}))?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class ReservedFieldError(ValueError):
    """A bound field would hide one that Cloud Logging reads itself, such as `severity`."""


#: What a `Trace` is made of; making one for each request would cost as much as finding the ids.
Ids = tuple[str, str, bool]


class Trace(NamedTuple):
    """Where a request stands in its trace: `span_id` is our own span, `sampled` what the caller decided."""

    trace_id: str
    span_id: str
    sampled: bool


class RequestContext:
    """Ids, bound fields and fate of one request. One mutable object a request, so that threads and tasks share it.

    Args:
        request_id: Ours or the client's.
        trace: Where it stands in its trace; None starts a trace when something first asks.
        fields: Bound fields it begins with.
    """

    __slots__ = ("_ids", "draw", "fields", "held", "request_id", "shed", "span", "user_id", "verbose", "worst")

    def __init__(
        self, request_id: str, trace: Trace | None = None, fields: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        self.request_id = request_id
        self._ids: Ids | None = trace
        self.fields = fields
        #: Who the request is for, as the service says.
        self.user_id = ""
        #: Level number of the worst entry logged so far.
        self.worst = 0
        #: Whether the service's own limiter refused it, and whether debug entries were asked for it alone.
        self.shed = self.verbose = False
        #: The request's lot in sampling; negative before it is drawn.
        self.draw = -1.0
        #: Entries that sampling dropped, kept until it is known whether the request failed.
        self.held: list[bytes] | None = None
        #: What keeps or drops its spans; None where the app does not trace.
        self.span: RequestSpan | None = None

    @property
    def trace(self) -> Trace:
        """Ids of the trace; read from the headers, or made, when something first asks."""
        return Trace(*self.ids)

    @property
    def ids(self) -> Ids:
        """The same as a plain tuple."""
        if self._ids is None:
            self._ids = self._find_ids()
        return self._ids

    @property
    def placed(self) -> bool:
        """Whether its ids are known yet."""
        return self._ids is not None

    def _find_ids(self) -> Ids:
        return new_trace_id(), new_span_id(), False

    def place(self, ids: Ids) -> None:
        """Say where it stands, when it is known better: somebody else made its span, or it is kept after all."""
        self._ids = ids

    @property
    def innermost(self) -> Ids:
        """The ids, with the span that is current within the request's own."""
        return self.ids if self.span is None else self.span.innermost()

    def meant_for(self, route: str) -> None:
        """Which route it would have found; only a request has one."""

    @property
    def route(self) -> str | None:
        """The template of the matched route; None outside a request, or before or without a match."""
        return None


#: The request that is being served; None outside of requests.
current: ContextVar[RequestContext | None] = ContextVar("fastapi_cloudops_request", default=None)


def read_traceparent(value: bytes) -> tuple[str, str, bool] | None:
    """Trace id, parent span id and sampled flag of a `traceparent` header; None when it is not valid."""
    # The present version at once, by its length, its dashes, and nothing but hexadecimal digits besides.
    if (
        len(value) == 55  # noqa: PLR2004  # 2 + 32 + 16 + 2 digits and the dashes
        and value[2] == value[35] == value[52] == _DASH
        and value.translate(None, b"0123456789abcdef") == b"---"
        and value.startswith(b"00")
    ):
        text = value.decode()
        trace_id, span_id = text[3:35], text[36:52]
        return None if trace_id == _NO_TRACE or span_id == _NO_SPAN else (trace_id, span_id, text[54] in _ODD)
    if _TRACEPARENT.fullmatch(value) is None:
        return None
    text = value.decode("latin-1")  # what follows the flags is any text
    return text[3:35], text[36:52], text[54] in _ODD


def read_cloud_trace_context(value: bytes) -> tuple[str, str, bool] | None:
    """The same of an `X-Cloud-Trace-Context` header; the span id is empty when it names none."""
    match = _CLOUD_TRACE.fullmatch(value)
    if match is None:
        return None
    trace, span, options = match.groups()
    if not trace.strip(b"0"):
        return None
    number = int(span or 0)
    return trace.decode().lower(), f"{number:016x}" if 0 < number < 1 << 64 else "", bool(int(options or 0) & 1)


def acceptable_request_id(value: bytes | None) -> str | None:
    """A client's request id when it is 1 to 128 of `A-Z a-z 0-9 . _ -`."""
    return value.decode() if value and _REQUEST_ID.fullmatch(value) else None


def new_trace_id() -> str:
    return (getrandbits(128) or 1).to_bytes(16).hex()  # half of the time that formatting takes


def new_span_id() -> str:
    return (getrandbits(64) or 1).to_bytes(8).hex()


class Binding:
    """Fields added to the current request; used in a `with` block, it takes them off again."""

    __slots__ = ("_before", "_context")

    def __init__(self, context: RequestContext | None, before: Mapping[str, object]) -> None:
        self._context = context
        self._before = before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context is not None:
            self._context.fields = self._before


def bind(**fields: object) -> Binding:
    """Add fields to every log entry of the current request.

    They follow the request across `await` and into worker threads, and never reach another request. Outside of a
    request there is nothing to bind to, and nothing happens.

    Raises:
        ReservedFieldError: A field would hide one that Cloud Logging or this library writes.
    """
    for name in fields:
        if name in RESERVED_FIELDS or name.startswith(_RESERVED_PREFIX):
            raise ReservedFieldError(f"{name!r} is written by the library; choose another name, such as 'app_{name}'")
    context = current.get()
    if context is None:
        return Binding(None, {})
    before = context.fields
    # A new mapping instead of a changed one: an entry that is being rendered in another thread keeps its own.
    context.fields = {**before, **fields}
    return Binding(context, before)


def set_user(user_id: str) -> None:
    """Say who the current request is for; it stands in its log entries and, hashed, in its error reports."""
    context = current.get()
    if context is not None:
        context.user_id = user_id


def shed(route: str = "") -> None:
    """Say that the service's own limiter refuses the current request: a 429 or 503 is then no error of the client's.

    Args:
        route: The template of the route it was for, where the limiter answers before routing; what is no template of
            the app's own routes is not told.
    """
    context = current.get()
    if context is not None:
        context.shed = True
        context.meant_for(route)
