"""Cloud Run's own metrics of a revision, as the platform writes them.

Types, kinds, units and labels: cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run; all are sampled every 60
seconds. The bounds of the distributions are not published: powers of the square root of two are our choice.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from .exchange import Exchange
from .usage import Usage

_PREFIX = "run.googleapis.com/"
_MILLI = 1_000_000
# "Billable time is rounded up to the nearest 100 milliseconds" (metrics_gcp_p_z, billable_instance_time).
_BILLED = 100 * _MILLI


class Bounds(NamedTuple):
    scale: float
    growth: float
    buckets: int

    def place(self, value: float) -> int:
        """The bucket of a value: 0 below the scale, the last above all bounds."""
        place, bound = 0, self.scale
        while value >= bound and place <= self.buckets:
            place += 1
            bound *= self.growth
        return place


LATENCY = Bounds(1.0, 2**0.5, 44)
SHARE = Bounds(0.01, 2**0.5, 16)
NUMBER = Bounds(1.0, 2**0.5, 24)


class Spread:
    """A distribution that grows."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.count = 0
        self.mean = self.squares = 0.0
        self.buckets: Counter[int] = Counter()

    def add(self, value: float) -> None:
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)
        self.buckets[self.bounds.place(value)] += 1

    def as_json(self) -> dict[str, Any]:
        scale, growth, buckets = self.bounds
        return {
            "count": self.count,
            "mean": self.mean,
            "sum_of_squared_deviation": self.squares,
            "bucket_options": {
                "exponential_buckets": {"num_finite_buckets": buckets, "growth_factor": growth, "scale": scale}
            },
            "bucket_counts": [self.buckets[place] for place in range(max(self.buckets, default=0) + 1)],
        }


class Sample(NamedTuple):
    """One point: `value` fits TypedValue."""

    metric: str
    labels: dict[str, str]
    kind: str
    unit: str
    value: dict[str, Any]


class RevisionMetrics:
    """Counts what happens; `take` gives the points of the time since it was last asked, and starts again."""

    def __init__(self, *, cpus: float, memory_bytes: int) -> None:
        self._cpus = cpus
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._requests: Counter[int] = Counter()
        self._latencies: dict[int, Spread] = {}
        self._startups = Spread(LATENCY)
        self._cpu, self._memory = Spread(SHARE), Spread(SHARE)
        self._cpu_before: tuple[int, float] | None = None
        self._in_flight = self._most_in_flight = 0
        self._instances = 0
        self._billable = 0
        self._busy_since: int | None = None

    def finished(self, exchange: Exchange) -> None:
        with self._lock:
            self._requests[exchange.status] += 1
            self._latencies.setdefault(exchange.status, Spread(LATENCY)).add(exchange.latency / _MILLI)

    def in_flight(self, number: int, now: int) -> None:
        """The number of requests at the instance changed, now (ns)."""
        with self._lock:
            self._in_flight = number
            self._most_in_flight = max(self._most_in_flight, number)
            self._busy(number > 0, now)

    def starting(self, now: int) -> None:
        with self._lock:
            self._instances = 1
            self._busy(True, now)

    def started(self, seconds: float, now: int) -> None:
        with self._lock:
            self._startups.add(seconds * 1000)
            self._busy(self._in_flight > 0, now)

    def ended(self, now: int) -> None:
        with self._lock:
            self._instances = 0
            self._cpu_before = None
            self._busy(False, now)

    def used(self, usage: Usage, now: int) -> None:
        with self._lock:
            self._memory.add(usage.memory_bytes / self._memory_bytes)
            if self._cpu_before is not None:
                then, seconds = self._cpu_before
                passed = (now - then) / 1e9 * self._cpus
                if passed > 0 and usage.cpu_seconds >= seconds:
                    self._cpu.add((usage.cpu_seconds - seconds) / passed)
            self._cpu_before = now, usage.cpu_seconds

    def take(self, now: int) -> list[Sample]:
        with self._lock:
            self._busy(self._busy_since is not None, now)
            active = self._in_flight > 0 or self._most_in_flight > 0
            found = list(self._of_requests())
            for state in ("active", "idle"):
                number = self._instances if active == (state == "active") else 0
                found.append(_number("container/instance_count", {"state": state}, "GAUGE", "1", number))
            concurrencies = Spread(NUMBER)
            if self._instances:
                concurrencies.add(self._most_in_flight)
                state = "active" if active else "idle"
                found.append(_spread("container/max_request_concurrencies", {"state": state}, "1", concurrencies))
            for name, unit, spread in (
                ("container/startup_latencies", "ms", self._startups),
                ("container/cpu/utilizations", "10^2.%", self._cpu),
                ("container/memory/utilizations", "10^2.%", self._memory),
            ):
                if spread.count:
                    found.append(_spread(name, {}, unit, spread))
            billable = -(-self._billable // _BILLED) * _BILLED / 1e9
            found.append(
                Sample(_PREFIX + "container/billable_instance_time", {}, "DELTA", "s", {"double_value": billable})
            )
            self._requests, self._latencies = Counter(), {}
            self._startups, self._cpu, self._memory = Spread(LATENCY), Spread(SHARE), Spread(SHARE)
            self._most_in_flight = self._in_flight
            self._billable = 0
            return found

    def _of_requests(self) -> Iterable[Sample]:
        for status, number in sorted(self._requests.items()):
            labels = {"response_code": str(status), "response_code_class": f"{status // 100}xx"}
            yield _number("request_count", labels, "DELTA", "1", number)
            yield _spread("request_latencies", labels, "ms", self._latencies[status])

    def _busy(self, busy: bool, now: int) -> None:
        """Billable is the time in which the instance starts or has a request."""
        if self._busy_since is not None:
            self._billable += now - self._busy_since
        self._busy_since = now if busy else None


def _number(name: str, labels: dict[str, str], kind: str, unit: str, value: int) -> Sample:
    return Sample(_PREFIX + name, labels, kind, unit, {"int64_value": value})


def _spread(name: str, labels: dict[str, str], unit: str, spread: Spread) -> Sample:
    return Sample(_PREFIX + name, labels, "DELTA", unit, {"distribution_value": spread.as_json()})
