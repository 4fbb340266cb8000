from fastapi import FastAPI
from fastapi_cloudops import instrument

app = FastAPI()
instrument(app)


def price_of(item_id: int) -> float:
    raise KeyError(item_id)


@app.get("/items/{item_id}")
async def read_item(item_id: int) -> dict[str, float]:
    return {"price": price_of(item_id)}
