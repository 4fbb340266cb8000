import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from fastapi_cloudops.core.metrics.sources import asyncpg_queries, observe_asyncpg, observe_psycopg
from psycopg_pool import AsyncConnectionPool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = os.environ["POSTGRESQL_URL"]
    async with (
        asyncpg.create_pool(url, min_size=1, max_size=10, init=asyncpg_queries("orders")) as orders,
        AsyncConnectionPool(url, min_size=1, max_size=4, open=False) as reports,
    ):
        observe_asyncpg(orders, "orders")
        observe_psycopg(reports, "reports")
        await reports.wait()
        app.state.orders = orders
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def orders() -> int:
    return int(await app.state.orders.fetchval("SELECT 7"))
