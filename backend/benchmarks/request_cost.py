"""What observing one request costs, as a ratio to prometheus-fastapi-instrumentator measured in the same run.

The bare app, ours and the peer take turns in one process, a few requests each, in random order; each turn is paired
with a turn of the bare app beside it, so that whatever the machine is doing hits both. Time is the process's own CPU
time. Log lines go to /dev/null, which costs a write as a pipe does. Ratios with their 90 % intervals by resampling;
absolute times differ from machine to machine and are not told.

Run: make bench (or: python backend/benchmarks/request_cost.py --rounds 400)
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fastapi import FastAPI  # as above
from turns import measure, ratio  # as above

from app.core import HealthRegistry, Settings, instrument  # after the path is set
from app.core.lifecycle import Worker  # as above
from app.core.logging.stdout import Stdout  # as above
from app.core.metrics.cells import Store  # as above

PEER = "prometheus-fastapi-instrumentator"

#: Further routes of each app, which no request is for.
_others = 0


def make_app() -> FastAPI:
    app = FastAPI()
    for number in range(_others):
        app.add_api_route(f"/others/{number}/{{other_id}}", read_other)

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, Any]:
        return {"id": item_id, "name": "widget", "price": 9.99, "tags": ["a", "b"]}

    return app


async def read_other(other_id: int) -> int:
    return other_id


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
    "request id": lambda: ours(access_log="off", enable_tracing=False, enable_metrics=False),
    PEER: peer,
    "asgi-correlation-id and a structlog access log": correlation_and_structlog,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--routes", type=int, default=0, help="further routes of the app (default: none)")
    arguments = parser.parse_args()
    global _others  # noqa: PLW0603  # the apps are made without arguments
    _others = arguments.routes
    apps = {name: make() for name, make in VARIANTS.items()}
    added = asyncio.run(measure(bare(), apps, arguments.rounds, arguments.seed))
    packages = ("fastapi", "starlette", PEER, "prometheus-client")
    print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in packages))
    print(f"Cost of observing one request, {PEER} = 1 (rounds: {arguments.rounds}):")
    for name, figures in {**added, "metrics, by what they add to the two": _metrics_alone(added)}.items():
        middle, low, high = ratio(figures, added[PEER], arguments.seed)
        print(f"  {middle:5.2f}  [{low:.2f}, {high:.2f}]  {name}")


def _metrics_alone(added: dict[str, list[float]]) -> list[float]:
    """What metrics add where the layer is there anyway, with and without an access entry; the mean of each round."""
    with_entry, entry, with_id, request_id = (
        added[name]
        for name in (
            "metrics, access entry, request id, trace context",
            "access entry, request id, trace context",
            "metrics, request id",
            "request id",
        )
    )
    return [(a - b + c - d) / 2 for a, b, c, d in zip(with_entry, entry, with_id, request_id, strict=True)]


if __name__ == "__main__":
    main()
