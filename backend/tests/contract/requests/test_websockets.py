"""Websocket connections over real sockets: the same frames, and one entry with the close code."""

from collections.abc import Sequence

import pytest

from support.probe_app import make_app, without_native_telemetry
from support.probe_client import Connection, closing, handshake, text
from support.probe_server import Served, Watched, serving, watching

METRICS = ("websocket_closed_total", "websocket_duration_seconds")
PROBE_ERROR = "support.probe_gate.ProbeError"


@pytest.fixture(scope="module")
def bare():
    pytest.importorskip("websockets")
    with serving(make_app(**without_native_telemetry()), "h11") as served:
        yield served


@pytest.fixture(scope="module")
def watched():
    pytest.importorskip("websockets")
    with watching(make_app(), "h11") as served:
        yield served


def talk(served: Served, path: str, sent: Sequence[bytes], headers=()) -> bytes:
    """Everything the server sends until it closes, without the date and our header."""
    received = b""
    with Connection(served.port) as connection:
        connection.send(handshake(path, headers))
        head = connection.read_until(b"\r\n\r\n")
        for data in sent:
            connection.send(data)
            received += read_frame(connection)
        while b" 101 " in head and not is_close(received) and (frame := read_frame(connection)):
            received += frame
            if is_close(frame):
                # Answered, so that the server does not wait for it.
                connection.send(closing(int.from_bytes(frame[2:4], "big")))
        received += connection.rest()
    lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"date:", b"x-request-id:"))]
    return b"\r\n".join(kept) + received


def read_frame(connection: Connection) -> bytes:
    header = connection.read(2)
    return header + connection.read(header[1] & 0x7F) if header else b""


def is_close(frames: bytes) -> bool:
    return len(frames) >= 2 and frames[0] & 0x0F == 8


@pytest.mark.parametrize(
    ("path", "route", "sent", "code", "accepted", "error"),
    [
        ("/socket/echo/ada", "/socket/echo/{name}", [text("hi"), closing(1000)], 1000, True, None),
        ("/socket/echo/ada", "/socket/echo/{name}", [text("hi"), closing(3001)], 3001, True, None),
        ("/socket/closes", "/socket/closes", [], 4001, True, None),
        ("/socket/starlette", "/socket/starlette", [text("hi")], 1001, True, None),
        ("/sub/socket/ada", "/sub/socket/{name}", [], 1000, True, None),
        ("/tenants/acme/socket/ada", "/tenants/{tenant}/socket/{name}", [], 1000, True, None),
        ("/socket/raises", "/socket/raises", [], 1011, True, PROBE_ERROR),
        ("/socket/raises-early", "/socket/raises-early", [], 1011, False, PROBE_ERROR),
        ("/socket/denied", "/socket/denied", [], 4403, False, None),
        ("/socket/nothing", None, [], 1000, False, None),
    ],
)
def test_the_client_sees_the_same_frames_and_the_connection_is_told_right(  # noqa: PLR0917  # a table and two servers
    path, route, sent, code, accepted, error, bare, watched
):
    name = f"ws{path.replace('/', '-')}-{code}"
    headers = [("X-Request-ID", name), ("Sec-WebSocket-Protocol", "chat")]
    expected = talk(bare, path, sent, headers)
    with watched.counting(*METRICS) as added:
        assert talk(watched, path, sent, headers) == expected
        entry = wait_for_end(watched, name)
    assert entry["message"] == f"WEBSOCKET {route or '(no route)'} {code}"
    assert entry.get("route") == route
    assert entry["accepted"] is accepted
    assert entry.get("error_type") == error
    endpoint = route or "_unmatched"
    assert added["websocket_closed_total"] == {(code_label(code), endpoint): 1}
    assert added["websocket_duration_seconds"] == ({(endpoint,): 1} if accepted else {})
    assert watched.value("websocket_connections", endpoint) == 0


def code_label(code: int) -> str:
    """Codes from 3000 on are chosen by clients and apps: two labels for two thousand numbers."""
    return str(code) if code < 3000 else f"{code // 1000}xxx"


def wait_for_end(watched: Watched, name: str) -> dict[str, object]:
    watched.wait_for("the connection's entry", lambda: watched.access(name))
    [entry] = watched.access(name)
    return entry


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_is_told_without_a_close_frame(how, watched):
    name = f"vanish-{how}"
    watched.gate.close()
    with Connection(watched.port) as connection:
        connection.send(handshake("/socket/echo/ada", [("X-Request-ID", name)]))
        assert b" 101 " in connection.read_until(b"\r\n\r\n")
        connection.send(text("hi"))
        assert connection.read_until(b"ada: hi")
        assert watched.value("websocket_connections", "/socket/echo/{name}") == 1
        connection.reset() if how == "reset" else connection.leave()
    entry = wait_for_end(watched, name)
    # RFC 6455, section 7.4.1: 1005 and 1006 stand for a connection without a close frame; servers differ in which.
    assert entry["message"] in {"WEBSOCKET /socket/echo/{name} 1005", "WEBSOCKET /socket/echo/{name} 1006"}
    assert entry["severity"] not in {"ERROR", "CRITICAL"}
    assert watched.value("websocket_connections", "/socket/echo/{name}") == 0


def test_open_connections_are_counted(watched):
    connections = [Connection(watched.port) for _ in range(3)]
    for connection in connections:
        connection.send(handshake("/socket/echo/ada"))
        assert b" 101 " in connection.read_until(b"\r\n\r\n")
    assert watched.value("websocket_connections", "/socket/echo/{name}") == 3
    for connection in connections:
        with connection:
            connection.send(closing(1000))
            connection.rest()
    watched.wait_for("no open connection", lambda: watched.value("websocket_connections", "/socket/echo/{name}") == 0)


@pytest.mark.parametrize("code", [1000, 1001, 3003])
def test_an_app_that_raises_because_the_client_has_left_has_not_failed(code, watched):
    name = f"waits-{code}"
    watched.gate.close()
    with Connection(watched.port) as connection:
        connection.send(handshake("/socket/waits", [("X-Request-ID", name)]))
        assert b" 101 " in connection.read_until(b"\r\n\r\n")
        connection.send(closing(code))
        connection.rest()
    # starlette.websockets.WebSocketDisconnect, which nobody handles.
    entry = wait_for_end(watched, name)
    assert entry["message"] == f"WEBSOCKET /socket/waits {code}"
    assert entry["severity"] not in {"ERROR", "CRITICAL"}


def test_a_refused_handshake_is_the_apps_own_answer(bare, watched):
    headers = [("X-Request-ID", "refused")]
    answer = talk(watched, "/socket/refused", [], headers)
    assert answer == talk(bare, "/socket/refused", [], headers)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"who are you?")
    entry = wait_for_end(watched, "refused")
    assert (entry["accepted"], entry.get("route")) == (False, "/socket/refused")


def test_close_codes_of_clients_cannot_fill_the_memory(watched):
    for number in range(3000, 3060):
        with Connection(watched.port) as connection:
            connection.send(handshake("/socket/echo/ada"))
            connection.read_until(b"\r\n\r\n")
            connection.send(closing(number))
            connection.rest()
    watched.wait_for("no open connection", lambda: watched.value("websocket_connections", "/socket/echo/{name}") == 0)
    codes = {labels for labels in watched.counted("websocket_closed_total") if "/socket/echo/{name}" in labels}
    assert len(codes) < 20, "a client chooses its close code among thousands: the label needs a bound"
