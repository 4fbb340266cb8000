"""How many different users there were, in 2 KiB a window and without remembering any of them.

HyperLogLog: P. Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007.
The libraries that have it bring NumPy along (datasketch) or have no releases any more; this is 30 lines.
"""

import secrets
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING, Final

from .instruments import MetricsClient

if TYPE_CHECKING:
    from collections.abc import Iterable

# 2,048 registers: the standard error is 1.04 / sqrt(2048) = 2.3 %.
_BITS: Final = 11
_REGISTERS: Final = 1 << _BITS
_HASH_BYTES: Final = 8
_REST: Final = 8 * _HASH_BYTES - _BITS
_ALPHA: Final = 0.7213 / (1 + 1.079 / _REGISTERS)

_MOST_WAITING: Final = 1000

Sketch = bytearray


def note(sketch: Sketch, hashed: int) -> None:
    """Take in a hash of 64 bits."""
    register = hashed >> _REST
    # How far the rest is from its highest bit being set, from 1.
    rank = _REST - (hashed & ((1 << _REST) - 1)).bit_length() + 1
    sketch[register] = max(sketch[register], rank)


def estimate(sketches: "Iterable[Sketch]") -> float:
    """How many different hashes several sketches have taken in together."""
    merged = list(map(max, *sketches, bytes(_REGISTERS), bytes(_REGISTERS)))
    raw = _ALPHA * _REGISTERS**2 / sum(2.0**-rank for rank in merged)
    empty = merged.count(0)
    # Few values leave registers empty, and counting those is more exact then.
    return _REGISTERS * log(_REGISTERS / empty) if empty and raw <= 2.5 * _REGISTERS else raw  # the paper's bound


class _Window:
    """A span of time in equal parts, so that it moves on by a part and not by a whole."""

    def __init__(self, seconds: float, parts: int) -> None:
        self._seconds = seconds / parts
        self._parts = [(-1, Sketch(_REGISTERS)) for _ in range(parts)]

    def current(self, now: float) -> Sketch:
        number = int(now / self._seconds)
        place = number % len(self._parts)
        if self._parts[place][0] != number:
            self._parts[place] = (number, Sketch(_REGISTERS))
        return self._parts[place][1]

    def estimate(self, now: float) -> float:
        oldest = int(now / self._seconds) - len(self._parts)
        return estimate(sketch for number, sketch in self._parts if number > oldest)


class ActiveUsers:
    """Fills `active_users{window}`: call `saw` for each user, and `publish` before each export.

    Two workers see many of the same users, so their figures are no sum: the largest is what is known for certain.

    Args:
        metrics: Where to tell the figures.
        monotonic: Seconds that never go back.
    """

    def __init__(self, metrics: MetricsClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # Of this process alone: nobody can choose names that all fall into one register.
        self._key = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._windows = {"15m": _Window(900, 5), "1h": _Window(3600, 6), "24h": _Window(86400, 12)}
        self._gauges = {name: metrics.gauge("active_users", {"window": name}) for name in self._windows}

    def saw(self, user: str) -> None:
        """A user was active."""
        self._waiting.add(user)  # one step for every thread, and cheap: the sketches are for the exporter's thread
        if len(self._waiting) >= _MOST_WAITING:
            self._take_in()

    def publish(self) -> None:
        self._take_in()
        now = self._monotonic()
        for name, window in self._windows.items():
            self._gauges[name].set(round(window.estimate(now)))

    def _take_in(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
            now = self._monotonic()
            for user in waiting.copy():  # a thread may still add to it; at worst that user is seen the next time
                name = user.encode("utf-8", "surrogatepass")
                digest = blake2b(name, digest_size=_HASH_BYTES, key=self._key).digest()
                hashed = int.from_bytes(digest, "big")
                for window in self._windows.values():
                    note(window.current(now), hashed)
