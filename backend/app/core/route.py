"""The full path template of the matched route, from what routing left in the scope.

FastAPI >= 0.137 keeps included routers as a tree: a route's own path lacks their prefixes, and the effective route
context has them. A mount leaves its path as it was asked for, in `root_path`, and a plain Starlette route leaves only
its endpoint: for these two the routes are searched once more.
"""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final

from starlette.routing import Host, Mount

from .literal_routes import LiteralRoutes

#: What a foreign ASGI app below a mount did with the rest of the path is not known.
OPAQUE: Final = "/{path}"
# An app may be mounted below itself.
_DEEPEST: Final = 32


class RouteTree:
    """The routes of one app and of everything below it.

    Args:
        app: Where routing begins.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        # By identity of an app, mount or host: what of its routes can lead to a template.
        self._known: dict[int, list[Any]] = {}

    def template(self, scope: MutableMapping[str, Any], given_root_path: str) -> str:
        """The template, with the prefixes of routers and mounts; empty when no route matched.

        Args:
            scope: The scope as routing left it.
            given_root_path: `root_path` before routing: what the server or the app itself was given is no mount.
        """
        route = scope.get("route")
        if route is None or isinstance(route, Mount):
            if "endpoint" not in scope:
                return ""
            path = scope["path"].removeprefix(self._root_path(given_root_path))
            return self._find(self._endpoint, path, scope["endpoint"]) or ""
        path = getattr(route, "path", "")
        tree = scope.get("fastapi")
        if tree is not None:
            effective = tree.get("effective_route_context")
            # The context may be an outer router's: a mount below an included router leaves the outer one behind.
            if effective is not None and effective.original_route is route:
                path = effective.path
        root_path: str = scope.get("root_path", "")
        if root_path == given_root_path or root_path == (own := self._root_path(given_root_path)):
            return str(path)
        prefix = root_path.removeprefix(own)
        if not scope.get("path_params"):
            return f"{prefix}{path}"  # a mount without parameters is its own template
        mounts = self._find(self._mounts, prefix + "/")
        return "" if mounts is None else f"{mounts}{path}"

    def _root_path(self, given: str) -> str:
        return getattr(self.app, "root_path", "") or given

    def templates(self) -> set[str]:
        """Templates of all routes there are now, as `template` would tell them."""
        return set(_templates(getattr(self.app, "routes", ()), _DEEPEST))

    def _find(self, search: Callable[..., str | None], *wanted: Any) -> str | None:
        found = search(self.app, *wanted, _DEEPEST)
        if found is None:  # routes may have been added since they were read
            self._known.clear()
            found = search(self.app, *wanted, _DEEPEST)
        return found

    def _mounts(self, owner: Any, prefix: str, depth: int) -> str | None:
        """Templates of the mounts that a prefix went through, tried in the order of routing."""
        for route in self._routes(owner) if depth else ():
            if isinstance(route, Host):
                found = self._mounts(route, prefix, depth - 1)
            elif isinstance(route, Mount) and (match := route.path_regex.match(prefix)):
                rest = match["path"]
                below = self._mounts(route, f"/{rest}", depth - 1) if rest else ""
                found = None if below is None else route.path + below
            else:
                continue
            if found is not None:
                return found
        return None

    def _endpoint(self, owner: Any, path: str, endpoint: Any, depth: int) -> str | None:
        """Template of the route with an endpoint; empty where that is an app that found no route of its own."""
        for route in self._routes(owner) if depth else ():
            found: str | None = None
            if isinstance(route, Host):
                found = "" if route.app is endpoint else self._endpoint(route, path, endpoint, depth - 1)
            elif (match := route.path_regex.match(path)) is None:
                continue
            elif not isinstance(route, Mount):
                found = route.path if route.endpoint is endpoint else None
            elif route.app is endpoint:
                found = "" if hasattr(endpoint, "routes") or route.routes else route.path + OPAQUE
            elif below := self._endpoint(route, f"/{match['path']}", endpoint, depth - 1):
                found = route.path + below
            else:
                found = below
            if found is not None:
                return found
        return None

    def _routes(self, owner: Any) -> list[Any]:
        found = self._known.get(id(owner))
        if found is None:
            found = [route for route in _flat(getattr(owner, "routes", ())) if _leads_on(route)]
            self._known[id(owner)] = found
        return found


def _flat(routes: Any) -> Iterator[Any]:
    """Routes, with those of included routers in their place and under their full paths (FastAPI >= 0.137)."""
    return (route for route, _ in _with_paths(routes))


def _templates(routes: Any, depth: int) -> Iterator[str]:
    for route, path in _with_paths(routes) if depth else ():
        if isinstance(route, Host):
            yield from _templates(route.routes, depth - 1)
        elif isinstance(route, Mount):
            below = list(_templates(route.routes, depth - 1))
            yield from (route.path + template for template in below or [OPAQUE])
        elif path:
            yield path


def _with_paths(routes: Any) -> Iterator[tuple[Any, str]]:
    for route in routes:
        if isinstance(route, LiteralRoutes):
            yield from ((one, one.path) for one in route.routes)
            continue
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route, getattr(route, "path", "")
        else:
            for context in contexts():
                found = context.starlette_route or context.original_route
                yield found, getattr(context, "path", "") or getattr(found, "path", "")


def _leads_on(route: Any) -> bool:
    return isinstance(route, Host | Mount) or (hasattr(route, "path_regex") and hasattr(route, "endpoint"))
