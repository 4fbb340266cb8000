import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.staticfiles import StaticFiles

from support.service import observed


async def foreign(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


class ForeignObject:
    async def __call__(self, scope, receive, send):
        await foreign(scope, receive, send)


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("x")


@pytest.fixture
def app(tmp_path):
    app, sub = FastAPI(), FastAPI()
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @app.get("/items/{item_id}")
    @inner.get("/{item_id}")
    @sub.get("/deep/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/foreign/{tenant}", foreign)
    app.mount("/number/{tenant:int}", ForeignObject())
    app.mount("/own", Starlette(routes=[Mount("/deep", app=foreign), Route("/plain/{x}", plain)]))
    app.mount("/sub/{tenant}", sub)
    app.mount("/files", StaticFiles(directory=tmp_path))
    app.router.routes += [
        Route("/plain/{x}/end", plain),
        Route("/number/{x:int}", plain),
        Route("/rest/{path:path}", plain),
        Mount("/routes", routes=[Route("/y/{y:int}", plain)]),
        Host("{tenant}.example.org", Starlette(routes=[Route("/hosted/{x}", plain)])),
    ]
    return app


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/items/7", "/items/{item_id}"),
        ("/items/seven", "/items/{item_id}"),
        ("/outer/inner/7", "/outer/inner/{item_id}"),
        ("/sub/acme/deep/7", "/sub/{tenant}/deep/{item_id}"),
        ("/sub/acme/nothing", None),
        ("/foreign/acme/a/b", "/foreign/{tenant}/{path}"),
        ("/number/007/a", "/number/{tenant:int}/{path}"),
        ("/number/007", "/number/{x:int}"),
        ("/own/deep/x", "/own/deep/{path}"),
        ("/own/plain/5", "/own/plain/{x}"),
        ("/own/nothing", None),
        ("/files/nothing.txt", "/files/{path}"),
        ("/plain/7/end", "/plain/{x}/end"),
        ("/rest/a/b/c", "/rest/{path:path}"),
        ("/routes/y/05", "/routes/y/{y:int}"),
        ("/routes/nothing", None),
        ("/nothing", None),
        ("/items/7/", None),
    ],
)
async def test_a_route_is_named_by_its_whole_template(app, path, template):
    with observed(app) as service:
        async with service.client() as client:
            await client.get(path)
        assert service.access[0].get("route") == template


def test_every_template_is_known_before_its_first_request(app):
    with observed(app) as service:
        known = service.observability.routes.templates()
    told = {"/items/{item_id}", "/outer/inner/{item_id}", "/sub/{tenant}/deep/{item_id}", "/foreign/{tenant}/{path}"}
    assert known >= told | {"/own/deep/{path}", "/own/plain/{x}", "/routes/y/{y:int}", "/hosted/{x}", "/files/{path}"}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE"])
async def test_another_method_of_a_route_is_still_the_route(app, method):
    with observed(app) as service:
        async with service.client() as client:
            await client.request(method, "/items/7")
        assert (service.access[0]["route"], service.access[0]["httpRequest"]["status"]) == ("/items/{item_id}", 405)


async def test_a_host_route_is_named_by_its_path(app):
    with observed(app) as service:
        async with service.client(headers={"host": "acme.example.org"}) as client:
            await client.get("/hosted/5")
        assert service.access[0]["route"] == "/hosted/{x}"


@pytest.mark.filterwarnings("ignore:The `root_path` parameter")
@pytest.mark.parametrize("given", ["app", "server"])
async def test_a_root_path_is_no_part_of_the_template(given):
    app = FastAPI(root_path="/api" if given == "app" else "")

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    with observed(app) as service:
        async with service.client() as client:
            await client.get("/items/7")
        assert service.access[0]["route"] == "/items/{item_id}"


async def test_paths_without_end_are_labels_with_an_end(app):
    with observed(app) as service:
        async with service.client() as client:
            for number in range(300):
                for path in (f"/nothing/{number}", f"/number/{'0' * number}5", f"/rest/{number}/x", f"/files/{number}"):
                    await client.get(path)
        assert len({labels[0] for labels in service.series("http_request_total")}) == 4
