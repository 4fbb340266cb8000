"""A service whose end can be watched: streams that are told, one that is not, and slow requests."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import WebSocket
from starlette.responses import StreamingResponse

from app.core import draining

from .service_app import app


async def _told() -> AsyncIterator[bytes]:
    yield b"data: begun\n\n"
    await draining().wait()
    yield b"data: draining\n\n"


async def _for_ever() -> AsyncIterator[bytes]:
    while True:
        yield b"data: tick\n\n"
        await asyncio.sleep(0.1)


@app.get("/told")
async def told() -> StreamingResponse:
    return StreamingResponse(_told(), media_type="text/event-stream")


@app.get("/for-ever")
async def for_ever() -> StreamingResponse:
    return StreamingResponse(_for_ever(), media_type="text/event-stream")


@app.get("/slow")
async def slow() -> dict[str, bool]:
    await asyncio.sleep(1.0)
    return {"slow": True}


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("begun")
    await draining().wait()
    await websocket.send_text("draining")
    await websocket.close(1001)
