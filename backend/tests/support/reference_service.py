"""The reference service within a test: real parts, a client, and what it told."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from app.api.application import create_app
from app.api.content.generator import STAGES, Stage
from app.api.parts import Parts, opened
from app.api.settings import ServiceSettings
from app.api.v1.endpoints.health import checked
from app.core import HealthRegistry, Settings
from app.core.lifecycle import Worker, process_worker
from app.core.metrics.cells import Store

PASSWORD = "correct horse battery"
#: Hashes that cost nothing: what is tested is not Argon2.
CHEAP = {"password_memory_kib": 64, "password_passes": 1}
API = "/api/v1"


def _figures() -> dict[tuple[str, tuple[str, ...]], float]:
    return {(one.metric.name, one.values): one.cell[0] for one in process_worker.store.series}


@dataclass
class Running:
    app: FastAPI
    parts: Parts
    lines: list[bytes]
    before: dict[tuple[str, tuple[str, ...]], float] = field(default_factory=_figures)

    def client(self, address: str = "203.0.113.7", **options: Any) -> httpx.AsyncClient:
        """A client at an address."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://service", **options)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def audited(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry.get("audit_event") == event]

    def counted(self, name: str, *values: str) -> float:
        """What a metric has grown by since the service began, of all series that have these label values."""
        return sum(
            number - self.before.get((metric, labels), 0.0)
            for (metric, labels), number in _figures().items()
            if metric == name and set(values) <= set(labels)
        )

    def figure(self, name: str, *values: str) -> float:
        """What a gauge tells."""
        return next(
            number for (metric, labels), number in _figures().items() if metric == name and set(values) <= set(labels)
        )

    async def register(self, client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> None:
        answer = await client.post(f"{API}/auth/register", json={"email": email, "password": password})
        assert answer.status_code == 202, answer.text

    async def login(self, client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
        return await client.post(f"{API}/auth/login", json={"email": email, "password": password})

    async def signed_in(self, client: httpx.AsyncClient, email: str = "ada@example.com") -> dict[str, str]:
        """Headers of a new user."""
        await self.register(client, email)
        answer = await self.login(client, email)
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def reference_service(**settings: Any) -> AsyncIterator[Running]:
    """The service with its parts open, without the library's background thread.

    Args:
        settings: Of the service; `library` for those of the library, `stages` of content instead of the real ones.
    """
    stages: Mapping[str, Stage] = settings.pop("stages", STAGES)
    library: Mapping[str, Any] = settings.pop("library", {})
    lines: list[bytes] = []
    service = ServiceSettings.load(**{"environment": "test", **CHEAP, **settings})
    app = create_app(
        Settings.load(service_name="items", environment="test", metrics_backend="none", **library),
        service,
        worker=Worker(Store()),
        write=lines.append,
        health_checks=HealthRegistry(),
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    observability = app.state.observability
    async with opened(service, observability, stages=stages) as parts:
        app.state.parts = parts
        with checked(observability.health, parts):
            yield Running(app, parts, lines)
