"""docs/reference/http.md beside the routes that apps really have."""

import re
from collections.abc import Iterable

from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from app.core import Settings
from support.reference_service import reference_service
from support.service import observed
from tools.http_page import library_routes
from tools.reference_pages import PAGES

PAGE = PAGES["http.md"]()


def _routes(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    """(method, path) of all, wherever they are kept; HEAD comes with GET."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        found |= _routes(getattr(route, "routes", ()))
        if isinstance(route, Route):
            found |= {(method, route.path) for method in route.methods or {"GET"} if method != "HEAD"}
    return found


def _told(routes: list[str]) -> set[tuple[str, str]]:
    found = set()
    for one in routes:
        methods, _, path = one.rpartition(" ")
        found |= {(method, path) for method in methods.split(", ")}
    return found


def test_the_page_has_the_routes_that_instrument_adds():
    bare = _routes(FastAPI().routes)
    with observed(admin_token="t" * 32, metrics_route="/metrics") as service:
        added = _routes(service.app.routes) - bare
    assert added == _told([route for route, *_ in library_routes(Settings.load(metrics_route="/metrics"))])


async def test_the_page_has_every_operation_of_the_reference_service():
    told = _told(re.findall(r"^\| `([A-Z]+ /api/\S+)`", PAGE, re.MULTILINE))
    async with reference_service() as service:
        paths = service.app.openapi()["paths"]
    assert told == {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def test_by_whom_is_what_the_service_asks():
    rows = re.findall(r"^\| `([A-Z]+) (/api/\S+)` \| .* \| (\w+) \| `\w+` \|$", PAGE, re.MULTILINE)
    assert {by for _, _, by in rows} == {"anyone", "user", "admin"}
    found = []
    async with reference_service() as service, service.client() as client:
        user = await service.signed_in(client)
        for method, template, _ in rows:
            path = re.sub(r"\{\w+\}", "1", template)
            stranger = (await client.request(method, path)).status_code
            known = (await client.request(method, path, headers=user)).status_code if "logout" not in path else 204
            found.append((method, template, "anyone" if stranger != 401 else "admin" if known == 403 else "user"))
    assert found == rows
