"""The one source of time in the emulator, so that a test can make a week pass in a second."""

import re
import time
from typing import Protocol

NANOS = 1_000_000_000


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds since the epoch."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns()


class FastClock:
    """A clock that begins at real time and runs `rate` times as fast.

    Clients that write real times soon write into its past: it is for what runs inside of the emulator.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._begun = time.time_ns()
        self._since = time.monotonic_ns()

    def now(self) -> int:
        return self._begun + round((time.monotonic_ns() - self._since) * self.rate)


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


_RATE = re.compile(r"(\d+(?:\.\d+)?)x")
_FASTEST = 100_000.0


def make_clock(text: str) -> Clock:
    """`real`, `manual` (it begins now and moves when told to) or a speed such as `60x`.

    Raises:
        ValueError: Anything else.
    """
    if text == "real":
        return SystemClock()
    if text == "manual":
        return ManualClock(time.time_ns())
    match = _RATE.fullmatch(text)
    if match is None or not 0 < float(match[1]) <= _FASTEST:
        raise ValueError(f"'{text}' is no clock: write real, manual, or a speed such as 60x")
    return FastClock(float(match[1]))
