"""When the next export is due, and what wakes the thread that waits for it."""

import random
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..clock import Clock

_FIRST_SHARE: Final = 0.2
_LONGEST_BACKOFF: Final = 600.0
_LONGEST_ASKED: Final = 300.0


class Pace:
    """One deadline on the monotonic clock.

    Where the platform stops timers between requests (Cloud Run with CPU only during requests), waiting for a time does
    not work; the end of each request asks whether the time has come. After a thaw the deadline has passed once, however
    long it took.
    """

    def __init__(self, clock: "Clock", interval: float, dice: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._interval = interval
        self._dice = dice
        # Its `put` may be called from a signal handler that interrupts a `put`; `threading.Event.set` may not.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._nudged = False
        self._failures = 0
        #: When `stop` was called; None before.
        self.stopped: float | None = None
        #: Nobody is left who could count something.
        self.over = False
        # Instances that start together do not export together.
        self.due = clock.monotonic() + interval * (_FIRST_SHARE + (1 - _FIRST_SHARE) * dice())

    def nudge(self) -> None:
        """Wake the thread if an export is due: cheap, never waits, callable from anywhere."""
        if self._clock.monotonic() >= self.due and not self._nudged:
            self._nudged = True
            self._wakes.put(None)

    def hurry(self, seconds: float) -> None:
        """Make an export due in so many seconds, unless it is earlier anyway."""
        self.due = min(self.due, self._clock.monotonic() + seconds)
        self._wakes.put(None)

    def stop(self, *, over: bool, since: float | None = None) -> None:
        """End the waiting for good; callable from a signal handler.

        Args:
            over: The service has ended; False when it is only about to.
            since: When the platform's deadline began to run, if that was before now.
        """
        if self.stopped is None:
            self.stopped = self._clock.monotonic() if since is None else since
        self.over = self.over or over
        self._wakes.put(None)

    def wait(self) -> bool:
        """Wait for the next export; True when the process is ending."""
        while self.stopped is None:
            left = self.due - self._clock.monotonic()
            if left <= 0:
                return False
            self._sleep(left)
        return True

    def rest(self, until: float, *, unless: Callable[[], bool]) -> None:
        """Wait until a moment of the monotonic clock, or for a reason to stop waiting."""
        while not unless() and (left := until - self._clock.monotonic()) > 0:
            self._sleep(left)

    def _sleep(self, seconds: float) -> None:
        try:
            self._wakes.get(timeout=seconds)
        except Empty:
            return

    def next(self, *, least: float = 0.0) -> None:
        """The next export is an interval from now, and not before `least` seconds."""
        self._failures = 0
        self._set(max(self._interval, least))

    def postpone(self, seconds: float) -> None:
        """The API takes no point before that."""
        self._set(seconds)

    def back_off(self, asked: float = 0.0) -> None:
        """The back end has had enough of us: wait longer each time, and not all at the same moment.

        Args:
            asked: Seconds the back end wants us to wait.
        """
        self._failures = min(self._failures + 1, 10)
        longest = min(self._interval * 2**self._failures, max(_LONGEST_BACKOFF, self._interval))
        wanted = longest * (0.5 + 0.5 * self._dice())
        self._set(max(self._interval, wanted, min(asked, _LONGEST_ASKED)))

    def _set(self, seconds: float) -> None:
        self.due = self._clock.monotonic() + seconds
        self._nudged = False
