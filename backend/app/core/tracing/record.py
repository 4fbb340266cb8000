"""The SERVER span of a request, as plain data with the names of OpenTelemetry's stable HTTP conventions.

opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server. The query is left out, as in the access log: it holds
what people searched for, and tokens.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..context import Ids, RequestContext, read_cloud_trace_context, read_traceparent
from ..http import METHODS, OTHER_METHOD
from ..texts import text_of

if TYPE_CHECKING:
    from ..exchange import Exchange, Observed
    from ..redaction import Redaction
    from ..websocket import Connection
    from .sampling import Reason

_NANOS: Final = 1_000_000_000
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SERVER_ERROR: Final = 500
_SWITCHING_PROTOCOLS: Final = 101
_LONGEST: Final = 2048
_PLAIN: Final = (str, bool, int, float)
#: Bound fields stand under this prefix: what a service names must not look like a convention.
BOUND: Final = "app."
FAILED: Final = frozenset({"server_error", "timeout", "aborted_stream"})

Event = tuple[str, int, dict[str, Any]]


@dataclass(slots=True)
class Finished:
    """A span without the SDK; times in nanoseconds since the epoch."""

    name: str
    ids: Ids
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    failed: bool
    description: str = ""
    events: list[Event] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    server: bool = True

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        told = sum(len(str(value)) for _, _, attributes in self.events for value in attributes.values())
        return 3000 + told


def of_request(
    exchange: "Exchange", error: BaseException | None, reason: "Reason", now_ns: int, redaction: "Redaction"
) -> Finished:
    """What a finished request leaves."""
    scope = exchange.scope
    given = scope["method"]
    method = given if given in METHODS else OTHER_METHOD
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "url.path": scope["path"][:_LONGEST],
        "http.response.status_code": exchange.status,
        "http.response.body.size": exchange.response_bytes,
        "cloudops.outcome": exchange.outcome,
        **_common(exchange, reason, redaction),
    }
    if method is OTHER_METHOD:
        attributes["http.request.method_original"] = given[:_LONGEST]
    if exchange.request_bytes:
        attributes["http.request.body.size"] = exchange.request_bytes
    if exchange.first_byte:
        attributes["cloudops.time_to_first_byte"] = round(exchange.first_byte - exchange.started, 6)
    if exchange.background >= 0.001:  # noqa: PLR2004  # less is only the way back through the layers
        attributes["cloudops.background_seconds"] = round(exchange.background, 6)
    failed = exchange.outcome in FAILED
    if failed:
        attributes["error.type"] = error_type(error) or (
            str(exchange.status) if exchange.status >= _SERVER_ERROR else exchange.outcome
        )
    # Low in cardinality: with a made-up method the conventions want this word (HTTP span name).
    verb = "HTTP" if method is OTHER_METHOD else method
    return _finished(
        exchange, f"{verb} {exchange.template}".rstrip(), attributes, error if failed else None, failed, now_ns
    )


def of_connection(
    connection: "Connection", error: BaseException | None, reason: "Reason", now_ns: int, redaction: "Redaction"
) -> Finished:
    """What a websocket connection leaves."""
    attributes: dict[str, Any] = {
        "http.request.method": "GET",
        "url.path": connection.scope["path"][:_LONGEST],
        "network.protocol.name": "websocket",
        "cloudops.websocket.close_code": connection.code,
        **_common(connection, reason, redaction),
    }
    if connection.accepted:
        attributes["http.response.status_code"] = _SWITCHING_PROTOCOLS
    if connection.failed:
        attributes["error.type"] = error_type(error) or str(connection.code)
    name = f"WEBSOCKET {connection.template}".rstrip()
    return _finished(connection, name, attributes, error if connection.failed else None, connection.failed, now_ns)


def of_job(  # noqa: PLR0917  # plain data in, plain data out
    context: RequestContext,
    started: float,
    parent: str,
    error: BaseException | None,
    now_ns: int,
    redaction: "Redaction",
) -> Finished:
    """What one piece of work without a request leaves: a message, a task, a run of a job."""
    failed = isinstance(error, Exception)
    attributes: dict[str, Any] = {"cloudops.request_id": context.request_id, **bound(context.fields)}
    if context.user_id:
        attributes["user.hash"] = redaction.hash(context.user_id)
    name = "job"
    if isinstance(delivery := context.fields.get("pubsub"), Mapping):
        # opentelemetry.io/docs/specs/semconv/messaging/gcp-pubsub/
        subscription = str(delivery.get("subscription") or "")
        name = f"process {subscription.rpartition('/')[2]}".rstrip()
        attributes |= {"messaging.system": "gcp_pubsub", "messaging.operation.type": "process"}
        if message_id := delivery.get("message_id"):
            attributes["messaging.message.id"] = str(message_id)
    elif isinstance(delivery := context.fields.get("cloud_task"), Mapping):
        name = f"process {delivery.get('queue') or 'cloud_task'}"
    if failed:
        attributes["error.type"] = error_type(error)
    start = now_ns - round((perf_counter() - started) * _NANOS)
    finished = Finished(name, context.ids, parent, start, now_ns, attributes, failed)
    finished.server = False
    if failed:
        finished.events.append(_exception(error, now_ns))
    return finished


def bound(fields: Mapping[str, object]) -> dict[str, Any]:
    """Bound fields as attributes, their plain values only."""
    return {BOUND + name: value for name, value in fields.items() if isinstance(value, _PLAIN)}


def error_type(error: BaseException | None) -> str:
    """The full name of an exception's class; empty without one."""
    if error is None:
        return ""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _common(observed: "Observed", reason: "Reason", redaction: "Redaction") -> dict[str, Any]:
    scope, headers = observed.scope, observed.headers
    scheme = scope.get("scheme", "http")
    found: dict[str, Any] = {
        "url.scheme": scheme,
        "network.protocol.version": scope.get("http_version", "1.1"),
        "cloudops.request_id": observed.request_id,
        "cloudops.sampled_by": reason,
        **bound(observed.fields),
        **_server(headers.get(b"host", b""), scheme, scope.get("server")),
    }
    if observed.template:
        found["http.route"] = observed.template
    if address := observed.client_address:
        found["client.address"] = address
    if (agent := headers.get(b"user-agent")) is not None:
        found["user_agent.original"] = agent.decode("latin-1")[:_LONGEST]
    if observed.user_id:
        found["user.hash"] = redaction.hash(observed.user_id)
    return found


def _server(host: bytes, scheme: str, bound_to: Any) -> dict[str, Any]:
    try:
        url = urlsplit("//" + host.decode("ascii"))
        name, port = url.hostname, url.port
    except ValueError:  # whatever a client wrote
        return {}
    if name is None:
        if not bound_to:
            return {}
        name, port = bound_to
    port = port or _PORTS.get(scheme)
    return {"server.address": name[:_LONGEST], **({"server.port": port} if port else {})}


def _finished(  # noqa: PLR0917  # plain data in, plain data out
    observed: "Observed",
    name: str,
    attributes: dict[str, Any],
    error: BaseException | None,
    failed: bool,
    now_ns: int,
) -> Finished:
    # From the end backwards: durations are of the monotonic clock, and a stepping wall clock cannot turn them around.
    end = now_ns - round((perf_counter() - observed.ended) * _NANOS)
    start = end - round((observed.ended - observed.started) * _NANOS)
    finished = Finished(name, observed.ids, parent_of(observed.headers), start, end, attributes, failed)
    if error is not None:
        # As text at once: an exception would keep all of its frames alive.
        finished.events.append(_exception(error, end))
    return finished


def _exception(error: BaseException | None, at: int) -> Event:
    assert error is not None
    stack = "".join(traceback.format_exception(error, limit=50))

    told = {"exception.type": error_type(error), "exception.message": text_of(error), "exception.stacktrace": stack}
    return "exception", at, told


def parent_of(headers: Mapping[bytes, bytes]) -> str:
    """The caller's span id; empty when there is none."""
    if (value := headers.get(b"traceparent")) is not None and (read := read_traceparent(value)) is not None:
        return read[1]
    if (value := headers.get(b"x-cloud-trace-context")) is not None and (
        read := read_cloud_trace_context(value)
    ) is not None:
        return read[1]
    return ""
