"""How long points are kept.

Google keeps user-defined metrics for 24 months, the last six weeks of it as they were written and what is older at ten
minutes (docs.cloud.google.com/monitoring/quotas, "Data retention"). A laptop also has a bound in bytes.
"""

from typing import NamedTuple

import numpy as np

from ..clock import NANOS
from .model import Ints
from .store import MetricStore

_DAY = 86_400 * NANOS
WHOLE = 42 * _DAY
LONGEST = 730 * _DAY
_SLOT = 600 * NANOS
# After a sweep there is room for a while, also for the spare places of the columns: sweeping is not for free.
_SHARE_KEPT = 0.8
_STEPS = 48


class Swept(NamedTuple):
    dropped: int
    """Points that went, because of their age or for want of room."""
    before: int
    """No point that ends (ns) at or before this is left."""


class Retention:
    """Sweeps a store; `dropped` counts what gave way before its time."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._thinned_until = 0
        self.dropped = 0

    def sweep(self, now: int, bytes_kept: int) -> Swept:
        before = now - LONGEST
        gone = self._drop(before)
        self._thin((now - WHOLE) // _DAY * _DAY)
        size = self._store.nbytes
        if size > bytes_kept:
            before = max(before, self._cut(now, bytes_kept))
            crowded_out = self._drop(before)
            self.dropped += crowded_out
            gone += crowded_out
        return Swept(gone, before)

    def _drop(self, before: int) -> int:
        gone = 0
        empty = []
        for series in self._store.every():
            first = series.first_after(before)
            if not first:
                continue
            gone += first
            series.keep(np.arange(first, series.size))
            # Others hold on to series that they write themselves, such as log-based metrics.
            if not series.size and series.written_by_clients:
                empty.append(series)
        self._store.forget(empty)
        return gone

    def _thin(self, until: int) -> None:
        """Keep the last point of every ten minutes; of changes (DELTA), which would not add up, all."""
        if until <= self._thinned_until:
            return
        for series in self._store.every():
            high = series.first_after(until)
            low = series.first_after(self._thinned_until)
            if high - low > 1 and series.kind != "DELTA":
                chosen = _last_of_slots(series.slice(low, high).ends) + low
                series.keep(np.concatenate([np.arange(low), chosen, np.arange(high, series.size)]))
        self._thinned_until = until

    def _cut(self, now: int, bytes_kept: int) -> int:
        """A time such that what is younger takes no more than its share of the room."""
        everything = [(series, series.nbytes / max(1, series.size)) for series in self._store.every() if series.size]
        low = min((int(series.slice(0, 1).ends[0]) for series, _ in everything), default=now) - 1
        high = now
        for _ in range(_STEPS):
            middle = (low + high) // 2
            left = sum((series.size - series.first_after(middle)) * each for series, each in everything)
            low, high = (low, middle) if left <= bytes_kept * _SHARE_KEPT else (middle, high)
        return high


def _last_of_slots(ends: Ints) -> Ints:
    slots = (ends - 1) // _SLOT
    last: Ints = np.flatnonzero(np.append(slots[1:] != slots[:-1], True))
    return last
