"""The health endpoints.

`/health` and `/health/live` touch no dependency: they say that the process answers. `/health/ready` says whether
requests should come, `/health/startup` whether the service has started. Anyone may read the status; what is behind it,
`/health/detailed`, is told to whoever may know.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from ..context import current
from ..exchange import Observed
from ..monitoring_middleware import ATTRIBUTE
from ..texts import strict
from .details import details
from .paths import Paths, Role
from .registry import HealthRegistry, verdict

if TYPE_CHECKING:
    from .registry import Verdict

Endpoint = Callable[[Request], Awaitable[Response]]
_NO_STORE: Final = {"cache-control": "no-store"}
#: datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
MEDIA_TYPE: Final = "application/health+json"
# Made once: an orchestrator asks often, and most of all when the process has no time.
_BODIES: Final = {status: f'{{"status":"{status}"}}'.encode() for status in ("pass", "warn", "fail")}
_SUMMARIES: Final[dict[Role, str]] = {
    "health": "Whether the process answers",
    "live": "Whether the process answers",
    "ready": "Whether requests should come here",
    "startup": "Whether the service has started",
    "detailed": "Everything, for those who may know",
}


def routes(registry: HealthRegistry, paths: Paths | None = None) -> list[Route]:
    """The health endpoints for GET and HEAD, as plain routes: they cost other requests the least."""
    return [
        Route(path, endpoint, name=name, include_in_schema=False)
        for name, path, endpoint, _ in _served(registry, paths or registry.paths)
    ]


def has_routes(app: Starlette) -> bool:
    """Whether an app serves these endpoints already, wherever it has put them.

    A mounted app that is observed by itself has its own, which are not this app's.
    """
    own = [route for route in app.routes if not (isinstance(route, Mount) and hasattr(route.app, ATTRIBUTE))]
    try:
        Router(own).url_path_for("health/live")
    except Exception:  # noqa: BLE001  # starlette.routing.NoMatchFound, whose place has moved between versions
        return False
    return True


def router(registry: HealthRegistry, paths: Paths | None = None, *, in_openapi: bool = False) -> APIRouter:
    """The same as a router, for apps that choose their place.

    Args:
        registry: The checks.
        paths: Where below the router's own prefix; `Paths(prefix="")` stands right at it.
        in_openapi: Whether they are part of the app's OpenAPI document.
    """
    health_router = APIRouter(include_in_schema=in_openapi)
    for name, path, endpoint, summary in _served(registry, paths or Paths()):
        for method in ("GET", "HEAD"):  # two routes, since both in one would share an operation id
            health_router.add_api_route(
                path,
                endpoint,
                methods=[method],
                name=name,
                summary=summary,
                tags=["health"],
                include_in_schema=in_openapi and method == "GET",
                response_class=HealthResponse,
                responses={503: {"description": "It does not."}},
            )
    return health_router


def health_app(registry: HealthRegistry, paths: Paths | None = None) -> Router:
    """The endpoints alone, as an ASGI app to be mounted at the prefix, or served on a port of its own."""
    return Router(routes(registry, paths or Paths(prefix="")))


class HealthResponse(JSONResponse):
    """A body in the shape of the draft, strict JSON whatever a check has said: NaN, lone surrogates, odd objects."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return orjson.dumps(strict(content))


def _served(registry: HealthRegistry, paths: Paths) -> Iterator[tuple[str, str, Endpoint, str]]:
    """Name, path, endpoint and summary of each."""
    endpoints: dict[Role, Endpoint] = {
        "health": _live(registry),
        "live": _live(registry),
        "ready": _ready(registry),
        "startup": _startup(registry),
        "detailed": _detailed(registry),
    }
    for role, path in paths.of_roles():
        yield "health" if role == "health" else f"health/{role}", path, endpoints[role], _SUMMARIES[role]
    for tag, path in paths.of_groups():
        yield f"health/group/{tag}", path, _group(registry, tag), f"Whether the checks of {tag} pass"


def _live(registry: HealthRegistry) -> Endpoint:
    async def live(request: Request) -> Response:  # noqa: ARG001  # Starlette calls every endpoint with it
        return _told("fail" if registry.broken else "pass")

    return live


def _ready(registry: HealthRegistry) -> Endpoint:
    async def ready(request: Request) -> Response:  # noqa: ARG001  # as above
        return _told("fail" if registry.broken else await registry.ready())

    return ready


def _startup(registry: HealthRegistry) -> Endpoint:
    async def startup(request: Request) -> Response:  # noqa: ARG001  # as above
        return _told("pass" if await registry.startup() else "fail")

    return startup


def _group(registry: HealthRegistry, tag: str) -> Endpoint:
    async def group(request: Request) -> Response:  # noqa: ARG001  # as above
        return _told(verdict(await registry.results(tag)))

    return group


def _detailed(registry: HealthRegistry) -> Endpoint:
    async def detailed(request: Request) -> Response:
        results = await registry.results()
        status: Verdict = verdict(results)
        if registry.broken or registry.state != "ready":
            status = "fail"
        if registry.access is None or not await registry.access.admits(request.scope):
            return _told(status)
        return _told(status, details(registry, results, status))

    return detailed


def _leave_out() -> None:
    """Wherever the endpoints are mounted, logs, metrics and traces leave them out while they answer well."""
    observed = current.get()
    if isinstance(observed, Observed) and observed.route:
        observed.exclusion.add(observed.route)


def _told(status: "Verdict", body: dict[str, Any] | None = None) -> Response:
    _leave_out()
    code = 503 if status == "fail" else 200
    if body is None:
        return Response(_BODIES[status], code, _NO_STORE, MEDIA_TYPE)
    return HealthResponse(body, code, _NO_STORE)
