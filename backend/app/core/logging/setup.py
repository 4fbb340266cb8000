"""One format for structlog, the standard library, uvicorn and gunicorn."""

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

import structlog

from .. import guard
from .entry import Identity
from .processors import Entry, chain, render

Write = Callable[[bytes], None]

# Servers configure loggers of their own before they import the app; their records go the common way.
_SERVER_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error")
# Their access logs would tell every request twice.
_SERVER_ACCESS_LOGGERS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")


class StdoutHandler(logging.Handler):
    """Gives records of the standard library's loggers the form of every other entry."""

    def __init__(self, processors: list[Any], write: Write) -> None:
        super().__init__()
        self._processors = processors
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(render(self._entry(record)))
        except Exception as error:  # noqa: BLE001  # a log call never fails its caller
            guard.caught("logging", error)

    def _entry(self, record: logging.LogRecord) -> Entry:
        entry: Entry = {"event": _message(record), "_record": record}
        structlog.stdlib.ExtraAdder()(None, "", entry)  # type: ignore[arg-type]  # it takes no logger
        if record.exc_info:
            entry["exc_info"] = record.exc_info
        for processor in self._processors:
            entry = processor(None, "", entry)
        return entry


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # wrong % arguments: the text is worth more than an error about it
        return f"{record.msg} {record.args!r}"


class _Lines:
    """structlog's last station: `msg` and its siblings receive the rendered entry."""

    def __init__(self, write: Write) -> None:
        self.write = write

    def msg(self, line: bytes) -> None:
        self.write(line)

    debug = info = warning = error = critical = exception = fatal = msg


def _render_structlog(_logger: Any, _method: str, entry: Entry) -> bytes:
    return render(entry)


def configure(
    identity: Callable[[], Identity], write: Write, *, level: str, time_ns: Callable[[], int], tracing: bool
) -> None:
    """Send every log call of this process through our chain.

    Replaces handlers of the root logger that write to standard output or error; others (files, test captures, agents)
    stay.
    """
    processors = chain(identity, time_ns, tracing=tracing)
    structlog.configure(
        processors=[*processors, _render_structlog],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_args: _Lines(write),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if _writes_to_console(handler)]:
        root.removeHandler(handler)
    root.addHandler(StdoutHandler(processors, write))
    root.setLevel(level)
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
