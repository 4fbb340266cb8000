"""Time as a parameter: two clocks, since deadlines must not follow the wall."""

import time
from typing import Protocol


class Clock(Protocol):
    def time_ns(self) -> int:
        """Wall time: nanoseconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set."""


class SystemClock:
    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
