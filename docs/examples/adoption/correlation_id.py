import asyncio

import httpx
from fastapi import FastAPI
from fastapi_cloudops import get_logger, instrument
from fastapi_cloudops.core.context import current

app = FastAPI()
instrument(app)
log = get_logger("shop")


@app.get("/orders/{order_id}")
async def read_order(order_id: int) -> str:
    log.info("order read", order_id=order_id)
    context = current.get()  # asgi-correlation-id: correlation_id.get()
    return context.request_id if context is not None else ""


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for given in ({"X-Request-ID": "4f9d1c0a2b7e4c1d8e5f60718293a4b5"}, {}):
            answer = await client.get("/orders/7", headers=given)
            same = answer.headers["x-request-id"] == answer.json()
            print("given" if given else "made", len(answer.json()), "the same in the answer:", same)


asyncio.run(main())
