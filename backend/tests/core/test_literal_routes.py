"""The library's own routes stand as one among those of an app."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Match, NoMatchFound, Route

from app.core.literal_routes import LiteralRoutes
from app.core.route import RouteTree


async def tell(request):
    return PlainTextResponse(request.scope["route"].path)


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.router.routes.append(
        LiteralRoutes([Route("/health", tell, name="health"), Route("/health/live", tell, name="live")])
    )

    @app.get("/{anything}/health")
    def own(anything: str) -> str:
        return anything

    return app


def client_of(app: FastAPI, root_path: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://service")


@pytest.mark.parametrize("path", ["/health", "/health/live"])
async def test_each_answers_at_its_own_path(app, path):
    async with client_of(app) as client:
        assert (await client.get(path)).text == path
        assert (await client.head(path)).status_code == 200


async def test_a_method_that_none_takes_is_405_and_a_path_of_no_route_404(app):
    async with client_of(app) as client:
        refused = await client.post("/health/live")
        assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
        assert (await client.get("/health/other")).status_code == 404


async def test_a_route_of_the_app_that_ends_alike_is_still_found(app):
    async with client_of(app) as client:
        assert (await client.get("/shop/health")).json() == "shop"


async def test_they_answer_below_a_root_path(app):
    async with client_of(app, "/api") as client:
        assert (await client.get("/api/health/live")).text == "/health/live"


@pytest.mark.parametrize(("method", "path"), [("GET", "/health/live"), ("POST", "/health/live"), ("GET", "/health")])
async def test_whoever_asks_for_the_path_of_what_matched_hears_that_of_the_request(app, method, path):
    [own] = [route for route in app.routes if isinstance(route, LiteralRoutes)]

    async def paths_that_match() -> list[tuple[str, str]]:
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        matching = (route for route in app.routes if route.matches(scope)[0] is not Match.NONE)
        return [(route.path, route.path_format) for route in matching]

    assert await asyncio.create_task(paths_that_match()) == [(path, path)]
    assert own.path == "/health"


def test_their_addresses_are_found_by_name(app):
    assert app.url_path_for("live") == "/health/live"
    with pytest.raises(NoMatchFound):
        app.url_path_for("nothing")


def test_their_templates_are_known_before_their_first_request(app):
    assert {"/health", "/health/live", "/{anything}/health"} <= RouteTree(app).templates()


def test_a_scope_that_makes_no_sense_is_not_theirs_and_told(app, internal_failures):
    [own] = [route for route in app.routes if isinstance(route, LiteralRoutes)]
    match, found = own.matches({"type": "http", "path": None})
    assert (match.name, found) == ("NONE", {})
    assert internal_failures
    internal_failures.clear()
