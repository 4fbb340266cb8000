"""docs/reference/log-fields.md: every field of an entry.

A test plays traffic of every kind and compares the fields it finds with this list, both ways.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from app.core.context import RESERVED_FIELDS

Kind = Literal["access", "websocket", "call", "error", "audit"]
Type = Literal["text", "number", "flag", "object", "list"]

KINDS: Final[dict[Kind, str]] = {
    "access": "one for each request, at its end",
    "websocket": "one for each websocket connection, at its end",
    "call": "a log call, of structlog, the standard library, `warnings` or a server",
    "error": "an unhandled exception, as Error Reporting reads it",
    "audit": "a declared event of the audit log",
}
_EVERY: Final[tuple[Kind, ...]] = ("access", "websocket", "call", "error", "audit")
_STRUCTURED: Final = "https://docs.cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields"
_HTTP_REQUEST: Final = "https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest"
_ERRORS: Final = "https://docs.cloud.google.com/error-reporting/docs/formatting-error-messages"
_OURS: Final = ""


class Field(NamedTuple):
    name: str
    """A dot stands between an object and its field."""
    type: Type
    kinds: tuple[Kind, ...]
    meaning: str
    when: str = ""
    """Empty: in every entry of these kinds."""
    source: str = _OURS


_TRACED: Final = "with `ENABLE_TRACING`, in a request or other work"
_WORK: Final = "in a request or other work"
_KNOWN: Final = "if it is known"

FIELDS: Final[tuple[Field, ...]] = (
    Field("severity", "text", _EVERY, "`DEBUG` to `EMERGENCY`; an audit entry is a `NOTICE`", source=_STRUCTURED),
    Field("message", "text", _EVERY, "What happened; `GET /items/{item_id} 200 OK`", source=_STRUCTURED),
    Field("time", "text", _EVERY, "RFC 3339 with nanoseconds, in UTC", source=_STRUCTURED),
    Field("logger", "text", _EVERY, "Its name", "if it has one"),
    Field("request_id", "text", _EVERY, "The id of the request, the message or the job", _WORK),
    Field("route", "text", _EVERY, "The route's template, `/items/{item_id}`", "once a route has matched"),
    Field("user_id", "text", ("access", "websocket", "call", "audit"), "What `set_user` was given", "after `set_user`"),
    Field(
        "cold_start",
        "flag",
        ("access", "call", "error", "audit"),
        "`true`",
        "until the first request of the process has ended",
    ),
    Field(
        "logging.googleapis.com/insertId", "text", _EVERY, "Unique, and sorted as they were written", source=_STRUCTURED
    ),
    Field(
        "logging.googleapis.com/trace",
        "text",
        _EVERY,
        "`projects/my-project/traces/<id>`; without a project the id alone",
        _TRACED,
        _STRUCTURED,
    ),
    Field("logging.googleapis.com/spanId", "text", _EVERY, "The innermost span", _TRACED, _STRUCTURED),
    Field("logging.googleapis.com/trace_sampled", "flag", _EVERY, "Whether the trace is kept", _TRACED, _STRUCTURED),
    Field(
        "trace_decision",
        "text",
        ("call", "audit"),
        "`at_end`: the access entry will say whether the trace is kept",
        "while that is open, until the call that makes it kept",
    ),
    Field("logging.googleapis.com/labels", "object", _EVERY, "Who writes", source=_STRUCTURED),
    Field("logging.googleapis.com/labels.service", "text", _EVERY, "`SERVICE_NAME`"),
    Field("logging.googleapis.com/labels.environment", "text", _EVERY, "`ENVIRONMENT`"),
    Field("logging.googleapis.com/labels.version", "text", _EVERY, "`SERVICE_VERSION`, or the revision", _KNOWN),
    Field("logging.googleapis.com/labels.revision", "text", _EVERY, "Of Cloud Run", _KNOWN),
    Field("logging.googleapis.com/labels.commit", "text", _EVERY, "`COMMIT_SHA`", _KNOWN),
    Field("logging.googleapis.com/labels.instance", "text", _EVERY, "Of Cloud Run, or the pod", _KNOWN),
    Field("logging.googleapis.com/labels.worker", "text", _EVERY, "The worker's slot", "in a process that serves"),
    Field("logging.googleapis.com/labels.audit", "text", ("audit",), "`true`"),
    Field("serviceContext", "object", _EVERY, "The same for Error Reporting", source=_ERRORS),
    Field("serviceContext.service", "text", _EVERY, "`SERVICE_NAME`", source=_ERRORS),
    Field("serviceContext.version", "text", _EVERY, "As the label", _KNOWN, _ERRORS),
    Field(
        "logging.googleapis.com/sourceLocation",
        "object",
        ("call", "audit"),
        "Where the call stands",
        source=_STRUCTURED,
    ),
    Field("logging.googleapis.com/sourceLocation.file", "text", ("call", "audit"), "Its path", source=_STRUCTURED),
    Field(
        "logging.googleapis.com/sourceLocation.line", "text", ("call", "audit"), "A number, as text", source=_STRUCTURED
    ),
    Field("logging.googleapis.com/sourceLocation.function", "text", ("call", "audit"), "Its name", source=_STRUCTURED),
    Field(
        "outcome",
        "text",
        ("access", "error"),
        "`ok`, `client_error`, `server_error`, `timeout`, `client_closed`, `aborted_stream`, `shed`",
    ),
    Field("httpRequest", "object", ("access",), "The request", source=_HTTP_REQUEST),
    Field("httpRequest.requestMethod", "text", ("access",), "As it was sent", source=_HTTP_REQUEST),
    Field(
        "httpRequest.status", "number", ("access",), "499 if the client left before the answer", source=_HTTP_REQUEST
    ),
    Field("httpRequest.requestUrl", "text", ("access",), "The path, redacted; never the query", source=_HTTP_REQUEST),
    Field(
        "httpRequest.requestSize",
        "text",
        ("access",),
        "Bytes of the body, as text",
        "if the client says so",
        _HTTP_REQUEST,
    ),
    Field("httpRequest.responseSize", "text", ("access",), "Bytes of the body, as text", source=_HTTP_REQUEST),
    Field("httpRequest.userAgent", "text", ("access",), "Redacted", "if there is one", _HTTP_REQUEST),
    Field(
        "httpRequest.remoteIp", "text", ("access",), "By `TRUSTED_PROXIES` and `CLIENT_IDENTITY`", _KNOWN, _HTTP_REQUEST
    ),
    Field("httpRequest.latency", "text", ("access",), "Until the last byte, `0.001893211s`", source=_HTTP_REQUEST),
    Field("httpRequest.protocol", "text", ("access",), "`HTTP/1.1`", source=_HTTP_REQUEST),
    Field("time_to_first_byte", "text", ("access",), "As `latency`"),
    Field(
        "worst_severity", "text", ("access",), "The worst of the request's log calls", "if that is `WARNING` or worse"
    ),
    Field(
        "background_seconds",
        "number",
        ("access",),
        "What the app did after its answer, such as background tasks",
        "from a millisecond on",
    ),
    Field("error_type", "text", ("access", "websocket"), "The class of an unhandled exception", "if there was one"),
    Field("close_code", "number", ("websocket",), "How the connection ended"),
    Field("accepted", "flag", ("websocket",), "Whether the service took it"),
    Field("duration_seconds", "number", ("websocket",), "How long it was open"),
    Field(
        "stack_trace",
        "text",
        ("call", "error"),
        "Python's own format, redacted, without locals",
        "of a call: with `exc_info`",
        _ERRORS,
    ),
    Field("stack_info", "text", ("call",), "Where the call was made", "with `stack_info=True`"),
    Field("@type", "text", ("error",), "Makes the entry an event of Error Reporting", source=_ERRORS),
    Field("context", "object", ("error",), "What the event is about", source=_ERRORS),
    Field("context.httpRequest", "object", ("error",), "The request", source=_ERRORS),
    Field("context.httpRequest.method", "text", ("error",), "As it was sent", source=_ERRORS),
    Field(
        "context.httpRequest.url",
        "text",
        ("error",),
        "The route's template; without one the path, redacted",
        source=_ERRORS,
    ),
    Field("context.httpRequest.userAgent", "text", ("error",), "Redacted, or empty", source=_ERRORS),
    Field("context.httpRequest.responseStatusCode", "number", ("error",), "Of the answer", source=_ERRORS),
    Field("context.user", "text", ("error",), "A hash of `user_id`", "after `set_user`", _ERRORS),
    Field("repeated", "number", ("error",), "How many like it were left out since the last", "if any were"),
    Field("audit_event", "text", ("audit",), "The event's name"),
    Field(
        "undeclared",
        "object",
        ("audit",),
        "What is wrong with the entry's fields, and those that were not declared",
        "if anything is",
    ),
    Field("undeclared.problems", "list", ("audit",), "Sentences", "as above"),
    Field("undeclared.fields", "object", ("audit",), "Redacted", "as above"),
    Field("truncated", "object", _EVERY, "What was shortened", "if the line would be longer than 250 KiB"),
    Field("truncated.original_bytes", "number", _EVERY, "How long it would be", "as above"),
    Field("truncated.fields", "list", _EVERY, "Names", "as above"),
    Field(
        "lost_fields",
        "text",
        ("call",),
        "The class of an exception that a field of the call raised",
        "if one did; the other fields are gone",
    ),
)

_HEAD: Final = """\
# Fields of a log entry

{note}

What a line on standard output holds, and so what Logs Explorer finds. A name with `logging.googleapis.com/` becomes the
entry's own field (`labels`, `trace`, `insertId`), as do `severity`, `time` and `httpRequest`; everything else is found
as `jsonPayload.<name>`. [Searches](searches.md) has queries to copy, [logging](../guides/logging.md) says how entries
come about.

{kinds}

Beside these an entry has the fields of its log call, those that `bind()` gave the request, and the declared ones of an
audit event, all of them [redacted](../guides/logging.md#secrets). `bind()` and audit events refuse a name that would
hide what the entry itself tells (`ReservedFieldError`): {reserved}, and whatever begins with
`logging.googleapis.com/`. Types are JSON's.

| field | type | in | when | meaning | source |
| --- | --- | --- | --- | --- | --- |
"""


def page(note: str) -> str:
    kinds = "\n".join(f"- `{kind}`: {meaning}" for kind, meaning in KINDS.items())
    reserved = ", ".join(f"`{name}`" for name in sorted(RESERVED_FIELDS))
    return _HEAD.format(note=note, kinds=kinds, reserved=reserved) + "\n".join(_rows()) + "\n"


_SOURCES: Final = {
    _STRUCTURED: "special field",
    _HTTP_REQUEST: "`HttpRequest`",
    _ERRORS: "Error Reporting",
}
_TYPES: Final[dict[Type, str]] = {
    "text": "string",
    "number": "number",
    "flag": "boolean",
    "object": "object",
    "list": "array",
}


def _rows() -> Iterator[str]:
    for one in FIELDS:
        kinds = "all" if one.kinds == _EVERY else ", ".join(f"`{kind}`" for kind in one.kinds)
        source = f"[{_SOURCES[one.source]}]({one.source})" if one.source else "ours"
        cells = [f"`{one.name}`", _TYPES[one.type], kinds, one.when or "always", one.meaning, source]
        yield f"| {' | '.join(cells)} |"
