"""Clients that leave: told as `client_closed`, never as an error of the service, and the app notices as if alone."""

from typing import Any

import pytest

from support.probe_app import make_app
from support.probe_client import Connection, request
from support.probe_server import Watched, watching

LEAVING = ["close", "reset"]


@pytest.fixture(scope="module", params=["h11", "httptools"])
def watched(request):
    if request.param == "httptools":
        pytest.importorskip("httptools")
    with watching(make_app(), request.param) as served:
        yield served


@pytest.fixture(scope="module")
def between():
    with watching(make_app(base_middleware=True), "h11") as served:
        yield served


def leave(served: Watched, path: str, name: str, how: str, *, read: bytes = b"") -> dict[str, Any]:
    """Ask, leave while the app stands at the gate, and let the app go on once the server knows."""
    served.gate.close()
    with Connection(served.port) as connection:
        connection.send(request("GET", path, [("X-Request-ID", name)]))
        served.gate.wait_for_arrival()
        if read:
            assert connection.read_until(read).endswith(read)
        connection.reset() if how == "reset" else connection.leave()
    served.wait_until_clients_are_gone()
    served.gate.open()
    return served.wait_for_access(name)


def told(entry) -> tuple[int, object, str]:
    return entry["httpRequest"]["status"], entry.get("route"), entry["outcome"]


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("path", ["/held", "/sync-held", "/polled-until-left", "/held-boom"])
def test_a_client_that_leaves_before_the_response_is_499(watched, path, how):
    with watched.counting("http_request_total") as added:
        entry = leave(watched, path, f"before{path.strip('/')}-{how}", how)
    assert told(entry) == (499, path, "client_closed")
    assert entry["severity"] not in {"ERROR", "CRITICAL"}
    assert added["http_request_total"] == {(path, "GET", "client_closed", "499"): 1}


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize(
    ("path", "route"),
    [("/held-stream", "/held-stream"), ("/raw/deaf", "/raw/{path}"), ("/raw/deaf-and-broken", "/raw/{path}")],
)
def test_a_client_that_leaves_during_the_response_keeps_its_status(watched, path, route, how):
    with watched.counting("http_request_total") as added:
        entry = leave(watched, path, f"during{path.replace('/', '-')}-{how}", how, read=b"first")
    assert told(entry) == (200, route, "client_closed")
    assert entry["severity"] not in {"ERROR", "CRITICAL"}
    assert added["http_request_total"] == {(route, "GET", "client_closed", "200"): 1}


@pytest.mark.parametrize("path", ["/held-stream", "/raw/deaf"])
def test_bytes_for_a_client_that_has_left_are_not_sent(watched, path):
    entry = leave(watched, path, f"bytes{path.replace('/', '-')}", "reset", read=b"first")
    assert entry["httpRequest"]["responseSize"] == "5"


# `request.is_disconnected()` never answers below a BaseHTTPMiddleware, also in a bare app.
@pytest.mark.parametrize("path", ["/held", "/sync-held", "/held-boom"])
def test_the_same_holds_with_a_middleware_in_between(between, path):
    entry = leave(between, path, f"between{path.strip('/')}", "reset")
    assert told(entry) == (499, path, "client_closed")


def test_a_client_that_leaves_during_its_upload_is_no_error_of_ours(watched):
    watched.gate.close()
    with Connection(watched.port) as connection:
        head = [("X-Request-ID", "upload"), ("Content-Length", "1000000")]
        connection.send(request("POST", "/held-upload", head) + b"x" * 1000)
        watched.gate.wait_for_arrival()
        connection.reset()
    # starlette.requests.ClientDisconnect, which nobody handles: the app raises because the client has left.
    assert told(watched.wait_for_access("upload")) == (499, "/held-upload", "client_closed")


def test_a_client_that_leaves_during_background_work_has_had_its_answer(watched):
    watched.gate.close()
    with Connection(watched.port) as connection:
        connection.send(request("GET", "/held-task", [("X-Request-ID", "task")]))
        assert connection.answer().body == b'"task"'
        watched.gate.wait_for_arrival()
        connection.reset()
    watched.wait_until_clients_are_gone()
    watched.gate.open()
    assert told(watched.wait_for_access("task")) == (200, "/held-task", "ok")


def test_a_client_that_stays_gets_everything_through_the_gate(watched):
    watched.gate.close()
    with Connection(watched.port) as connection:
        connection.send(request("GET", "/raw/deaf", [("X-Request-ID", "stays")]))
        watched.gate.wait_for_arrival()
        watched.gate.open()
        answer = connection.answer()
    entry = watched.wait_for_access("stays")
    assert answer.complete
    assert told(entry) == (200, "/raw/{path}", "ok")
    assert entry["httpRequest"]["responseSize"] == str(len(answer.body))


def test_requests_that_are_held_are_in_flight(watched):
    watched.gate.close()
    connections = [Connection(watched.port) for _ in range(5)]
    for number, connection in enumerate(connections):
        connection.send(request("GET", "/held", [("X-Request-ID", f"flight{number}")]))
    watched.wait_for("5 requests in flight", lambda: watched.value("http_requests_in_flight") == 5)
    watched.gate.open()
    for connection in connections:
        with connection:
            assert connection.answer().status == 200
    watched.wait_until_idle()
