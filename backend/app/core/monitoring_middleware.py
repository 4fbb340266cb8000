"""The one ASGI layer: it watches the messages of a request go by, and asks each part of telemetry once.

Plain ASGI: `BaseHTTPMiddleware` would cost ten times as much and hide context that the endpoint sets. It never calls
`receive`, never buffers a body, and re-raises what the app raises.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from . import context, guard
from .context import RequestContext, Trace, acceptable_request_id, current, new_span_id, new_trace_id
from .http import CLIENT_CLOSED, outcome_of_status

if TYPE_CHECKING:
    from .setup import Observability

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Scope key that marks a request as observed, so that a second layer on its way passes it through.
OBSERVED: Final = "fastapi_cloudops.observed"
# FastAPI >= 0.142 looks here before it starts telemetry of its own, which would tell every request twice.
_NATIVE: Final = "fastapi.telemetry"
_REQUEST_ID: Final = b"x-request-id"


class Exchange(RequestContext):
    """One request and its response, as far as both have been seen."""

    __slots__ = (
        "_entry_root_path",
        "_headers",
        "_observability",
        "_send",
        "ended",
        "outcome",
        "response_bytes",
        "scope",
        "started",
        "started_ns",
        "status",
        "template",
    )

    def __init__(self, observability: "Observability", scope: Scope, send: Send, root_path: str) -> None:
        self._observability = observability
        self.scope = scope
        self._send = send
        self._entry_root_path = root_path or scope.get("root_path", "")
        self.status = 0
        self.response_bytes = 0
        self.outcome = ""
        self.template = ""
        self.ended = 0.0
        self.fields = {}
        self._headers: dict[bytes, bytes] | None = None
        self._trace = None
        given = None
        for name, value in scope["headers"]:
            if name == _REQUEST_ID:
                given = acceptable_request_id(value)
                break
        self.request_id = given or new_trace_id()
        self.started = perf_counter()

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The request's headers; one that is sent twice counts by its last line."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    def _find_trace(self) -> Trace:
        headers = self.headers
        parent = None
        if (value := headers.get(b"traceparent")) is not None:
            parent = context.read_traceparent(value)
        if parent is None and (value := headers.get(b"x-cloud-trace-context")) is not None:
            parent = context.read_cloud_trace_context(value)
        trace_id, _, sampled = parent or (new_trace_id(), "", False)
        return Trace(trace_id, new_span_id(), sampled)

    @property
    def route(self) -> str | None:
        return self.template or route_template(self.scope, self._entry_root_path) or None

    def send(self, message: Message) -> Awaitable[None]:
        """Look at a message of the response and pass it on."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                self.response_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return self._send_last(message)
            elif kind == "http.response.start":
                self.status = message["status"]
                message = {**message, "headers": self._with_id(message.get("headers", ()))}
            elif kind == "http.response.pathsend":
                return self._send_last(message)
        except Exception as error:  # noqa: BLE001  # a message we cannot read is still the server's to judge
            guard.caught("response", error)
        return self._send(message)

    def _with_id(self, headers: Iterable[Header]) -> list[Header]:
        """The headers and ours; the app's own list is left as it is."""
        own = [*headers]
        for name, _ in own:
            if name == _REQUEST_ID:
                own = [header for header in own if header[0] != _REQUEST_ID]
                break
        own.append((_REQUEST_ID, self.request_id.encode()))
        return own

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        if not self.ended:
            self.complete(outcome_of_status(self.status))

    def complete(self, outcome: str) -> None:
        """The response is over: its time is taken and it is counted, before any background task runs."""
        self.ended = perf_counter()
        self.outcome = outcome
        try:
            self.template = route_template(self.scope, self._entry_root_path)
            self._observability.requests.record(self)
        except Exception as error:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("request metrics", error)

    def finish(self, error: BaseException | None) -> None:
        """The app has returned or raised."""
        try:
            if not self.ended:
                self.complete(self._outcome_of_failure(error))
            self._observability.access_log(self, error)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the request
            guard.caught("access log", failure)

    def _outcome_of_failure(self, error: BaseException | None) -> str:
        if isinstance(error, asyncio.CancelledError | OSError):
            # The server cancels, or `send` raises OSError (asgi.readthedocs.io, "Disconnected Client"), when the
            # client has left.
            self.status = self.status or CLIENT_CLOSED
            return "client_closed"
        if self.status:
            return "aborted_stream"
        self.status = 500
        return "server_error"


def route_template(scope: Scope, entry_root_path: str) -> str:
    """The full path template of the matched route, from what routing left in the scope; empty without a match.

    FastAPI >= 0.137 keeps included routers as a tree: the route's own path lacks their prefixes, and the effective
    route context has them. A mount leaves its prefix in `root_path`.
    """
    route = scope.get("route")
    if route is None:
        return ""
    path = getattr(route, "path", "")
    tree = scope.get("fastapi")
    if tree is not None:
        effective = tree.get("effective_route_context")
        if effective is not None and effective.original_route is route:
            path = effective.path
    root_path = scope.get("root_path", "")
    if root_path == entry_root_path:
        return str(path)
    return _mount_template(root_path.removeprefix(entry_root_path), scope.get("path_params") or {}) + str(path)


def _mount_template(prefix: str, params: dict[str, Any]) -> str:
    """A mount's prefix with the values of its parameters put back into names."""
    names = {str(value): name for name, value in params.items()}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in prefix.split("/"))


class MonitoringMiddleware:
    """The layer as a middleware, for apps that cannot be instrumented from outside.

    `instrument(app)` is the better way: a middleware stands inside the app's own error handling, so that the answer to
    an unhandled exception carries no request id. Both together count once.
    """

    def __init__(self, app: ASGIApp, observability: "Observability | None" = None) -> None:
        from .setup import Observability  # noqa: PLC0415  # setup imports this module

        self.app = app
        self.observability = observability or Observability()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self.observability, self.app, scope, receive, send)


async def serve(
    observability: "Observability", app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, root_path: str = ""
) -> None:
    """Run the app on one scope, observed."""
    kind = scope["type"]
    if kind != "http" or OBSERVED in scope:
        if kind == "lifespan":
            await serve_lifespan(observability, app, scope, receive, send)
        else:
            if kind == "websocket":
                scope.setdefault(_NATIVE, None)
            await app(scope, receive, send)
        return
    try:
        if not observability.started:
            observability.start()
        exchange = Exchange(observability, scope, send, root_path)
        scope[OBSERVED] = True  # not the exchange, which knows the scope: a cycle waits for the collector
        scope.setdefault(_NATIVE, None)
    except Exception as error:  # noqa: BLE001  # a request we cannot observe is served all the same
        guard.caught("request", error)
        await app(scope, receive, send)
        return
    token = current.set(exchange)
    failure: BaseException | None = None
    observability.requests.enter()
    try:
        await app(scope, receive, exchange.send)
    except BaseException as error:
        failure = error
        raise
    finally:
        exchange.finish(failure)
        failure = None  # an exception that knows this frame would keep the request alive until the next collection
        current.reset(token)


async def serve_lifespan(
    observability: "Observability", app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Start with the app's own lifespan and flush after it; its errors and its silence are its own."""
    ended = False

    async def started() -> Message:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await observability.start_and_locate()
        return message

    async def stopping(message: Message) -> None:
        nonlocal ended
        if not ended and message["type"] in {
            "lifespan.shutdown.complete",
            "lifespan.shutdown.failed",
            "lifespan.startup.failed",
        }:
            ended = True
            await observability.stop()
        await send(message)

    await app(scope, started, stopping)
