"""What observing one request costs, as a ratio to prometheus-fastapi-instrumentator measured in the same run.

The bare app, ours and the peer take turns in one process, a few requests each, in random order; each turn is paired
with a turn of the bare app beside it, so that whatever the machine is doing hits both. Time is the process's own CPU
time. Log lines go to /dev/null, which costs a write as a pipe does. Ratios with their 90 % intervals by resampling;
absolute times differ from machine to machine and are not told.

Run: make bench (or: python backend/benchmarks/request_cost.py --rounds 400)
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
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fastapi import FastAPI  # as above

from app.core import HealthRegistry, Settings, instrument  # after the path is set
from app.core.lifecycle import Worker  # as above
from app.core.logging.stdout import Stdout  # as above
from app.core.metrics.cells import Store  # as above

PEER = "prometheus-fastapi-instrumentator"
_REQUESTS_A_TURN = 20
_HEADERS = [
    (b"host", b"items-abc.a.run.app"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0"),
    (b"accept", b"*/*"),
    (b"x-forwarded-for", b"203.0.113.7"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, Any]:
        return {"id": item_id, "name": "widget", "price": 9.99, "tags": ["a", "b"]}

    return app


def bare() -> FastAPI:
    return make_app()


def ours(**settings: Any) -> FastAPI:
    app = make_app()
    # Spans have a benchmark of their own, trace_cost.py: here every request comes with a sampled parent.
    fixed = {"service_name": "items", "google_cloud_project": "shop", "metrics_export_interval": 3600}
    given = Settings.load(**{"traces_backend": "none", **fixed, **settings})
    sink = Stdout(os.open(os.devnull, os.O_WRONLY))
    observability = instrument(app, given, worker=Worker(Store()), write=sink, health_checks=HealthRegistry())
    observability.started = True  # the exporter sleeps between exports; a benchmark of requests leaves it out
    return app


def peer() -> FastAPI:
    from prometheus_fastapi_instrumentator import Instrumentator  # noqa: PLC0415  # only here

    app = make_app()
    Instrumentator().instrument(app)
    return app


def correlation_and_structlog() -> FastAPI:
    """asgi-correlation-id, and the leanest JSON access log that structlog and orjson can be."""
    import orjson  # noqa: PLC0415  # only here
    import structlog  # noqa: PLC0415  # only here
    from asgi_correlation_id import CorrelationIdMiddleware, correlation_id  # noqa: PLC0415  # only here

    sink = os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb", buffering=0)
    log = structlog.wrap_logger(
        structlog.BytesLogger(sink),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
    )

    class AccessLog:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            began, status = perf_counter(), 500

            async def watched(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self.app(scope, receive, watched)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=perf_counter() - began,
                    request_id=correlation_id.get(),
                )

    app = make_app()
    app.add_middleware(AccessLog)
    app.add_middleware(CorrelationIdMiddleware, validator=None)
    return app


VARIANTS: dict[str, Callable[[], FastAPI]] = {
    "metrics, access entry, request id, trace context": ours,
    "access entry, request id, trace context": lambda: ours(enable_metrics=False),
    "metrics, request id": lambda: ours(access_log="off", enable_tracing=False),
    PEER: peer,
    "asgi-correlation-id and a structlog access log": correlation_and_structlog,
}


async def _turn(app: FastAPI) -> float:
    """CPU seconds of one turn."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    began = process_time()
    for number in range(_REQUESTS_A_TURN):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/items/{number}",
            "raw_path": b"/items/1",
            "query_string": b"",
            "root_path": "",
            "headers": list(_HEADERS),
            "client": ("10.0.0.1", 50000),
            "server": ("10.0.0.2", 8080),
            "state": {},
        }
        await asyncio.create_task(app(scope, receive, send))  # one task a request, as servers do
    return process_time() - began


async def measure(rounds: int, seed: int) -> dict[str, list[float]]:
    """Added CPU seconds a request over the bare app, a figure for each round."""
    dice = random.Random(seed)  # an order, not a secret
    reference = bare()
    apps = {name: make() for name, make in VARIANTS.items()}
    for app in (reference, *apps.values()):
        for _ in range(20):
            await _turn(app)
    gc.collect()
    gc.freeze()
    added: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):
        order = list(apps.items())
        dice.shuffle(order)
        for name, app in order:
            before, with_it, after = await _turn(reference), await _turn(app), await _turn(reference)
            added[name].append((with_it - (before + after) / 2) / _REQUESTS_A_TURN)
    return added


def ratio(added: list[float], peers: list[float], seed: int) -> tuple[float, float, float]:
    """Median cost of one in units of the other, with the 5th and 95th percentile of 1,000 resamples."""
    dice = random.Random(seed)  # resampling
    count = len(added)
    resampled = sorted(
        statistics.median(dice.choices(added, k=count)) / statistics.median(dice.choices(peers, k=count))
        for _ in range(1000)
    )
    return statistics.median(added) / statistics.median(peers), resampled[50], resampled[949]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    added = asyncio.run(measure(arguments.rounds, arguments.seed))
    packages = ("fastapi", "starlette", PEER, "prometheus-client")
    print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in packages))
    print(f"Cost of observing one request, {PEER} = 1 (rounds: {arguments.rounds}):")
    for name, figures in added.items():
        middle, low, high = ratio(figures, added[PEER], arguments.seed)
        print(f"  {middle:5.2f}  [{low:.2f}, {high:.2f}]  {name}")


if __name__ == "__main__":
    main()
