import asyncio
import logging

import httpx
from fastapi import FastAPI
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
instrument(app)


@app.get("/orders/{order_id}")
async def read_order(order_id: int) -> dict[str, int]:
    logging.getLogger("shop").warning("late", extra={"order_id": order_id})
    get_logger("shop").warning("late", order_id=order_id)
    return {"id": order_id}


async def main() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        await client.get("/orders/7")


asyncio.run(main())
