import asyncio
import logging
import logging.config
import pathlib
import tempfile

import httpx
from fastapi import FastAPI
from fastapi_cloudops import instrument

file = pathlib.Path(tempfile.mkdtemp()) / "orders.log"
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "plain"},
            "orders": {"class": "logging.FileHandler", "filename": file, "formatter": "plain"},
        },
        "loggers": {"orders": {"handlers": ["orders"]}},
        "root": {"handlers": ["console"], "level": "INFO"},
    }
)

app = FastAPI()
instrument(app)  # after the app's own configuration of logging


@app.get("/orders/{order_id}")
async def read_order(order_id: int) -> dict[str, int]:
    logging.getLogger("orders").info("read %s", order_id, extra={"order_id": order_id})
    return {"id": order_id}


async def main() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        await client.get("/orders/7")


asyncio.run(main())
print("the file:", file.read_text().strip())
