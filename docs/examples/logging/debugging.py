import hashlib
import hmac
import os
import time

from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
instrument(app)  # LOG_LEVEL=INFO, LOG_SAMPLE_RATES={}, and DEBUG_HEADER_KEY and ADMIN_TOKEN are set
log = get_logger("shop")


@app.get("/items/{item_id}")
def read_item(item_id: int) -> None:
    log.debug("asked the cache", item_id=item_id)


def signed(seconds: int) -> str:
    expires = str(int(time.time()) + seconds)
    return (
        f"{expires}.{hmac.new(os.environ['DEBUG_HEADER_KEY'].encode(), expires.encode(), hashlib.sha256).hexdigest()}"
    )


client = TestClient(app)
client.get("/items/1")
client.get("/items/2", headers={"X-Debug-Log": signed(600)})
client.get("/items/3", headers={"X-Debug-Log": "4102444800.forged"})
client.put(
    "/admin/log-level", json={"level": "DEBUG"}, headers={"Authorization": f"Bearer {os.environ['ADMIN_TOKEN']}"}
)
client.get("/items/4")
