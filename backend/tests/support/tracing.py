"""A traced app beside an emulator, and the trees of spans that arrived there."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from app.core.tracing.traces import Traces
from support.emulator import RunningEmulator
from support.service import Observed, observed
from support.waiting import wait_until

SECONDS = 20.0


@dataclass
class Node:
    """A span as the emulator's console tells it, and those beneath it. `start` in seconds since the epoch."""

    span_id: str
    parent: str
    name: str
    kind: str
    labels: dict[str, str]
    start: float
    seconds: float
    failed: bool
    events: list[dict[str, Any]]
    links: list[dict[str, str]]
    children: "list[Node]" = field(default_factory=list)

    def tree(self) -> Any:
        """Names alone: a span without children is its name."""
        if not self.children:
            return self.name
        return {self.name: [child.tree() for child in sorted(self.children, key=lambda one: one.start)]}


@dataclass
class Traced:
    service: Observed
    emulator: RunningEmulator

    @property
    def app(self) -> FastAPI:
        return self.service.app

    @property
    def traces(self) -> Traces:
        found = self.service.observability.traces
        assert found is not None
        return found

    def client(self, **options: Any) -> httpx.AsyncClient:
        return self.service.client(**options)

    def spans(self, trace_id: str) -> list[Node]:
        """All spans of a trace that have arrived."""
        assert self.traces.flush(SECONDS)
        return spans_of(self.emulator, trace_id)

    def roots(self, trace_id: str) -> list[Node]:
        """Those of them whose parent is not here."""
        return roots(self.spans(trace_id))

    def root(self, trace_id: str) -> Node:
        [found] = self.roots(trace_id)
        return found

    def dropped(self) -> dict[str, float]:
        """Lost spans by reason."""
        return {
            values[0]: cell[0]
            for values, cell in self.service.series("cloudops_dropped_total").items()
            if "traces" in values
        }


def spans_of(emulator: RunningEmulator, trace_id: str) -> list[Node]:
    answer = httpx.get(f"{emulator.http}/emulator/v1/traces/{trace_id}", timeout=SECONDS)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    answer.raise_for_status()
    return [
        Node(
            one["spanId"],
            one["parentSpanId"],
            one["name"],
            one["kind"],
            one["labels"],
            one["start"],
            one["seconds"],
            bool(one["status"].get("code")),
            one["events"],
            one["links"],
        )
        for one in answer.json()["spanList"]
    ]


def roots(spans: list[Node]) -> list[Node]:
    by_id = {one.span_id: one for one in spans}
    found = []
    for one in spans:
        if one.parent in by_id:
            by_id[one.parent].children.append(one)
        else:
            found.append(one)
    return found


@contextmanager
def traced(emulator: RunningEmulator, app: FastAPI | None = None, **settings: Any) -> Iterator[Traced]:
    """An observed app that sends spans to an emulator; the provider is there when the block begins."""
    given = {
        "cloudops_emulator_host": emulator.grpc,
        "enable_metrics": False,
        "trace_sample_rate": 1.0,
        "traces_backend": "otlp",
        **settings,
    }
    with observed(app, **given) as service:
        one = Traced(service, emulator)
        service.observability.start()
        try:
            wait_until(one.traces.ready.is_set, seconds=SECONDS, what="the provider")
            yield one
        finally:
            # In a thread of its own: the test may be running a loop in this one.
            with ThreadPoolExecutor(1) as aside:
                aside.submit(asyncio.run, service.observability.stop()).result(SECONDS)


def trace_id_of(one: Traced) -> str:
    """The trace of the request that ended last, from its access entry."""
    return str(one.service.access[-1]["logging.googleapis.com/trace"].rpartition("/")[2])
