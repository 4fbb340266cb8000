"""uvicorn in a thread of the test's process, so that a test reads the app's metrics and log lines as they are."""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI

from app.core import HealthRegistry, Observability, Settings, instrument
from app.core.lifecycle import Worker
from app.core.metrics.cells import Series, Store

from .probe_gate import Gate
from .waiting import wait_until

#: The client's own question whether a connection lives on; it is no case.
_IGNORED = "/again"


@dataclass
class Served:
    """A running app."""

    app: FastAPI
    server: uvicorn.Server
    port: int

    @property
    def gate(self) -> Gate:
        gate: Gate = self.app.state.gate
        return gate

    def wait_until_clients_are_gone(self) -> None:
        """Until the server knows that nobody is connected."""
        connections = self.server.server_state.connections
        wait_until(lambda: not connections, what="the server's notice of the client's leaving")


@dataclass
class Watched(Served):
    """A running app that is observed."""

    observability: Observability
    store: Store
    lines: list[bytes] = field(default_factory=list)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines)]

    def access(self, request_id: str) -> list[dict[str, Any]]:
        """The access entries of one request or connection: there must never be two."""
        return [
            entry
            for entry in self.entries
            if entry.get("request_id") == request_id and str(entry.get("logger", "")).endswith(".access")
        ]

    def wait_for_access(self, request_id: str) -> dict[str, Any]:
        wait_until(lambda: self.access(request_id), what=f"the access entry of {request_id}")
        self.wait_until_idle()
        [entry] = self.access(request_id)
        return entry

    def wait_for(self, what: str, condition: Callable[[], object]) -> None:
        wait_until(condition, what=what)

    def wait_until_idle(self) -> None:
        wait_until(lambda: self.value("http_requests_in_flight") == 0, what="no request in flight")

    def value(self, name: str, *labels: str) -> float:
        return sum((one.cell[0] for one in self._all() if one.metric.name == name and one.values == labels), 0.0)

    def _all(self) -> list[Series]:
        with self.store.lock:
            return list(self.store.series)

    def counted(self, name: str) -> Counter[tuple[str, ...]]:
        """Counts by label values: of a counter its value, of a histogram its number of observations."""
        found: Counter[tuple[str, ...]] = Counter()
        for one in self._all():
            if one.metric.name == name and _IGNORED not in one.values:
                amount = sum(one.cell[:-1]) if one.metric.kind == "histogram" else one.cell[0]
                found[one.values] = int(amount)
        return found

    @contextmanager
    def counting(self, *names: str) -> Iterator[dict[str, Counter[tuple[str, ...]]]]:
        """What a block adds to each metric; filled in when the block ends."""
        before = {name: self.counted(name) for name in names}
        added: dict[str, Counter[tuple[str, ...]]] = {}
        yield added
        for name in names:
            added[name] = self.counted(name) - before[name]


def watch(app: FastAPI, **settings: Any) -> tuple[Observability, Store, list[bytes]]:
    """Instrument an app, with its telemetry in the test's hands."""
    store = Store()
    lines: list[bytes] = []
    given = Settings.load(**{"service_name": "probe", "environment": "test", **settings})
    observability = instrument(app, given, worker=Worker(store), write=lines.append, health_checks=HealthRegistry())
    return observability, store, lines


@contextmanager
def serving(app: FastAPI, http: str, *, root_path: str = "") -> Iterator[Served]:
    """The app beneath uvicorn on a free port; lifespan included."""
    config = uvicorn.Config(
        app,
        http=http,
        root_path=root_path,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    thread = threading.Thread(target=_run, args=(server, listener), name=f"uvicorn-{port}", daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), what="uvicorn's start")
        assert server.started
        yield Served(app, server, port)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "uvicorn did not end"


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))


@contextmanager
def watching(app: FastAPI, http: str, *, root_path: str = "", **settings: Any) -> Iterator[Watched]:
    """The same, observed."""
    observability, store, lines = watch(app, **settings)
    with serving(app, http, root_path=root_path) as served:
        yield Watched(served.app, served.server, served.port, observability, store, lines)
