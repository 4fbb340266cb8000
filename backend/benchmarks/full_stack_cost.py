"""What the whole default stack with 10 % sampling costs a request, beside the leanest full stack of others.

The leanest that does the same work: FastAPI's own telemetry (0.142 or newer) without spans of its operations, traces at
10 % and metrics, a structlog and orjson access log in plain ASGI that carries trace and span, asgi-correlation-id. Of
every ten requests one comes from a caller that sampled it, and both honour that. Ours is told with our own SERVER span
(goal: 0.20), and with FastAPI's and with opentelemetry-instrumentation-fastapi's, for which nothing is promised.

All take turns in one process, paired with the bare app, as in request_cost.py; time is the process's own CPU time.
Nothing is exported: what is kept waits, and is thrown away.

Run: python backend/benchmarks/full_stack_cost.py --rounds 300
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

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id  # as above
from fastapi import FastAPI  # as above
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # as above
from opentelemetry.sdk.metrics import MeterProvider  # as above
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # as above
from opentelemetry.sdk.resources import Resource  # as above
from opentelemetry.sdk.trace import TracerProvider  # as above
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # as above
from opentelemetry.trace import get_current_span  # as above
from trace_cost import Discards  # the cheapest processor
from turns import measure, one_in_ten, ratio  # as above

from app.core import HealthRegistry, Settings, instrument  # after the path is set
from app.core.lifecycle import Worker  # as above
from app.core.logging.stdout import Stdout  # as above
from app.core.metrics.cells import Store  # as above

PEER = "the leanest full stack"
_RATE = 0.1


def make_app(telemetry: Any = None) -> FastAPI:
    app = FastAPI(telemetry=telemetry) if telemetry is not None else FastAPI()

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, Any]:
        return {"id": item_id, "name": "widget", "price": 9.99, "tags": ["a", "b"]}

    return app


def _provider() -> TracerProvider:
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(_RATE)), resource=Resource({}), shutdown_on_exit=False
    )
    provider.add_span_processor(Discards())  # type: ignore[arg-type]  # it has all of its methods
    return provider


def leanest() -> FastAPI:
    import orjson  # noqa: PLC0415  # only here
    import structlog  # noqa: PLC0415  # only here

    log = structlog.wrap_logger(
        structlog.BytesLogger(os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb", buffering=0)),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
    )

    class AccessLog:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            headers = dict(scope["headers"])
            context = get_current_span().get_span_context()
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(
                request_id=correlation_id.get(),
                **{
                    "logging.googleapis.com/trace": f"projects/shop/traces/{context.trace_id:032x}",
                    "logging.googleapis.com/spanId": f"{context.span_id:016x}",
                    "logging.googleapis.com/trace_sampled": bool(context.trace_flags & 1),
                },
            )
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
                    f"{scope['method']} {scope['path']}",  # noqa: G004  # structlog's way
                    httpRequest={
                        "requestMethod": scope["method"],
                        "requestUrl": scope["path"],
                        "status": status,
                        "userAgent": headers.get(b"user-agent", b"").decode("latin-1"),
                        "remoteIp": headers.get(b"x-forwarded-for", b"").decode("latin-1"),
                        "latency": f"{perf_counter() - began:.6f}s",
                    },
                )

    meters = MeterProvider(metric_readers=[InMemoryMetricReader()], resource=Resource({}), shutdown_on_exit=False)
    app = make_app({"operation_spans": False, "tracer_provider": _provider(), "meter_provider": meters})
    app.add_middleware(AccessLog)
    app.add_middleware(CorrelationIdMiddleware, validator=None)
    return app


def ours(server_span: str = "ours") -> FastAPI:
    from app.core.tracing import provider as spans  # noqa: PLC0415  # loads the SDK

    native = {"operation_spans": False, "metrics": False}
    tracers = TracerProvider(
        sampler=spans.RequestSampler(), id_generator=spans.RequestIds(), resource=Resource({}), shutdown_on_exit=False
    )
    app = make_app({**native, "tracer_provider": tracers} if server_span == "native" else None)
    if server_span == "contrib":
        FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, exclude_spans=["receive", "send"])
    given = Settings.load(
        service_name="items",
        google_cloud_project="shop",
        metrics_export_interval=3600,
        trace_sample_rate=_RATE,
        trace_parent="honour",
        server_span=server_span,
    )
    sink = Stdout(os.open(os.devnull, os.O_WRONLY))
    observability = instrument(app, given, worker=Worker(Store()), write=sink, health_checks=HealthRegistry())
    observability.started = True  # no thread: a benchmark of requests leaves the exporter out
    traces = observability.traces
    assert traces is not None
    if traces.learns:
        tracers.add_span_processor(spans.Collector())
    traces.export = lambda _one: None  # type: ignore[method-assign, assignment]
    return app


VARIANTS: dict[str, Callable[[], FastAPI]] = {
    "ours, with our own SERVER span": ours,
    "ours, with FastAPI's SERVER span": lambda: ours("native"),
    "ours, with contrib's SERVER span": lambda: ours("contrib"),
    PEER: leanest,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    apps = {name: make() for name, make in VARIANTS.items()}
    added = asyncio.run(measure(make_app(), apps, arguments.rounds, arguments.seed, one_in_ten))
    packages = (
        "fastapi",
        "opentelemetry-sdk",
        "opentelemetry-instrumentation-fastapi",
        "structlog",
        "asgi-correlation-id",
    )
    print("Versions:", ", ".join(f"{name} {metadata.version(name)}" for name in packages))
    print(f"Cost of observing one request, {PEER} = 1 (rounds: {arguments.rounds}):")
    for name, figures in added.items():
        middle, low, high = ratio(figures, added[PEER], arguments.seed)
        print(f"  {middle:5.2f}  [{low:.2f}, {high:.2f}]  {name}")


if __name__ == "__main__":
    main()
