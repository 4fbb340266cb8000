from fastapi import FastAPI
from fastapi_cloudops import get_logger, instrument

app = FastAPI()
instrument(app)
log = get_logger("shop")


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> dict[str, int]:
    log.info("item read", item_id=item_id)
    return {"id": item_id}
