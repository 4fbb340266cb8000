"""Good and total events of an SLI, counted in steps of equal length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..clock import NANOS
from ..monitoring.aggregate import aggregate_series
from ..monitoring.model import Floats, Ints, Series
from ..monitoring.streams import Histograms, Stream
from .basic import explicit
from .messages import Raw
from .metrics import Aggregation, SeriesStore, select_series

MINUTE = 60 * NANOS


class Counts(NamedTuple):
    borders: Ints
    """One more than there are steps; multiples of the step since the epoch."""
    good: Floats
    total: Floats


def step_of(sli: Raw) -> int:
    """How long one step of an SLI is (ns): its window, or a minute."""
    window: int = sli.windows_based.window_period.ToNanoseconds()
    return window or MINUTE


def count(sli: Raw, service: Raw, store: SeriesStore, start: int, end: int) -> Counts:
    """The events of (start, end], which both grow to whole steps inside of it."""
    step = step_of(sli)
    borders = np.arange(start // step, end // step + 1, dtype=np.int64) * step
    if len(borders) < 2:  # noqa: PLR2004  # not one whole step
        nothing = np.empty(0)
        return Counts(borders, nothing, nothing)
    match sli.WhichOneof("type"):
        case "windows_based":
            good, total = _windows(sli.windows_based, service, store, borders)
        case "request_based":
            good, total = _requests(sli.request_based, store, borders)
        case _:
            good, total = _basic(sli.basic_sli, service, store, borders)
    return Counts(borders, good, total)


def _requests(sli: Raw, store: SeriesStore, borders: Ints) -> tuple[Floats, Floats]:
    if sli.WhichOneof("method") == "distribution_cut":
        cut = sli.distribution_cut
        return _cut(select_series(store, cut.distribution_filter), cut.range_, borders)
    ratio = sli.good_total_ratio

    def events(filter_: str) -> Floats:
        return _sum(select_series(store, filter_), "ALIGN_DELTA", borders)

    if not ratio.total_service_filter:
        good = events(ratio.good_service_filter)
        return good, good + events(ratio.bad_service_filter)
    total = events(ratio.total_service_filter)
    if ratio.good_service_filter:
        # What two metrics count apart may differ by what is on its way: never more good events than events.
        return np.minimum(events(ratio.good_service_filter), total), total
    return np.maximum(total - events(ratio.bad_service_filter), 0.0), total


def _basic(sli: Raw, service: Raw, store: SeriesStore, borders: Ints) -> tuple[Floats, Floats]:
    return _requests(explicit(sli, service), store, borders)


def _windows(sli: Raw, service: Raw, store: SeriesStore, borders: Ints) -> tuple[Floats, Floats]:
    """Each window with data counts once; one without data neither as good nor as bad.

    Google does not publish what it does with a window without data.
    """
    match sli.WhichOneof("window_criterion"):
        case "good_bad_metric_filter":
            # "The window is good if any true values appear in the window" (service.proto).
            found = select_series(store, sli.good_bad_metric_filter)
            values = _sum(found, "ALIGN_COUNT_TRUE", borders, empty=np.nan)
            return _judged(values > 0, values)
        case "good_total_ratio_threshold":
            ratio = sli.good_total_ratio_threshold
            if ratio.WhichOneof("type") == "performance":
                good, total = _requests(ratio.performance, store, borders)
            else:
                good, total = _basic(ratio.basic_sli_performance, service, store, borders)
            performance = np.divide(good, total, out=np.full(len(total), np.nan), where=total > 0)
            return _judged(performance >= ratio.threshold, performance)
        case "metric_mean_in_range":
            return _in_range(sli.metric_mean_in_range, store, borders, mean=True)
        case _:
            return _in_range(sli.metric_sum_in_range, store, borders, mean=False)


def _in_range(criterion: Raw, store: SeriesStore, borders: Ints, *, mean: bool) -> tuple[Floats, Floats]:
    found = select_series(store, criterion.time_series)
    aligner = "ALIGN_MEAN" if all(one.kind == "GAUGE" for one in found) else "ALIGN_DELTA"
    values = _sum(found, aligner, borders, empty=np.nan, mean=mean)
    low, high = bounds_of(criterion.range_)
    return _judged((values >= low) & (values < high), values)


def _judged(good: NDArray[np.bool_], values: Floats) -> tuple[Floats, Floats]:
    present = ~np.isnan(values)
    return (good & present).astype(np.float64), present.astype(np.float64)


def bounds_of(range_: Raw) -> tuple[float, float]:
    """Both ends; one that is not set is open (service.proto, Range: 0 cannot be told from it)."""
    return (range_.min_ or -np.inf), (range_.max_ or np.inf)


def _aligned(series: Sequence[Series], aligner: str, borders: Ints) -> list[Stream]:
    aggregation = Aggregation(per_series_aligner=aligner)
    aggregation.alignment_period.FromNanoseconds(int(borders[1] - borders[0]))
    return [
        stream for one in series for stream in aggregate_series([one], aggregation, int(borders[0]), int(borders[-1]))
    ]


def _sum(series: Sequence[Series], aligner: str, borders: Ints, *, empty: float = 0.0, mean: bool = False) -> Floats:
    """The sum (or mean) over all series of their aligned values, `empty` where none has one."""
    total, present = np.zeros(len(borders) - 1), np.zeros(len(borders) - 1)
    for stream in _aligned(series, aligner, borders):
        places = borders.searchsorted(stream.ends) - 1
        total[places] += stream.values
        present[places] += 1
    if mean:
        total = total / np.maximum(present, 1)
    return np.where(present > 0, total, empty)


def _cut(series: Sequence[Series], range_: Raw, borders: Ints) -> tuple[Floats, Floats]:
    """How many values of distributions lie in a range, and how many there are.

    A bucket that the range cuts counts by the share of its width: the distribution tells no more.
    """
    good, total = np.zeros(len(borders) - 1), np.zeros(len(borders) - 1)
    low, high = bounds_of(range_)
    for stream in _aligned(series, "ALIGN_DELTA", borders):
        histograms = stream.histograms
        assert histograms is not None
        places = borders.searchsorted(stream.ends) - 1
        total[places] += histograms.counts
        good[places] += histograms.buckets @ _shares(histograms, low, high)
    return good, total


def _shares(histograms: Histograms, low: float, high: float) -> Floats:
    """The share of each bucket that lies in [low, high); the open last bucket lies in it only if the range is open."""
    bounds = histograms.bounds
    if len(bounds) == 0:
        return np.full(histograms.buckets.shape[1], float(np.isinf(high) and low <= 0))
    lower = np.concatenate(([min(0.0, bounds[0])], bounds[:-1]))
    width = np.maximum(bounds - lower, np.finfo(float).tiny)
    inside = np.clip((np.minimum(bounds, high) - np.maximum(lower, low)) / width, 0.0, 1.0)
    last = float(np.isinf(high) and low <= bounds[-1])
    return np.concatenate((inside, [last]))
