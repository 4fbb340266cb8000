"""An observed app whose log lines, metrics and time a test holds in its hands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from app.core import HealthRegistry, Observability, Settings, instrument
from app.core.lifecycle import Worker
from app.core.metrics.cells import Store


@dataclass
class Observed:
    app: FastAPI
    observability: Observability
    store: Store
    lines: list[bytes] = field(default_factory=list)

    def client(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service", **options)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Log entries, without those that httpx writes about its own requests."""
        parsed = [json.loads(line) for line in self.lines]
        return [entry for entry in parsed if entry.get("logger") not in {"httpx", "asyncio"}]

    @property
    def access(self) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if "httpRequest" in entry]

    def series(self, name: str) -> dict[tuple[str, ...], list[float]]:
        """Cells of a metric by label values (in the order of label names), of this app's store."""
        return {one.values: one.cell for one in self.store.series if one.metric.name == name}


@contextmanager
def observed(app: FastAPI | None = None, **settings: Any) -> Iterator[Observed]:
    """Instrument an app beside everything else in the process; its thread ends with the block."""
    app = app or FastAPI()
    store = Store()
    lines: list[bytes] = []
    worker = Worker(store)
    given = Settings.load(**{"service_name": "items", "environment": "test", "traces_backend": "none", **settings})
    observability = instrument(app, given, worker=worker, write=lines.append, health_checks=HealthRegistry())
    try:
        yield Observed(app, observability, store, lines)
    finally:
        worker.stop_now()
