"""Selectors and range selectors over all steps: where samples become vectors."""

from dataclasses import dataclass

import numpy as np

from . import syntax
from .dialect import Dialect
from .model import Floats, Mask, QueryError, Sampled, SampleSource, Times
from .regex import RegexError
from .values import Bundle, Ranges, Vector, empty

# Prometheus marks the end of a series with this NaN (prometheus/model/value: StaleNaN).
STALE_BITS = 0x7FF0000000000002
_MAX_CELLS = 40_000_000  # of 8 bytes, once per node of the query


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything below one node sees: the steps it is asked for, and what the whole query is asked for."""

    source: SampleSource
    dialect: Dialect
    times: Times  # the steps, ms
    start: int  # of the query as a whole, for @ start()
    end: int
    step: int  # 0 for an instant query

    @property
    def steps(self) -> int:
        return len(self.times)


def stale(values: Floats) -> Mask:
    marks: Mask = values.view(np.uint64) == STALE_BITS
    return marks


def shifted(shift: syntax.Shift, env: Environment) -> Times:
    """The times at which a selector looks, per step."""
    at = {"start": env.start, "end": env.end}.get(shift.at) if isinstance(shift.at, str) else shift.at
    times = env.times if at is None else np.full(env.steps, at, dtype=np.int64)
    return times - shift.offset if shift.offset else times


def _fetch(selector: syntax.Selector, start: int, end: int, env: Environment) -> list[Sampled]:
    try:
        found = env.source.select(selector.matchers, start, end)
    except RegexError as error:
        raise QueryError(str(error)) from None
    return [_without_empty_labels(series) for series in found if len(series.times)]


def _without_empty_labels(series: Sampled) -> Sampled:
    """An empty label is no label in Prometheus; Cloud Monitoring's points may carry some."""
    if "" not in series.labels.values():
        return series
    labels = {name: value for name, value in series.labels.items() if value}
    return Sampled(labels, series.times, series.values)


def instant_vector(selector: syntax.Selector, env: Environment) -> Vector:
    """The newest sample of each series in the lookback."""
    return _newest(selector, env, of_times=False)


def instant_times(selector: syntax.Selector, env: Environment) -> Vector:
    """When the newest sample was taken, in seconds."""
    return _newest(selector, env, of_times=True)


def _newest(selector: syntax.Selector, env: Environment, *, of_times: bool) -> Vector:
    times = shifted(selector.shift, env)
    found = _fetch(selector, int(times.min()) - env.dialect.lookback, int(times.max()), env)
    vector = empty(env.steps)
    if not found:
        return vector
    check_size(len(found), env.steps)
    vector.labels = [series.labels for series in found]
    vector.values = np.empty((len(found), env.steps))
    vector.present = np.empty((len(found), env.steps), dtype=bool)
    previous: Times | None = None
    for row, series in enumerate(found):
        if previous is None or not (previous is series.times or np.array_equal(previous, series.times)):
            previous = series.times
            last = np.searchsorted(previous, times, side="right") - 1
            index = np.maximum(last, 0)
            stamps = previous[index]
            fresh = (last >= 0) & (times - stamps <= env.dialect.lookback)
        values = series.values[index]
        vector.values[row] = stamps / 1000 if of_times else values
        vector.present[row] = fresh & ~stale(values) if env.dialect.staleness_markers else fresh
    return vector


def check_size(series: int, steps: int) -> None:
    """Keep one query from taking all memory.

    Raises:
        QueryError: More numbers than `_MAX_CELLS`.
    """
    if series * steps > _MAX_CELLS:
        raise QueryError(
            f"{series:,} series at {steps:,} steps are more than this emulator computes at once: "
            "narrow the selector, shorten the range or lengthen the step"
        )


def window_ranges(window: syntax.Window, env: Environment, least: int = 0) -> Ranges:
    """The samples of each step's window; `least` is the shortest window in ms, where a dialect raises it."""
    ends = shifted(window.selector.shift, env)
    starts = ends - max(window.length, least)
    found = _fetch(window.selector, int(starts.min()), int(ends.max()), env)
    if env.dialect.staleness_markers:
        found = [_without_markers(series) for series in found]
    return ranges(found, starts, ends, left_closed=env.dialect.left_closed_windows)


def _without_markers(series: Sampled) -> Sampled:
    marks = stale(series.values)
    return series if not marks.any() else Sampled(series.labels, series.times[~marks], series.values[~marks])


def ranges(found: list[Sampled], starts: Times, ends: Times, *, left_closed: bool) -> Ranges:
    """Series with the same times bundled, so that what depends on times alone is computed once."""
    together: dict[tuple[int, int, int], list[list[Sampled]]] = {}
    for series in found:
        if not len(series.times):
            continue
        groups = together.setdefault((len(series.times), int(series.times[0]), int(series.times[-1])), [])
        for group in groups:
            if group[0].times is series.times or np.array_equal(group[0].times, series.times):
                group.append(series)
                break
        else:
            groups.append([series])
    check_size(len(found), len(ends))
    bundles = []
    for group in (group for groups in together.values() for group in groups):
        times = group[0].times
        bundles.append(
            Bundle(
                labels=[series.labels for series in group],
                times=times,
                values=np.stack([series.values for series in group]),
                lo=np.searchsorted(times, starts, side="left" if left_closed else "right"),
                hi=np.searchsorted(times, ends, side="right"),
            )
        )
    return Ranges(bundles, starts, ends, len(ends))
