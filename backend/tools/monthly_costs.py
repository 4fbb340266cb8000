"""What the whole system costs a month at three sizes, from what is assumed of each and Google's list prices.

Prices: cloud.google.com/products/observability/pricing; those of alerts and metric samples stand in
`emulator/lint/prices.py`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.emulator.definitions.catalogue import data_root
from app.emulator.definitions.defaults import FILE, defaults
from app.emulator.lint.linter import Options, lint
from app.emulator.lint.prices import A_MILLION_SAMPLES

DAYS = 30
MONTH = DAYS * 86_400
A_GIB_OF_LOGS, FREE_GIB = 0.50, 50.0
A_MILLION_SPANS, FREE_SPANS = 0.20, 2.5e6
A_THOUSAND_EXECUTIONS, FREE_EXECUTIONS = 0.30, 1e6
EXPORT_SECONDS = 60
# Of one process, whatever it serves, and of one route: see the page.
OF_A_PROCESS, OF_A_ROUTE = 30, 35
SPANS_OF_A_REQUEST = 4
SAMPLED = 0.1
ENTRY_KIB = 1.0
PLACES = 5


class Size(NamedTuple):
    name: str
    instances: int
    routes: int
    requests: float
    """A second, on average of the month."""
    access_log: float
    """The share of requests that have an access entry."""


SIZES = (
    Size("small", 1, 10, 1, 1.0),
    Size("medium", 5, 30, 50, 1.0),
    Size("large", 50, 100, 1000, 0.02),
)


class Costs(NamedTuple):
    metrics: float
    logs: float
    traces: float
    alerts: float
    uptime: float

    @property
    def all(self) -> float:
        return sum(self)


def samples(size: Size) -> float:
    return size.instances * (OF_A_PROCESS + OF_A_ROUTE * size.routes) * MONTH / EXPORT_SECONDS


def gib(size: Size) -> float:
    return size.requests * MONTH * size.access_log * ENTRY_KIB / 2**20


def spans(size: Size) -> float:
    return size.requests * MONTH * SAMPLED * SPANS_OF_A_REQUEST


def alerts(size: Size) -> float:
    """Those policies that are on by default, for Cloud Run."""
    on = defaults(data_root() / FILE).policies
    priced = lint([], Options(instances=size.instances)).policies
    return sum(
        price.dollars
        for file, price in priced.items()
        if Path(file).name.partition(".")[0] in on and "/gke/" not in file
    )


def costs(size: Size) -> Costs:
    return Costs(
        samples(size) / 1e6 * A_MILLION_SAMPLES,
        max(0.0, gib(size) - FREE_GIB) * A_GIB_OF_LOGS,
        max(0.0, spans(size) - FREE_SPANS) / 1e6 * A_MILLION_SPANS,
        alerts(size),
        max(0.0, PLACES * MONTH / 60 - FREE_EXECUTIONS) / 1e3 * A_THOUSAND_EXECUTIONS,
    )


def table() -> Iterator[str]:
    """Lines of Markdown."""
    yield "| | " + " | ".join(size.name for size in SIZES) + " |"
    yield "| --- |" + " ---: |" * len(SIZES)
    yield _row("instances, routes", [f"{size.instances}, {size.routes}" for size in SIZES])
    yield _row("requests a second, on average", [f"{size.requests:,}" for size in SIZES])
    yield _row(
        "metric samples",
        [
            f"{size.instances} x ({OF_A_PROCESS} + {OF_A_ROUTE} x {size.routes}) x {MONTH // EXPORT_SECONDS:,}"
            f" = {samples(size) / 1e6:,.0f} million"
            for size in SIZES
        ],
    )
    yield _row("access entries, of all requests", [f"{size.access_log:.0%}: {gib(size):,.1f} GiB" for size in SIZES])
    yield _row(
        f"spans, {SAMPLED:.0%} of requests x {SPANS_OF_A_REQUEST}",
        [f"{spans(size) / 1e6:,.1f} million" for size in SIZES],
    )
    found = [costs(size) for size in SIZES]
    for field in Costs._fields:
        yield _row(f"**{field}**", [f"${getattr(one, field):,.2f}" for one in found])
    yield _row("**a month**", [f"**${one.all:,.0f}**" for one in found])


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(table()))
