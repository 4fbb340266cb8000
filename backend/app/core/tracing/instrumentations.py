"""OpenTelemetry's instrumentations, switched on one by one; their spans stand beneath the request's.

Each helper needs the package of its name and says so. Spans are the packages' own; our redaction policy is applied to
them before they leave the process. Calling a helper twice does what calling it once does.
"""

import importlib
import os
from typing import Any, Final

# opentelemetry.io/docs/specs/semconv/non-normative/http-migration/
_CONVENTIONS: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"


class InstrumentationError(ImportError):
    """An instrumentation's package is not installed, or does not know the library's version; the message says which."""


def trace_sqlalchemy(*engines: Any, unchecked: bool = False) -> None:
    """Spans for SQLAlchemy: for all engines that are created from now on, and for these.

    Args:
        engines: Each `Engine` or `AsyncEngine` that was created before.
        unchecked: Also a version of SQLAlchemy that the package does not know.

    Raises:
        InstrumentationError: `opentelemetry-instrumentation-sqlalchemy` is not installed, or does not fit.
    """
    # An asynchronous engine does its work through a synchronous one.
    given = [getattr(engine, "sync_engine", engine) for engine in engines]
    _switch_on(_instrumentor("sqlalchemy", "SQLAlchemyInstrumentor"), engines=given, skip_dep_check=unchecked)


def trace_asyncpg() -> None:
    """Spans for asyncpg.

    Raises:
        InstrumentationError: `opentelemetry-instrumentation-asyncpg` is not installed, or does not fit.
    """
    _switch_on(_instrumentor("asyncpg", "AsyncPGInstrumentor"))


def trace_redis() -> None:
    """Spans for redis-py, synchronous and asynchronous.

    Raises:
        InstrumentationError: `opentelemetry-instrumentation-redis` is not installed, or does not fit.
    """
    _switch_on(_instrumentor("redis", "RedisInstrumentor"))


def trace_httpx(client: Any = None) -> None:
    """Spans for httpx; it sends `traceparent` to every host that it calls.

    Args:
        client: A `Client` or `AsyncClient`, or none for all that are created from now on.

    Raises:
        InstrumentationError: `opentelemetry-instrumentation-httpx` is not installed, or does not fit.
    """
    instrumentor = _instrumentor("httpx", "HTTPXClientInstrumentor")
    if client is None:
        _switch_on(instrumentor)
    elif not (instrumentor.is_instrumented_by_opentelemetry and _is_usual(client)):
        type(instrumentor).instrument_client(client)


def _is_usual(client: Any) -> bool:
    """Whether a client sends by httpx's own transports, whose calls are spans once all clients are traced."""
    import httpx  # noqa: PLC0415  # whoever has a client has it

    return isinstance(client._transport, httpx.HTTPTransport | httpx.AsyncHTTPTransport)  # noqa: SLF001  # no public name


def trace_grpc(*, server: bool = False) -> None:
    """Spans for gRPC clients, synchronous and asynchronous, of channels that are created from now on.

    Args:
        server: Also for gRPC servers.

    Raises:
        InstrumentationError: `opentelemetry-instrumentation-grpc` is not installed, or does not fit.
    """
    names = ["GrpcInstrumentorClient", "GrpcAioInstrumentorClient"]
    if server:
        names += ["GrpcInstrumentorServer", "GrpcAioInstrumentorServer"]
    for name in names:
        _switch_on(_instrumentor("grpc", name))


def _instrumentor(package: str, name: str) -> Any:
    # The packages read it once, with the first of them; without it they use names that were given up, beside ours.
    os.environ.setdefault(_CONVENTIONS, "http,database")
    try:
        module = importlib.import_module(f"opentelemetry.instrumentation.{package}")
        return getattr(module, name)()
    except ImportError as missing:
        what = f"opentelemetry-instrumentation-{package}"
        raise InstrumentationError(
            f"spans of {package} need one more package: pip install {what} ({missing})", name=missing.name
        ) from missing


def _switch_on(instrumentor: Any, **options: Any) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:
        return
    why = ""
    try:
        instrumentor.instrument(raise_exception_on_conflict=True, **options)
    except Exception as error:
        if type(error).__name__ != "DependencyConflictError":  # whose place has moved between versions
            raise
        why = str(error)
    if not instrumentor.is_instrumented_by_opentelemetry:
        raise InstrumentationError(f"{type(instrumentor).__name__} does not take the installed version: {why}")
