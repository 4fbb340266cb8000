import logging

from fastapi import Depends, FastAPI
from fastapi_cloudops import bind, get_logger, instrument, set_user

app = FastAPI()
instrument(app)
log = get_logger("shop")


def signed_in() -> None:
    set_user("user-42")  # from here on in every entry of this request, from any thread


@app.get("/items/{item_id}", dependencies=[Depends(signed_in)])
async def read_item(item_id: int) -> dict[str, int]:
    with bind(item_id=item_id):
        log.info("looking it up", warehouse="west")
        logging.getLogger("legacy").warning("stock is low: %d", 3, extra={"shelf": "B7"})
    log.info("done")
    return {"id": item_id}
