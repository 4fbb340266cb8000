import os

from fastapi import FastAPI
from fastapi_cloudops.core.metrics.sources import observe_redis
from redis.asyncio import Redis

client = Redis.from_url(os.environ["REDIS_URL"])
observe_redis(client, "sessions")
app = FastAPI(on_shutdown=[client.aclose])


@app.get("/")
async def session() -> int:
    await client.set("visits", 41)
    async with client.pipeline() as pipe:
        pipe.incr("visits")
        [visits] = await pipe.execute()
    return int(visits)
