"""docs/guides/adopting.md: old queries and new ones, asked of what both libraries counted of the same requests."""

import asyncio
import re
from collections.abc import Sequence

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_fastapi_instrumentator import Instrumentator

from app.core.metrics.exposition import render
from app.emulator.promql.evaluate import instant
from app.emulator.promql.model import Matcher, Sampled
from support.service import observed
from tools.reference_pages import ROOT

GUIDE = (ROOT / "docs" / "guides" / "adopting.md").read_text()
_TABLE = GUIDE.partition("<!-- checked by backend/tests/docs/test_migration.py -->")[2].partition("\n\n")[0]
PAIRS = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", _TABLE, re.MULTILINE)
_NOW = 300_000  # milliseconds
# Labels that have other names there, to compare answers.
_OURS = {"handler": "endpoint"}


class Page:
    """What a page of metrics says now, and nothing was counted five minutes ago."""

    def __init__(self, page: str) -> None:
        self._samples = [one for family in text_string_to_metric_families(page) for one in family.samples]

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Sampled]:
        found = []
        times = np.array([0, _NOW], dtype=np.int64)
        for sample in self._samples:
            labels = {"__name__": sample.name, **sample.labels}
            if all(_fits(one, labels.get(one.label, "")) for one in matchers):
                chosen = (times >= start) & (times <= end)
                values = np.array([0.0, sample.value])
                found.append(Sampled(labels, times[chosen], values[chosen]))
        return found


def _fits(matcher: Matcher, value: str) -> bool:
    if matcher.op in {"=", "!="}:
        return (value == matcher.value) == (matcher.op == "=")
    return (re.fullmatch(matcher.value, value) is not None) == (matcher.op == "=~")


@pytest.fixture(scope="module")
def pages() -> tuple[Page, Page]:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        if item_id == 0:
            raise HTTPException(503)
        return {"id": item_id}

    @app.post("/orders")
    async def order() -> str:
        return "taken"

    registry = CollectorRegistry()
    Instrumentator(registry=registry).instrument(app)

    async def play(client: httpx.AsyncClient) -> None:
        for path in ("/items/7", "/items/8", "/items/0", "/items/0", "/items/x"):
            await client.get(path)
        await client.post("/orders")

    with observed(app) as service:

        async def serve() -> None:
            async with service.client() as client:
                await play(client)

        asyncio.run(serve())
        service.store.settle()
        ours = render(service.store.peek(), open_metrics=False).decode()
    return Page(generate_latest(registry).decode()), Page(ours)


def _answer(query: str, page: Page) -> dict[tuple[tuple[str, str], ...], float]:
    result = instant(query, page, _NOW, "cloud")
    return {
        tuple(sorted((_OURS.get(name, name), value) for name, value in labels.items() if name != "__name__")): round(
            value
        )
        for labels, value, _ in result.samples
    }


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=[theirs for theirs, _ in PAIRS])
def test_the_new_query_gives_the_old_number(theirs, ours, pages):
    old, new = _answer(theirs, pages[0]), _answer(ours, pages[1])
    assert old == new
    assert sum(new.values()) > 0


def test_the_table_is_read():
    assert len(PAIRS) == 6
