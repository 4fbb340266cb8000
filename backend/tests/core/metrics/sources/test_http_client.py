import asyncio
import contextlib
import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest

from app.core import request_context
from app.core.metrics.sources import observe_httpx
from app.core.propagation.httpx import propagate_httpx
from support.servers import free_port


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.server.hold.wait(30)  # type: ignore[attr-defined]
            return
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("content-length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
            return
        status = 302 if self.path.startswith("/moved") else 404 if self.path == "/missing" else 200
        self.send_response(status)
        if status == 302:
            self.send_header("location", self.path.partition("?")[2] or "/found")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.hold = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.hold.set()  # type: ignore[attr-defined]
        running.shutdown()
        thread.join(10)


HOST = "127.0.0.1"


def test_answers_are_timed_by_host_method_and_status(server, metrics, counts):
    with httpx.Client(base_url=server, follow_redirects=True) as client:
        observe_httpx(client, metrics=metrics)
        assert client.get("/missing").status_code == 404
        assert client.get("/moved").text == "ok"
    assert counts("http_client_request_duration_seconds") == {
        (HOST, "GET", "404"): 1,
        (HOST, "GET", "302"): 1,
        (HOST, "GET", "200"): 1,
    }
    assert counts("http_client_errors_total") == {}


async def test_an_async_client_is_observed_too(server, metrics, counts):
    async with httpx.AsyncClient(base_url=server) as client:
        observe_httpx(client, metrics=metrics)
        await client.get("/")
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/silent", timeout=0.1)
    assert counts("http_client_request_duration_seconds") == {(HOST, "GET", "200"): 1}
    assert counts("http_client_errors_total") == {(HOST, "timeout"): 1}


async def test_a_request_that_is_given_up_is_cancelled(server, metrics, counts):
    async with httpx.AsyncClient(base_url=server) as client:
        observe_httpx(client, metrics=metrics)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get("/silent")
    assert counts("http_client_errors_total") == {(HOST, "cancelled"): 1}


def test_a_server_that_is_not_there_is_a_connect_error(metrics, counts):
    with httpx.Client() as client:
        observe_httpx(client, metrics=metrics)
        with pytest.raises(httpx.ConnectError):
            client.get(f"http://127.0.0.1:{free_port()}/")
    assert counts("http_client_errors_total") == {(HOST, "connect"): 1}


def test_a_body_that_ends_early_is_a_protocol_error(server, metrics, counts):
    with httpx.Client(base_url=server) as client:
        observe_httpx(client, metrics=metrics)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/cut")
    assert counts("http_client_errors_total") == {(HOST, "protocol"): 1}


def test_a_failure_after_a_redirect_is_counted_once(server, metrics, counts):
    with httpx.Client(base_url=server, follow_redirects=True) as client:
        observe_httpx(client, metrics=metrics)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/moved?/cut")
    assert counts("http_client_errors_total") == {(HOST, "protocol"): 1}


def test_a_response_closed_early_is_no_error(server, metrics, counts):
    with httpx.Client(base_url=server) as client:
        observe_httpx(client, metrics=metrics)
        with client.stream("GET", "/") as response:
            for _ in response.iter_raw():
                break
    assert counts("http_client_errors_total") == {}


def test_hosts_beyond_the_allowed_ones_are_other(server, metrics, counts):
    with httpx.Client() as client:
        observe_httpx(client, hosts=["api.example.com"], metrics=metrics)
        client.get(server)
    assert counts("http_client_request_duration_seconds") == {("other", "GET", "200"): 1}


def test_without_a_list_the_first_hosts_are_named_and_the_rest_is_other(metrics, cells):
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=transport) as client:
        observe_httpx(client, metrics=metrics)
        for number in range(500):
            client.get(f"http://host-{number}.example.com/")
    hosts = {values[0] for values in cells("http_client_request_duration_seconds")}
    assert len(hosts) == 21
    assert {"host-0.example.com", "other"} <= hosts


def test_made_up_methods_are_one(metrics, cells):
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
        observe_httpx(client, metrics=metrics)
        for method in ("BREW", "WHEN"):
            client.request(method, "http://coffee/")
    assert list(cells("http_client_request_duration_seconds")) == [("coffee", "_OTHER", "200")]


def test_the_users_own_trace_is_called_as_before(server, metrics):
    steps: list[str] = []
    with httpx.Client(base_url=server, follow_redirects=True) as client:
        observe_httpx(client, metrics=metrics)
        client.get("/moved", extensions={"trace": lambda name, info: steps.append(name)})
    assert steps.count("http11.receive_response_headers.complete") == 2


def test_ids_are_sent_beside_it_as_before(metrics, counts):
    seen: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append("traceparent" in request.headers)
        headers = {"location": "http://other.example.com/"}
        return httpx.Response(302, headers=headers) if len(seen) == 1 else httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        observe_httpx(client, metrics=metrics)
        propagate_httpx(client, "api.example.com")
        with request_context():
            client.get("http://api.example.com/")
    assert seen == [True, False]
    assert sum(counts("http_client_request_duration_seconds").values()) == 2


def test_observing_twice_counts_once_and_closing_ends_it(server, metrics, counts):
    with httpx.Client(base_url=server) as client:
        source = observe_httpx(client, metrics=metrics)
        assert observe_httpx(client, metrics=metrics) is source
        client.get("/")
        source.close()
        source.close()
        client.get("/")
        assert client.event_hooks == {"request": [], "response": []}
    assert counts("http_client_request_duration_seconds") == {(HOST, "GET", "200"): 1}


def test_an_error_of_ours_never_reaches_the_request(server, metrics, monkeypatch, internal_failures):
    with httpx.Client(base_url=server) as client:
        source = observe_httpx(client, metrics=metrics)

        def broken(host: str) -> str:
            raise RuntimeError("planted")

        monkeypatch.setattr(source, "hosts", broken)
        assert client.get("/").text == "ok"
    assert [where for where, _ in internal_failures] == ["httpx"]
    internal_failures.clear()
