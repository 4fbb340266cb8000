"""The access entry: one line a request, rendered by hand under the rules of every other entry.

structlog costs more than the rest of a request's telemetry together, so this line does not go through it; a test
compares the keys of the two.
"""

from collections.abc import Callable
from http import HTTPStatus
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Final

from ..http import METHODS
from . import severity
from .entry import SPAN_ID, TRACE, TRACE_SAMPLED, Identity, Timestamps
from .processors import render

if TYPE_CHECKING:
    from ..monitoring_middleware import Exchange

_LOGGER: Final = "fastapi_cloudops.access"
# Fragments of user agents and addresses that come again; an attacker's inventions must not fill the memory.
_REMEMBERED: Final = 1024
_LONGEST: Final = 2048


class AccessLog:
    """Renders and writes the access entries of one app."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        write: Callable[[bytes], None],
        time_ns: Callable[[], int],
        *,
        tracing: bool,
    ) -> None:
        self._identity = identity
        self._write = write
        self._time_ns = time_ns
        self._tracing = tracing
        self._timestamps = Timestamps()
        self._quoted: dict[bytes, str] = {}
        self._heads: dict[tuple[str, str, int], str] = {}

    def __call__(self, exchange: "Exchange", error: BaseException | None) -> None:
        self._write(self.render(exchange, error).encode())

    def render(self, exchange: "Exchange", error: BaseException | None) -> str:
        """The line, with its newline."""
        scope = exchange.scope
        identity = self._identity()
        key = (scope["method"], exchange.template, exchange.status)
        head = self._heads.get(key) or self._head(key)
        headers = exchange.headers
        protocol = scope.get("http_version", "1.1")
        optional = ""
        if (agent := headers.get(b"user-agent")) is not None:
            optional = f',"userAgent":{self._quote(agent)}'
        if (client := scope.get("client")) is not None:
            optional += f',"remoteIp":{self._quote(client[0].encode())}'
        if (length := headers.get(b"content-length")) is not None and length.isdigit():
            optional += f',"requestSize":"{int(length)}"'
        link = ""
        if self._tracing:
            trace_id, span_id, sampled = exchange.trace
            link = (
                f',"{TRACE}":"{identity.trace_prefix}{trace_id}","{SPAN_ID}":"{span_id}"'
                f',"{TRACE_SAMPLED}":{"true" if sampled else "false"}'
            )
        if exchange.fields:
            link += "," + render(dict(exchange.fields)).decode()[1:-2]  # without its braces and newline
        if error is not None:
            link += _failure(error)
        return (
            f'{head},"requestUrl":{quote(scope["path"][:_LONGEST])},"responseSize":"{exchange.response_bytes}"{optional}'
            f',"latency":"{exchange.ended - exchange.started:.9f}s","protocol":"HTTP/{protocol}"}}'
            f',"time":"{self._timestamps.render(self._time_ns())}","request_id":"{exchange.request_id}"'
            f',"outcome":"{exchange.outcome}"{link},{identity.rendered}}}\n'
        )

    def _head(self, key: tuple[str, str, int]) -> str:
        method, template, status = key
        message = f"{method} {template or '(no route)'} {status} {_phrase(status)}".rstrip()
        route = f'"route":{quote(template)},' if template else ""
        head = (
            f'{{"severity":"{severity.of_status(status)}","message":{quote(message[:_LONGEST])},"logger":"{_LOGGER}",'
            f'{route}"httpRequest":{{"requestMethod":{quote(method[:_LONGEST])},"status":{status}'
        )
        if method in METHODS:  # what clients invent is not remembered
            self._heads[key] = head
        return head

    def _quote(self, raw: bytes) -> str:
        quoted = self._quoted.get(raw)
        if quoted is None:
            quoted = quote(raw[:_LONGEST].decode("latin-1"))
            if len(self._quoted) >= _REMEMBERED:
                self._quoted.clear()
            self._quoted[raw] = quoted
        return quoted


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _failure(error: BaseException) -> str:
    # The name only: the server logs the exception itself, with its stack trace, and a message may hold secrets.
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f',"error_type":{quote(name)}'
