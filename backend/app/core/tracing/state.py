"""Which apps of this process trace, for what runs outside of a request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .traces import Traces

_running: "list[Traces]" = []


def running() -> "Traces | None":
    """The app that was started first, and still runs; None when none traces."""
    return _running[0] if _running else None


def joined(traces: "Traces") -> None:
    if traces not in _running:
        _running.append(traces)


def left(traces: "Traces") -> None:
    if traces in _running:
        _running.remove(traces)
