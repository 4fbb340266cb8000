import os

import httpx
from fastapi import FastAPI
from fastapi_cloudops.core.metrics.sources import observe_httpx

client = httpx.AsyncClient(base_url=os.environ["PRICES_URL"])
observe_httpx(client, hosts=["127.0.0.1", "prices.example.com"])
app = FastAPI(on_shutdown=[client.aclose])


@app.get("/")
async def price() -> int:
    return (await client.get("/")).status_code
