"""The time series behind a selector: computed from an SLI's counts whenever they are read.

cloud.google.com/stackdriver/docs/solutions/slo-monitoring/api/timeseries-selectors names the selectors; metric kind,
value type and the label `event_type` of the counts are as google/slo-generator, a reader,
expects them (DELTA, DOUBLE, `good` and `bad`). One point a minute is our choice.
"""

from typing import NamedTuple

import numpy as np

from ..alerting.limits import seconds
from ..clock import NANOS
from ..monitoring.model import Floats, Ints, Points
from .counts import MINUTE, count, step_of
from .messages import CalendarPeriod, Raw
from .metrics import SeriesStore
from .selectors import (
    BUDGET,
    BUDGET_FRACTION,
    BUDGET_TOTAL,
    BURN_RATE,
    COMPLIANCE,
    COUNTS,
    HEALTH,
    Selector,
)

_DAY = 86_400 * NANOS
_WEEK = 7 * _DAY
# The epoch was a Thursday; weeks begin on Monday.
_FIRST_MONDAY = 4 * _DAY
# Ours: a year of minutes, so that an interval without a start cannot ask for decades.
_LONGEST = 366 * _DAY


class _Spans(NamedTuple):
    good: Floats
    total: Floats


class Objective(NamedTuple):
    slo: Raw
    service: Raw


class SloSeries:
    """What the read side of monitoring takes for a time series."""

    exemplars: dict[int, list[object]] = {}  # noqa: RUF012  # never written: no distributions here
    bucket_count = 0
    texts = None

    def __init__(
        self, selector: Selector, objective: Objective, store: SeriesStore, project: str, *, event: str = ""
    ) -> None:
        self._selector = selector
        self._slo, self._service = objective
        self._store = store
        self._event = event
        self.metric_type = selector.text
        self.metric_labels = {"event_type": event} if event else {}
        self.resource_type = "global"
        self.resource_labels = {"project_id": project}
        self.kind = "DELTA" if selector.function == COUNTS else "GAUGE"
        self.value_type = "DOUBLE"

    def window(self, start: int, end: int) -> Points:
        """The points of (start, end], one a minute; none where there were no events to judge by."""
        start = max(start, end - _LONGEST)
        times = np.arange(start // MINUTE + 1, end // MINUTE + 1, dtype=np.int64) * MINUTE
        if len(times) == 0:
            return Points(times, times, np.empty(0))
        values, starts = self._values(times)
        present = ~np.isnan(values)
        return Points(times[present], starts[present], values[present])

    def window_with_previous(self, start: int, end: int) -> Points:
        return self.window(start - MINUTE, end)

    def _values(self, times: Ints) -> tuple[Floats, Ints]:
        """The value at each time, NaN without one, and where its interval starts."""
        function = self._selector.function
        step = step_of(self._slo.service_level_indicator)
        if function in {COUNTS, HEALTH}:
            spans = self._spans(times - max(step, MINUTE), times)
            if function == HEALTH:
                return _ratio(spans.good, spans.total), times
            if step > MINUTE:
                # A window counts once, in the minute in which it ends.
                spans = _Spans(*(np.where(times % step == 0, part, 0.0) for part in spans))
            values = spans.good if self._event == "good" else spans.total - spans.good
            return np.where(spans.total > 0, values, np.nan), times - MINUTE
        if function == BURN_RATE:
            spans = self._spans(times - self._selector.lookback, times)
            return _ratio(spans.total - spans.good, spans.total) / (1 - self._slo.goal), times
        spans = self._spans(period_starts(self._slo, times), times)
        if function == COMPLIANCE:
            return _ratio(spans.good, spans.total), times
        budget = np.where(spans.total > 0, spans.total * (1 - self._slo.goal), np.nan)
        left = budget - (spans.total - spans.good)
        return {BUDGET: left, BUDGET_FRACTION: left / budget, BUDGET_TOTAL: budget}[function], times

    def _spans(self, starts: Ints, ends: Ints) -> _Spans:
        """Good and total events of each (start, end]."""
        counts = count(
            self._slo.service_level_indicator, self._service, self._store, int(starts.min()), int(ends.max())
        )
        if len(counts.total) == 0:
            nothing = np.zeros(len(ends))
            return _Spans(nothing, nothing)
        low = np.maximum(counts.borders.searchsorted(starts, "right") - 1, 0)
        high = np.maximum(counts.borders.searchsorted(ends, "right") - 1, 0)
        return _Spans(*(_between(part, low, high) for part in (counts.good, counts.total)))


def _between(values: Floats, low: Ints, high: Ints) -> Floats:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    between: Floats = sums[high] - sums[low]
    return between


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def period_starts(slo: Raw, times: Ints) -> Ints:
    """Where the compliance period that each time lies in begins; calendar periods begin at midnight UTC.

    Google does not publish the time zone of calendar periods.
    """
    if slo.WhichOneof("period") == "rolling_period":
        return times - round(seconds(slo.rolling_period) * NANOS)
    # The last moment of a period belongs to it: (start, end].
    before = times - 1
    match CalendarPeriod.Name(slo.calendar_period):
        case "DAY":
            return before // _DAY * _DAY
        case "WEEK":
            return (before - _FIRST_MONDAY) // _WEEK * _WEEK + _FIRST_MONDAY
        case "FORTNIGHT":
            return (before - _FIRST_MONDAY) // (2 * _WEEK) * (2 * _WEEK) + _FIRST_MONDAY
        case _:
            months = before.astype("datetime64[ns]").astype("datetime64[M]")
            return months.astype("datetime64[ns]").astype(np.int64)


def series_of(selector: Selector, objective: Objective, store: SeriesStore, project: str) -> list[SloSeries]:
    events = ("good", "bad") if selector.function == COUNTS else ("",)
    return [SloSeries(selector, objective, store, project, event=event) for event in events]
