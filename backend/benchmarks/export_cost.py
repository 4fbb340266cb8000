"""What one export of metrics costs, as a ratio to Google's OpenTelemetry exporter in the same run.

Both write the same number of series, counters and histograms half and half, every value changed since the last time,
over gRPC to a server in another process that takes everything. Told is the CPU time of this process, from values in
memory to the answer. The two take turns; ratios with their 90 % interval by resampling. Our figure includes the
collection under the store's lock, the peer's does not.

`--requests` also tells how long a small request waits on the event loop while an export runs, and how long the store's
lock is held at a time.

Run: make bench (or: python backend/benchmarks/export_cost.py --series 1000 --rounds 20)
"""

import argparse
import asyncio
import gc
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import grpc  # after the path is set
from turns import ratio  # as above

from app.core.clock import SystemClock  # as above
from app.core.metrics.catalogue import Metric  # as above
from app.core.metrics.cells import Exemplar, Store  # as above
from app.core.metrics.encoding import CloudEncoding  # as above
from app.core.metrics.export import Exporter  # as above
from app.core.metrics.slot import Slot  # as above
from app.core.metrics.target import Target  # as above
from app.core.metrics.transport import CloudConnection  # as above

PEER = "opentelemetry-exporter-gcp-monitoring"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# As services have it: several metrics, each with some series.
_A_METRIC = 1000
_LABELS = ("method", "endpoint", "status_code")


def serve() -> None:
    """A server that takes every call; prints its address."""

    class Everything(grpc.GenericRpcHandler):
        def service(self, call: Any) -> Any:
            descriptor = call.method.endswith("/CreateMetricDescriptor")
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request if descriptor else b"")

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()


def values(number: int) -> tuple[str, str, str]:
    return ("GET", f"/v1/things/{{thing_id}}/parts/{number}", "200")


class Ours:
    """Our exporter over a store with that many series."""

    def __init__(self, address: str, series: int, *, exemplars: bool) -> None:
        self.store = Store()
        closed = dict.fromkeys(_LABELS)
        self._series = []
        for block in range(0, series, _A_METRIC):
            total = Metric(f"bench_{block}_requests_total", "counter", "1", "Requests.", closed)
            duration = Metric(f"bench_{block}_duration_seconds", "histogram", "s", "Duration.", closed, BOUNDS)
            self._series += [
                self.store.find("", total if number % 2 else duration, values(number // 2))
                for number in range(min(_A_METRIC, series - block))
            ]
        if exemplars:
            for one in self._series:
                if one.metric.buckets:
                    one.exemplar = Exemplar(0.2, f"{1:032x}", f"{2:016x}", time.time_ns())
        target = Target("shop", "europe-west1", "__run__", "production", "items", "0" * 60, "prometheus", "cloudops")
        self._exporter = Exporter(self.store, CloudEncoding(target), Slot("0"), SystemClock(), gap=0)
        self._connection = CloudConnection(address)

    def change(self) -> None:
        for series in self._series:
            series.cell[0] += 1
            if len(series.cell) > 1:
                series.cell[5] += 2
                series.cell[7] += 1
                series.cell[-1] += 0.9

    def __call__(self) -> None:
        report = self._exporter.export(self._connection.write)
        if not report.ok:
            raise SystemExit(f"the server refused: {report.answer}")


class Peer:
    """Google's exporter, given what its SDK has collected."""

    def __init__(self, address: str, series: int) -> None:
        from google.cloud.monitoring_v3 import MetricServiceClient  # noqa: PLC0415  # only here
        from google.cloud.monitoring_v3.services.metric_service.transports import (  # noqa: PLC0415  # as above
            MetricServiceGrpcTransport,
        )
        from opentelemetry.exporter.cloud_monitoring import (  # noqa: PLC0415  # as above
            CloudMonitoringMetricsExporter,
        )
        from opentelemetry.sdk.metrics import Histogram, MeterProvider  # noqa: PLC0415  # as above
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415  # as above
        from opentelemetry.sdk.metrics.view import (  # noqa: PLC0415  # as above
            ExplicitBucketHistogramAggregation,
            View,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above

        client = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=grpc.insecure_channel(address)))
        self._exporter = CloudMonitoringMetricsExporter(project_id="shop", client=client)
        reader = InMemoryMetricReader()
        view = View(instrument_type=Histogram, aggregation=ExplicitBucketHistogramAggregation(BOUNDS))
        resource = Resource({"service.name": "items", "cloud.region": "europe-west1"})
        meter = MeterProvider(metric_readers=[reader], views=[view], resource=resource).get_meter("bench")
        for block in range(0, series, _A_METRIC):
            total = meter.create_counter(f"bench_{block}_requests")
            duration = meter.create_histogram(f"bench_{block}_duration", unit="s")
            for number in range(min(_A_METRIC, series - block)):
                labels = dict(zip(_LABELS, values(number // 2), strict=True))
                if number % 2:
                    total.add(1, labels)
                else:
                    for value in (0.001, 0.2, 0.7):
                        duration.record(value, labels)
        data = reader.get_metrics_data()
        assert data is not None
        self._data = data

    def change(self) -> None:
        """Its data were collected before: the cost of writing them is the same each time."""

    def __call__(self) -> None:
        self._exporter.export(self._data)


def measure(turns: dict[str, Any], rounds: int, dice: random.Random) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for round_number in range(rounds + 2):
        order = list(turns.items())
        dice.shuffle(order)
        for name, turn in order:
            turn.change()
            began = process_time()
            turn()
            if round_number >= 2:
                taken[name].append(process_time() - began)
    return taken


def lock_held(store: Store) -> list[float]:
    """Seconds for which each step of one collection held the lock, in order."""

    class Watched:
        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self.held: list[float] = []

        def __enter__(self) -> None:
            self._inner.acquire()
            self._began = perf_counter()

        def __exit__(self, *_: object) -> None:
            self.held.append(perf_counter() - self._began)
            self._inner.release()

    before = store.lock
    watched = Watched(before)
    store.lock = watched  # type: ignore[assignment]  # enough of a lock for a collection
    for _ in store.snapshot():
        pass
    store.lock = before
    return sorted(watched.held)


async def waiting(export: Callable[[], None] | None, seconds: float) -> list[float]:
    """How late the event loop runs a small step, again and again, while `export` repeats in a thread."""
    over = threading.Event()

    def repeat() -> None:
        while export is not None and not over.is_set():
            export()

    thread = threading.Thread(target=repeat)
    thread.start()
    late = []
    until = perf_counter() + seconds
    while perf_counter() < until:
        began = perf_counter()
        await asyncio.sleep(0.001)
        late.append(perf_counter() - began - 0.001)
    over.set()
    await asyncio.to_thread(thread.join)
    return sorted(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    dice = random.Random(arguments.seed)
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in ("grpcio", PEER)))
        for series in arguments.series:
            ours = Ours(address, series, exemplars=False)
            turns: dict[str, Any] = {
                PEER: Peer(address, series),
                "ours": ours,
                "ours, with exemplars": Ours(address, series, exemplars=True),
            }
            # What both keep is not walked by the collector in whoever's turn it happens to run.
            gc.collect()
            gc.freeze()
            taken = measure(turns, arguments.rounds, dice)
            print(f"CPU of one export of {series} series, {PEER} = 1 (rounds: {arguments.rounds}):")
            for name in ("ours", "ours, with exemplars"):
                middle, low, high = ratio(taken[name], taken[PEER], arguments.seed)
                each = sum(taken[name]) / len(taken[name]) / series * 1e6
                times = f"{middle:6.4f} = 1/{1 / middle:4.1f}  [{low:.4f}, {high:.4f}]"
                print(f"  {times}  {each:5.2f} us a series  {name}")
            if arguments.requests:
                _tell_requests(ours, turns[PEER])
        server.communicate()


def _tell_requests(ours: Ours, peer: Peer) -> None:
    held = lock_held(ours.store)
    print(f"  lock held at most {held[-1] * 1e6:.0f} us at a time, {len(held)} times")
    for name, during in (("without exports", None), ("during ours", ours), ("during the peer's", peer)):
        late = asyncio.run(waiting(during, 6.0))
        middle, high = (late[int(len(late) * share)] * 1e3 for share in (0.5, 0.99))
        print(f"  a step of the event loop is late by {middle:.2f} ms, p99 {high:.2f} ms, {name}")


if __name__ == "__main__":
    main()
