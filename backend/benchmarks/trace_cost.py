"""What tracing a request costs, as a ratio to opentelemetry-instrumentation-fastapi measured in the same run.

Two apps with our layer, one that traces and one that does not, and two bare apps, one with contrib and one without,
take turns in one process, a few requests each, in random order. What tracing adds is the difference within a pair;
time is the process's own CPU time, and of the many short turns the median of the lower half counts: a busy machine
only adds.

The exporters stand still, as between two exports: spans that are kept are made and left waiting.

Run: python backend/benchmarks/trace_cost.py --rounds 400
"""

import argparse
import asyncio
import gc
import os
import random
import statistics
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fastapi import FastAPI  # as above
from request_cost import bare, make_app  # the same app
from turns import REQUESTS, turn  # the same requests

from app.core import HealthRegistry, Settings, instrument  # after the path is set
from app.core.lifecycle import Worker  # as above
from app.core.logging.stdout import Stdout  # as above
from app.core.metrics.cells import Store  # as above

PEER = "opentelemetry-instrumentation-fastapi"


def ours(rate: float | None, server_span: str = "ours") -> FastAPI:
    """The default stack; without a rate it does not trace."""
    app = make_app()
    given = Settings.load(
        service_name="items",
        google_cloud_project="shop",
        metrics_export_interval=3600,
        traces_backend="none" if rate is None else "otlp",
        trace_sample_rate=rate or 0.0,
        trace_parent="ignore",
        server_span=server_span,
    )
    sink = Stdout(os.open(os.devnull, os.O_WRONLY))
    observability = instrument(app, given, worker=Worker(Store()), write=sink, health_checks=HealthRegistry())
    observability.started = True  # no thread: a benchmark of requests leaves the exporter out
    if observability.traces is not None:
        traces = observability.traces
        waiting: list[Any] = []

        def put(one: Any) -> None:
            waiting.append(one)
            if len(waiting) > 1000:
                waiting.clear()

        traces.export = put  # type: ignore[method-assign, assignment]
    return app


class Discards:
    """A processor as cheap as can be."""

    def on_start(self, span: Any, parent_context: Any = None) -> None: ...
    def _on_ending(self, span: Any) -> None: ...
    def on_end(self, span: Any) -> None: ...
    def shutdown(self) -> None: ...
    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002  # the SDK's signature
        return True


def contrib(rate: float) -> FastAPI:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415  # only here
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415  # as above

    app = make_app()
    provider = TracerProvider(sampler=TraceIdRatioBased(rate), resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(Discards())  # type: ignore[arg-type]  # it has all of its methods
    # Its leanest form: no spans for each message.
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, exclude_spans=["receive", "send"])
    return app


#: What tracing adds: with it, and without it.
PAIRS: dict[str, tuple[Callable[[], FastAPI], Callable[[], FastAPI]]] = {
    "ours, not sampled": (lambda: ours(0.0), lambda: ours(None)),
    "ours, 10 % sampled": (lambda: ours(0.1), lambda: ours(None)),
    "ours, all sampled": (lambda: ours(1.0), lambda: ours(None)),
    f"{PEER}, not sampled": (lambda: contrib(0.0), bare),
    f"{PEER}, 10 % sampled": (lambda: contrib(0.1), bare),
    f"{PEER}, all sampled": (lambda: contrib(1.0), bare),
}


async def measure(rounds: int, seed: int) -> dict[str, list[float]]:
    """CPU seconds that tracing adds to a request, a figure for each round."""
    dice = random.Random(seed)  # an order, not a secret
    pairs = {name: (with_it(), without()) for name, (with_it, without) in PAIRS.items()}
    for pair in pairs.values():
        for app in pair:
            for _ in range(10):
                await turn(app)
    gc.collect()
    gc.freeze()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    for _ in range(rounds):
        order = list(pairs.items())
        dice.shuffle(order)
        for name, (with_it, without) in order:
            if dice.random() < 0.5:
                one, other = await turn(with_it), await turn(without)
            else:
                other, one = await turn(without), await turn(with_it)
            times[name].append((one / REQUESTS, other / REQUESTS))
    return {name: [one for one, _ in found] + [-other for _, other in found] for name, found in times.items()}


def added(figures: list[float]) -> float:
    """Median of the lower half of the turns with it, less that of the turns without."""
    with_it = sorted(one for one in figures if one > 0)
    without = sorted(-one for one in figures if one < 0)
    lower: Callable[[list[float]], float] = lambda some: statistics.median(some[: max(1, len(some) // 2)])  # noqa: E731  # used twice, here
    return lower(with_it) - lower(without)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = {name: added(figures) for name, figures in asyncio.run(measure(arguments.rounds, arguments.seed)).items()}
    packages = ("fastapi", PEER, "opentelemetry-sdk")
    print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in packages))
    unit = found[f"{PEER}, not sampled"]
    print(f"What tracing adds to a request, {PEER} without sampling = 1 (rounds: {arguments.rounds}):")
    for name, seconds in found.items():
        print(f"  {seconds / unit:5.2f}  {name}")


if __name__ == "__main__":
    main()
