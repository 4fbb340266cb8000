from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
instrument(app)
log = get_logger("shop")


@app.get("/items/{item_id}")
def read_item(item_id: int) -> dict[str, float]:
    log.info("looking it up", item_id=item_id, shelf="B 7")
    return {"price": {7: 9.5}[item_id]}


client = TestClient(app, raise_server_exceptions=False, headers={"x-request-id": "r-1"})
client.get("/items/7")
client.get("/items/8")
log.warning("a client sent \x1b[31m\nINFO all is well")
