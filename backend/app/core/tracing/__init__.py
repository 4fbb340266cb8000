"""Spans: of requests by the one layer, of pieces of work by `span()`, of libraries by `trace_...()`.

Nothing here loads OpenTelemetry; `pip install 'fastapi-cloudops[traces]'` brings its SDK, which the exporter's thread
loads.
"""

from .instrumentations import (
    InstrumentationError,
    trace_asyncpg,
    trace_grpc,
    trace_httpx,
    trace_redis,
    trace_sqlalchemy,
)
from .spans import SpanScope, span

__all__ = [
    "InstrumentationError",
    "SpanScope",
    "span",
    "trace_asyncpg",
    "trace_grpc",
    "trace_httpx",
    "trace_redis",
    "trace_sqlalchemy",
]
