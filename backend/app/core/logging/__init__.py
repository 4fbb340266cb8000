"""Structured logs: one JSON line an entry on standard output, in the format Cloud Logging's agent reads."""

from ..context import ReservedFieldError, bind
from .setup import get_logger, set_level

__all__ = ["ReservedFieldError", "bind", "get_logger", "set_level"]
