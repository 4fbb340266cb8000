from fastapi import FastAPI
from fastapi_cloudops import get_logger, health, instrument, metrics_client

app = FastAPI()
instrument(app)
log = get_logger("shop")
orders = metrics_client.declare.counter("orders_total", "Orders taken.", labels={"kind": ["gift", "own"]})


@health.check("stock", critical=True)
async def stock_answers() -> None:
    """An exception means that the service cannot work."""


@app.post("/orders/{item_id}")
async def order(item_id: int, *, gift: bool = False) -> dict[str, int]:
    orders.labels(kind="gift" if gift else "own").add()
    log.info("order taken", item_id=item_id)
    return {"id": 100 // item_id}
