"""The exporter: cumulative series in calls of at most 200, never closer together than the API takes them.

An outage costs nothing but time: totals are cumulative, so the next write carries everything. Where a series has been
silent (new, or refused meanwhile), its last value is first written at the time of the previous collection; otherwise
its first burst would be invisible to `increase`, which sees only the difference of two points.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Final

from .encoding import Encoding
from .refusals import Refused, Write, is_passing, is_there, places
from .retired import Key, Retired, key
from .written import MAX_SERIES_PER_CALL, Item, Written

if TYPE_CHECKING:
    from ..clock import Clock
    from .cells import Cell, Series, Store
    from .slot import Slot

_MILLISECOND: Final = 1_000_000
_SECOND: Final = 1_000_000_000
# metric_service.proto: later points are refused, so nothing further ahead can have been written.
_FURTHEST_AHEAD: Final = 300 * _SECOND
#: A series of an open label that stays the same for so long is not written until it changes.
SILENT_AFTER: Final = 900 * _SECOND
_STRIKES: Final = 3
_ASIDE: Final = 300 * _SECOND
_ASIDE_LONGEST: Final = 3600 * _SECOND
_SUSPECTS_PER_CALL: Final = 10
_CHUNK: Final = 200
_PAUSE_SECONDS: Final = 0.0002
_ROUNDS: Final = 3
_MAX_CALLS_WITH_ONE: Final = 100


@dataclass(slots=True)
class Report:
    """What one export did.

    Attributes:
        series: Written or tried; `samples` of them as they are billed.
        refused: Points by code.
        answer: The last refusal's sentence.
        aborted: The call that ended the export early; None when it was complete.
        set_aside: Metric, labels and answer of series that are given up for a while.
        lost: Points of retired series that will not be tried again.
        early: Nothing was written, because the API would take no point yet.
    """

    series: int = 0
    samples: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    answer: str = ""
    aborted: Refused | None = None
    set_aside: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    lost: int = 0
    early: bool = False

    @property
    def ok(self) -> bool:
        return not self.refused

    @property
    def complete(self) -> bool:
        """Whether everything was written and taken."""
        return not self.refused and self.aborted is None and not self.early

    def count(self, refused: Refused, points: int) -> None:
        self.answer = refused.message
        for code, count in (refused.points or {refused.code: points}).items():
            self.refused[code] = self.refused.get(code, 0) + count


class Exporter:
    """Writes the series of a store. Not thread-safe: one thread drives it."""

    def __init__(self, store: "Store", encoding: Encoding, slot: "Slot", clock: "Clock", *, gap: float = 10.0) -> None:
        self._store = store
        self._encoding = encoding
        self._slot = slot
        self._clock = clock
        self._gap = round(gap * _SECOND)
        now = clock.time_ns()
        # The successor of a worker continues its series: it has to start after the last interval written.
        last = slot.last_end if slot.last_end <= now + _FURTHEST_AHEAD else 0
        self._started = max(now, last + _MILLISECOND)
        # End of the previous collection. A series cannot end where it starts, so the first one is a moment later; and
        # the predecessor's last point needs its distance, or the first zero is refused.
        self.previous = max(self._started + _MILLISECOND, last + self._gap)
        #: How many series the last collection had.
        self.collected = 0
        self._begin = 0
        self._suspects = False
        self._leaving: dict[Key, tuple[Series, Cell]] = {}
        self._retired = Retired()

    def seconds_until_allowed(self, gap: float | None = None) -> float:
        """How long to wait until the API takes another point, by its own gap or a given one."""
        wanted = self._gap if gap is None else round(gap * _SECOND)
        return max(0.0, (self.previous + wanted - self._clock.time_ns()) / _SECOND)

    def pending(self) -> "list[Series]":
        """The series that changed since they were last accepted."""
        changed = [series for series, _ in self._retired.waiting]
        for series, cell in self._store.peek():
            written: Written | None = series.state
            if any(cell) if written is None else cell != written.value:
                changed.append(series)
        return changed

    def export(self, write: Write, *, timeout: float = 10.0, last: bool = False, history: bool = True) -> Report:
        """Write every series once, at the present time.

        Args:
            write: Sends one request.
            timeout: Seconds each call may take.
            last: The process ends: only what changed, and without waiting for room before it.
            history: Whether silent series get their last value at the time of the previous collection first.
        """
        report = Report()
        end = self._clock.time_ns()
        if end <= self.previous:
            if self.previous <= end + _FURTHEST_AHEAD:
                report.early = True
                return report  # the wall clock was set back a little: the API takes no older points, it will catch up
            self._rebase(end)
        due, silent = self._collect(end, last=last)
        if history:
            report.aborted = self._catch_up(write, silent, end, timeout)
            if report.aborted is not None:
                report.count(report.aborted, len(due))
        for batch in self._batches(due):
            if report.aborted is None:
                self._write(write, batch, end, timeout, report)
                _let_others_run()
        self._after(due, end, report)
        return report

    def _collect(self, end: int, *, last: bool) -> tuple[list[Item], list[Item]]:
        """What there is to write now, and which of it has been silent. Series that are new get their place here."""
        snapshot: list[tuple[Series, Cell]] = []
        copies = self._store.snapshot()
        while chunk := list(islice(copies, _CHUNK)):
            snapshot += chunk
            _let_others_run()
        self.collected = len(snapshot)
        previous = self.previous
        silent: list[Item] = []
        living = list(takewhile(lambda found: not found[0].retired, snapshot))
        self._leaving = self._retired.leaving(snapshot[len(living) :])
        items: list[Item] = []
        for number, (series, cell) in enumerate(chain(living, self._leaving.values()), start=1):
            if not number % _CHUNK:
                _let_others_run()
            written: Written | None = series.state
            if written is None:
                written = self._admit(series, cell, end, last=last)
                if written is None:
                    continue
            if written.again > end:
                continue
            if cell == written.value:
                if last or (series.open and written.end and end - written.changed >= SILENT_AFTER):
                    continue
            else:
                written.changed = end
            item = Item(series, written, cell)
            items.append(item)
            if (
                written.end < previous
                and series.metric.kind != "gauge"
                and max(previous, written.not_before) > written.start
            ):
                silent.append(item)
        if 0 < self._begin < len(items):
            items = items[self._begin :] + items[: self._begin]
        return items, silent

    def _admit(self, series: "Series", cell: "Cell", end: int, *, last: bool) -> Written | None:
        """A place for a new series; None while one of the same labels leaves no room for it."""
        start, not_before = self._started, 0
        if series.open:
            if not series.retired and key(series) in self._leaving:
                return None  # one point of these labels a call
            after, followed = self._retired.start_after(series)
            start = max(start, after)
            if followed is not None:
                not_before = followed + self._gap
                if not_before + self._gap > end and not (last or series.retired):
                    return None  # the zero before its first value would be too near to one of them
        written = Written(self._encoding.prefix(series), start, [0.0] * len(cell), not_before)
        series.state = written
        return written

    def _catch_up(self, write: Write, items: Sequence[Item], end: int, timeout: float) -> Refused | None:
        """Write the last value of each silent cumulative series at the time of the previous collection."""
        by_time: dict[int, list[Item]] = {}
        for item in items:
            when = max(self.previous, item.written.not_before)
            if when + self._gap <= end or not item.written.not_before:
                by_time.setdefault(when, []).append(item._replace(cell=item.written.sent))
        for when, group in by_time.items():
            for batch in self._batches(group):
                refused = self._write_history(write, batch, when, timeout)
                if refused is not None:
                    return refused
        return None

    def _write_history(self, write: Write, batch: Sequence[Item], when: int, timeout: float) -> Refused | None:
        """One call of last values; what was refused in passing, or for the sake of others, is tried once more.

        Its present value follows at once, and then it is too late: its first burst would be lost to `increase`.
        """
        for _ in range(2):
            refused = self._call(write, batch, when, timeout)
            if refused is not None and refused.aborting:
                return refused
            blamed: dict[int, str] | None = {} if refused is None else places(refused, len(batch))
            if blamed is None:
                return None
            rest = [item for place, item in enumerate(batch) if place not in blamed]
            if refused is None or refused.partial:
                for item in rest:
                    item.written.end = when
                # No loss: a point that arrived although its answer did not is refused here as out of order.
                again = [place for place, why in blamed.items() if not (is_there(why) or is_passing(why))]
                rest = [batch[place] for place in again]
            if not rest:
                return None
            batch = rest
        return None

    def _write(self, write: Write, batch: Sequence[Item], end: int, timeout: float, report: Report) -> None:
        report.series += len(batch)
        for round_number in range(_ROUNDS):
            refused = self._call(write, batch, end, timeout)
            if refused is None:
                self._accept(batch, end, report)
                return
            report.count(refused, len(batch))
            for item in batch:
                # Who knows: a lower value after this one would look like a reset, and be counted twice.
                item.written.sent = item.cell
            if refused.aborting:
                report.aborted = refused
                return
            blamed = places(refused, len(batch))
            if blamed is None:
                self._suspect(batch)
                return
            if refused.resent or round_number:
                # The first attempt arrived although its answer did not.
                blamed = {place: why for place, why in blamed.items() if not is_there(why)}
            for place, why in blamed.items():
                self._strike(batch[place], why, end, report)
            rest = [item for place, item in enumerate(batch) if place not in blamed]
            if refused.partial or not rest:
                self._accept(rest, end, report)
                return
            batch = rest  # nothing of this call was written, and the rest is not to blame

    def _call(self, write: Write, batch: Sequence[Item], end: int, timeout: float) -> Refused | None:
        request = self._encoding.request(batch, end)
        refused = write(request, timeout)
        if refused is None:
            self._encoding.accepted(batch)
        return refused

    def _accept(self, batch: Iterable[Item], end: int, report: Report) -> None:
        for series, written, cell in batch:
            written.value, written.sent, written.end, written.strikes = cell, cell, end, 0
            written.together = MAX_SERIES_PER_CALL
            report.samples += 1 if series.metric.kind != "histogram" else samples(cell)

    def _strike(self, item: Item, why: str, end: int, report: Report) -> None:
        """A refusal that is about this series; after a few it is set aside, so that it spoils no more calls."""
        if is_passing(why):
            return
        written = item.written
        written.strikes += 1
        if written.strikes >= _STRIKES:
            if written.strikes == _STRIKES:  # named once, not again at each late try
                labels = dict(zip(item.series.metric.labels, item.series.values, strict=True))
                report.set_aside.append((item.series.metric.name, labels, why))
            written.again = end + min(_ASIDE << (written.strikes - _STRIKES), _ASIDE_LONGEST)

    def _suspect(self, batch: Sequence[Item]) -> None:
        """Somebody in this call was refused, and the answer does not say who: next time in smaller company."""
        fewer = _SUSPECTS_PER_CALL if len(batch) > _SUSPECTS_PER_CALL else 1
        self._suspects = True
        for item in batch:
            item.written.together = fewer

    def _batches(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        groups = {MAX_SERIES_PER_CALL: items}
        if self._suspects:
            for size in (MAX_SERIES_PER_CALL, _SUSPECTS_PER_CALL, 1):
                groups[size] = [item for item in items if item.written.together == size]
            groups[1] = groups[1][:_MAX_CALLS_WITH_ONE]
        for size, group in groups.items():
            for begin in range(0, len(group), size):
                yield group[begin : begin + size]

    def _after(self, due: Sequence[Item], end: int, report: Report) -> None:
        """Remember what the next collection has to know."""
        self._retired.next_collection()
        self._begin = 0
        if report.aborted is not None:  # the next export begins where this one was broken off
            self._begin = next((place for place, item in enumerate(due) if item.written.end != end), 0)
        for series, cell in self._leaving.values():
            written: Written | None = series.state
            if written is None or cell == written.value:
                # Not its last accepted end: a later point may have arrived although its answer did not.
                self._retired.gone(series, end if written is not None else 0)
            elif report.aborted is None or not self._retired.wait(series, cell):
                self._retired.gone(series, end)
                report.lost += 1
        self._leaving = {}
        if self._suspects:
            self._suspects = any(item.written.together != MAX_SERIES_PER_CALL for item in due)
        self.previous = end
        self._slot.remember(end)

    def _rebase(self, end: int) -> None:
        """The wall clock was wrong by more than the API tolerates: nothing can have been written ahead of it."""
        self._started = min(self._started, end - 2 * _MILLISECOND)
        self.previous = end - _MILLISECOND
        for series, _ in self._store.peek():
            written: Written | None = series.state
            if written is not None and written.start >= self.previous:
                written.start, written.end, written.again = self._started, 0, 0


def _let_others_run() -> None:
    """A thread that only computes keeps the interpreter for 5 ms at a time, and requests wait; so pause before that."""
    time.sleep(_PAUSE_SECONDS)


def samples(cell: "Cell") -> int:
    """Billed samples of a distribution: 2, and one for each filled bucket."""
    return 1 + len(cell) - cell[:-1].count(0.0)
