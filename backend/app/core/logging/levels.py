"""Which levels are logged: one threshold that can change while the service runs, and requests that asked for more."""

import logging
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final

import structlog

from ..context import current
from ..texts import text_of
from . import severity

_NUMBERS: Final = logging.getLevelNamesMapping()
_METHODS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "msg": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}


class Threshold:
    """The least severe level that is logged."""

    def __init__(self) -> None:
        self.number = logging.INFO

    @property
    def name(self) -> str:
        return logging.getLevelName(self.number)

    def set(self, name: str) -> None:
        """Change it at run time.

        Raises:
            ValueError: There is no level of that name.
        """
        number = _NUMBERS.get(name.upper())
        if number is None:
            raise ValueError(
                f"{name!r} is no level: use one of {', '.join(sorted(_NUMBERS, key=_NUMBERS.__getitem__))}"
            )
        self.number = number

    def admits(self, number: int) -> bool:
        if number >= self.number:
            return True
        context = current.get()
        return context is not None and context.verbose


threshold = Threshold()


# Where the chain keeps the message, the name of the logger and where the call stands.
_TAKEN: Final = frozenset({"event", "_name", "_frame", "_record"})

# The caller's frame is right above each of these methods; looking for it later would cost more than the rest of a call.


def _method(name: str, number: int) -> Callable[..., Any]:
    def log(self: Any, event: object = None, /, *args: Any, **fields: Any) -> Any:
        if number >= threshold.number or threshold.admits(number):
            return _emit(self, name, sys._getframe(1), (event, args), fields)  # noqa: SLF001  # CPython's own way
        return None

    log.__name__ = name
    return log


def _method_to_await(name: str, number: int) -> Callable[..., Any]:
    """Structlog's methods whose names begin with `a`. Nothing here waits, so that they need no thread either."""

    async def log(self: Any, event: object = None, /, *args: Any, **fields: Any) -> Any:
        if number >= threshold.number or threshold.admits(number):
            return _emit(self, name, sys._getframe(1), (event, args), fields)  # noqa: SLF001  # as above
        return None

    log.__name__ = f"a{name}"
    return log


def _log(self: Any, level: int, event: object = None, /, *args: Any, **fields: Any) -> Any:
    if threshold.admits(level):
        return _emit(self, severity.of_level(level).lower(), sys._getframe(1), (event, args), fields)  # noqa: SLF001  # as above
    return None


async def _alog(self: Any, level: int, event: object = None, /, *args: Any, **fields: Any) -> Any:
    if threshold.admits(level):
        return _emit(self, severity.of_level(level).lower(), sys._getframe(1), (event, args), fields)  # noqa: SLF001  # as above
    return None


def _emit(
    logger: Any, name: str, frame: FrameType, said: tuple[object, tuple[Any, ...]], fields: dict[str, Any]
) -> Any:
    for taken in _TAKEN.intersection(fields):
        fields[f"{taken}_"] = fields.pop(taken)
    fields["_frame"] = frame
    if name == "exception":
        fields.setdefault("exc_info", True)
    try:
        # Not `_proxy_to_logger`, whose parameters' names a field may have too.
        arguments, options = logger._process_event(name, _filled(*said), fields)  # noqa: SLF001  # made for this
    except structlog.DropEvent:
        return None
    return getattr(logger._logger, name)(*arguments, **options)  # noqa: SLF001  # as above


def _filled(event: object, args: tuple[Any, ...]) -> object:
    """The message with its arguments, as the standard library puts them in."""
    if not args:
        return event
    try:
        one = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        return str(event) % one
    except Exception:  # noqa: BLE001  # wrong arguments, or any code in a `__str__`: a log call never fails its caller
        return unfilled(event, args)


def unfilled(event: object, args: object) -> str:
    """Message and arguments side by side: the text is worth more than an error about it."""
    return f"{text_of(event)} {text_of(args)}"


def logger_class() -> type:
    """Structlog's bound logger, whose methods ask the threshold first: a level below it costs one comparison."""
    base = structlog.make_filtering_bound_logger(logging.NOTSET)
    methods: dict[str, Callable[..., Any]] = {"log": _log, "alog": _alog}
    for name, number in _METHODS.items():
        methods[name], methods[f"a{name}"] = _method(name, number), _method_to_await(name, number)
    methods["is_enabled_for"] = lambda _, level: threshold.admits(level)
    methods["get_effective_level"] = lambda _: threshold.number
    return type("LevelLogger", (base,), methods)
