"""The library's figures about itself, and what they cost, brought into metrics around each export."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .cells import Store
from .instruments import Counter, MetricsClient

if TYPE_CHECKING:
    from ..clock import Clock
    from .export import Report

_HOUR: Final = 3600.0
#: What changes with each export, the last one included; nothing is lost with it.
OWN: Final = frozenset(
    {
        "cloudops_cost_per_hour",
        "cloudops_dropped_total",
        "cloudops_export_duration_seconds",
        "cloudops_export_failures_total",
        "cloudops_last_export_success_timestamp_seconds",
        "cloudops_overhead_seconds_total",
        "cloudops_samples_per_hour",
        "cloudops_samples_written_total",
        "cloudops_series",
    }
)
_NANOS: Final = 1e9
#: Files that record what a process does as long as it lives: its time, its memory, how late its loop is.
PROCESS: Final = frozenset({"core/metrics/sources/linux.py", "core/metrics/sources/process.py"})


class Follower:
    """Lets a counter follow a total that something else keeps."""

    def __init__(self, counter: Counter, total: Callable[[], float]) -> None:
        self._counter = counter
        self._total = total
        self._seen = 0.0

    def __call__(self) -> None:
        total = self._total()
        self._counter.add(total - self._seen)
        self._seen = total


class Rate:
    """How much a total grows an hour, seen over the last hour or as long as there is something to see."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def __call__(self, now: float, total: float) -> float:
        """Note a total at a moment of the monotonic clock; the growth an hour, 0 at the first call."""
        seen = self._seen
        seen.append((now, total))
        while len(seen) > 2 and now - seen[1][0] >= _HOUR:  # noqa: PLR2004  # one before the hour has to stay
            seen.popleft()
        since, before = seen[0]
        return (total - before) / (now - since) * _HOUR if now > since else 0.0


class Costs:
    """What this process sends an hour, priced (`ENABLE_COST_TRACKING`).

    Args:
        client: Where the figures go.
        prices: US dollars for one unit, by signal: `metrics` a sample, `traces` a span, `logs` a byte.
        sources: Signals and what counts their samples, spans or bytes of log lines; may grow.
    """

    def __init__(
        self, client: MetricsClient, prices: Mapping[Any, float], sources: Sequence[tuple[str, Callable[[], float]]]
    ) -> None:
        self._prices = prices
        self._sources = sources
        self._rates = {signal: Rate() for signal in prices}
        self._gauges = {signal: client.gauge("cloudops_cost_per_hour", {"signal": signal}) for signal in prices}

    def refresh(self, now: float) -> None:
        """Bring the gauges up to date, at a moment of the monotonic clock."""
        for signal, price in self._prices.items():
            total = sum(count() for of, count in self._sources if of == signal)
            self._gauges[signal].set(self._rates[signal](now, total) * price)


class OwnFigures:
    """What the exporter tells about itself; `samples`: also the samples written."""

    def __init__(self, store: Store, clock: "Clock", *, samples: bool = False) -> None:
        self._clock = clock
        self._written = MetricsClient(store).counter("cloudops_samples_written_total") if samples else None
        self._client = client = MetricsClient(store)
        self._duration = client.histogram("cloudops_export_duration_seconds")
        self._success = client.gauge("cloudops_last_export_success_timestamp_seconds")
        self._overhead = client.counter("cloudops_overhead_seconds_total")
        self._series = client.gauge("cloudops_series")
        self._hourly = client.gauge("cloudops_samples_per_hour")
        self._rate = Rate()
        #: Samples accepted so far, as they are billed.
        self.samples = 0

    def exported(self, report: "Report", collected: int, seconds: float, cpu_seconds: float) -> None:
        """Note one export: how long it took by the clock, and how much of the processor."""
        self._duration.observe(seconds)
        self._overhead.add(cpu_seconds)
        self._series.set(collected)
        self.samples += report.samples
        if self._written is not None:
            self._written.add(report.samples)
        self._hourly.set(self._rate(self._clock.monotonic(), self.samples))
        if report.complete:
            self._success.set(self._clock.time_ns() / _NANOS)
        for code in report.refused:
            self.failed(code)

    def failed(self, code: str) -> None:
        self._client.counter("cloudops_export_failures_total", {"code": code}).add()

    def dropped(self, reason: str, count: float) -> None:
        if count:
            self._client.counter("cloudops_dropped_total", {"signal": "metrics", "reason": reason}).add(count)
