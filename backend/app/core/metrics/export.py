"""The exporter: cumulative series in calls of at most 200, never closer together than the API takes them.

An outage costs nothing but time: totals are cumulative, so the next write carries everything. Where a series has been
silent (new, or refused meanwhile), its last value is first written at the time of the previous collection; otherwise
its first burst would be invisible to `increase`, which sees only the difference of two points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from . import wire
from .cells import Cell, Series, Store

if TYPE_CHECKING:
    from ..clock import Clock
    from .slot import Slot
    from .target import Target
    from .transport import Refused, Write

MAX_SERIES_PER_CALL: Final = 200  # google/monitoring/v3/metric_service.proto, CreateTimeSeriesRequest.time_series
_MILLISECOND: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_SNAPSHOT_CHUNK: Final = 200
Item = TypeVar("Item")


@dataclass(slots=True)
class _Written:
    """What the back end knows of one series."""

    prefix: bytes
    options: bytes
    start: int
    value: Cell
    end: int = 0
    described: bool = False


@dataclass(slots=True)
class Report:
    """What one export did."""

    series: int = 0
    samples: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    message: str = ""

    @property
    def ok(self) -> bool:
        return not self.refused


class Exporter:
    """Writes the series of a store. Not thread-safe: one thread drives it."""

    def __init__(self, store: Store, target: "Target", slot: "Slot", clock: "Clock", *, gap: float = 10.0) -> None:
        self._store = store
        self._target = target
        self._slot = slot
        self._clock = clock
        self._gap = round(gap * _SECOND)
        self._known: list[_Written] = []
        # The successor of a worker continues its series: it has to start after the last interval written.
        self._started = max(clock.time_ns(), slot.last_end + _MILLISECOND)
        # End of the previous collection. A series cannot end where it starts, so the first one is a moment later.
        self.previous = self._started + _MILLISECOND

    def seconds_until_allowed(self, gap: float | None = None) -> float:
        """How long to wait until the API takes another point, by its own gap or a given one."""
        wanted = self._gap if gap is None else round(gap * _SECOND)
        return max(0.0, (self.previous + wanted - self._clock.time_ns()) / _SECOND)

    def pending(self) -> int:
        """How many series changed since they were last written."""
        changed = 0
        for index, (_series, cell) in enumerate(self._snapshot()):
            known = self._known[index] if index < len(self._known) else None
            changed += any(cell) if known is None else cell != known.value
        return changed

    def export(self, write: "Write", *, timeout: float = 10.0) -> Report:
        """Write every series once, at the present time.

        Args:
            write: Sends one request.
            timeout: Seconds each call may take.
        """
        end = self._clock.time_ns()
        if end <= self.previous:  # the wall clock was set back: the API takes no older points, so let it catch up
            return Report()
        report = Report()
        snapshot = list(self._snapshot())
        self._learn(snapshot)
        self._catch_up(write, timeout)
        due = list(zip(self._known, snapshot, strict=True))
        for batch in _batches(due):
            bodies = [self._encode(known, series, cell, end) for known, (series, cell) in batch]
            refused = self._send(write, bodies, timeout, report)
            for known, (series, cell) in batch:
                if refused is None:
                    known.value, known.end, known.described = cell, end, True
                    report.samples += _samples(series, cell)
        self.previous = end
        self._slot.remember(end)
        return report

    def _snapshot(self) -> Iterator[tuple[Series, Cell]]:
        """Copies of all cells; the lock is never held for more than a few hundred of them."""
        series = self._store.series
        for begin in range(0, len(series), _SNAPSHOT_CHUNK):
            chunk = series[begin : begin + _SNAPSHOT_CHUNK]
            with self._store.lock:
                copies = [(one, one.cell[:]) for one in chunk]
            yield from copies

    def _learn(self, snapshot: Sequence[tuple[Series, Cell]]) -> None:
        for series, cell in snapshot[len(self._known) :]:
            self._known.append(
                _Written(
                    prefix=self._target.prefix(series.metric, series.job, series.values),
                    options=wire.bucket_options(series.metric.buckets) if series.metric.buckets else b"",
                    start=self._started,
                    value=[0.0] * len(cell),
                )
            )

    def _catch_up(self, write: "Write", timeout: float) -> None:
        """Write the last value of each silent cumulative series at the time of the previous collection."""
        silent = [
            (known, series)
            for known, series in zip(self._known, self._store.series, strict=False)
            if known.end < self.previous and series.metric.kind != "gauge" and self.previous > known.start
        ]
        for batch in _batches(silent):
            bodies = [self._encode(known, series, known.value, self.previous) for known, series in batch]
            # Its refusal is no loss: a point that arrived although its answer did not is refused here as out of order.
            if self._send(write, bodies, timeout, Report()) is None:
                for known, _series in batch:
                    known.end, known.described = self.previous, True

    def _encode(self, known: _Written, series: Series, cell: Cell, end: int) -> bytes:
        metric = series.metric
        text = b"" if known.described else wire.unit_and_description(metric.unit, metric.description)
        when = wire.interval(None if metric.kind == "gauge" else known.start, end)
        if metric.kind == "histogram":
            point = wire.distribution_point(when, known.options, cell[:-1], cell[-1], metric.buckets)
        else:
            point = wire.double_point(when, cell[0])
        return known.prefix + text + point

    def _send(self, write: "Write", bodies: list[bytes], timeout: float, report: Report) -> "Refused | None":
        refused = write(wire.request(wire.name_field(self._target.project), bodies), timeout)
        report.series += len(bodies)
        if refused is not None:
            report.message = refused.message
            points = refused.points or {refused.code: len(bodies) - refused.written}
            for code, count in points.items():
                report.refused[code] = report.refused.get(code, 0) + count
        return refused


def _samples(series: Series, cell: Cell) -> int:
    """Billed samples of one point: 1, or 2 and one for each filled bucket of a distribution."""
    return 1 if series.metric.kind != "histogram" else 2 + sum(1 for count in cell[:-1] if count)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(items), MAX_SERIES_PER_CALL):
        yield items[begin : begin + MAX_SERIES_PER_CALL]
