"""The one ASGI layer: it watches the messages of a request go by, and asks each part of telemetry once.

Plain ASGI: `BaseHTTPMiddleware` would cost ten times as much and hide context that the endpoint sets. It never calls
`receive` itself, never buffers a body, and re-raises what the app raises.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from . import guard
from .context import current
from .exchange import Exchange, Message, Receive, Scope, Send
from .websocket import Connection

if TYPE_CHECKING:
    from .setup import Observability

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Scope key that marks a request as observed, so that a second layer on its way passes it through.
OBSERVED: Final = "fastapi_cloudops.observed"
# FastAPI >= 0.142 looks here before it starts telemetry of its own, which would tell every request twice.
_NATIVE: Final = "fastapi.telemetry"


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
    """Run the app on one scope, observed; what is neither a request nor a connection passes untouched."""
    kind = scope["type"]
    if kind == "lifespan":
        await serve_lifespan(observability, app, scope, receive, send)
        return
    if kind not in _KINDS or OBSERVED in scope:
        await app(scope, receive, send)
        return
    try:
        if not observability.started:
            observability.start()
        observed = _KINDS[kind](observability, scope, receive, send, root_path)
        scope[OBSERVED] = True  # not the exchange, which knows the scope: a cycle waits for the collector
        scope.setdefault(_NATIVE, None)
        if kind == "http":
            observability.requests.enter()
        if observability.debug_requests.possible:
            observed.verbose = observability.debug_requests.admits(observed.headers)
    except Exception as error:  # noqa: BLE001  # a request we cannot observe is served all the same
        guard.caught("request", error)
        await app(scope, receive, send)
        return
    token = current.set(observed)
    failure: BaseException | None = None
    try:
        await app(scope, observed.receive, observed.send)
    except BaseException as error:
        failure = error
        raise
    finally:
        observed.finish(failure)
        failure = None  # an exception that knows this frame would keep the request alive until the next collection
        current.reset(token)


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
