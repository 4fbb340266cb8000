"""One request and its response, as far as their messages have been seen."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from . import context, guard
from .client_address import client_address
from .context import RequestContext, Trace, acceptable_request_id, new_span_id, new_trace_id
from .http import CLIENT_CLOSED, outcome_of
from .propagation import delivery_fields
from .route import route_template

if TYPE_CHECKING:
    from .setup import Observability

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

REQUEST_ID: Final = b"x-request-id"


class Observed(RequestContext):
    """What requests and websocket connections have in common: a scope, its headers, its route."""

    __slots__ = ("_entry_root_path", "_headers", "_observability", "_receive", "_send", "scope", "started", "template")

    def __init__(
        self, observability: "Observability", scope: Scope, receive: Receive, send: Send, root_path: str
    ) -> None:
        given = None
        for name, value in scope["headers"]:
            if name == REQUEST_ID:
                given = acceptable_request_id(value)
                break
        RequestContext.__init__(self, given or new_trace_id())
        self._observability = observability
        self.scope = scope
        self._receive = receive
        self._send = send
        self._entry_root_path = root_path or scope.get("root_path", "")
        self._headers: dict[bytes, bytes] | None = None
        self.template = ""
        self.started = perf_counter()

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The request's headers; one that is sent twice counts by its last line."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    @property
    def client_address(self) -> str:
        """Who asks: the socket's peer, or further away where proxies are trusted."""
        trusted = self._observability.trusted_proxies
        client = self.scope.get("client")
        if not trusted and client and ":" not in client[0]:
            return str(client[0])  # the common case at once: IPv4, and nobody is trusted
        return client_address(self.scope, trusted)

    @property
    def route(self) -> str | None:
        return self.template or route_template(self.scope, self._entry_root_path) or None

    def find_template(self) -> None:
        """Learn the route for good: routing is over."""
        self.template = route_template(self.scope, self._entry_root_path)

    def _find_trace(self) -> Trace:
        headers = self.headers
        parent = None
        if (value := headers.get(b"traceparent")) is not None:
            parent = context.read_traceparent(value)
        if parent is None and (value := headers.get(b"x-cloud-trace-context")) is not None:
            parent = context.read_cloud_trace_context(value)
        trace_id, _, sampled = parent or (new_trace_id(), "", False)
        return Trace(trace_id, new_span_id(), sampled)

    def with_id(self, headers: Iterable[Header]) -> list[Header]:
        """Response headers and our id; the app's own list is left as it is."""
        own = [*headers]
        for name, _ in own:
            if name == REQUEST_ID:
                own = [header for header in own if header[0] != REQUEST_ID]
                break
        own.append((REQUEST_ID, self.request_id.encode()))
        return own


class Exchange(Observed):
    """An HTTP request."""

    __slots__ = (
        "_cycle",
        "background",
        "complete",
        "counted",
        "ended",
        "excluded",
        "first_byte",
        "left",
        "outcome",
        "response_bytes",
        "status",
    )

    def __init__(
        self, observability: "Observability", scope: Scope, receive: Receive, send: Send, root_path: str
    ) -> None:
        Observed.__init__(self, observability, scope, receive, send, root_path)
        if observability.tells_deliveries:
            self.fields = delivery_fields(self.headers)
        # uvicorn drops what is sent to a client that has left, without a word; its `receive` belongs to the object that
        # knows. Other servers raise, or answer `receive` with a disconnect.
        cycle = getattr(receive, "__self__", None)
        self._cycle: Any = cycle if hasattr(cycle, "disconnected") else None
        self.status = 0
        self.response_bytes = 0
        self.outcome = ""
        #: On the clock of `time.perf_counter`; 0.0: not yet.
        self.first_byte = self.ended = 0.0
        #: Seconds the app went on after the response.
        self.background = 0.0
        self.complete = self.counted = self.excluded = False
        #: The client was gone before the response was complete.
        self.left = False

    async def receive(self) -> Message:
        """What the app asks for; a client's leaving is noticed on its way."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.ended:
            self._client_left()
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Look at a message of the response and pass it on."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                self.response_bytes += len(message.get("body", b""))
                return self._send_body(message, not message.get("more_body", False))
            if kind == "http.response.start":
                if self._cycle is not None and self._cycle.disconnected:
                    self._client_left()
                self.status = self.status or message["status"]
                self.first_byte = perf_counter()
                message = {**message, "headers": self.with_id(message.get("headers", ()))}
            elif kind == "http.response.pathsend":
                return self._send_body(message, last=True)
        except Exception as error:  # noqa: BLE001  # a message we cannot read is still the server's to judge
            guard.caught("response", error)
        return self._send(message)

    async def _send_body(self, message: Message, last: bool) -> None:  # a keyword costs on every message
        if self._cycle is not None and self._cycle.disconnected:
            self._client_left()
        try:
            await self._send(message)
        except OSError:
            # asgi.readthedocs.io, "Disconnected Client - send exception".
            self._client_left()
            raise
        if last and not self.ended:
            self.ended = perf_counter()
            self.complete = True
            # An unhandled exception follows its 500 at once, and tells a timeout from other failures.
            if self.status < 500 or self.left:  # noqa: PLR2004  # HTTP's classes
                self.count(None)

    def _client_left(self) -> None:
        self.left = True
        self.status = self.status or CLIENT_CLOSED

    def count(self, error: BaseException | None) -> None:
        """The response is over: it is counted once, before any background task runs."""
        self.counted = True
        try:
            status = self.status
            if error is None and self.complete and not self.left and status < 400:  # noqa: PLR2004  # HTTP's classes
                self.outcome = "ok"
            else:
                self._judge(error)
            self.template = route_template(self.scope, self._entry_root_path)
            observability = self._observability
            self.excluded = status < 400 and observability.exclusion.covers(self.template)  # noqa: PLR2004  # as above
            if self.excluded:
                observability.requests.leave()
            else:
                observability.requests.record(self)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("request metrics", failure)

    def _judge(self, error: BaseException | None) -> None:
        if not self.complete and not self.response_bytes and _is_senders(error):
            self.left, self.status = True, CLIENT_CLOSED
        self.outcome = outcome_of(self.status, error, complete=self.complete, left=self.left, shed=self.shed)
        if not self.status:
            self.status = CLIENT_CLOSED if self.outcome == "client_closed" else 500

    def finish(self, error: BaseException | None) -> None:
        """The app has returned or raised."""
        try:
            now = perf_counter()
            if self.ended:
                self.background = now - self.ended
            else:
                self.ended = now
            if not self.counted:
                self.count(error)
            if error is None and self.excluded and self.held is None:
                return
            self._observability.finish(self, error)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("access log", failure)


def _is_senders(error: BaseException | None) -> bool:
    """Whether an error before the first byte is what servers raise from `send` when the client has left."""
    return isinstance(error, ConnectionError) or type(error) is OSError
