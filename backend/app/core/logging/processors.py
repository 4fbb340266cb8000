"""A log call's way to its line: an entry is a dict, and each function adds, changes or drops one thing."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import orjson
import structlog

from ..context import current
from ..redaction import Redaction
from ..texts import strict, text_of
from . import severity
from .entry import (
    INSERT_ID,
    SOURCE_LOCATION,
    SPAN_ID,
    TRACE,
    TRACE_DECISION,
    TRACE_SAMPLED,
    Identity,
    InsertIds,
    Timestamps,
)
from .limits import LINE_BYTES, fit

Entry = MutableMapping[str, Any]
Processor = Callable[[Any, str, Entry], Entry]

# Names of structlog's methods that are no level of their own.
_METHODS: Final = {"exception": "ERROR", "warn": "WARNING", "fatal": "CRITICAL", "critical": "CRITICAL", "err": "ERROR"}
_RANKS: Final = {"WARNING": 30, "ERROR": 40, "CRITICAL": 50, "ALERT": 60, "EMERGENCY": 70}


def add_severity(_logger: Any, method: str, entry: Entry) -> Entry:
    """Severity and name of the logger; `_place` keeps where the call stands for later."""
    record = entry.pop("_record", None)
    frame = entry.pop("_frame", None)
    if record is not None:
        entry["severity"] = severity.of_level(record.levelno)
        entry["logger"] = record.name
        entry["_place"] = (record.pathname, record.lineno, record.funcName)
        return entry
    entry["severity"] = _METHODS.get(method, method.upper())
    if (name := entry.pop("_name", None)) is not None:
        entry["logger"] = name
    if frame is not None:
        entry["_place"] = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    return entry


def add_time(time_ns: Callable[[], int]) -> Processor:
    timestamps, ids = Timestamps(), InsertIds()

    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry["time"] = timestamps.render(time_ns())
        entry[INSERT_ID] = ids.next()
        return entry

    return processor


def add_request(
    identity: Callable[[], Identity], policy: Redaction, cold: Callable[[], bool], *, tracing: bool
) -> Processor:
    """Ids of the current request, and whether it is among the first of this process."""

    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        context = current.get()
        if context is None:
            return entry
        context.worst = max(context.worst, _RANKS.get(entry["severity"], 0))
        entry["request_id"] = context.request_id
        if cold():
            entry["cold_start"] = True
        if context.user_id:
            entry["user_id"] = policy.text(context.user_id)
        if (route := context.route) is not None:
            entry["route"] = route
        if tracing:
            span = context.span
            if span is not None and span.undecided:
                if context.worst >= _RANKS["ERROR"]:
                    span.promote()  # it is kept, however it ends
                else:
                    entry[TRACE_DECISION] = "at_end"
            trace_id, span_id, sampled = context.innermost
            entry[TRACE] = identity().trace_prefix + trace_id
            entry[SPAN_ID] = span_id
            entry[TRACE_SAMPLED] = sampled
        return entry

    return processor


def add_bound(_logger: Any, _method: str, entry: Entry) -> Entry:
    """What was bound to the request; what the call itself names wins."""
    context = current.get()
    if context is not None:
        for name, value in context.fields.items():
            entry.setdefault(name, value)
    return entry


def redact(policy: Redaction) -> Processor:
    """Take secrets out of everything that came from outside of this library."""

    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        trace, place = entry.pop("stack_trace", None), entry.pop("_place", None)
        entry = policy.fields(entry)
        entry["_place"] = place
        if trace is not None:  # the message often repeats the exception's
            entry["message"] = policy.error(text_of(entry["message"]))
            entry["stack_trace"] = policy.stack_trace(text_of(trace))
        return entry

    return processor


def add_constants(identity: Callable[[], Identity]) -> Processor:
    def processor(_logger: Any, _method: str, entry: Entry) -> Entry:
        entry.update(identity().constants)
        return entry

    return processor


def name_place(_logger: Any, _method: str, entry: Entry) -> Entry:
    place = entry.pop("_place", None)
    if place is not None:
        file, line, function = place
        entry[SOURCE_LOCATION] = {"file": file, "line": str(line), "function": function}
    return entry


def name_exception(_logger: Any, _method: str, entry: Entry) -> Entry:
    """`stack_trace` is the field in which Error Reporting looks for an exception first."""
    if "exception" in entry:
        entry["stack_trace"] = entry.pop("exception")
    return entry


def name_message(_logger: Any, _method: str, entry: Entry) -> Entry:
    event = entry.pop("event", "")
    entry["message"] = event if type(event) is str else text_of(event)
    return entry


def render(entry: Entry) -> bytes:
    """One line of strict JSON, whatever the entry holds."""
    line = _render(entry)
    return line if len(line) <= LINE_BYTES else _render(fit(dict(entry)))


def _render(entry: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)
    except Exception:  # noqa: BLE001  # a `__str__` that raises, a lone surrogate, a cycle: the call must not fail
        return orjson.dumps(strict(entry), option=orjson.OPT_APPEND_NEWLINE)


def chain(
    identity: Callable[[], Identity],
    time_ns: Callable[[], int],
    redaction: Redaction,
    *,
    tracing: bool,
    cold: Callable[[], bool] = bool,
) -> list[Processor]:
    """The processors of every log call, in order; `render` comes after them.

    Our own fields join after the redaction: they need none, and looking through them would cost more than the rest.
    """
    return [
        add_severity,
        structlog.processors.format_exc_info,
        name_exception,
        name_message,
        add_bound,
        redact(redaction),
        name_place,
        add_time(time_ns),
        add_request(identity, redaction, cold, tracing=tracing),
        add_constants(identity),
    ]
