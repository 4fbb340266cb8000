"""SIGTERM, heard beside whoever else listens to it.

`lifespan.shutdown` comes only after the last open response, and with one open stream never in time; a final write that
waits for it is lost. So whatever has to happen before the platform kills us begins with the signal itself.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType


def on_sigterm(begin: Callable[[], None]) -> Callable[[], None]:
    """Call `begin` when SIGTERM comes, then whoever handled it so far; the returned function ends that.

    Nothing happens outside of the main thread, where Python allows no handlers, nor where SIGTERM simply ends the
    process: taking that over would keep the process alive.

    Args:
        begin: Called inside of a signal handler: it must neither wait nor take a lock.
    """
    if threading.current_thread() is not threading.main_thread():
        return _nothing
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before):
        return _nothing

    def handle(number: int, frame: FrameType | None) -> None:
        begin()
        before(number, frame)

    signal.signal(signal.SIGTERM, handle)

    def undo() -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is handle  # otherwise somebody came after us, who calls us
        ):
            signal.signal(signal.SIGTERM, before)

    return undo


def _nothing() -> None:
    return
