"""Every kind of request over real sockets: the client sees the same bytes, and the request is told right."""

from dataclasses import dataclass
from typing import Any

import pytest

from support.probe_app import make_app, without_native_telemetry
from support.probe_client import HOST, ask, chunked, request
from support.probe_routes import mounts_are_included
from support.probe_server import Served, Watched, serving, watching

MEGABYTE = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Case:
    """A request, and how it must be told."""

    name: str
    path: str
    status: int
    #: The template; None: no route matched.
    route: str | None
    outcome: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    #: The exception that the entry names.
    error: str | None = None
    #: HTTP implementations that let the request through to the app.
    servers: tuple[str, ...] = ("h11", "httptools")
    version: str = "1.1"
    #: Whether the server closes the connection at a time of its own: the app fails after the response.
    closes: bool = False
    #: Body bytes of the app, where the server made the body that arrives.
    size: int | None = None

    def __post_init__(self) -> None:
        if not self.outcome:
            outcome = "ok" if self.status < 400 else "client_error" if self.status < 500 else "server_error"
            object.__setattr__(self, "outcome", outcome)

    def bytes(self, request_id: str) -> bytes:
        headers = (*self.headers, ("X-Request-ID", request_id))
        return request(self.method, self.path, headers, self.body, version=self.version)


PROBE_ERROR = "support.probe_gate.ProbeError"
RESET = "ConnectionResetError"
FRAGILE = "/fragile-dependency"
CUSTOMER = ("Host", "ada.customers.example.org")
FOREIGN = ("Origin", "https://other.example")
CORS = (("Origin", "https://shop.example"), ("Access-Control-Request-Method", "GET"))

ANSWERED = [
    Case("plain", "/plain", 200, "/plain"),
    Case("a query is no part of the route", "/plain?secret=1", 200, "/plain"),
    Case("HTTP/1.0", "/plain", 200, "/plain", version="1.0"),
    Case("the client closes", "/plain", 200, "/plain", headers=(("Connection", "close"),)),
    Case("sync endpoint", "/sync", 200, "/sync"),
    Case("path parameter", "/items/7", 200, "/items/{item_id}"),
    Case("path convertor", "/files/a/b/c.txt", 200, "/files/{name:path}"),
    Case("escaped path", "/files/caf%C3%A9%20%2F%0A", 200, "/files/{name:path}"),
    Case("no content", "/nothing-inside", 204, "/nothing-inside"),
    Case("not modified", "/unchanged", 304, "/unchanged"),
    Case("two cookies", "/cookies", 200, "/cookies"),
    Case("two megabytes", "/large", 200, "/large"),
    Case("file", "/file", 200, "/file"),
    Case("part of a file", "/file", 206, "/file", headers=(("Range", "bytes=10-19"),)),
    Case("lifespan state", "/state", 200, "/state"),
    Case("Starlette route", "/starlette/me", 200, "/starlette/{name}"),
    Case("FastAPI's own routes", "/openapi.json", 200, "/openapi.json"),
    Case("HEAD", "/starlette/me", 200, "/starlette/{name}", method="HEAD"),
    Case("HEAD on a GET route of FastAPI", "/plain", 405, "/plain", method="HEAD"),
    Case("OPTIONS", "/plain", 405, "/plain", method="OPTIONS"),
    Case("CORS preflight", "/plain", 200, None, method="OPTIONS", headers=CORS),
    Case("CORS preflight refused", "/plain", 400, None, method="OPTIONS", headers=(FOREIGN, CORS[1])),
    Case("CORS", "/plain", 200, "/plain", headers=CORS[:1]),
    Case("upload of a megabyte", "/upload", 200, "/upload", method="POST", body=MEGABYTE),
    Case(
        "chunked upload", "/upload", 200, "/upload", method="POST",
        headers=(("Transfer-Encoding", "chunked"),), body=chunked([b"a" * 1000, b"b", b"c" * 70_000]),
    ),
    Case("upload that nobody reads", "/unread", 200, "/unread", method="POST", body=b"x" * 1000),
    Case(
        "upload after a 100 Continue", "/upload", 200, "/upload", method="POST",
        headers=(("Expect", "100-continue"),), body=b"x" * 1000,
    ),
    Case("polling for a disconnect", "/polled", 200, "/polled"),
    Case("dependency with yield", "/dependency", 200, "/dependency", headers=(("X-Name", "ada"),)),
    Case("bound fields", "/logs", 200, "/logs", headers=(("X-Name", "ada"),)),
]  # fmt: skip

NUMBERS = "/numbers/{number:int}/and/{other}/things/{thing}"
BELOW = Case("sub app in an included router", "/holder/below/deep/x", 200, "/holder/below/deep/{name}")
ROUTED = [
    Case("included router", "/second/leaf/x", 200, "/second/leaf/{name}"),
    Case("router with its own prefix", "/api/v1/branch/own/7", 200, "/api/{version}/branch/own/{number}"),
    Case("nested routers", "/api/v1/branch/leaf/x", 200, "/api/{version}/branch/leaf/{name}"),
    Case("422 in a nested router", "/api/v1/branch/own/x", 422, "/api/{version}/branch/own/{number}"),
    Case("405 in a nested router", "/api/v1/branch/leaf/x", 405, "/api/{version}/branch/leaf/{name}", method="PUT"),
    Case("sub app", "/sub/things/x", 200, "/sub/things/{thing}"),
    Case("router in a sub app", "/sub/router/x", 200, "/sub/router/{name}"),
    Case("sub app in a sub app", "/sub/inner/9/things/x", 200, "/sub/inner/{room}/things/{thing}"),
    Case("router in a sub app in a sub app", "/sub/inner/9/router/x", 200, "/sub/inner/{room}/router/{name}"),
    Case("exception in a sub app", "/sub/boom", 500, "/sub/boom", error=PROBE_ERROR),
    Case("405 in a sub app", "/sub/things/x", 405, "/sub/things/{thing}", method="DELETE"),
    Case("404 in a sub app", "/sub/nothing", 404, None),
    Case("mount with a parameter", "/tenants/acme/things/x", 200, "/tenants/{tenant}/things/{thing}"),
    Case("404 in a mount with a parameter", "/tenants/acme/nothing", 404, None),
    Case("parameter like the mount's own name", "/tenants/tenants/things/x", 200, "/tenants/{tenant}/things/{thing}"),
    Case("parameter like a later part", "/tenants/things/things/x", 200, "/tenants/{tenant}/things/{thing}"),
    Case("parameters of one value", "/tenants/x/things/x", 200, "/tenants/{tenant}/things/{thing}"),
    Case("escaped mount parameter", "/tenants/a%20b/things/x", 200, "/tenants/{tenant}/things/{thing}"),
    Case("typed mount parameters", "/numbers/007/and/8/things/x", 200, NUMBERS),
    Case("mount parameters of one value", "/numbers/7/and/7/things/7", 200, NUMBERS),
    Case("mount parameter that an inner one hides", "/shadow/outer/of/inner", 200, "/shadow/{name}/of/{name}"),
    Case("sub app that is told where it is", "/own-root/things/x", 200, "/own-root/things/{thing}"),
    Case("sub app that believes to be elsewhere", "/other-root/things/x", 404, None),
    Case("Starlette sub app", "/star/me", 200, "/star/{name}"),
    Case("Starlette mount in a sub app", "/star/deep/x", 200, "/star/deep/x"),
    Case("404 in a Starlette sub app", "/star/a/b/c", 404, None),
    Case("opaque mount", "/raw/odd-headers", 299, "/raw/{path}"),
    Case("404 of an opaque mount", "/raw/nothing", 404, "/raw/{path}"),
    Case("opaque mount with a parameter", "/raw-of/ada/x", 200, "/raw-of/{owner}/{path}", method="PUT", body=b"12345"),
    Case("static file", "/static/file.txt", 200, "/static/{path}"),
    Case("HEAD of a static file", "/static/file.txt", 200, "/static/{path}", method="HEAD"),
    Case("missing static file", "/static/missing.txt", 404, "/static/{path}"),
    Case("router below a router", "/holder/own", 200, "/holder/own"),
    Case("Host route", "/hosted/x", 200, "/hosted/{name}", headers=(("Host", "api.example.org"),)),
    Case("Host route with a parameter", "/hosted/x", 200, "/hosted/{name}", headers=(CUSTOMER,)),
    Case("404 of a Host route", "/plain", 404, None, headers=(("Host", "api.example.org"),)),
    Case("404", "/nothing", 404, None),
    Case("404 of the root", "/", 404, None),
    Case("405", "/plain", 405, "/plain", method="DELETE"),
    Case("slash redirect", "/slash", 307, None),
    Case("slash redirect of a parameter", "/items/7/", 307, None),
    Case("slash redirect in a sub app", "/sub/things/x/", 307, None),
    Case("method without a meaning here", "/plain", 405, "/plain", method="PROPFIND"),
    Case("made-up method", "/plain", 405, "/plain", method="FOO123", servers=("h11",)),
    *([BELOW] if mounts_are_included() else []),
]  # fmt: skip

REFUSED = [
    Case("422", "/items/seven", 422, "/items/{item_id}"),
    Case("HTTPException", "/status/418", 418, "/status/{code}"),
    Case("HTTPException of the server", "/status/502", 502, "/status/{code}"),
    Case("503 that nobody shed", "/status/503", 503, "/status/{code}"),
    Case("429 that nobody shed", "/status/429", 429, "/status/{code}"),
    Case("504", "/status/504", 504, "/status/{code}", "timeout"),
    Case("429 of the service's own limiter", "/shed/429", 429, "/shed/{code}", "shed"),
    Case("503 of the service's own limiter", "/shed/503", 503, "/shed/{code}", "shed"),
    Case("200 in spite of the limiter", "/shed/200", 200, "/shed/{code}"),
    Case("500 in spite of the limiter", "/shed/500", 500, "/shed/{code}"),
    Case("exception", "/boom", 500, "/boom", error=PROBE_ERROR),
    Case("exception in a thread", "/sync-boom", 500, "/sync-boom", error=PROBE_ERROR),
    Case("unhandled timeout", "/late", 500, "/late", "timeout", error="TimeoutError"),
    Case("a back end's reset is not the client's", "/os-error", 500, "/os-error", error=RESET),
    Case("exception with a handler", "/handled", 409, "/handled"),
    Case("no response", "/raw/no-response", 500, "/raw/{path}", size=0),
    Case("body before the start", "/raw/body-first", 500, "/raw/{path}", error="RuntimeError"),
]

STREAMED = [
    Case("five chunks", "/stream", 200, "/stream"),
    Case("sync iterator", "/sync-stream", 200, "/sync-stream"),
    Case("server-sent events", "/events", 200, "/events"),
    Case("empty chunks", "/raw/empty-chunks", 200, "/raw/{path}"),
    Case("no headers", "/raw/no-headers", 200, "/raw/{path}"),
    Case("exception half way", "/broken-stream", 200, "/broken-stream", "aborted_stream", error=PROBE_ERROR),
    Case("timeout half way", "/late-stream", 200, "/late-stream", "aborted_stream", error="TimeoutError"),
    Case("a back end's reset", "/reset-stream", 200, "/reset-stream", "aborted_stream", error=RESET),
    Case("no body after the start", "/raw/start-only", 200, "/raw/{path}", "aborted_stream"),
    Case("no end of the body", "/raw/half", 200, "/raw/{path}", "aborted_stream"),
    Case("message after the end", "/raw/after-the-end", 200, "/raw/{path}", error="RuntimeError", closes=True),
    Case("background task that raises", "/broken-task", 200, "/broken-task", error=PROBE_ERROR, closes=True),
    Case("background task", "/task", 200, "/task"),
    Case("dependency that fails to close", FRAGILE, 200, FRAGILE, error=PROBE_ERROR, closes=True),
]  # fmt: skip

CASES = [*ANSWERED, *ROUTED, *REFUSED, *STREAMED]


def bare_app(**variant: Any):
    return make_app(**variant, **without_native_telemetry())


@pytest.fixture(scope="module", params=["h11", "httptools"])
def http(request) -> str:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    return str(request.param)


@pytest.fixture(scope="module")
def bare(http):
    with serving(bare_app(), http) as served:
        yield served


@pytest.fixture(scope="module")
def watched(http):
    with watching(make_app(), http) as served:
        yield served


def compare(case: Case, bare: Served, watched: Watched) -> dict[str, Any]:
    """The access entry, after the answers have been compared and the metrics been read."""
    request_id = f"case-{abs(hash((case, watched.port)))}"
    expected = ask(bare.port, case.bytes(request_id), case.method)
    with watched.counting("http_request_total", "http_request_duration_seconds") as added:
        answer = ask(watched.port, case.bytes(request_id), case.method)
        entry = watched.wait_for_access(request_id)
    if case.closes:
        answer.reusable = expected.reusable
    assert answer.comparable == expected.comparable
    if answer.status_line.endswith(b"OK"):
        assert answer.header("x-request-id") == [request_id.encode()]
    method = case.method if case.method not in {"PROPFIND", "FOO123"} else "_OTHER"
    told = (case.route or "_unmatched", method, case.outcome, str(case.status))
    assert added["http_request_total"] == {told: 1}
    assert added["http_request_duration_seconds"] == {told[:2]: 1}
    told_in_entry = (entry["httpRequest"]["requestMethod"], entry["httpRequest"]["status"], entry.get("route"))
    assert told_in_entry == (case.method, case.status, case.route)
    assert entry["outcome"] == case.outcome
    assert entry.get("error_type") == case.error
    if answer.complete:
        size = len(answer.body) if case.size is None else case.size
        assert int(entry["httpRequest"]["responseSize"]) == size
    return entry


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_client_sees_the_same_bytes_and_the_request_is_told_right(case, http, bare, watched):
    if http not in case.servers:
        pytest.skip(f"{http} refuses the request itself")
    compare(case, bare, watched)


VARIANTS: dict[str, dict[str, Any]] = {
    "base middleware": {"base_middleware": True},
    "compression": {"gzip": True},
    "handler for every exception": {"catch_all": True},
    "debug pages": {"debug": True},
}
#: What middleware and handlers change the most.
VARIED = [
    case
    for case in CASES
    if case.path in {"/plain", "/sync", "/large", "/file", "/stream", "/events", "/boom", "/late", "/broken-stream"}
    or case.path in {"/upload", "/tenants/acme/things/x", "/nothing", "/status/503", "/shed/429", "/handled", "/polled"}
]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda name: name)
def varied(request):
    variant = VARIANTS[request.param]
    with serving(bare_app(**variant), "h11") as bare, watching(make_app(**variant), "h11") as watched:
        yield request.param, bare, watched


@pytest.mark.parametrize("case", VARIED, ids=lambda case: case.name)
def test_other_middleware_and_handlers_change_nothing(case, varied):
    variant, bare, watched = varied
    changed: dict[str, Any] = {"headers": (*case.headers, ("Accept-Encoding", "gzip"))}
    if variant == "base middleware" and case.outcome == "aborted_stream":
        # BaseHTTPMiddleware ends a broken body as if it were whole, before it raises: the client cannot tell either.
        changed["outcome"] = "ok"
    accepted = Case(**{**vars(case), **changed})
    if variant == "debug pages" and case.path in {"/boom", "/late"}:
        pytest.skip("the page shows the stack, of which the layer is a part")
    compare(accepted, bare, watched)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/plain", "/plain"),
        ("/tenants/acme/things/x", "/tenants/{tenant}/things/{thing}"),
        ("/sub/inner/9/router/x", "/sub/inner/{room}/router/{name}"),
        ("/raw/odd-headers", "/raw/{path}"),
        ("/static/file.txt", "/static/{path}"),
        ("/sub/nothing", None),
        ("/nothing", None),
        ("/slash", None),
    ],
)
@pytest.mark.parametrize("given", ["by the server", "by the app", "by both", "by the app, and not in the path"])
def test_a_root_path_is_no_part_of_the_route(path, route, given, root_paths):
    bare, watched = root_paths[given]
    # uvicorn puts its own root path before what the client asked for.
    asked = f"/proxy{path}" if given == "by the app" else path
    if given == "by the app, and not in the path" and path.count("/") > 1:
        pytest.skip("mounts need the root path in the path: FastAPI itself answers 404")
    status = {None: 404, "/raw/{path}": 299}.get(route, 200) if path != "/slash" else 307
    compare(Case(f"{given} {path}", asked, status, route), bare, watched)


@pytest.fixture(scope="module")
def root_paths():
    own: dict[str, Any] = {"root_path": "/proxy"}
    server = "/proxy"
    with (
        serving(bare_app(), "h11", root_path=server) as bare_1,
        watching(make_app(), "h11", root_path=server) as watched_1,
        serving(bare_app(**own), "h11") as bare_2,
        watching(make_app(**own), "h11") as watched_2,
        serving(bare_app(**own), "h11", root_path=server) as bare_3,
        watching(make_app(**own), "h11", root_path=server) as watched_3,
    ):
        yield {
            "by the server": (bare_1, watched_1),
            "by the app": (bare_2, watched_2),
            "by both": (bare_3, watched_3),
            "by the app, and not in the path": (bare_2, watched_2),
        }


def test_pipelined_requests_are_answered_and_told_in_their_order(bare, watched):
    from support.probe_client import Connection  # noqa: PLC0415

    data = b"".join(
        request("GET", path, [("X-Request-ID", f"pipe{n}")]) for n, path in enumerate(["/plain", "/stream", "/nothing"])
    )
    answers = []
    for served in (bare, watched):
        with Connection(served.port) as connection:
            connection.send(data)
            answers.append([connection.answer().comparable for _ in range(3)])
    assert answers[0] == answers[1]
    routes = [watched.wait_for_access(f"pipe{n}").get("route") for n in range(3)]
    assert routes == ["/plain", "/stream", None]


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTX/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: x\r\n\r\n".encode(),
    ],
)
def test_what_the_server_refuses_itself_is_no_request(garbage, bare, watched):
    before = len(watched.lines)
    assert ask(watched.port, garbage).comparable == ask(bare.port, garbage).comparable
    assert [line for line in watched.lines[before:] if b'"httpRequest"' in line] == []
