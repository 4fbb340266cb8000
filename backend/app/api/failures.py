"""Failures of dependencies, told as what they are: the service is there, what it needs is not."""

from socket import gaierror
from typing import Final

from fastapi import FastAPI, Request
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import JSONResponse

from ..core import get_logger, metrics_client

log = get_logger("database")
_timeouts = metrics_client.counter("timeouts_total", {"operation": "database_connection"})
_throttles = metrics_client.counter("throttles_total", {"dependency": "database"})
_TOO_MANY: Final = "53300"  # www.postgresql.org/docs/current/errcodes-appendix.html: too_many_connections
_RETRY_SECONDS: Final = 5


def tell_failures(app: FastAPI) -> None:
    """Answer 503 where the database does not answer; anything else that it raises stays an error of ours."""
    # SQLAlchemy passes on what asyncpg raises before there is a connection.
    for kind in (PoolTimeoutError, DBAPIError, ConnectionError, TimeoutError, gaierror):
        app.add_exception_handler(kind, _unavailable)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001  # Starlette's signature
    if isinstance(error, PoolTimeoutError):
        _timeouts.add()
    elif isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        # asyncpg's lost connections come as InterfaceError or as the bare DBAPIError, as do failures that are ours.
        code = getattr(error.orig, "sqlstate", None)
        if code == _TOO_MANY:
            _throttles.add()
        elif not (error.connection_invalidated or str(code).startswith(("08", "57"))):
            raise error
    log.error("the database does not answer", why=type(error).__name__)
    headers = {"retry-after": str(_RETRY_SECONDS)}
    return JSONResponse({"detail": "the database does not answer; try again"}, 503, headers)
