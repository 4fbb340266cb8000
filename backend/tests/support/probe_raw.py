"""Plain ASGI apps that do what frameworks do not: odd but legal messages, and illegal ones."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Gate(Protocol):
    async def stand(self) -> None: ...


def _start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _body(body: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class RawApps:
    """One ASGI app with a small app for each last part of the path."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2].replace("-", "_")
        await getattr(self, name, self.unknown)(receive, send)

    async def unknown(self, _receive: Receive, send: Send) -> None:
        await send(_start((b"content-length", b"0"), status=404))
        await send(_body())

    async def odd_headers(self, _receive: Receive, send: Send) -> None:
        odd = [(b"X-MiXeD", b"Kept"), (b"x-twice", b"1"), (b"x-twice", b"2"), (b"x-latin", b"caf\xe9")]
        await send({"type": "http.response.start", "status": 299, "headers": (header for header in odd)})
        await send(_body(b"odd"))

    async def no_headers(self, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def empty_chunks(self, _receive: Receive, send: Send) -> None:
        await send(_start())
        for part in (b"", b"one", b"", b"two", b""):
            await send(_body(part, more=True))
        await send(_body())

    async def too_short(self, _receive: Receive, send: Send) -> None:
        await send(_start((b"content-length", b"10")))
        await send(_body(b"12345"))

    async def too_long(self, _receive: Receive, send: Send) -> None:
        await send(_start((b"content-length", b"3")))
        await send(_body(b"12345"))

    async def no_response(self, _receive: Receive, _send: Send) -> None:
        return

    async def start_only(self, _receive: Receive, send: Send) -> None:
        await send(_start())

    async def half(self, _receive: Receive, send: Send) -> None:
        await send(_start())
        await send(_body(b"half", more=True))

    async def after_the_end(self, _receive: Receive, send: Send) -> None:
        await send(_start((b"content-length", b"4")))
        await send(_body(b"done"))
        await send(_body(b"once more"))

    async def body_first(self, _receive: Receive, send: Send) -> None:
        await send(_body(b"too early"))

    async def unknown_message(self, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.invented"})

    async def deaf(self, _receive: Receive, send: Send) -> None:
        """Sends on whether somebody listens or not, as an app that never asks does."""
        await send(_start())
        await send(_body(b"first", more=True))
        await self._gate.stand()
        for _ in range(20):
            await send(_body(b"more" * 100, more=True))
            await asyncio.sleep(0)
        await send(_body())

    async def deaf_and_broken(self, _receive: Receive, send: Send) -> None:
        await send(_start())
        await send(_body(b"first", more=True))
        await self._gate.stand()
        raise RuntimeError("after the client has left")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """A raw app below a mount with a parameter; it answers with the length of what it was sent."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send(_start((b"content-type", b"text/plain")))
    await send(_body(f"{scope['method']} {size}".encode()))
