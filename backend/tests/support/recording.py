"""A web server on an address of its own that writes down the headers it gets, and redirects on request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

# Two addresses of this machine that are two hosts to every client.
HERE = "127.0.0.1"
FOREIGN = "127.0.0.2"


@dataclass
class Recorder:
    url: str
    seen: list[Message] = field(default_factory=list)

    def redirecting_to(self, *urls: str) -> str:
        """An address here that sends its visitors on to the next, and so on to the last."""
        target = urls[-1]
        for url in reversed((self.url, *urls[:-1])):
            target = f"{url}/redirect?to={quote(target, safe='')}"
        return target


@contextmanager
def recording(host: str = HERE) -> Iterator[Recorder]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            recorder.seen.append(self.headers)
            to = parse_qs(urlsplit(self.path).query).get("to")
            self.send_response(307 if to else 200)
            if to:
                self.send_header("Location", to[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has above
            """Nothing on the test's output."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        recorder = Recorder(f"http://{host}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
