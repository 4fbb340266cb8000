"""The access entry: one line a request, rendered by hand under the rules of every other entry.

structlog costs more than the rest of a request's telemetry together, so this line does not go through it; a test
compares the keys of the two.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from json.encoder import encode_basestring_ascii as quote
from typing import TYPE_CHECKING, Final, TypeVar

import orjson

from ..redaction import Redaction
from . import severity
from .entry import INSERT_ID, SPAN_ID, TRACE, TRACE_SAMPLED, Identity, InsertIds, Timestamps
from .limits import LINE_BYTES
from .processors import render

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..websocket import Connection

Key = TypeVar("Key", bytes, str)

_LOGGER: Final = "fastapi_cloudops.access"
# Fragments of paths, user agents and addresses that come again; an attacker's inventions must not fill the memory.
_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 256
_LONGEST: Final = 2048
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.~-]{0,12}+)*+")
# What stands between the values of every entry.
_SPAN: Final = f'","{SPAN_ID}":"'
_SAMPLED: Final = f'","{TRACE_SAMPLED}":true'
_NOT_SAMPLED: Final = f'","{TRACE_SAMPLED}":false'
# Everything behind `httpRequest` that all entries have: numbers are formatted together, which costs less.
_TIMES: Final = (
    ',"latency":"%.9fs","protocol":"HTTP/%s"},"time":"%s",'
    f'"{INSERT_ID}":"%s","time_to_first_byte":"%.9fs","request_id":"%s"'
)
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
        #: Whether no request has ended yet.
        self.cold = True
        self._paths: dict[str, str] = {}
        self._agents: dict[bytes, str] = {}
        self._addresses: dict[str, str] = {}

    def __call__(self, exchange: "Exchange", error: BaseException | None) -> None:
        line = self.render(exchange, error).encode()
        # Bound fields may be long.
        self._write(line if len(line) <= LINE_BYTES else render(orjson.loads(line)))

    def render(self, exchange: "Exchange", error: BaseException | None) -> str:
        """The line, with its newline."""
        scope, headers, identity = exchange.scope, exchange.headers, self._identity()
        started, ended = exchange.started, exchange.ended
        path = scope["path"]
        optional = ""
        if (agent := headers.get(b"user-agent")) is not None:
            optional = self._agents.get(agent) or self._agent(agent)
        if address := exchange.client_address:
            optional += self._addresses.get(address) or self._address(address)
        if (length := headers.get(b"content-length")) is not None and length.isdigit():
            optional += f',"requestSize":"{int(length)}"'
        link = ""
        if self._tracing:
            trace_id, span_id, sampled = exchange.ids
            link = f"{identity.trace_field}{trace_id}{_SPAN}{span_id}{_SAMPLED if sampled else _NOT_SAMPLED}"
        if exchange.user_id:
            link += f',"user_id":{quote(self._redaction.text(exchange.user_id)[:_LONGEST])}'
        if exchange.worst:
            link += f',"worst_severity":"{severity.of_level(exchange.worst)}"'
        if exchange.background >= BACKGROUND_SECONDS:
            link += f',"background_seconds":{exchange.background:.6f}'
        if self.cold:
            self.cold = False
            link += ',"cold_start":true'
        if exchange.fields:
            bound = self._redaction.fields(dict(exchange.fields))
            link += "," + render(bound).decode()[1:-2]  # without its braces and newline
        if error is not None:
            link += _failure(error)
        times = _TIMES % (
            ended - started,
            scope.get("http_version", "1.1"),
            self._timestamps.render(self._time_ns()),
            self._ids.next(),
            (exchange.first_byte or ended) - started,
            exchange.request_id,
        )
        return (
            f'{exchange.kind.head},"requestUrl":{self._paths.get(path) or self._path(path)}'
            f',"responseSize":"{exchange.response_bytes}"{optional}{times}{link},{identity.rendered}}}\n'
        )

    @staticmethod
    def head(method: str, template: str, status: int, outcome: str) -> str:
        """How the line of each request of one kind begins, as far as into its `httpRequest`."""
        message = f"{method} {template or '(no route)'} {status} {_phrase(status)}".rstrip()
        route = f'"route":{quote(template)},' if template else ""
        return (
            f'{{"severity":"{severity.of_outcome(outcome)}","message":{quote(message[:_LONGEST])},"logger":"{_LOGGER}",'
            f'{route}"outcome":"{outcome}","httpRequest":{{"requestMethod":{quote(method[:_LONGEST])},"status":{status}'
        )

    def _agent(self, raw: bytes) -> str:
        return _remember(self._agents, raw, f',"userAgent":{self._quoted(raw.decode("latin-1"))}')

    def _address(self, address: str) -> str:
        return _remember(self._addresses, address, f',"remoteIp":{self._quoted(address)}')

    def _quoted(self, text: str) -> str:
        return quote(self._redaction.text(text)[:_LONGEST])

    def _path(self, path: str) -> str:
        # Short parts of plain letters hold nothing that a detector looks for; most paths are made of them.
        shown = path if _PLAIN_PATH.fullmatch(path) else self._redaction.url(path)
        return _remember(self._paths, path, quote(shown[:_LONGEST]))

    def connection(self, connection: "Connection", error: BaseException | None) -> None:
        """The entry of a websocket connection, at its end."""
        identity = self._identity()
        entry: dict[str, object] = {
            "severity": "ERROR" if connection.failed else "INFO",
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


def _remember(known: dict[Key, str], key: Key, fragment: str) -> str:
    if len(key) <= _LONGEST_REMEMBERED:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[key] = fragment
    return fragment


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
