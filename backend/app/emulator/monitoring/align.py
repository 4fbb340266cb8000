"""Aligners: one value a period (google/monitoring/v3/common.proto, Aggregation.Aligner).

Periods end at the end of the queried interval and go back from there; a period is (t - period, t]. Google publishes
no more about where they begin.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..clock import NANOS
from ..status import ApiError, invalid_field, unimplemented
from .model import Floats, Ints
from .streams import PERCENTILES, Histograms, Stream, means, percentile

_NUMERIC = frozenset({"INT64", "DOUBLE"})
_SAME = ""


class Aligner(NamedTuple):
    kinds: frozenset[str]
    types: frozenset[str]
    kind: str
    """Of the output; empty: that of the input."""
    type: str


_CHANGING = frozenset({"CUMULATIVE", "DELTA"})
_LEVEL = frozenset({"GAUGE"})
_VALUES = frozenset({"GAUGE", "DELTA"})
_BOOL = frozenset({"BOOL"})
_ALIGNERS = {
    "ALIGN_DELTA": Aligner(_CHANGING, _NUMERIC | {"DISTRIBUTION"}, "DELTA", _SAME),
    "ALIGN_RATE": Aligner(_CHANGING, _NUMERIC, "GAUGE", "DOUBLE"),
    "ALIGN_INTERPOLATE": Aligner(_LEVEL, _NUMERIC, "GAUGE", _SAME),
    "ALIGN_NEXT_OLDER": Aligner(_LEVEL, _NUMERIC | {"BOOL", "STRING", "DISTRIBUTION"}, "GAUGE", _SAME),
    "ALIGN_MIN": Aligner(_VALUES, _NUMERIC, "GAUGE", _SAME),
    "ALIGN_MAX": Aligner(_VALUES, _NUMERIC, "GAUGE", _SAME),
    "ALIGN_MEAN": Aligner(_VALUES, _NUMERIC, "GAUGE", "DOUBLE"),
    "ALIGN_COUNT": Aligner(_VALUES, _NUMERIC | _BOOL, _SAME, "INT64"),
    "ALIGN_SUM": Aligner(_VALUES, _NUMERIC | {"DISTRIBUTION"}, _SAME, _SAME),
    "ALIGN_STDDEV": Aligner(_VALUES, _NUMERIC, "GAUGE", "DOUBLE"),
    "ALIGN_COUNT_TRUE": Aligner(_LEVEL, _BOOL, "GAUGE", "INT64"),
    "ALIGN_COUNT_FALSE": Aligner(_LEVEL, _BOOL, "GAUGE", "INT64"),
    "ALIGN_FRACTION_TRUE": Aligner(_LEVEL, _BOOL, "GAUGE", "DOUBLE"),
    "ALIGN_PERCENT_CHANGE": Aligner(_VALUES, _NUMERIC, "GAUGE", "DOUBLE"),
} | {f"ALIGN_{name}": Aligner(_VALUES, frozenset({"DISTRIBUTION"}), "GAUGE", "DOUBLE") for name in PERCENTILES}


def output_of(aligner: str, kind: str, value_type: str, field: str = "aggregation") -> tuple[str, str]:
    """Kind and value type after alignment.

    Raises:
        ApiError: The aligner does not apply; Google's sentence. ALIGN_SUM over DELTA distributions is refused
            too, although common.proto allows it.
    """
    rule = _ALIGNERS.get(aligner)
    if rule is None:
        raise unimplemented(aligner)
    summed = aligner == "ALIGN_SUM" and (kind, value_type) == ("DELTA", "DISTRIBUTION")
    if kind not in rule.kinds or value_type not in rule.types or summed:
        raise refused_aligner(aligner, kind, value_type, field)
    return rule.kind or kind, rule.type or value_type


def refused_aligner(aligner: str, kind: str, value_type: str, field: str) -> ApiError:
    why = f"The aligner cannot be applied to metrics with kind {kind} and value type {value_type}."
    return invalid_field(f"{field}.perSeriesAligner", why, aligner)


def grid(start: int, end: int, period: int) -> Ints:
    """The borders of the periods of (start, end]: one more than there are periods, and at least one period."""
    count = max(1, -(-(end - start) // period))
    return end - period * np.arange(count, -1, -1, dtype=np.int64)


def align(stream: Stream, aligner: str, borders: Ints, field: str = "aggregation") -> Stream:
    """One point a period that has data; for CUMULATIVE, the stream should begin one point before the first border."""
    kind, value_type = output_of(aligner, stream.kind, stream.value_type, field)
    if aligner == "ALIGN_PERCENT_CHANGE":
        periods = _percent_change(stream, borders)
    else:
        periods = _change(stream, aligner, borders) if aligner in _CHANGES else _values(stream, aligner, borders)
    ends = borders[1:][periods.present]
    starts = borders[:-1][periods.present] if kind == "DELTA" else ends
    return stream._replace(
        kind=kind,
        value_type=value_type,
        starts=starts,
        ends=ends,
        values=periods.values,
        histograms=periods.histograms,
        texts=periods.texts,
        source=None,
    )


class _Periods(NamedTuple):
    present: Ints
    """Indexes of the periods that have a value; the other columns have one row for each."""
    values: Floats
    histograms: Histograms | None = None
    texts: list[str] | None = None


def _values(stream: Stream, aligner: str, borders: Ints) -> _Periods:
    """Aligners that look at the points whose end lies in the period."""
    if aligner == "ALIGN_INTERPOLATE":
        return _interpolate(stream, borders)
    first = int(stream.ends.searchsorted(borders[0], "right"))
    last = int(stream.ends.searchsorted(borders[-1], "right"))
    place = borders.searchsorted(stream.ends[first:last], "left") - 1
    present, begins, counts = np.unique(place, return_index=True, return_counts=True)
    values = stream.values[first:last]
    if len(present) == 0:
        empty = None if stream.histograms is None else stream.histograms.rows(slice(0, 0))
        return _Periods(present, values, empty, None if stream.texts is None else [])
    if aligner == "ALIGN_NEXT_OLDER":
        newest = first + begins + counts - 1
        return _Periods(
            present,
            stream.values[newest],
            None if stream.histograms is None else stream.histograms.rows(newest),
            None if stream.texts is None else [stream.texts[index] for index in newest.tolist()],
        )
    if stream.histograms is not None:
        merged = _merged(stream.histograms.rows(slice(first, last)), begins)
        if aligner == "ALIGN_SUM":
            return _Periods(present, means(merged), merged)
        return _Periods(present, percentile(merged, PERCENTILES[aligner.removeprefix("ALIGN_")]))
    return _Periods(present, _NUMBERS[aligner](values, begins, counts))


def _merged(histograms: Histograms, begins: Ints) -> Histograms:
    counts, sums, squares, buckets, bounds = histograms
    return Histograms(
        np.add.reduceat(counts, begins),
        np.add.reduceat(sums, begins),
        np.add.reduceat(squares, begins),
        np.add.reduceat(buckets, begins, axis=0),
        bounds,
    )


def _mean(values: Floats, begins: Ints, counts: Ints) -> Floats:
    mean: Floats = np.add.reduceat(values, begins) / counts
    return mean


def _stddev(values: Floats, begins: Ints, counts: Ints) -> Floats:
    deviations = values - np.repeat(_mean(values, begins, counts), counts)
    return np.sqrt(_mean(deviations**2, begins, counts))


_NUMBERS: dict[str, Callable[[Floats, Ints, Ints], Floats]] = {
    "ALIGN_MIN": lambda values, begins, _: np.minimum.reduceat(values, begins),
    "ALIGN_MAX": lambda values, begins, _: np.maximum.reduceat(values, begins),
    "ALIGN_MEAN": _mean,
    "ALIGN_COUNT": lambda _values, _, counts: counts.astype(np.float64),
    "ALIGN_SUM": lambda values, begins, _: np.add.reduceat(values, begins),
    "ALIGN_STDDEV": _stddev,
    "ALIGN_COUNT_TRUE": lambda values, begins, _: np.add.reduceat(values, begins),
    "ALIGN_COUNT_FALSE": lambda values, begins, _: np.add.reduceat(1.0 - values, begins),
    "ALIGN_FRACTION_TRUE": _mean,
}


def _interpolate(stream: Stream, borders: Ints) -> _Periods:
    """The value on the line between the points around each period's end."""
    targets = borders[1:]
    if len(stream.ends) == 0:
        return _Periods(np.empty(0, np.int64), stream.values)
    present = np.flatnonzero((targets >= stream.ends[0]) & (targets <= stream.ends[-1]))
    values = np.interp(targets[present] - borders[0], stream.ends - borders[0], stream.values)
    return _Periods(present, np.rint(values) if stream.value_type == "INT64" else values)


PERCENT_CHANGE_MEAN = 600 * NANOS
"""How far back ALIGN_PERCENT_CHANGE looks from each moment (ns)."""


def _percent_change(stream: Stream, borders: Ints) -> _Periods:
    """(current - previous) / previous * 100, one period apart, after a moving mean of ten minutes (common.proto).

    Values below 0 are no data; 0 and 0 make 0, a previous 0 alone makes infinity.
    """
    kept = np.flatnonzero(stream.values >= 0)
    means_ = _moving_means(stream.ends[kept], stream.values[kept], borders)
    previous, current = means_[:-1], means_[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where((previous == 0) & (current == 0), 0.0, (current - previous) / previous * 100)
    present = np.flatnonzero(~np.isnan(previous) & ~np.isnan(current))
    return _Periods(present, change[present])


def _moving_means(times: Ints, values: Floats, at: Ints) -> Floats:
    """The mean of the ten minutes up to each moment; NaN without a point."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    first, last = times.searchsorted(at - PERCENT_CHANGE_MEAN, "right"), times.searchsorted(at, "right")
    counts = last - first
    answer: Floats = np.divide(sums[last] - sums[first], counts, out=np.full(len(at), np.nan), where=counts > 0)
    return answer


_CHANGES = frozenset({"ALIGN_DELTA", "ALIGN_RATE"})


def _change(stream: Stream, aligner: str, borders: Ints) -> _Periods:
    """Differences of the running total at the borders, which lies on a line between two points."""
    columns = _columns(stream)
    if len(columns) == 0:
        return _Periods(np.empty(0, np.int64), stream.values, stream.histograms)
    lefts, increments = _increments(stream, columns)
    totals = np.cumsum(increments, axis=0)
    knots = np.column_stack((lefts, stream.ends)).ravel() - borders[0]
    heights = np.repeat(np.concatenate((np.zeros((1, totals.shape[1])), totals)), 2, axis=0)[1:-1]
    targets = borders - borders[0]
    at_borders = np.column_stack([np.interp(targets, knots, height) for height in heights.T])
    if stream.value_type == "INT64":
        at_borders = np.rint(at_borders)
    present = np.flatnonzero((targets[1:] > knots[0]) & (targets[:-1] < knots[-1]))
    changes = np.diff(at_borders, axis=0)[present]
    if stream.histograms is not None:
        buckets = np.diff(np.rint(at_borders[:, 3:]), axis=0)[present]
        counts = buckets.sum(axis=1) if len(stream.histograms.bounds) else np.rint(changes[:, 0])
        merged = Histograms(counts, changes[:, 1], changes[:, 2], buckets, stream.histograms.bounds)
        return _Periods(present, means(merged), merged)
    values = changes[:, 0]
    if aligner == "ALIGN_RATE":
        values = values / ((borders[1] - borders[0]) / NANOS)
    return _Periods(present, values)


def _columns(stream: Stream) -> Floats:
    if stream.histograms is None:
        return stream.values[:, None]
    counts, sums, squares, buckets, _ = stream.histograms
    return np.column_stack((counts, sums, squares, buckets))


def _increments(stream: Stream, columns: Floats) -> tuple[Ints, Floats]:
    """Where each point's growth began, and how much it grew; a reset counts from its new start."""
    lefts = stream.starts.copy()
    increments = columns.copy()
    if stream.kind == "CUMULATIVE" and len(columns) > 1:
        going_on = (stream.starts[1:] == stream.starts[:-1]) & (columns[1:, 0] >= columns[:-1, 0])
        increments[1:][going_on] -= columns[:-1][going_on]
        lefts[1:][going_on] = stream.ends[:-1][going_on]
    lefts[1:] = np.maximum(lefts[1:], stream.ends[:-1])
    return lefts, increments
