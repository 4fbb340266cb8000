"""One request and its response, as far as their messages have been seen."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from . import context, guard
from .client_address import client_address
from .context import Ids, RequestContext, acceptable_request_id, new_span_id, new_trace_id
from .http import CLIENT_CLOSED, outcome_of
from .propagation.incoming import DELIVERY_MARKERS, delivery_fields

if TYPE_CHECKING:
    from .exclusion import Exclusion
    from .kinds import Kind
    from .setup import Observability

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

REQUEST_ID: Final = b"x-request-id"
_ID_LENGTH: Final = len(REQUEST_ID)


class Observed(RequestContext):
    """What requests and websocket connections have in common: a scope, its headers, its route."""

    __slots__ = (
        "_cycle",
        "_observability",
        "_receive",
        "_root_path",
        "_send",
        "ended",
        "headers",
        "left",
        "scope",
        "started",
        "template",
    )

    def __init__(self, observability: "Observability", scope: Scope, receive: Receive, send: Send) -> None:
        #: The request's headers; one that is sent twice counts by its last line.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(REQUEST_ID)
        RequestContext.__init__(self, (given and acceptable_request_id(given)) or new_trace_id())
        self._observability = observability
        self.scope = scope
        self._receive = receive
        self._send = send
        # uvicorn drops what is sent to a client that has left, without a word; its `receive` belongs to the object that
        # knows. Other servers raise, or answer `receive` with a disconnect.
        cycle = getattr(receive, "__self__", None)
        self._cycle: Any = cycle if hasattr(cycle, "disconnected") else None
        self._root_path: str = scope.get("root_path", "")
        #: The client was gone before the end.
        self.left = False
        self.template = ""
        self.ended = 0.0
        #: On the clock of `time.perf_counter`, as all times here; 0.0: not yet.
        self.started = perf_counter()

    @property
    def client_address(self) -> str:
        """Who asks: the socket's peer, or further away where proxies are trusted."""
        observability = self._observability
        client = self.scope.get("client")
        if not observability.trusts_proxies and client and ":" not in client[0]:
            return str(client[0])  # the common case at once: IPv4, and nobody is trusted
        return client_address(self.scope, observability.trusted_proxies)

    @property
    def exclusion(self) -> "Exclusion":
        """The routes that are not told."""
        return self._observability.exclusion

    @property
    def route(self) -> str | None:
        return self.template or self.find_template() or None

    def meant_for(self, route: str) -> None:
        try:
            if route in self._observability.worker.store.routes:
                self.template = route
        except Exception as error:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("route", error)

    def find_template(self) -> str:
        """The route as far as routing has come."""
        return self._observability.routes.template(self.scope, self._root_path)

    def _find_ids(self) -> Ids:
        headers = self.headers
        parent = None
        if (value := headers.get(b"traceparent")) is not None:
            parent = context.read_traceparent(value)
        if parent is None and (value := headers.get(b"x-cloud-trace-context")) is not None:
            parent = context.read_cloud_trace_context(value)
        trace_id, flag = (new_trace_id(), None) if parent is None else (parent[0], parent[2])
        traces = self._observability.traces
        return trace_id, new_span_id(), bool(flag) if traces is None else traces.sampled(self, trace_id, flag)

    def with_id(self, headers: Iterable[Header]) -> list[Header]:
        """Response headers and our id; the app's own list is left as it is."""
        own = [*headers]
        for name, _ in own:
            if len(name) == _ID_LENGTH and name.lower() == REQUEST_ID:
                own = [header for header in own if header[0].lower() != REQUEST_ID]
                break
        own.append((REQUEST_ID, self.request_id.encode()))
        return own

    def is_senders(self, error: BaseException | None) -> bool:
        """Whether an exception began in the server's `send`, which raises when the client has left.

        Source: asgi.readthedocs.io, "Disconnected Client - send exception".
        """
        send = getattr(self._send, "__func__", self._send)
        code = getattr(send, "__code__", None) or getattr(type(send).__call__, "__code__", None)
        if code is None:  # not written in Python, as granian's: it has no frame to be found in
            return False
        return any(isinstance(cause, OSError) and _went_through(cause, code) for cause in _chain(error))


class Exchange(Observed):
    """An HTTP request."""

    __slots__ = ("background", "first_byte", "kind", "outcome", "request_bytes", "response_bytes", "status")

    def __init__(self, observability: "Observability", scope: Scope, receive: Receive, send: Send) -> None:
        Observed.__init__(self, observability, scope, receive, send)
        if observability.tells_deliveries and not self.headers.keys().isdisjoint(DELIVERY_MARKERS):
            self.fields = delivery_fields(self.headers)
        #: Body bytes that the app has read, and that the server was given to send.
        self.status = self.request_bytes = self.response_bytes = 0
        #: Empty until the response has been counted, as `kind` is missing until then.
        self.outcome = ""
        self.kind: Kind
        #: The second: seconds the app went on after the response.
        self.first_byte = self.background = 0.0

    async def receive(self) -> Message:
        """What the app asks for; a client's leaving is noticed on its way."""
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            self.request_bytes += len(message.get("body", b""))
        elif kind == "http.disconnect" and not self.ended:
            self._client_left()
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Look at a message of the response and pass it on."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                return self._send_body(message, len(message.get("body", b"")))
            if kind == "http.response.start":
                if self._cycle is not None and self._cycle.disconnected:
                    self._client_left()
                self.status = self.status or message["status"]
                self.first_byte = perf_counter()
                message = dict(message)
                message["headers"] = self.with_id(message.get("headers", ()))
            elif kind in _BODIES_BY_REFERENCE:
                return self._send_body(message, message.get("count") or 0)
        except Exception as error:  # noqa: BLE001  # a message we cannot read is still the server's to judge
            guard.caught("response", error)
        return self._send(message)

    async def _send_body(self, message: Message, size: int) -> None:
        if self._cycle is not None and self._cycle.disconnected:
            self._client_left()
        try:
            await self._send(message)
        except OSError as error:
            if self.is_senders(error):
                self._client_left()
            raise
        if self.ended:  # it came after the end, and no server sends it
            return
        if not self.left:
            self.response_bytes += size
        if not message.get("more_body"):
            self.ended = perf_counter()
            # An unhandled exception follows its 500 at once, and tells a timeout from other failures.
            if self.status < 500 or self.left:  # noqa: PLR2004  # HTTP's classes
                self.count(None)

    def _client_left(self) -> None:
        self.left = True
        self.status = self.status or CLIENT_CLOSED

    def count(self, error: BaseException | None, *, complete: bool = True) -> None:
        """The response is over: it is counted once, before any background task runs."""
        try:
            if error is None and complete and not self.left and self.status < 400:  # noqa: PLR2004  # HTTP's classes
                self.outcome = "ok"
            else:
                self._judge(error, complete=complete)
            method = self.scope["method"]
            if method == "HEAD":
                self.response_bytes = 0  # servers leave the body out
            observability = self._observability
            self.template = observability.routes.template(self.scope, self._root_path) or self.template
            kind = self.kind = observability.kinds[method, self.template, self.status, self.outcome]
            if kind.excluded:
                observability.requests.leave()
            elif kind.cells is not None:
                observability.requests.record(self, kind.cells)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("request metrics", failure)

    def _judge(self, error: BaseException | None, *, complete: bool) -> None:
        if not complete and (self.is_senders(error) or (self._cycle is not None and self._cycle.disconnected)):
            # The status of a response that did not begin to leave is not one that anybody saw.
            self.left, self.status = True, self.status if self.response_bytes else CLIENT_CLOSED
        self.outcome = outcome_of(self.status, error, complete=complete, left=self.left, shed=self.shed)
        if not self.status:
            self.status = CLIENT_CLOSED if self.outcome == "client_closed" else 500

    def finish(self, error: BaseException | None) -> None:
        """The app has returned or raised."""
        try:
            now = perf_counter()
            complete = self.ended > 0.0
            if complete:
                self.background = now - self.ended
            else:
                self.ended = now
            if not self.outcome:
                self.count(error, complete=complete)
            if error is None and self.kind.excluded and self.held is None:
                return
            self._observability.finish(self, error)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("access log", failure)


# Extensions of ASGI by which the server reads the body itself: a path has no size here, a descriptor may have.
_BODIES_BY_REFERENCE: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def _went_through(error: BaseException, code: object) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False
