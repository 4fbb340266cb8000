"""The health endpoints.

`/health` and `/health/live` touch no dependency: they say that the process answers. `/health/ready` says whether the
critical checks pass. Anyone may read the status; what is behind it is told to whoever holds `HEALTH_TOKEN`.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .checks import Result
from .registry import HealthRegistry

#: Every path that is served here.
PATHS = ("/health", "/health/live", "/health/ready", "/health/detailed")
Endpoint = Callable[[Request], Awaitable[JSONResponse]]
_NO_STORE = {"cache-control": "no-store"}
# datatracker.ietf.org/doc/html/draft-inadarei-api-health-check
_MEDIA_TYPE = "application/health+json"


def _endpoints(registry: HealthRegistry) -> Iterable[tuple[str, Endpoint]]:
    async def live(request: Request) -> JSONResponse:  # noqa: ARG001  # Starlette calls every endpoint with it
        return _answer(healthy=True)

    async def ready(request: Request) -> JSONResponse:  # noqa: ARG001  # as above
        return _answer(healthy=_healthy(await registry.results()))

    async def detailed(request: Request) -> JSONResponse:
        results = await registry.results()
        healthy = _healthy(results)
        if not _may_see_details(request, registry.token):
            return _answer(healthy=healthy)
        return _answer(healthy=healthy, checks=_details(registry, results))

    return zip(PATHS, (live, live, ready, detailed), strict=True)


def routes(registry: HealthRegistry) -> list[Route]:
    """The health endpoints for GET and HEAD, as plain routes: they cost other requests the least."""
    return [
        Route(path, endpoint, name=path.strip("/"), include_in_schema=False) for path, endpoint in _endpoints(registry)
    ]


def router(registry: HealthRegistry) -> APIRouter:
    """The same as a router, for apps that choose its place and prefix."""
    health_router = APIRouter(include_in_schema=False)
    for path, endpoint in _endpoints(registry):
        health_router.add_api_route(path, endpoint, methods=["GET", "HEAD"], name=path.strip("/"))
    return health_router


def _healthy(results: Iterable[Result]) -> bool:
    return all(result.status == "healthy" for result in results if result.check.critical)


def _answer(*, healthy: bool, **details: object) -> JSONResponse:
    body: dict[str, Any] = {"status": "healthy" if healthy else "unhealthy", **details}
    return JSONResponse(body, 200 if healthy else 503, headers=_NO_STORE, media_type=_MEDIA_TYPE)


def _may_see_details(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _details(registry: HealthRegistry, results: Iterable[Result]) -> dict[str, object]:
    return {
        result.check.name: {
            "status": result.status,
            "critical": result.check.critical,
            "seconds": round(result.seconds, 6),
            "age_seconds": round(registry.age, 3),
            **({"reason": registry.redaction.error(result.reason)} if result.reason else {}),
        }
        for result in results
    }
