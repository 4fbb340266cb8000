"""One app with every kind of request that a service meets, for comparing it bare and instrumented.

Nothing here knows telemetry, but for `shed()`, `bind()` and a logger, which are silent in an app that is not observed.
"""

import asyncio
import hashlib
import inspect
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from app.core import bind, shed

from . import probe_routes
from .probe_gate import GATE_SECONDS, Gate, ProbeError, deprecations_allowed, hello

#: Length of the file that is served as `/static/file.txt` and `/file`.
FILE_BYTES = 10_000
_log = logging.getLogger("probe")


class HandledError(Exception):
    """Answered by the app's own exception handler."""


def without_native_telemetry() -> dict[str, Any]:
    """Arguments for FastAPI that keep its own telemetry off, where it has one (>= 0.142)."""
    if "telemetry" not in inspect.signature(FastAPI.__init__).parameters:
        return {}
    return {"telemetry": {"tracing": False, "metrics": False, "logs": False}}


def make_app(
    *,
    base_middleware: bool = False,
    gzip: bool = False,
    catch_all: bool = False,
    debug: bool = False,
    root_path: str = "",
    **options: Any,
) -> FastAPI:
    """The app; `app.state.gate` is its gate.

    Args:
        base_middleware: With a `BaseHTTPMiddleware` in between.
        gzip: With Starlette's compression.
        catch_all: With a handler for every exception.
        debug: Starlette's debug pages.
        root_path: The app's own.
        options: For FastAPI, here and in the apps below.
    """
    with deprecations_allowed():
        app = FastAPI(lifespan=_lifespan, debug=debug, root_path=root_path, **options)
    app.state.gate = Gate()
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    if base_middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=_between)
    if gzip:
        app.add_middleware(GZipMiddleware, minimum_size=100)
    app.add_exception_handler(HandledError, _handled)
    if catch_all:
        app.add_exception_handler(Exception, _caught)
    _answers(app)
    _failures(app)
    _streams(app)
    _around(app)
    probe_routes.add(app, static_folder(), options)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"answer": "forty-two"}


async def _between(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["x-between"] = "yes"
    return response


async def _handled(_request: Request, error: Exception) -> Response:
    return JSONResponse({"handled": str(error)}, 409)


async def _caught(_request: Request, error: Exception) -> Response:
    return JSONResponse({"caught": type(error).__name__}, 500, headers={"x-caught": "yes"})


def _answers(app: FastAPI) -> None:  # noqa: C901  # one endpoint after the other
    @app.get("/plain")
    async def plain() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/again")
    async def again() -> dict[str, bool]:
        return {"again": True}

    @app.get("/sync")
    def sync() -> dict[str, str]:
        return {"thread": "pool"}

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/files/{name:path}")
    async def file_name(name: str) -> str:
        return name

    @app.get("/slash/")
    async def slash() -> str:
        return "slash"

    @app.get("/nothing-inside", status_code=204)
    async def nothing_inside() -> None: ...

    @app.get("/unchanged")
    async def unchanged() -> Response:
        return Response(status_code=304, headers={"etag": '"1"'})

    @app.get("/cookies")
    async def cookies() -> Response:
        response = PlainTextResponse("ok")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(range(256)) * 8192, media_type="application/octet-stream")

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(static_folder() / "file.txt")

    @app.get("/status/{code}")
    async def status(code: int) -> Response:
        raise HTTPException(code, "as asked", headers={"x-asked": "yes"})

    @app.get("/shed/{code}")
    async def shed_(code: int) -> Response:
        shed()
        return PlainTextResponse("too much", code)

    @app.get("/state")
    async def state(request: Request) -> str:
        return str(request.state.answer)

    @app.post("/upload")
    async def upload(request: Request) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
        return {"size": size, "sha256": digest.hexdigest()}

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    app.router.routes.append(Route("/starlette/{name}", hello))


def _failures(app: FastAPI) -> None:  # noqa: C901  # one endpoint after the other
    @app.get("/boom")
    async def boom() -> None:
        raise ProbeError("boom")

    @app.get("/sync-boom")
    def sync_boom() -> None:
        raise ProbeError("boom in a thread")

    @app.get("/late")
    async def late() -> None:
        raise TimeoutError("the database took too long")

    @app.get("/os-error")
    async def os_error() -> None:
        raise ConnectionResetError("not the client: a back end")

    @app.get("/handled")
    async def handled() -> None:
        raise HandledError("by the app")

    @app.get("/broken-stream")
    async def broken_stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"12345"
            raise ProbeError("half way")

        return StreamingResponse(chunks())

    @app.get("/reset-stream")
    async def reset_stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            if app.debug:
                yield b"an async generator has to yield somewhere"
            raise ConnectionResetError("not the client: a back end")

        return StreamingResponse(chunks())

    @app.get("/late-stream")
    async def late_stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"12345"
            raise TimeoutError("half way")

        return StreamingResponse(chunks())


def _streams(app: FastAPI) -> None:  # noqa: C901  # one endpoint after the other
    gate: Gate = app.state.gate

    @app.get("/stream")
    async def stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"chunk %d\n" % number
                await asyncio.sleep(0)

        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/sync-stream")
    async def sync_stream() -> Response:
        return StreamingResponse(iter(["one", "two", "three"]))

    @app.get("/timed-stream")
    async def timed_stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(0.1)
            yield b"last"

        return StreamingResponse(chunks(), background=BackgroundTask(asyncio.sleep, 0.1))

    @app.get("/events")
    async def events() -> Response:
        async def chunks() -> AsyncIterator[str]:
            for number in range(3):
                yield f"id: {number}\ndata: tick\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.get("/held")
    async def held() -> str:
        await gate.stand()
        return "held"

    @app.get("/sync-held")
    def sync_held() -> str:
        gate.stand_in_thread()
        return "held"

    @app.get("/held-stream")
    async def held_stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await gate.stand()
            for _ in range(50):
                yield b"more" * 100
                await asyncio.sleep(0)

        return StreamingResponse(chunks())

    @app.get("/held-boom")
    async def held_boom() -> None:
        await gate.stand()
        raise ProbeError("after the client has left")

    @app.get("/polled")
    async def polled(request: Request) -> int:
        """Works as long as somebody listens."""
        for count in range(3):
            if await request.is_disconnected():
                return count
        return 3

    @app.get("/polled-until-left")
    async def polled_until_left(request: Request) -> str:
        await gate.stand()
        async with asyncio.timeout(GATE_SECONDS):
            while not await request.is_disconnected():  # noqa: ASYNC110  # the polling is the case
                await asyncio.sleep(0.002)
        return "nobody listens"

    @app.post("/held-upload")
    async def held_upload(request: Request) -> int:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            gate.open()
            await gate.stand()
        return size


def _around(app: FastAPI) -> None:
    gate: Gate = app.state.gate

    @app.get("/task")
    async def task(tasks: BackgroundTasks) -> str:
        tasks.add_task(asyncio.sleep, 0.15)
        return "task"

    @app.get("/short-task")
    async def short_task(tasks: BackgroundTasks) -> str:
        tasks.add_task(asyncio.sleep, 0.003)
        return "task"

    @app.get("/held-task")
    async def held_task(tasks: BackgroundTasks) -> str:
        tasks.add_task(gate.stand)
        return "task"

    @app.get("/broken-task")
    async def broken_task(tasks: BackgroundTasks) -> str:
        async def fail() -> None:
            raise ProbeError("in the background")

        tasks.add_task(fail)
        return "task"

    def resource(x_name: Annotated[str, Header()] = "nobody") -> Iterator[str]:
        with bind(name=x_name):
            _log.info("opened")
            yield x_name
        _log.info("closed")

    def fragile() -> Iterator[str]:
        yield "fragile"
        raise ProbeError("while closing")

    @app.get("/dependency")
    def dependency(name: Annotated[str, Depends(resource)]) -> str:
        return name

    @app.get("/fragile-dependency")
    async def fragile_dependency(name: Annotated[str, Depends(fragile)]) -> str:
        return name

    @app.get("/logs")
    async def logs(request: Request, x_name: Annotated[str, Header()] = "nobody") -> str:
        with bind(name=x_name):
            _log.info("in the endpoint", extra={"number": 1})
            await asyncio.sleep(0)
            await asyncio.to_thread(_log.info, "in a thread")
            _log.warning("user agent %s", request.headers.get("user-agent"))
        return x_name


_FOLDER: list[Path] = []


def static_folder() -> Path:
    """A folder with one file, whose time is fixed: bare and instrumented answers carry the same `etag`."""
    if not _FOLDER:
        _KEEP.append(tempfile.TemporaryDirectory(prefix="probe-static-"))
        folder = Path(_KEEP[0].name)
        (folder / "file.txt").write_bytes(b"0123456789" * (FILE_BYTES // 10))
        _FOLDER.append(folder)
    return _FOLDER[0]


_KEEP: list[tempfile.TemporaryDirectory[str]] = []
