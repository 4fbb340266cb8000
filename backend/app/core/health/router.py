"""The health endpoints, as an APIRouter.

`/health` and `/health/live` touch no dependency: they say that the process answers. `/health/ready` says whether the
critical checks pass. Anyone may read the status; what is behind it is told to whoever holds `HEALTH_TOKEN`.
"""

import hmac
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from .registry import HealthRegistry

_NO_STORE = {"cache-control": "no-store"}
# datatracker.ietf.org/doc/html/draft-inadarei-api-health-check
_MEDIA_TYPE = "application/health+json"


def router(registry: HealthRegistry) -> APIRouter:
    """The routes `/health`, `/health/live`, `/health/ready` and `/health/detailed`, for GET and HEAD."""
    routes = APIRouter(include_in_schema=False)

    async def live() -> JSONResponse:
        return _answer(healthy=True)

    async def ready() -> JSONResponse:
        return _answer(healthy=await _healthy(registry))

    async def detailed(request: Request) -> JSONResponse:
        healthy = await _healthy(registry)
        if not _may_see_details(request, registry.token):
            return _answer(healthy=healthy)
        return _answer(healthy=healthy, checks=_details(registry, await registry.results()))

    for path, endpoint in (("", live), ("/live", live), ("/ready", ready), ("/detailed", detailed)):
        routes.add_api_route(f"/health{path}", endpoint, methods=["GET", "HEAD"], name=f"health{path}")
    return routes


async def _healthy(registry: HealthRegistry) -> bool:
    return all(result.status == "healthy" for result in await registry.results() if result.check.critical)


def _answer(*, healthy: bool, **details: object) -> JSONResponse:
    body: dict[str, Any] = {"status": "healthy" if healthy else "unhealthy", **details}
    return JSONResponse(body, 200 if healthy else 503, headers=_NO_STORE, media_type=_MEDIA_TYPE)


def _may_see_details(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _details(registry: HealthRegistry, results: list[Any]) -> dict[str, object]:
    return {
        result.check.name: {
            "status": result.status,
            "critical": result.check.critical,
            "seconds": round(result.seconds, 6),
            "age_seconds": round(registry.age, 3),
            **({"reason": result.reason} if result.reason else {}),
        }
        for result in results
    }
