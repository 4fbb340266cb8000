"""The one ASGI layer: it watches the messages of a request go by, and asks each part of telemetry once.

Plain ASGI: `BaseHTTPMiddleware` would cost ten times as much and hide context that the endpoint sets. It never calls
`receive` itself, never buffers a body, and re-raises what the app raises.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from . import guard
from .context import current
from .exchange import Exchange, Message, Receive, Scope, Send
from .websocket import Connection

if TYPE_CHECKING:
    from .setup import Observability

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
#: An ASGI app as a method of its class.
ASGIMethod = Callable[[Any, Scope, Receive, Send], Awaitable[None]]

#: Attribute of an app, or of a middleware, that holds its telemetry.
ATTRIBUTE: Final = "_fastapi_cloudops"
#: Scope key that marks a request as observed, so that a second layer on its way passes it through.
OBSERVED: Final = "fastapi_cloudops.observed"
# FastAPI >= 0.142 looks here before it starts telemetry of its own, which would tell every request twice.
_NATIVE: Final = "fastapi.telemetry"


def observed_call(inner: ASGIMethod) -> ASGIMethod:
    """A `__call__` that runs another on one scope, observed; what is no request and no connection passes untouched."""

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807  # it becomes one
        kind = scope["type"]
        if kind not in _KINDS or OBSERVED in scope:
            if kind == "lifespan":
                await serve_lifespan(getattr(self, ATTRIBUTE), inner.__get__(self), scope, receive, send)
            else:
                await inner(self, scope, receive, send)
            return
        try:
            observability: Observability = getattr(self, ATTRIBUTE)
            if not observability.started:
                observability.start()
            observed = _KINDS[kind](observability, scope, receive, send)
            scope[OBSERVED] = True  # not the exchange, which knows the scope: a cycle waits for the collector
            traces = observability.traces
            if traces is None or traces.without_native:
                scope.setdefault(_NATIVE, None)
            if observability.debug_requests.possible:
                observed.verbose = observability.debug_requests.admits(observed.headers)
            # What has to be undone at the end comes last: nothing after it can fail.
            span = None if traces is None else traces.begin(observed)
            if kind == "http":
                observability.requests.enter()
        except Exception as error:  # noqa: BLE001  # a request we cannot observe is served all the same
            guard.caught("request", error)
            await inner(self, scope, receive, send)
            return
        token = current.set(observed)
        failure: BaseException | None = None
        try:
            await inner(self, scope, observed.receive, observed.send)
        except BaseException as error:
            failure = error
            raise
        finally:
            observed.finish(failure)
            if span is not None:
                try:
                    span.leave()
                except Exception as error:  # noqa: BLE001  # telemetry never reaches the request
                    guard.caught("span", error)
            current.reset(token)
            # An exception knows this frame, which must not know it, nor the context in which it is kept: such a cycle
            # would keep the request alive until the next collection.
            del failure, token, span

    return __call__


class MonitoringMiddleware:
    """The layer as a middleware, for apps that cannot be instrumented from outside.

    `instrument(app)` is the better way: a middleware stands inside the app's own error handling, so that the answer to
    an unhandled exception carries no request id. Both together count once.
    """

    def __init__(self, app: ASGIApp, observability: "Observability | None" = None) -> None:
        from .setup import Observability  # noqa: PLC0415  # setup imports this module

        self.app = app
        self.observability = observability or Observability()
        setattr(self, ATTRIBUTE, self.observability)

    def _inner(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        routes = self.observability.routes
        if routes.app is None:
            routes.app = scope.get("app")
        return self.app(scope, receive, send)

    __call__ = observed_call(_inner)


_KINDS: Final[dict[str, type[Exchange] | type[Connection]]] = {"http": Exchange, "websocket": Connection}


async def serve_lifespan(
    observability: "Observability", app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Start with the app's own lifespan and flush after it; its errors and its silence are its own."""
    ended = False

    async def started() -> Message:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await observability.start_and_locate()
        elif message["type"] == "lifespan.shutdown":
            observability.ending.begin()  # servers that let nobody hear the signal
        return message

    async def stopping(message: Message) -> None:
        nonlocal ended
        if message["type"] == "lifespan.startup.complete":
            observability.ready()
        if not ended and message["type"] in {
            "lifespan.shutdown.complete",
            "lifespan.shutdown.failed",
            "lifespan.startup.failed",
        }:
            ended = True
            await observability.stop()
        await send(message)

    try:
        await app(scope, started, stopping)
    except BaseException:
        # Servers go on serving an app that has no lifespan, which it tells them by raising.
        observability.health.started()
        raise
