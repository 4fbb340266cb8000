"""A log call's way to its line: an entry is a dict, and each function adds, changes or drops one thing."""

import json
import logging
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import orjson
import structlog

from ..context import current
from . import severity
from .entry import INSERT_ID, SOURCE_LOCATION, SPAN_ID, TRACE, TRACE_SAMPLED, Identity, InsertIds, Timestamps

Entry = MutableMapping[str, Any]
Processor = Callable[[Any, str, Entry], Entry]

# Names of structlog's methods that are no level of their own.
_METHODS: Final = {"exception": "ERROR", "warn": "WARNING", "fatal": "CRITICAL", "critical": "CRITICAL", "err": "ERROR"}
_RANKS: Final = {"WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_CALLSITE: Final = structlog.processors.CallsiteParameter


def add_severity(_logger: Any, method: str, entry: Entry) -> Entry:
    record = entry.get("_record")
    if isinstance(record, logging.LogRecord):
        entry["severity"] = severity.of_level(record.levelno)
        entry["logger"] = record.name
    else:
        entry["severity"] = _METHODS.get(method, method.upper())
        if "_name" in entry:
            entry["logger"] = entry["_name"]
    return entry


def add_time(time_ns: Callable[[], int]) -> Processor:
    timestamps, ids = Timestamps(), InsertIds()

    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry["time"] = timestamps.render(time_ns())
        entry[INSERT_ID] = ids.next()
        return entry

    return processor


def add_request(identity: Callable[[], Identity], *, tracing: bool) -> Processor:
    """Ids and bound fields of the current request; what the call itself names wins over what was bound."""

    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        context = current.get()
        if context is None:
            return entry
        for name, value in context.fields.items():
            entry.setdefault(name, value)
        context.worst = max(context.worst, _RANKS.get(entry["severity"], 0))
        entry["request_id"] = context.request_id
        if context.user_id:
            entry["user_id"] = context.user_id
        if (route := context.route) is not None:
            entry["route"] = route
        if tracing:
            trace = context.trace
            entry[TRACE] = identity().trace_prefix + trace.trace_id
            entry[SPAN_ID] = trace.span_id
            entry[TRACE_SAMPLED] = trace.sampled
        return entry

    return processor


def add_constants(identity: Callable[[], Identity]) -> Processor:
    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry.update(identity().constants)
        return entry

    return processor


#: Where the call stands: structlog's own search for the first frame that is not a logger's.
find_callsite: Final = structlog.processors.CallsiteParameterAdder(
    [_CALLSITE.PATHNAME, _CALLSITE.LINENO, _CALLSITE.FUNC_NAME],
    additional_ignores=[__name__.rpartition(".")[0]],
)


def name_source_location(_logger: Any, _method: str, entry: Entry) -> Entry:
    entry[SOURCE_LOCATION] = {
        "file": str(entry.pop("pathname", "")),
        "line": str(entry.pop("lineno", "")),
        "function": str(entry.pop("func_name", "")),
    }
    return entry


def name_exception(_logger: Any, _method: str, entry: Entry) -> Entry:
    """`stack_trace` is the field in which Error Reporting looks for an exception first."""
    if "exception" in entry:
        entry["stack_trace"] = entry.pop("exception")
    return entry


def name_message(_logger: Any, _method: str, entry: Entry) -> Entry:
    entry["message"] = str(entry.pop("event", ""))
    return entry


def drop_internals(_logger: Any, _method: str, entry: Entry) -> Entry:
    # `color_message` is uvicorn's message again, with terminal colours.
    for name in [name for name in entry if name.startswith("_") or name == "color_message"]:
        del entry[name]
    return entry


def render(entry: Entry) -> bytes:
    """One line of strict JSON, whatever the entry holds."""
    try:
        return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)
    except Exception:  # noqa: BLE001  # a `__str__` that raises, a lone surrogate, a cycle: the call must not fail
        return _render_hostile(entry)


def _render_hostile(entry: Entry) -> bytes:
    safe = {_text(name): value if isinstance(value, bool | None) else _text(value) for name, value in entry.items()}
    return json.dumps(safe, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # any code may stand in a `__str__`
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


def chain(identity: Callable[[], Identity], time_ns: Callable[[], int], *, tracing: bool) -> list[Processor]:
    """The processors of every log call, in order; `render` comes after them."""
    return [
        add_severity,
        add_time(time_ns),
        find_callsite,
        name_source_location,
        structlog.processors.format_exc_info,
        name_exception,
        name_message,
        add_request(identity, tracing=tracing),
        add_constants(identity),
        drop_internals,
    ]
