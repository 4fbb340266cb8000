"""One websocket connection, from the handshake to the close code."""

from collections.abc import Awaitable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocketDisconnect

from . import guard
from .errors.told import told
from .exchange import Message, Observed, Receive, Scope, Send

if TYPE_CHECKING:
    from .setup import Observability

# RFC 6455, section 7.4.1: no close frame was seen, an unexpected condition, a normal end.
_ABNORMAL: Final = 1006
_INTERNAL_ERROR: Final = 1011
_NORMAL: Final = 1000


class Connection(Observed):
    """A websocket connection."""

    __slots__ = ("accepted", "code", "failed")

    def __init__(self, observability: "Observability", scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(observability, scope, receive, send)
        #: The close code; 0: none seen yet.
        self.code = 0
        #: `failed`: the app raised, and not because the client had left.
        self.accepted = self.failed = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.left = True
            self.code = self.code or message.get("code") or _ABNORMAL
        return message

    def send(self, message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "websocket.accept":
                message = {**message, "headers": self.with_id(message.get("headers", ()))}
                self.accepted = True
                self.template = self.find_template()
                self._observability.connected(self)
            elif kind == "websocket.close":
                self.code = self.code or message.get("code", _NORMAL)
            elif kind == "websocket.http.response.start":
                message = {**message, "headers": self.with_id(message.get("headers", ()))}
        except Exception as error:  # noqa: BLE001  # a message we cannot read is still the server's to judge
            guard.caught("websocket", error)
        return self._send(message)

    def finish(self, error: BaseException | None) -> None:
        """The app has returned or raised."""
        try:
            self.ended = perf_counter()
            self.left = self.left or self.is_senders(error)
            if not self.code:
                self.code = _NORMAL if error is None else _ABNORMAL if self.left else _INTERNAL_ERROR
            if not self.accepted:
                self.template = self.find_template()
            self.failed = isinstance(error, Exception) and not self._is_clients(error)
            if error is not None and not self.failed:
                told.set(error)  # the server would log it as an error of the service
            self._observability.disconnected(self, error)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the connection
            guard.caught("websocket", failure)

    def _is_clients(self, error: BaseException) -> bool:
        return self.left and (isinstance(error, WebSocketDisconnect) or self.is_senders(error))
