"""Secrets in places that an HTTP client does not reach: nothing that the library gives away holds one."""

import base64
import dataclasses
import json
import logging
import secrets
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from app.core import bind, get_logger, request_context
from app.core.logging.audit import declare
from support.service import observed

log, standard = get_logger("careless"), logging.getLogger("careless.standard")


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Charge(BaseModel):
    amount: int
    api_key: str


class Session:
    def __init__(self, token: str) -> None:
        self.token = token

    def __repr__(self) -> str:
        return f"Session(token={self.token!r})"


def _raised(error: BaseException, cause: BaseException | None = None) -> None:
    try:
        raise error from cause
    except type(error):
        log.exception("failed")
        standard.exception("failed")


def _warned(secret: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"old address postgres://ada:{secret}@db", stacklevel=1)


def _bound(secret: str) -> None:
    with request_context(), bind(session_token=secret, seen={"cookies": {"sid": secret}}):
        log.info("bound")


PLACES: dict[str, Callable[[str], object]] = {
    "event": lambda secret: log.info(f"signed in with password={secret}"),  # noqa: G004  # careless people do
    "event argument": lambda secret: log.info("headers: %s", {"X-Api-Key": secret}),
    "keyword": lambda secret: log.info("m", passwd=secret, user_pass=secret),
    "bound to the logger": lambda secret: log.bind(client_secret=secret).info("m"),
    "bound to the request": _bound,
    "name of a logger": lambda secret: logging.getLogger(f"pool.token={secret}").warning("m"),
    "extra": lambda secret: standard.info("m", extra={"Set-Cookie": f"sid={secret}; Path=/"}),
    "deep extra": lambda secret: standard.info("m", extra={"a": [{"b": ({"private_key": [secret]},)}]}),
    "bytes": lambda secret: log.info("m", body=json.dumps({"password": secret}).encode()),
    "JSON twice": lambda secret: log.info(json.dumps({"body": json.dumps({"refresh_token": secret})})),
    "basic": lambda secret: log.info("Authorization: Basic " + base64.b64encode(f"ada:{secret}".encode()).decode()),  # noqa: G003  # careless people do
    "basic, encoded": lambda secret: log.info("m", seen="basic " + base64.b64encode(f"ada:{secret}".encode()).decode()),
    "dataclass": lambda secret: log.info("m", login=Login("ada", secret)),
    "model": lambda secret: log.info("m", charge=Charge(amount=1, api_key=secret)),
    "repr": lambda secret: log.info("m", session=Session(secret)),
    "exception": lambda secret: _raised(ValueError(f"bad token {secret}")),
    "chain": lambda secret: _raised(RuntimeError("no"), KeyError(secret)),
    "group": lambda secret: _raised(
        ExceptionGroup("all", [ValueError(secret), ExceptionGroup("in", [KeyError(secret)])])
    ),
    "note": lambda secret: _raised(_noted(f"api_key={secret}")),
    "validation": lambda secret: _raised(_invalid(secret)),
    "client error": lambda secret: _raised(_refused(f"https://ada:{secret}@example.com/reset/{secret}?code={secret}")),
    "warning": _warned,
    "stack": lambda secret: log.info("m", stack_info=True, otp=secret),
    "percent encoding": lambda secret: log.info(
        f"next=https%3A%2F%2Fada%3A{secret}%40example.com%2F%3Ftoken%3D{secret}"  # noqa: G004  # careless people do
    ),
    "command": lambda secret: log.info("m", argv=["psql", "--password", secret]),
    "name and value": lambda secret: log.info("m", environment=[{"name": "DB_PASSWORD", "value": secret}]),
}


def _noted(note: str) -> BaseException:
    error = ValueError("no")
    error.add_note(note)
    return error


def _invalid(secret: str) -> BaseException:
    try:
        Charge.model_validate({"amount": secret, "api_key": 5})
    except ValueError as error:
        return error
    raise AssertionError


def _refused(url: str) -> BaseException:
    request = httpx.Request("GET", url)
    try:
        httpx.Response(403, request=request).raise_for_status()
    except httpx.HTTPStatusError as error:
        return error
    raise AssertionError


def _secret() -> str:
    """Random, and long enough to be told from a word."""
    return secrets.token_hex(16)


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_leaves_through_a_log_call(place, capfd):
    secret = _secret()
    with observed(log_level="DEBUG", log_sample_rates={}) as service:
        PLACES[place](secret)
        told = b"".join(service.lines).decode()
    assert told, "something is told"
    for form in (secret, base64.b64encode(f"ada:{secret}".encode()).decode()):
        assert form not in told
        assert form not in "".join(capfd.readouterr())


async def test_no_secret_leaves_through_errors_health_labels_or_the_audit_log(capfd):
    secret = _secret()
    app = FastAPI()

    @app.get("/{path}")
    async def fails(request: Request, path: str) -> None:
        raise ExceptionGroup(f"token {secret}", [ValueError(request.headers["x-canary"])])

    with observed(app, health_token=_secret(), google_cloud_project="shop") as service:
        token = service.observability.settings.health_token
        assert token is not None

        def failing() -> Any:
            raise RuntimeError(f"cannot connect to postgres://ada:{secret}@db?password={secret}")

        service.observability.health.check("database")(failing)
        events: list[Any] = []
        service.observability._errors._also = events.append
        async with service.client() as client:
            headers = {"x-canary": secret, "user-agent": f"curl token={secret}", "x-request-id": "r-1"}
            await client.get(f"/{secret}?token={secret}", headers=headers)
            for path in ("/health", "/health/ready", "/health/detailed"):
                answer = await client.get(path, headers={"authorization": f"Bearer {token.get_secret_value()}"})
                assert secret not in answer.text
        service.observability.audit(declare("charged", account=str, note=str), account="a", note=f"pin={secret}")
        labels = [one.values for one in service.store.series]
    assert events
    for told in (b"".join(service.lines).decode(), repr(events), repr(labels), "".join(capfd.readouterr())):
        assert secret not in told
