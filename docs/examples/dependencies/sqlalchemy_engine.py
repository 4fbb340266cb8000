import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_cloudops.core.metrics.sources import observe_sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=5, max_overflow=5)
observe_sqlalchemy(engine, "shop")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def stock() -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT 42"))).scalar_one())
