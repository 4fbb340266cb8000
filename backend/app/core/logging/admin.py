"""`PUT /admin/log-level`: another threshold, at run time, for whoever holds `ADMIN_TOKEN`."""

import hmac
import json

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .levels import threshold
from .setup import set_level

PATH = "/admin/log-level"


def admin_routes(token: bytes) -> list[Route]:
    """GET tells the level, PUT with `{"level": "DEBUG"}` changes it, in the process that answers."""

    async def log_level(request: Request) -> JSONResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token):
            return JSONResponse({"detail": "a bearer token is needed"}, 401)
        if request.method == "PUT":
            try:
                set_level(str(json.loads(await request.body())["level"]))
            except (ValueError, KeyError, TypeError) as error:
                reason = str(error) if isinstance(error, ValueError) else 'the body is {"level": "DEBUG"} or another'
                return JSONResponse({"detail": reason}, 422)
        return JSONResponse({"level": threshold.name})

    return [Route(PATH, log_level, methods=["GET", "PUT"], include_in_schema=False)]
