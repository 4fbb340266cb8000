"""Failures told as what they are: the service is there, and what it needs is not; or what came in cannot be taken."""

from socket import gaierror
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import JSONResponse

from ..core import get_logger, metrics_client

log = get_logger("database")
_timeouts = metrics_client.counter("timeouts_total", {"operation": "database_connection"})
_throttles = metrics_client.counter("throttles_total", {"dependency": "database"})
_TOO_MANY: Final = "53300"  # www.postgresql.org/docs/current/errcodes-appendix.html: too_many_connections
_NO_TEXT: Final = "22021"  # character_not_in_repertoire: PostgreSQL keeps no U+0000, which JSON and paths may hold
_RETRY_SECONDS: Final = 5


def tell_failures(app: FastAPI) -> None:
    """Answer 503 where the database does not answer; anything else that it raises stays an error of ours."""
    # SQLAlchemy passes on what asyncpg raises before there is a connection.
    for kind in (PoolTimeoutError, DBAPIError, ConnectionError, TimeoutError, gaierror):
        app.add_exception_handler(kind, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _invalid(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001  # Starlette's signature
    # FastAPI's own answer repeats the input: passwords, and what JSON cannot say (NaN, half a surrogate pair), which
    # would make a 500 of a 422.
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": [{name: one[name] for name in ("type", "loc", "msg")} for one in errors]}, 422)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001  # Starlette's signature
    if isinstance(error, PoolTimeoutError):
        _timeouts.add()
    elif isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        # asyncpg's lost connections come as InterfaceError or as the bare DBAPIError, as do failures that are ours.
        code = getattr(error.orig, "sqlstate", None)
        if code == _NO_TEXT:
            return JSONResponse({"detail": "there is a character in it that cannot be kept"}, 422)
        if code == _TOO_MANY:
            _throttles.add()
        elif not (error.connection_invalidated or str(code).startswith(("08", "57"))):
            raise error
    log.error("the database does not answer", why=type(error).__name__)
    headers = {"retry-after": str(_RETRY_SECONDS)}
    return JSONResponse({"detail": "the database does not answer; try again"}, 503, headers)
