import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from fastapi_cloudops.core import draining, instrument

app = FastAPI()


async def events() -> AsyncIterator[str]:
    while not draining().is_set():
        yield "data: tick\n\n"
        await asyncio.wait({asyncio.ensure_future(draining().wait())}, timeout=1.0)
    yield "event: bye\ndata: reconnect\n\n"


@app.get("/events")
async def stream() -> StreamingResponse:
    return StreamingResponse(events(), media_type="text/event-stream")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await draining().wait()
    await websocket.close(1001)  # going away


instrument(app)
