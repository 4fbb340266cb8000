"""A small observed service for tests that run it beneath a real server; its pace comes from the environment."""

import os

from fastapi import FastAPI

from app.core import instrument
from app.core.lifecycle import Worker

app = FastAPI()


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


instrument(
    app,
    worker=Worker(
        interval=float(os.environ.get("TEST_EXPORT_INTERVAL", "0.2")), gap=float(os.environ.get("TEST_GAP", "0.05"))
    ),
)
