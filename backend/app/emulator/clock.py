"""The one source of time in the emulator, so that a test can make a week pass in a second."""

import time
from typing import Protocol

NANOS = 1_000_000_000


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds since the epoch."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns()


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: int = 1_700_000_000 * NANOS) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"a clock only moves forward, not by {seconds} s")
        self._now += round(seconds * NANOS)
