import asyncio
from collections.abc import Iterator

import httpx
from fastapi import FastAPI
from fastapi_cloudops import bind, get_logger, instrument, set_user
from fastapi_cloudops.core.tracing import span

app = FastAPI()
telemetry = instrument(app)
log = get_logger("shop")


@span("read stock")
def stock() -> Iterator[int]:
    yield from (3, 2)


@app.post("/orders/{order_id}/pay")
async def pay(order_id: int) -> dict[str, int]:
    set_user("ada@example.com")
    bind(tenant="north")
    with span("charge card", amount=12, card="4111 1111 1111 1111") as charge:
        log.info("charging")
        charge.event("asked the bank", attempt=1)
    if sum(stock()) < order_id:
        raise RuntimeError(f"too few left of order {order_id} for ada@example.com")
    return {"paid": order_id}


async def main() -> None:
    telemetry.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await asyncio.to_thread(telemetry.traces.ready.wait, 10)  # a server is still starting then
        await client.post("/orders/3/pay")
        await client.post("/orders/7/pay")
    await telemetry.stop()


asyncio.run(main())
