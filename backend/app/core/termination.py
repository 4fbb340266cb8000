"""SIGTERM, heard beside whoever else listens to it.

`lifespan.shutdown` comes only after the last open response, and with one open stream never in time; a final write that
waits for it is lost. So whatever has to happen before the platform kills us begins with the signal itself.
"""

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from .wakeup import hold_sigterm

Begin = Callable[[], None]


class Termination:
    """What a process does at SIGTERM before its server's own handler runs.

    Listeners are called inside of a signal handler: they must neither wait nor take a lock.
    """

    def __init__(self) -> None:
        # Changed by replacing them: a signal may come between any two lines.
        self._at_once: tuple[Begin, ...] = ()
        self._after_drain: tuple[Begin, ...] = ()
        self._ours: Callable[[int, FrameType | None], None] | None = None
        self._restore: Callable[[], None] = _nothing
        self._let_loop_hear: Callable[[], None] | None = None
        #: Seconds from the signal to the server's handler. A second SIGTERM does not shorten them: supervisors often
        #: pass on what the whole process group has had already.
        self.drain_seconds = 0.0
        self._heard = self._due = self._over = False

    def add(self, begin: Begin, *, after_drain: bool = False) -> Callable[[], None]:
        """Call a listener when SIGTERM comes, or when the drain is over; the returned function ends that."""
        if after_drain:
            self._after_drain = (*self._after_drain, begin)
        else:
            self._at_once = (*self._at_once, begin)
        self.listen()

        def undo() -> None:
            self._at_once = tuple(one for one in self._at_once if one is not begin)
            self._after_drain = tuple(one for one in self._after_drain if one is not begin)
            if not self._at_once and not self._after_drain:
                self._restore()
                release, self._let_loop_hear = self._let_loop_hear, None
                if release is not None:
                    release()

        return undo

    def begin_again(self, drain_seconds: float) -> None:
        """The service starts, perhaps after an end: the next signal is the first."""
        self.drain_seconds = drain_seconds
        self._heard = self._due = self._over = False

    def listen(self) -> bool:
        """Stand before whoever handles SIGTERM now; to be called again when somebody may have come after us.

        Nothing happens outside of the main thread, where Python allows no handlers, nor where SIGTERM simply ends the
        process: taking that over would keep the process alive.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        before = signal.getsignal(signal.SIGTERM)
        if self.drain_seconds > 0 and self._let_loop_hear is None:
            self._let_loop_hear = hold_sigterm(lambda: not self._due)
        if before is self._ours and before is not None:
            return True
        if not callable(before):
            return False

        def handle(number: int, frame: FrameType | None) -> None:
            if self._drained():
                before(number, frame)

        signal.signal(signal.SIGTERM, handle)
        self._ours = handle

        def restore() -> None:
            if (
                threading.current_thread() is threading.main_thread()
                and signal.getsignal(signal.SIGTERM) is handle  # otherwise somebody came after us, who calls us
            ):
                signal.signal(signal.SIGTERM, before)
                self._ours = None

        self._restore = restore
        return True

    def _drained(self) -> bool:
        """The signal is here: tell the listeners; whether it is time for the server's own handler."""
        first, self._heard = not self._heard, True
        if first:
            _call(self._at_once)
        if self.drain_seconds > 0 and not self._due:
            if first:
                # Not `threading.Thread`, whose start takes locks that the interrupted code may hold.
                _thread.start_new_thread(self._wait, (self.drain_seconds,))
            return False
        self._due = True
        if not self._over:  # otherwise a handler of ours further down the chain was reached
            self._over = True
            _call(self._after_drain)
        return True

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
        self._due = True
        # Again as a signal: a handler may raise, or use the frame, where the main thread stands.
        os.kill(os.getpid(), signal.SIGTERM)

    def in_child_after_fork(self) -> None:
        """The listeners belong to the parent."""
        self._at_once = self._after_drain = ()
        self._let_loop_hear = None


def _call(listeners: tuple[Begin, ...]) -> None:
    for begin in listeners:
        with contextlib.suppress(Exception):  # the server's handler has to come in any case
            begin()


def _nothing() -> None:
    return


#: Of this process.
termination = Termination()


def on_sigterm(begin: Begin, *, after_drain: bool = False) -> Callable[[], None]:
    """Call `begin` when SIGTERM comes, before whoever handled it so far; the returned function ends that.

    Args:
        begin: Called inside of a signal handler: it must neither wait nor take a lock.
        after_drain: Call it when `DRAIN_SECONDS` are over, right before the server's own handler.
    """
    return termination.add(begin, after_drain=after_drain)


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=termination.in_child_after_fork)
