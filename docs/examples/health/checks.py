import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_cloudops.core import health, instrument
from fastapi_cloudops.core.health import Answer, Degraded
from fastapi_cloudops.core.health.ready_made import disk_check, sqlalchemy_check, telemetry_check
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
health.add("database", sqlalchemy_check(engine))
health.add("disk", disk_check(), critical=False)
health.add("telemetry", telemetry_check())


@health.check("mails", critical=False, timeout=1.0, tags=["ready", "mails"])
async def mails_are_sent() -> Answer:
    waiting, many = 12, 1000
    if waiting > many:
        raise Degraded(f"{waiting} mails wait")
    return Answer(value=waiting, unit="mails")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    loaded = health.hold("the model is being loaded")
    # ... in the background, perhaps, while /health/startup and /health/ready answer 503
    loaded()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
instrument(app)
