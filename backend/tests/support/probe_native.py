"""Prints how many SERVER spans some requests give with global providers set: run as a process of its own.

Arguments: `bare`, `ours`, `contrib first` or `contrib last`.
"""

import asyncio
import json
import sys

from fastapi import FastAPI

from app.core import HealthRegistry, Settings, instrument
from app.core.lifecycle import Worker
from app.core.metrics.cells import Store

from .native_telemetry import native_metrics, set_global_providers, take_server_spans
from .probe_app import make_app
from .probe_client import http_scope, run, websocket_scope

PATHS = (
    "/plain",
    "/sync",
    "/tenants/acme/things/x",
    "/nothing",
    "/boom",
    "/stream",
    "/broken-stream",
    "/static/file.txt",
)


def observe(app: FastAPI) -> None:
    settings = Settings.load(service_name="probe")
    instrument(app, settings, worker=Worker(Store()), write=lambda _line: None, health_checks=HealthRegistry())


async def ask(app: FastAPI) -> None:
    for path in PATHS:
        await run(app, http_scope(path))
    await run(app, websocket_scope("/socket/closes"), [{"type": "websocket.connect"}])


def main() -> None:
    how = " ".join(sys.argv[1:])
    set_global_providers()
    app = make_app()
    if "contrib" in how:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415  # not always installed

        if how.endswith("last"):
            observe(app)
        FastAPIInstrumentor.instrument_app(app)
    if how not in {"bare", "contrib last"}:
        observe(app)
    asyncio.run(ask(app))
    spans = [span.name for span in take_server_spans()]
    print(json.dumps({"spans": spans, "metrics": sorted(native_metrics())}))  # noqa: T201  # what it is for


if __name__ == "__main__":
    main()
