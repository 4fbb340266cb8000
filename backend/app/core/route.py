"""The full path template of the matched route, from what routing left in the scope; routes are never walked.

FastAPI >= 0.137 keeps included routers as a tree: a route's own path lacks their prefixes, and the effective route
context has them. A mount leaves its prefix in `root_path`; a plain Starlette route leaves only its endpoint.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from starlette.routing import Mount

#: What a foreign ASGI app below a mount did with the rest of the path is not known.
OPAQUE: Final = "/{path}"


def route_template(scope: MutableMapping[str, Any], entry_root_path: str) -> str:
    """The template, with the prefixes of routers and mounts; empty when no route matched.

    Args:
        scope: The scope as routing left it.
        entry_root_path: `root_path` before routing: what the server or the app itself was given is no mount.
    """
    route = scope.get("route")
    if route is None or isinstance(route, Mount):
        return _without_route(scope, entry_root_path, route) if "endpoint" in scope else ""
    path = getattr(route, "path", "")
    tree = scope.get("fastapi")
    if tree is not None:
        effective = tree.get("effective_route_context")
        # The context may be an outer router's: a mount below an included router leaves the outer one behind.
        if effective is not None and effective.original_route is route:
            path = effective.path
    root_path = scope.get("root_path", "")
    if root_path == entry_root_path:
        return str(path)
    return _named(root_path.removeprefix(entry_root_path), scope.get("path_params") or {}) + str(path)


def _without_route(scope: MutableMapping[str, Any], entry_root_path: str, mount: Mount | None) -> str:
    params = scope.get("path_params") or {}
    prefix = scope.get("root_path", "").removeprefix(entry_root_path)
    endpoint = mount.app if mount is not None else scope["endpoint"]
    if hasattr(endpoint, "routes"):
        return ""  # an app of our kind, below a mount, that found no route
    if mount is not None or (prefix and not hasattr(scope.get("app"), "routes")) or _is_mounted(scope, prefix):
        return _named(prefix, params) + OPAQUE
    return _named(scope["path"].removeprefix(entry_root_path), params, all_of_them=True)


def _is_mounted(scope: MutableMapping[str, Any], prefix: str) -> bool:
    """Whether the endpoint is an ASGI app behind a mount, not a function behind a route."""
    endpoint = scope["endpoint"]
    return bool(prefix) and endpoint is not scope.get("app") and _takes_three(endpoint)


def _takes_three(endpoint: Any) -> bool:
    code = getattr(endpoint, "__code__", None) or getattr(endpoint.__call__, "__code__", None)
    # scope, receive, send; and self for an object. A route's endpoint takes the request.
    return code is not None and code.co_argcount in {3, 4}


def _named(path: str, params: Mapping[str, Any], *, all_of_them: bool = False) -> str:
    """A path with the values of its parameters put back into names.

    With `all_of_them`, empty when one is not found in it: the path would be a label of its own. In a mount's prefix the
    others belong to the route below.
    """
    for name, value in params.items():
        text = str(value)
        found = text if f"/{text}" in path else _as_written(path, text)
        if found is not None:
            path = path.replace(f"/{found}", f"/{{{name}}}", 1)
        elif all_of_them:
            return ""
    return path


def _as_written(path: str, text: str) -> str | None:
    """The part of a path that was converted to a value: `05` is 5, and UUIDs come in capitals too."""
    wanted = text.lower().lstrip("0")
    return next((part for part in path.split("/") if part and part.lower().lstrip("0") == wanted), None)
