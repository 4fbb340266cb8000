"""What the front of `cloudops run` is tried on: `python -m support.front_app`, a plain ASGI app beneath uvicorn."""

import asyncio
import hashlib
import os
import sys
import time
from typing import Any

import orjson
import uvicorn

seen: dict[str, int] = {"disconnected": 0, "ticks": 0}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _websocket(receive, send)
    elif scope["type"] == "http":
        await _HANDLERS[scope["path"]](scope, receive, send)
    else:
        await _lifespan(receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    async def tick() -> None:
        while True:
            await asyncio.sleep(0.05)
            seen["ticks"] += 1

    await receive()
    ticking = asyncio.ensure_future(tick())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    ticking.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Any, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _headers(scope: Any, _receive: Any, send: Any) -> None:
    pairs = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    await _answer(send, orjson.dumps({"headers": pairs, "pid": os.getpid()}))


async def _upload(_scope: Any, receive: Any, send: Any) -> None:
    digest, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await _answer(send, orjson.dumps({"size": size, "sha256": digest.hexdigest()}))


async def _download(_scope: Any, _receive: Any, send: Any) -> None:
    """20 MiB without a length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(320):
        await send({"type": "http.response.body", "body": bytes([number % 256]) * 65_536, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _stream(_scope: Any, receive: Any, send: Any) -> None:
    """One event, and the next only when the client has sent something or has gone."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    seen["disconnected"] += 1


async def _slow(scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(float(scope["query_string"] or b"1"))
    await _answer(send, b"slow")


async def _fail(_scope: Any, _receive: Any, send: Any) -> None:
    await _answer(send, b"no", 503)


async def _seen(_scope: Any, _receive: Any, send: Any) -> None:
    await _answer(send, orjson.dumps({**seen, "now": time.time()}))


async def _crash(_scope: Any, _receive: Any, _send: Any) -> None:
    os._exit(7)


async def _websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].upper()})


_HANDLERS = {
    "/": _headers,
    "/crash": _crash,
    "/download": _download,
    "/fail": _fail,
    "/seen": _seen,
    "/slow": _slow,
    "/stream": _stream,
    "/upload": _upload,
}


if __name__ == "__main__":
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    uvicorn.run("support.front_app:app", port=int(os.environ["PORT"]), workers=workers, log_level="warning")
