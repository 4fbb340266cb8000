"""A service with a response that never ends."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from .service_app import app


async def _ticks() -> AsyncIterator[bytes]:
    while True:
        yield b"tick\n"
        await asyncio.sleep(0.2)


@app.get("/ticks")
async def ticks() -> StreamingResponse:
    return StreamingResponse(_ticks())
