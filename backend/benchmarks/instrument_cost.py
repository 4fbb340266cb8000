"""What counting costs: a bound counter beside a bare dict and list, and beside its peers, in one run.

`.venv/bin/python backend/benchmarks/instrument_cost.py` prints ratios; absolute times are this machine's alone.
"""

import importlib.util
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.core.metrics import MetricsClient  # after the path is set
from app.core.metrics.catalogue import Catalogue  # as above
from app.core.metrics.cells import Store  # as above

_CALLS = 20_000
_ROUNDS = 25
FLOOR = "bare dict and list"


def nanoseconds(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Processor time of one call of each: the best of many short rounds that take turns, since machines have moods."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(_ROUNDS):
        for name, function in functions.items():
            best[name] = min(best[name], timeit.timeit(function, number=_CALLS, timer=time.thread_time) / _CALLS * 1e9)
    return best


def bare() -> Callable[[], None]:
    """The least that can count by labels at all: no lock, no check."""
    cells: dict[tuple[str, str], list[float]] = {("logs", "refused"): [0.0]}

    def add() -> None:
        cells["logs", "refused"][0] += 1.0

    return add


def among(number: int) -> Callable[[], None]:
    """A bound counter among so many series."""
    client = MetricsClient(Store(), Catalogue())
    orders = client.declare.counter("orders_total", "Orders.", labels={"shop": [str(n) for n in range(number)]})
    counters = [orders.labels(shop=str(n)) for n in range(number)]
    return counters[number // 2].add


def main() -> None:
    client = MetricsClient(Store())
    labels = {"signal": "logs", "reason": "refused"}
    family = client.counter("cloudops_dropped_total")
    route = {"endpoint": "/items/{item_id}", "method": "GET"}
    histogram = MetricsClient(client.store, trusted=True).histogram("http_request_duration_seconds", route)
    lockouts = client.counter("brute_force_lockouts_total")
    measured: dict[str, Callable[[], object]] = {
        FLOOR: bare(),
        "bound counter": client.counter("cloudops_dropped_total", labels).add,
        "bound counter among 10 series": among(10),
        "bound counter among 10,000 series": among(10_000),
        "bound histogram": lambda: histogram.observe(0.042),
        ".labels(...) and add": lambda: family.labels(signal="logs", reason="refused").add(),
        "bound counter of open labels": lockouts.labels(ip_address="192.0.2.7", account="ada@example.com").add,
    }
    if importlib.util.find_spec("prometheus_client"):
        from prometheus_client import CollectorRegistry, Counter  # noqa: PLC0415  # a peer, where it is installed

        peer = Counter("dropped", "Dropped.", ("signal", "reason"), registry=CollectorRegistry())
        measured["prometheus_client: bound counter"] = peer.labels(**labels).inc
    costs = nanoseconds(measured)
    for name, cost in costs.items():
        print(f"{name:36} {cost:7.0f} ns {cost / costs[FLOOR]:6.2f} x")


if __name__ == "__main__":
    main()
