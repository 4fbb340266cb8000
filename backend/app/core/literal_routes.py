"""The routes that the library adds to an app."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound, Route

from . import guard

# Of these routes and the request at hand: which path has matched.
_matched: ContextVar[tuple["LiteralRoutes", str] | None] = ContextVar("cloudops_literal_route", default=None)


class LiteralRoutes(BaseRoute):
    """Routes without parameters, all as one: a path that ends otherwise is none of theirs.

    Every request of an app that was instrumented before its own routes were added passes by here, and every one that
    finds no route: it asks once, and not each of them.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = list(routes)
        self._ends = tuple(route.path for route in routes)
        # As other routes have them, for those who list the routes of an app.
        self.name = "fastapi-cloudops"
        self.include_in_schema = False

    @property
    def path(self) -> str:
        """The path that this request has matched, the first of all outside of requests.

        Telemetry of others (Sentry, `opentelemetry-instrumentation-fastapi`) asks each route whether it matches, and
        the one that does for its path.
        """
        matched = _matched.get()
        return matched[1] if matched is not None and matched[0] is self else self._ends[0]

    @property
    def path_format(self) -> str:
        """The same, where FastAPI's own telemetry (0.142 or newer) looks for the route of a request."""
        return self.path

    def matches(self, scope: Any) -> tuple[Match, Any]:
        try:
            if scope["type"] != "http" or not scope["path"].endswith(self._ends):
                return Match.NONE, {}
            return self._matching(scope)
        except Exception as error:  # noqa: BLE001  # a request of the app's own passes by here
            guard.caught("routes", error)
            return Match.NONE, {}

    def _matching(self, scope: Any) -> tuple[Match, Any]:
        partial: tuple[Match, Any] = Match.NONE, {}
        for route in self.routes:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                _matched.set((self, route.path))
                partial = match, {**found, "route": route}
            if match is Match.FULL:
                return partial
        return partial

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                pass
        raise NoMatchFound(name, path_params)
