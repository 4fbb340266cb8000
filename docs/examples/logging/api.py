import asyncio

from fastapi import FastAPI
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
observability = instrument(app)  # LOG_DESTINATION=api
log = get_logger("shop")


async def main() -> None:
    observability.start()
    log.info("on a host without an agent", disk="full")
    await observability.stop()  # what the app's lifespan does: sends what waits


asyncio.run(main())
