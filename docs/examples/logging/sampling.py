from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
instrument(app)  # LOG_LEVEL=DEBUG, LOG_SAMPLE_RATES={"DEBUG": 0, "route:/ping": 0}
log = get_logger("shop")


@app.get("/ping")
def ping() -> None:
    log.info("one of many")


@app.get("/items/{item_id}")
def read_item(item_id: int) -> dict[str, float]:
    log.debug("the cache has no price", item_id=item_id)
    return {"price": {7: 9.5}[item_id]}


client = TestClient(app, raise_server_exceptions=False)
for path in ("/ping", "/items/7", "/items/8"):
    client.get(path)
