"""The probe's routes that are found by a longer way: routers, mounts, hosts; and its websockets."""

import inspect
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from . import probe_raw
from .probe_gate import Gate, ProbeError, deprecations_allowed, hello


def add(app: FastAPI, files: Path, options: dict[str, Any]) -> None:
    """Add them all.

    Args:
        app: With a gate in its state.
        files: A folder to serve.
        options: For the FastAPI apps below this one.
    """
    _hosts(app, options)
    _routers(app, options)
    _mounts(app, files, options)
    _websockets(app)


def _routers(app: FastAPI, options: dict[str, Any]) -> None:
    leaf = APIRouter(prefix="/leaf")
    branch = APIRouter(prefix="/branch")

    @leaf.get("/{name}")
    async def named(name: str) -> str:
        return name

    @branch.get("/own/{number}")
    async def numbered(number: int) -> int:
        return number

    branch.include_router(leaf)
    app.include_router(branch, prefix="/api/{version}")
    app.include_router(leaf, prefix="/second")

    below = FastAPI(**options)

    @below.get("/deep/{name}")
    async def deep(name: str) -> str:
        return name

    holder = APIRouter()

    @holder.get("/own")
    async def own() -> str:
        return "own"

    holder.mount("/below", below)
    app.include_router(holder, prefix="/holder")


def mounts_are_included() -> bool:
    """FastAPI < 0.137 copies the routes of an included router, and leaves its mounts out."""
    return hasattr(inspect.getmodule(APIRouter), "_IncludedRouter")


def _sub_app(**options: Any) -> FastAPI:
    sub = FastAPI(**options)
    router = APIRouter(prefix="/router")

    @sub.get("/things/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @sub.get("/boom")
    async def boom() -> None:
        raise ProbeError("in the sub app")

    @router.get("/{name}")
    async def routed(name: str) -> str:
        return name

    @sub.websocket("/socket/{name}")
    async def socket(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        await websocket.send_text(name)
        await websocket.close()

    sub.include_router(router)
    return sub


def _mounts(app: FastAPI, files: Path, options: dict[str, Any]) -> None:
    sub = _sub_app(**options)
    sub.mount("/inner/{room}", _sub_app(**options))
    app.mount("/sub", sub)
    app.mount("/tenants/{tenant}", _sub_app(**options))
    app.mount("/numbers/{number:int}/and/{other}", _sub_app(**options))
    shadow = FastAPI(**options)

    @shadow.get("/of/{name}")
    async def shadowed(name: str) -> str:
        return name

    app.mount("/shadow/{name}", shadow)
    with deprecations_allowed():
        app.mount("/own-root", _sub_app(root_path="/own-root", **options))
        app.mount("/other-root", _sub_app(root_path="/elsewhere", **options))
    app.mount("/star", Starlette(routes=[Route("/{name}", hello), Mount("/deep", routes=[Route("/x", _starless)])]))
    app.mount("/raw", probe_raw.RawApps(app.state.gate))
    app.mount("/raw-of/{owner}", probe_raw.echo)
    app.mount("/static", StaticFiles(directory=files))


async def _starless(_request: Request) -> Response:
    return PlainTextResponse("deep")


def _hosts(app: FastAPI, options: dict[str, Any]) -> None:
    hosted = FastAPI(**options)

    @hosted.get("/hosted/{name}")
    async def on_host(name: str) -> str:
        return name

    # First, as their names are more particular than any path.
    app.router.routes[:0] = [Host("api.example.org", hosted), Host("{customer}.customers.example.org", hosted)]


def _websockets(app: FastAPI) -> None:
    gate: Gate = app.state.gate

    @app.websocket("/socket/echo/{name}")
    async def echo(websocket: WebSocket, name: str) -> None:
        await websocket.accept(subprotocol="chat" if "chat" in websocket.scope["subprotocols"] else None)
        async for text in websocket.iter_text():
            await websocket.send_text(f"{name}: {text}")

    @app.websocket("/socket/closes")
    async def closes(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x-own", b"yes")])
        await websocket.send_bytes(b"bye")
        await websocket.close(4001, "enough")

    @app.websocket("/socket/raises")
    async def raises(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ProbeError("in the connection")

    @app.websocket("/socket/raises-early")
    async def raises_early(websocket: WebSocket) -> None:
        raise ProbeError(f"before the handshake of {websocket.url.path}")

    @app.websocket("/socket/denied")
    async def denied(websocket: WebSocket) -> None:
        await websocket.close(4403)

    @app.websocket("/socket/refused")
    async def refused(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("who are you?", 401))

    @app.websocket("/socket/waits")
    async def waits(websocket: WebSocket) -> None:
        await websocket.accept()
        gate.open()
        await gate.stand()
        while True:
            await websocket.receive_text()

    app.router.routes.append(WebSocketRoute("/socket/starlette", echo_once))


async def echo_once(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(1001)
