"""One format for structlog, the standard library, uvicorn and gunicorn."""

import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from .. import guard
from ..context import RequestContext, current
from ..errors.told import told
from ..redaction import Redaction
from ..texts import text_of
from .entry import Identity
from .levels import logger_class, threshold, unfilled
from .processors import Entry, Processor, chain, render
from .sampling import Sampling, hold

Write = Callable[[bytes], None]

# Servers configure loggers of their own before they import the app; their records go the common way.
_SERVER_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error")
# Their access logs would tell every request twice.
_SERVER_ACCESS_LOGGERS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")


@dataclass(slots=True)
class Pipeline:
    """Where log calls go. Loggers are cached, so it is this object that changes, not they."""

    processors: list[Processor]
    sampling: Sampling
    write: Write

    def run(self, method: str, entry: Entry) -> None:
        """Take an entry to its line, and the line to its destination. Never raises for what stands in the entry."""
        given = dict(entry)
        try:
            self._run(method, entry)
        except Exception as error:  # noqa: BLE001  # any code may stand in a field, a log call never fails its caller
            guard.caught("logging", error)
            # What was said, without the fields that it could not be said with.
            kept = {name: given[name] for name in _CORE if name in given}
            said = {"event": text_of(given.get("event")), "lost_fields": type(error).__name__}
            self._run(method, kept | said)

    def _run(self, method: str, entry: Entry) -> None:
        for processor in self.processors:
            entry = processor(None, method, entry)
        context = current.get()
        if self.sampling.keeps(entry["severity"], entry.get("logger", ""), context):
            self.write(render(entry))
        elif context is not None:
            hold(context, render(entry))


# What takes an entry on its way; fields of the caller's that have such a name get another.
_CORE: Final = ("event", "_record", "_frame", "_name")
_RESERVED: Final = frozenset(
    {
        *_CORE,
        "_place",
        "message",
        "serviceContext",
        "severity",
        "time",
        "timestamp",
        "timestampNanos",
        "timestampSeconds",
    }
)
# Of a structlog call, which has the others of them itself.
_FOREIGN: Final = _RESERVED - {"event", "_frame", "_name"}
_RECORD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"})

_pipeline = Pipeline([], Sampling(), lambda _line: None)


class StdoutHandler(logging.Handler):
    """Gives records of the standard library's loggers the form of every other entry."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if threshold.admits(record.levelno) and not _is_told(record):
                _pipeline.run("", _entry(record))
        except Exception as error:  # noqa: BLE001  # a log call never fails its caller
            guard.caught("logging", error)


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a server logs the exception that the layer has reported already, with more about the request."""
    return bool(record.exc_info) and record.exc_info[1] is not None and record.exc_info[1] is told.get()  # type: ignore[index]  # not None, or it were false


def _entry(record: logging.LogRecord) -> Entry:
    entry: Entry = {
        f"{name}_" if name in _RESERVED else name: value
        for name, value in record.__dict__.items()
        if name not in _RECORD
    }
    entry["event"] = _message(record)
    entry["_record"] = record
    if record.exc_info:
        entry["exc_info"] = record.exc_info
    if record.stack_info:
        entry["stack_info"] = record.stack_info
    return entry


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # wrong % arguments, or any code in a `__str__`
        return unfilled(record.msg, record.args) if record.args else text_of(record.msg)


def _renamed(entry: Entry) -> Entry:
    """Fields that would hide what the entry itself tells get another name."""
    for name in _FOREIGN.intersection(entry):
        entry[f"{name}_"] = entry.pop(name)
    if entry.get("stack_info") is True:
        entry["stack_info"] = "".join(traceback.format_stack(entry["_frame"]))
    return entry


def _to_pipeline(_logger: Any, method: str, entry: Entry) -> Entry:
    """Structlog's only processor."""
    try:
        _pipeline.run(method, _renamed(entry))
    except Exception as error:  # noqa: BLE001  # a log call never fails its caller
        guard.caught("logging", error)
    raise structlog.DropEvent


def configure(
    identity: Callable[[], Identity],
    write: Write,
    *,
    level: str,
    time_ns: Callable[[], int],
    redaction: Redaction,
    tracing: bool,
    sampling: Sampling,
    verbose_requests: bool = False,
    cold: Callable[[], bool] = bool,
) -> None:
    """Send every log call of this process through our chain.

    Replaces handlers of the root logger that write to standard output or error; others (files, test captures, agents)
    stay.

    Args:
        identity: Who writes.
        write: Takes each line.
        level: Least severe level that is logged.
        time_ns: Wall time.
        redaction: What must not be told.
        tracing: Whether entries name their trace.
        sampling: Which entries below WARNING are written.
        verbose_requests: Whether single requests may ask for debug entries.
        cold: Whether no request has ended yet.
    """
    _pipeline.processors = chain(identity, time_ns, redaction, tracing=tracing, cold=cold)
    _pipeline.sampling = sampling
    _pipeline.write = write
    threshold.set(level)
    structlog.configure(
        processors=[_to_pipeline],
        wrapper_class=logger_class(),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if _writes_to_console(handler)]:
        root.removeHandler(handler)
    root.addHandler(StdoutHandler())
    # Records below the threshold are made only where a request may still ask for them.
    root.setLevel(logging.DEBUG if verbose_requests else level)
    logging.captureWarnings(capture=True)
    for name in _SERVER_LOGGERS:
        server = logging.getLogger(name)
        server.handlers = [handler for handler in server.handlers if not _writes_to_console(handler)]
        server.propagate = True
    for name in _SERVER_ACCESS_LOGGERS:
        access = logging.getLogger(name)
        # Without any handler the standard library would print warnings by itself.
        access.handlers = [h for h in access.handlers if not _writes_to_console(h)] or [logging.NullHandler()]
        access.propagate = False


def write_held(context: RequestContext) -> None:
    """Write the entries that sampling held back, with their own times: what they belong to has failed, or was slow."""
    held, context.held = context.held, None
    for line in held or ():
        _pipeline.write(line)


def set_level(name: str) -> None:
    """Change the least severe level that is logged, in this process, at once.

    Raises:
        ValueError: There is no level of that name.
    """
    threshold.set(name)
    root = logging.getLogger()
    if root.level > threshold.number or root.level != logging.DEBUG:
        root.setLevel(threshold.number)


def _writes_to_console(handler: logging.Handler) -> bool:
    if isinstance(handler, StdoutHandler):
        return True
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, logging.StreamHandler) and handler.stream in streams


def get_logger(name: str = "", **fields: object) -> Any:
    """A structlog logger; its name and the fields stand in each of its entries.

    It may be made at import, before logging is configured.
    """
    return structlog.get_logger(_name=name, **fields) if name else structlog.get_logger(**fields)
