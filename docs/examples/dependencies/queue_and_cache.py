import asyncio
import functools

from fastapi import FastAPI
from fastapi_cloudops.core.metrics.sources import CacheMetrics, QueueState, observe_queue

jobs: asyncio.Queue[str] = asyncio.Queue()
mails = observe_queue("mails", jobs)


def ask_broker() -> QueueState:
    return QueueState(depth=120, oldest_age_seconds=31.5)


observe_queue("invoices", ask_broker)
prices = CacheMetrics("prices")


@prices.follow
@functools.lru_cache(maxsize=1000)
def price(item_id: int) -> int:
    return item_id * 100


@mails.handler
async def send(_mail: str) -> None:
    await asyncio.sleep(0)


app = FastAPI()


@app.get("/")
async def order() -> int:
    await send("thank you")
    jobs.put_nowait("your receipt")
    return price(7) + price(7)
