"""The console page: a shell made on the server; the rest is plain ES modules that read the public APIs."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..project import Context
from . import runbooks

_HERE = Path(__file__).parent
_NANOS_PER_MILLISECOND = 1_000_000

# Log entries, labels and dashboards are written by strangers. The page puts them in as text only; should that ever be
# forgotten, the browser still refuses: no inline script or style, nothing from elsewhere, no string turned into markup.
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class _File(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def _read_files(root: Path) -> dict[str, _File]:
    """Every static file by its path; a request can name only what stood there when the emulator started."""
    files = {}
    for path in sorted(root.rglob("*")):
        if path.suffix in _MEDIA_TYPES:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            files[path.relative_to(root).as_posix()] = _File(body, _MEDIA_TYPES[path.suffix], etag)
    return files


def routes(context: Context) -> list[Route]:
    """`/` is the page, `/traces` that of traces, `/console/static/...` their files, `/runbooks/...` the runbooks.

    `/console/about` tells the project and the emulator's time.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("page.html")
    traces = environment.get_template("trace.html")
    files = _read_files(_HERE / "static")
    started = context.clock.now()

    async def show_page(request: Request) -> Response:
        del request
        return send_page(page.render(project=context.project_id))

    async def show_traces(request: Request) -> Response:
        del request
        return send_page(traces.render(project=context.project_id))

    async def send_file(request: Request) -> Response:
        file = files.get(request.path_params["path"])
        if file is None:
            return Response("Not found\n", status_code=404, media_type="text/plain", headers=_SECURITY_HEADERS)
        headers = {**_SECURITY_HEADERS, "Cache-Control": "no-cache", "ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)

    async def tell_about(request: Request) -> Response:
        del request
        # The emulator's clock may be a test's: charts end at its now, not at the browser's.
        about: dict[str, Any] = {
            "project": context.project_id,
            "now": context.clock.now() // _NANOS_PER_MILLISECOND,
            "started": started // _NANOS_PER_MILLISECOND,
        }
        return JSONResponse(about, headers={**_SECURITY_HEADERS, "Cache-Control": "no-store"})

    def send_page(body: str) -> Response:
        return Response(body, media_type="text/html", headers={**_SECURITY_HEADERS, "Cache-Control": "no-store"})

    return [
        *runbooks.routes(environment.get_template("runbook.html"), send_page),
        Route("/", show_page, methods=["GET"]),
        Route("/traces", show_traces, methods=["GET"]),
        Route("/console/about", tell_about, methods=["GET"]),
        Route("/console/static/{path:path}", send_file, methods=["GET"]),
    ]
