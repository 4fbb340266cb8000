"""A client that sees every byte: HTTP/1.1 and websocket frames over plain sockets, and ASGI without a server."""

import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

_SECONDS = 15.0
_END = b"\r\n\r\n"
#: The same `Host` for every server, so that redirects and host routes answer alike.
HOST = "probe.example"
#: What may differ between a bare and an instrumented app.
OURS = frozenset({b"date", b"x-request-id"})

Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


def request(
    method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", *, version: str = "1.1"
) -> bytes:
    """The bytes of a request; `Host` and `Content-Length` are added unless they are given."""
    given = [*headers]
    names = {name.lower() for name, _ in given}
    if "host" not in names:
        given.insert(0, ("Host", HOST))
    if body and not names & {"content-length", "transfer-encoding"}:
        given.append(("Content-Length", str(len(body))))
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in given), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(parts: Iterable[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@dataclass
class Answer:
    """What came back, byte for byte."""

    status_line: bytes = b""
    headers: Headers = field(default_factory=list)
    #: The body as it was on the wire, chunk framing included.
    wire: bytes = b""
    #: The body without its framing.
    body: bytes = b""
    #: Whether the body ended as it said it would.
    complete: bool = False
    #: Whether the server took another request on the same connection.
    reusable: bool = False

    @property
    def status(self) -> int:
        return int(self.status_line.split(b" ", 2)[1]) if self.status_line else 0

    def header(self, name: str) -> list[bytes]:
        return [value for given, value in self.headers if given.lower() == name.encode()]

    @property
    def comparable(self) -> tuple[bytes, Headers, bytes, bool, bool]:
        """Everything but what an instrumented app may change: the date, and our own header."""
        headers = [(name, value) for name, value in self.headers if name.lower() not in OURS]
        return self.status_line, headers, self.wire, self.complete, self.reusable


class Connection:
    """A client's connection; it ends with the `with` block."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reset(self) -> None:
        """Leave without a word: the server gets a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def leave(self) -> None:
        self._socket.close()

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark; less when the server closes before."""
        while mark not in self._buffer and self._more():
            pass
        at = self._buffer.find(mark)
        return self._take(len(self._buffer) if at < 0 else at + len(mark))

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and self._more():
            pass
        return self._take(min(size, len(self._buffer)))

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self._more():
            pass
        return self._take(len(self._buffer))

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65_536)
        except ConnectionError:
            data = b""
        self._buffer += data
        return bool(data)

    def answer(self, method: str = "GET") -> Answer:
        """Read one response; interim ones (1xx) count as part of its status line."""
        answer = Answer()
        while True:
            head = self.read_until(_END)
            if not head.endswith(_END):
                answer.wire = head
                return answer
            status_line, *lines = head[: -len(_END)].split(b"\r\n")
            answer.status_line += status_line
            answer.headers += [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
            if not status_line.split(b" ")[1].startswith(b"1"):
                break
            answer.status_line += b" | "
        self._read_body(answer, method)
        return answer

    def _read_body(self, answer: Answer, method: str) -> None:
        status = int(answer.status_line.rpartition(b"HTTP/")[2].split(b" ")[1])
        if method == "HEAD" or status in {204, 304}:
            answer.complete = True
        elif b"chunked" in answer.header("transfer-encoding"):
            self._read_chunks(answer)
        elif length := answer.header("content-length"):
            answer.wire = answer.body = self.read(int(length[-1]))
            answer.complete = len(answer.body) == int(length[-1])
        else:
            answer.wire = answer.body = self.rest()
            answer.complete = True

    def _read_chunks(self, answer: Answer) -> None:
        while line := self.read_until(b"\r\n"):
            size = int(line.strip() or b"0", 16)
            data = self.read(size + 2)
            answer.wire += line + data
            answer.body += data[:-2]
            if not size:
                answer.complete = data == b"\r\n"
                return


def ask(port: int, data: bytes, method: str = "GET") -> Answer:
    """One request and its response; then a second request tells whether the connection lives on."""
    with Connection(port) as connection:
        connection.send(data)
        answer = connection.answer(method)
        try:
            connection.send(request("GET", "/again"))
            answer.reusable = bool(connection.answer().status_line)
        except ConnectionError:
            answer.reusable = False
        return answer


# --- websocket frames (RFC 6455, section 5.2), masked with zeros so that they read as they are ---


def handshake(path: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    fixed = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ]
    return request("GET", path, [*fixed, *headers])


def frame(opcode: int, payload: bytes = b"") -> bytes:
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def text(value: str) -> bytes:
    return frame(1, value.encode())


def closing(code: int) -> bytes:
    return frame(8, struct.pack("!H", code))


# --- ASGI without a server ---


@dataclass
class Ran:
    """What an app did with one scope."""

    scope: dict[str, Any]
    sent: list[Message] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def comparable(self) -> list[dict[str, Any]]:
        """What was sent, without what an instrumented app may change: a start always has headers, one of them ours."""
        return [
            {**message, "headers": _theirs(message.get("headers", ()))}
            if "headers" in message or message["type"] in _STARTS
            else dict(message)
            for message in self.sent
        ]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def _theirs(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in OURS]


_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


def http_scope(path: str, method: str = "GET", headers: Iterable[tuple[str, str]] = (), **more: Any) -> dict[str, Any]:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", HOST.encode()), *encoded],
        "client": ("192.0.2.7", 40_000),
        "server": ("127.0.0.1", 80),
        "state": {"answer": "forty-two"},
        **more,
    }


def websocket_scope(path: str, **more: Any) -> dict[str, Any]:
    scope = http_scope(path, **more)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


def start(**more: Any) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [], **more}


def body(data: bytes | bytearray | memoryview = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def swallow(_message: Message) -> None:
    """A `send` into nowhere."""


async def run(app: App, scope: dict[str, Any], incoming: Sequence[Mapping[str, Any]] = ()) -> Ran:
    """Run an app on a scope; after the messages given, its client is silent until it leaves."""
    ran = Ran(scope)
    waiting: list[Any] = list(incoming) or [{"type": "http.request", "body": b"", "more_body": False}]
    gone = (
        {"type": "websocket.disconnect", "code": 1001} if scope["type"] == "websocket" else {"type": "http.disconnect"}
    )

    async def receive() -> Message:
        return waiting.pop(0) if waiting else gone

    async def send(message: Message) -> None:
        ran.sent.append(message)

    try:
        await app(scope, receive, send)
    except BaseException as error:  # noqa: BLE001  # compared, whatever it is
        ran.error = error
    return ran
