"""Requests and errors of the last 1, 5 and 15 minutes, from the totals that metrics keep anyway."""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ..metrics.cells import Store

WINDOWS: Final = (1, 5, 15)
_EVERY_SECONDS: Final = 5.0
_LONGEST: Final = WINDOWS[-1] * 60.0
_ERRORS: Final = frozenset({"server_error", "timeout", "aborted_stream"})


class Rate(NamedTuple):
    """What happened within a window; `seconds` is how long it really was."""

    minutes: int
    requests: float
    errors: float
    seconds: float

    @property
    def ratio(self) -> float:
        return self.errors / self.requests if self.requests else 0.0


class RequestRates:
    """Samples of two totals, at most one every 5 seconds and none older than they have to be.

    Args:
        totals: Requests and errors of this process so far.
        monotonic: The clock of the windows: a wall clock that is set changes nothing.
    """

    def __init__(
        self, totals: Callable[[], tuple[float, float]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._totals = totals
        self._monotonic = monotonic
        self._samples: deque[tuple[float, float, float]] = deque([(monotonic(), *totals())])

    def sample(self) -> None:
        now = self._monotonic()
        if now - self._samples[-1][0] >= _EVERY_SECONDS:
            self._samples.append((now, *self._totals()))
            while len(self._samples) > 1 and now - self._samples[1][0] >= _LONGEST:  # one before the window stays
                self._samples.popleft()

    def read(self) -> list[Rate]:
        """One for each window; a process that is younger tells what it has seen."""
        now, (requests, errors) = self._monotonic(), self._totals()
        rates = []
        for minutes in WINDOWS:
            begin = self._samples[0]
            for sample in self._samples:
                if now - sample[0] < minutes * 60.0:
                    break
                begin = sample
            since, requests_then, errors_then = begin
            rates.append(Rate(minutes, requests - requests_then, errors - errors_then, now - since))
        return rates


def request_totals(store: "Store", job: str) -> tuple[float, float]:
    """Requests of a service that this process has answered, and those that were its own failures."""
    requests = errors = 0.0
    for series in store.series:
        if series.metric.name == "http_request_total" and series.job == job:
            count = series.cell[0]
            requests += count
            if _ERRORS.intersection(series.values):
                errors += count
    return requests, errors
