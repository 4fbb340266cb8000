"""A service that a careless person wrote: every secret it is given goes where secrets go by accident."""

import logging
import os
import warnings

import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel

from app.core import get_logger, instrument

app = FastAPI()
log = get_logger("careless")
standard = logging.getLogger("careless.standard")


class Order(BaseModel):
    amount: int
    note: dict[str, int] = {}


@app.get("/headers/{secret}")
async def headers(request: Request, secret: str) -> dict[str, int]:
    """Logs its headers, in every form that a framework has them, and where it was asked."""
    log.info("called", headers=dict(request.headers), raw=request.headers.raw, url=str(request.url))
    log.info(f"called with {dict(request.headers)}")  # noqa: G004  # careless people do
    standard.info("called at %s with %s", request.url, request.headers)
    standard.warning("called", extra={"request_headers": request.scope["headers"]})
    return {"length": len(secret)}


@app.post("/orders")
async def order(order: Order) -> dict[str, int]:
    return {"amount": order.amount}


@app.post("/validate")
async def validate(request: Request) -> None:
    """Reads the body itself, and lets the validation error go."""
    Order.model_validate(await request.json())


@app.get("/raise")
async def fail(request: Request) -> None:
    held = request.headers["x-canary"]
    raise RuntimeError(f"cannot charge {held} of customer 7") from KeyError(held)


@app.get("/handled")
async def handled(request: Request) -> None:
    held = request.headers["x-canary"]
    try:
        raise ValueError(f"cannot charge {held}")  # noqa: TRY301  # a service does so
    except ValueError as error:
        log.exception("failed")
        standard.exception("failed")
        log.error("failed", error=error)  # noqa: TRY400  # the exception as a field is what is tried


@app.get("/outgoing")
async def outgoing(request: Request) -> dict[str, int]:
    """Calls itself with a password in the address, a key in the query and a secret in the path; httpx logs the call."""
    secret = request.headers["x-canary"]
    url = request.url.replace(path=f"/headers/{secret}", query=f"api_key={secret}", username="ada", password=secret)
    async with httpx.AsyncClient() as client:
        answer = await client.get(str(url), headers={"authorization": f"Bearer {secret}", "cookie": f"sid={secret}"})
    return {"status": answer.status_code}


@app.get("/settings")
async def settings() -> None:
    dsn, key = os.environ["CANARY_DSN"], os.environ["CANARY_API_KEY"]
    log.info("connecting", dsn=dsn, environment={"CANARY_API_KEY": key})
    log.warning(f"cannot connect to {dsn}")  # noqa: G004  # careless people do
    standard.error("environment: %s", {"CANARY_API_KEY": key})
    warnings.warn(f"deprecated address {dsn}", stacklevel=1)


instrument(app)
