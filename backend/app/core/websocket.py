"""One websocket connection, from the handshake to the close code."""

from collections.abc import Awaitable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from . import guard
from .exchange import Message, Observed, Receive, Scope, Send

if TYPE_CHECKING:
    from .setup import Observability

# RFC 6455, section 7.4.1: no close frame was seen, an unexpected condition, a normal end.
_ABNORMAL: Final = 1006
_INTERNAL_ERROR: Final = 1011
_NORMAL: Final = 1000


class Connection(Observed):
    """A websocket connection."""

    __slots__ = ("accepted", "code", "ended")

    def __init__(
        self, observability: "Observability", scope: Scope, receive: Receive, send: Send, root_path: str
    ) -> None:
        super().__init__(observability, scope, receive, send, root_path)
        self.accepted = False
        #: The close code; 0: none seen yet.
        self.code = 0
        self.ended = 0.0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect" and not self.code:
            self.code = message.get("code") or _ABNORMAL
        return message

    def send(self, message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "websocket.accept":
                message = {**message, "headers": self.with_id(message.get("headers", ()))}
                self.accepted = True
                self.find_template()
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
            if not self.code:
                self.code = _NORMAL if error is None else _INTERNAL_ERROR
            if not self.accepted:
                self.find_template()
            self._observability.disconnected(self, error)
        except Exception as failure:  # noqa: BLE001  # telemetry never reaches the connection
            guard.caught("websocket", failure)
