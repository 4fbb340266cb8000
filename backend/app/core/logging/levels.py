"""Which levels are logged: one threshold that can change while the service runs, and requests that asked for more."""

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

import structlog

from ..context import current

_NUMBERS: Final = logging.getLevelNamesMapping()
_METHODS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
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


def _method(name: str, number: int, inner: Callable[..., Any]) -> Callable[..., Any]:
    def log(self: Any, event: str | None = None, *args: Any, **fields: Any) -> Any:
        if number >= threshold.number or threshold.admits(number):
            # The caller's frame is right above; looking for it later would cost more than the rest of the call.
            fields.setdefault("_frame", sys._getframe(1))  # noqa: SLF001  # CPython's own way
            return inner(self, event, *args, **fields)
        return None

    log.__name__ = name
    return log


def logger_class() -> type:
    """Structlog's bound logger, whose methods ask the threshold first: a level below it costs one comparison."""
    base = structlog.make_filtering_bound_logger(logging.NOTSET)
    return type("LevelLogger", (base,), {name: _method(name, n, getattr(base, name)) for name, n in _METHODS.items()})
