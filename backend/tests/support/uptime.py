"""Something for uptime checks to look at: a small server on this machine that answers as a test tells it."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

Headers = dict[str, str]


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"ok"
    headers: Headers = {}  # noqa: RUF012  # never changed


class Seen(NamedTuple):
    method: str
    path: str
    headers: Headers
    """Names in lower case."""
    body: bytes


@dataclass
class Site:
    port: int = 0
    answer: Callable[[Seen], Reply] = lambda _: Reply()
    seen: list[Seen] = field(default_factory=list)


@contextlib.contextmanager
def site(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    running = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, self.rfile.read(length))
            running.seen.append(seen)
            reply = running.answer(seen)
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for key, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(reply.body)

        do_POST = do_GET  # noqa: N815  # the base class looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
