"""Calls to the emulator's HTTP address, with errors for people."""

import os
from typing import Any, cast

import httpx

from .options import fail, http_address

_TIMEOUT_SECONDS = 60.0


def unreachable(address: str) -> str:
    return (
        f"No emulator answers at {address}. Start one with: cloudops up (CLOUDOPS_EMULATOR_HTTP names another address)"
    )


def credentials() -> dict[str, str]:
    """The header that an emulator with `--token` asks for."""
    token = os.environ.get("CLOUDOPS_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def call(method: str, path: str, *, body: Any = None, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON of an answer; ends the command when there is none or it is an error."""
    address = http_address()
    try:
        # A proxy in the environment must not get between a laptop and its own emulator.
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
            answer = client.request(method, f"{address}{path}", json=body, params=parameters, headers=credentials())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if isinstance(error, httpx.ReadTimeout):
            fail(f"The emulator at {address} did not answer within {_TIMEOUT_SECONDS:.0f} s.")
        fail(unreachable(address))
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        fail(f"{address} is no emulator: {method} {path} was answered {answer.status_code} without JSON.")
    if answer.is_error:
        fail(_message(content, answer.status_code))
    return cast("dict[str, Any]", content)


def _message(content: dict[str, Any], status: int) -> str:
    """Google's REST errors have an object, Prometheus's a text."""
    error = content.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or f"HTTP {status}")
    return str(error or f"HTTP {status}")
