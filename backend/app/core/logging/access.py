"""The access entry: one line a request, rendered by hand under the rules of every other entry.

structlog costs more than the rest of a request's telemetry together, so this line does not go through it; a test
compares the keys of the two.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Final

from ..http import METHODS
from ..redaction import Redaction
from . import severity
from .entry import INSERT_ID, SPAN_ID, TRACE, TRACE_SAMPLED, Identity, InsertIds, Timestamps
from .processors import render

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..websocket import Connection

_LOGGER: Final = "fastapi_cloudops.access"
# Fragments of user agents and addresses that come again; an attacker's inventions must not fill the memory.
_REMEMBERED: Final = 1024
_LONGEST: Final = 2048
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.~-]{0,12}+)*+")
#: What the app does after the response is told from here on; less is only its way back through the layers.
BACKGROUND_SECONDS: Final = 0.001


class AccessLog:
    """Renders and writes the access entries of one app."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        write: Callable[[bytes], None],
        time_ns: Callable[[], int],
        redaction: Redaction,
        *,
        tracing: bool,
    ) -> None:
        self._redaction = redaction
        self._identity = identity
        self._write = write
        self._time_ns = time_ns
        self._tracing = tracing
        self._timestamps = Timestamps()
        self._ids = InsertIds()
        self._cold = True
        self._quoted: dict[bytes, str] = {}
        self._heads: dict[tuple[str, str, int, str], str] = {}

    def __call__(self, exchange: "Exchange", error: BaseException | None) -> None:
        self._write(self.render(exchange, error).encode())

    def render(self, exchange: "Exchange", error: BaseException | None) -> str:
        """The line, with its newline."""
        scope = exchange.scope
        identity = self._identity()
        key = (scope["method"], exchange.template, exchange.status, exchange.outcome)
        head = self._heads.get(key) or self._head(key)
        headers = exchange.headers
        protocol = scope.get("http_version", "1.1")
        first_byte = (exchange.first_byte or exchange.ended) - exchange.started
        optional = ""
        if (agent := headers.get(b"user-agent")) is not None:
            optional = f',"userAgent":{self._quote(agent)}'
        if address := exchange.client_address:
            optional += f',"remoteIp":{self._quote(address.encode())}'
        if (length := headers.get(b"content-length")) is not None and length.isdigit():
            optional += f',"requestSize":"{int(length)}"'
        link = ""
        if self._tracing:
            trace_id, span_id, sampled = exchange.trace
            link = (
                f',"{TRACE}":"{identity.trace_prefix}{trace_id}","{SPAN_ID}":"{span_id}"'
                f',"{TRACE_SAMPLED}":{"true" if sampled else "false"}'
            )
        if exchange.user_id:
            link += f',"user_id":{quote(self._redaction.text(exchange.user_id)[:_LONGEST])}'
        if exchange.worst:
            link += f',"worst_severity":"{severity.of_level(exchange.worst)}"'
        if exchange.background >= BACKGROUND_SECONDS:
            link += f',"background_seconds":{exchange.background:.6f}'
        if self._cold:
            self._cold = False
            link += ',"cold_start":true'
        if exchange.fields:
            bound = self._redaction.fields(dict(exchange.fields))
            link += "," + render(bound).decode()[1:-2]  # without its braces and newline
        if error is not None:
            link += _failure(error)
        return (
            f'{head},"requestUrl":{self._path(scope["path"])},"responseSize":"{exchange.response_bytes}"{optional}'
            f',"latency":"{exchange.ended - exchange.started:.9f}s","protocol":"HTTP/{protocol}"}}'
            f',"time":"{self._timestamps.render(self._time_ns())}","{INSERT_ID}":"{self._ids.next()}"'
            f',"time_to_first_byte":"{first_byte:.9f}s","request_id":"{exchange.request_id}"{link},{identity.rendered}}}\n'
        )

    def _head(self, key: tuple[str, str, int, str]) -> str:
        method, template, status, outcome = key
        message = f"{method} {template or '(no route)'} {status} {_phrase(status)}".rstrip()
        route = f'"route":{quote(template)},' if template else ""
        head = (
            f'{{"severity":"{severity.of_outcome(outcome)}","message":{quote(message[:_LONGEST])},"logger":"{_LOGGER}",'
            f'{route}"outcome":"{outcome}","httpRequest":{{"requestMethod":{quote(method[:_LONGEST])},"status":{status}'
        )
        if method in METHODS:  # what clients invent is not remembered
            self._heads[key] = head
        return head

    def _path(self, path: str) -> str:
        # Short parts of plain letters hold nothing that a detector looks for; most paths are made of them.
        if _PLAIN_PATH.fullmatch(path) is None:
            path = self._redaction.url(path)
        return quote(path[:_LONGEST])

    def connection(self, connection: "Connection", error: BaseException | None) -> None:
        """The entry of a websocket connection, at its end."""
        identity = self._identity()
        entry: dict[str, object] = {
            "severity": "INFO" if error is None else "ERROR",
            "message": f"WEBSOCKET {connection.template or '(no route)'} {connection.code}",
            "logger": _LOGGER,
            "time": self._timestamps.render(self._time_ns()),
            INSERT_ID: self._ids.next(),
            "request_id": connection.request_id,
            "close_code": connection.code,
            "accepted": connection.accepted,
            "duration_seconds": round(connection.ended - connection.started, 6),
            **identity.constants,
        }
        if connection.template:
            entry["route"] = connection.template
        if connection.user_id:
            entry["user_id"] = self._redaction.text(connection.user_id)
        if self._tracing:
            trace_id, span_id, sampled = connection.trace
            entry |= {TRACE: identity.trace_prefix + trace_id, SPAN_ID: span_id, TRACE_SAMPLED: sampled}
        if error is not None:
            entry["error_type"] = _name(error)
        self._write(render({**self._redaction.fields(dict(connection.fields)), **entry}))

    def _quote(self, raw: bytes) -> str:
        quoted = self._quoted.get(raw)
        if quoted is None:
            quoted = quote(self._redaction.text(raw.decode("latin-1"))[:_LONGEST])
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
    # The name only: the error's own entry has its stack trace, and a message may hold secrets.
    return f',"error_type":{quote(_name(error))}'


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
