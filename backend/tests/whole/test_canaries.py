"""Secrets planted wherever they go by accident: none of them leaves the process with default settings."""

import json
import secrets
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from support.servers import serving
from support.waiting import wait_until


class Canaries:
    """Random secrets by where they were planted."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def plant(self, place: str) -> str:
        self.planted[place] = secrets.token_hex(16)
        return self.planted[place]

    def found_in(self, output: bytes) -> list[str]:
        return [place for place, secret in self.planted.items() if secret.encode() in output]


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def test_no_planted_secret_leaves_the_process(tmp_path: Path, canaries: Canaries):
    dsn = f"postgresql://ada:{canaries.plant('dsn')}@127.0.0.1:1/orders?sslpassword={canaries.plant('dsn query')}"
    environment = {"CANARY_DSN": dsn, "CANARY_API_KEY": canaries.plant("environment"), "PYTHONWARNINGS": "always"}
    with serving(tmp_path, environment, app="support.canary_app:app") as server:
        # uvicorn closes a connection after an exception; none is used twice.
        with httpx.Client(base_url=server.url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            statuses = [call(client, canaries) for call in (_headers, _body, _validated, _raised, _handled, _outgoing)]
            assert client.get("/settings").status_code == 200
        assert statuses == [200, 422, 500, 500, 200, 200]
        wait_until(lambda: b'"/settings"' in server.output.read_bytes(), what="the last access entry")
        server.terminate()
    output = server.output.read_bytes()
    assert canaries.found_in(output) == []
    _assert_useful(output)


def _headers(client: httpx.Client, canaries: Canaries) -> int:
    path = f"/headers/{canaries.plant('path')}?token={canaries.plant('query')}&note={canaries.plant('query, any name')}"
    headers = {
        "authorization": f"Bearer {canaries.plant('authorization')}",
        "cookie": f"session={canaries.plant('cookie')}; theme=dark",
        "x-api-key": canaries.plant("api key header"),
        "referer": f"https://ada:{canaries.plant('referer')}@example.com/?code={canaries.plant('referer query')}",
    }
    return client.get(path, headers=headers).status_code


def _body(client: httpx.Client, canaries: Canaries) -> int:
    body = {"amount": canaries.plant("body of a 422"), "note": {canaries.plant("key in a body"): "x"}}
    return client.post("/orders", json=body).status_code


def _validated(client: httpx.Client, canaries: Canaries) -> int:
    return client.post("/validate", json={"amount": canaries.plant("validated body")}).status_code


def _raised(client: httpx.Client, canaries: Canaries) -> int:
    return client.get("/raise", headers={"x-canary": canaries.plant("exception and its cause")}).status_code


def _handled(client: httpx.Client, canaries: Canaries) -> int:
    return client.get("/handled", headers={"x-canary": canaries.plant("handled exception")}).status_code


def _outgoing(client: httpx.Client, canaries: Canaries) -> int:
    secret = canaries.plant("outgoing call")
    assert quote(secret) == secret
    return client.get("/outgoing", headers={"x-canary": secret}).status_code


def _assert_useful(output: bytes) -> None:
    """Silence would pass too: what was asked for is there, with the secrets taken out of it."""
    entries = [json.loads(line) for line in output.splitlines()]
    assert any("HTTP Request: GET http://" in entry["message"] for entry in entries)
    assert any(entry.get("headers", {}).get("accept") == "*/*" for entry in entries)
    assert any(
        "RuntimeError: cannot charge [redacted] of customer 7" in entry.get("stack_trace", "") for entry in entries
    )
    assert any(entry.get("dsn", "").endswith("@127.0.0.1:1/orders?sslpassword=[redacted]") for entry in entries)
    assert sum("httpRequest" in entry for entry in entries) >= 8
