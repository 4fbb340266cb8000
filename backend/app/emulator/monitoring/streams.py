"""Time series on their way through aggregation: like `Series`, but small, cut out, and of any kind and type."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .model import Distributions, Floats, Ints, Points, Series

PERCENTILES = {"PERCENTILE_99": 99.0, "PERCENTILE_95": 95.0, "PERCENTILE_50": 50.0, "PERCENTILE_05": 5.0}


class Histograms(NamedTuple):
    """Distributions as columns that add up, one row a point."""

    counts: Floats
    sums: Floats
    squares: Floats
    """Sums of the squares of the values."""
    buckets: Floats
    bounds: Floats

    def rows(self, chosen: "slice | Ints") -> "Histograms":
        return Histograms(
            self.counts[chosen], self.sums[chosen], self.squares[chosen], self.buckets[chosen], self.bounds
        )


class Stream(NamedTuple):
    metric_type: str
    metric_labels: dict[str, str]
    resource_type: str
    resource_labels: dict[str, str]
    kind: str
    value_type: str
    starts: Ints
    ends: Ints
    values: Floats
    """Means where there are histograms."""
    histograms: Histograms | None = None
    texts: Sequence[str] | None = None
    source: Series | None = None
    """The series that the points were read from unchanged."""


def stream_of(series: Series, points: Points) -> Stream:
    return Stream(
        series.metric_type,
        series.metric_labels,
        series.resource_type,
        series.resource_labels,
        series.kind,
        series.value_type,
        points.starts,
        points.ends,
        points.values,
        None if points.distributions is None else _histograms(points.values, points.distributions),
        points.texts,
        series,
    )


def _histograms(means: Floats, distributions: Distributions) -> Histograms:
    counts = distributions.counts.astype(np.float64)
    squares = distributions.sums_of_squares + counts * means**2
    return Histograms(counts, counts * means, squares, distributions.buckets.astype(np.float64), distributions.bounds)


def means(histograms: Histograms) -> Floats:
    filled = histograms.counts > 0
    return np.divide(histograms.sums, histograms.counts, out=np.zeros_like(histograms.sums), where=filled)


def squared_deviations(histograms: Histograms) -> Floats:
    """Sums of squared deviations from the mean."""
    return np.maximum(histograms.squares - histograms.counts * means(histograms) ** 2, 0.0)


def percentile(histograms: Histograms, percent: float) -> Floats:
    """A percentile of each row, linear within a bucket.

    The open buckets at both ends are not wider than their one bound, and a first bucket with a positive bound begins
    at 0: Google does not publish what it does there.
    """
    buckets, bounds = histograms.buckets, histograms.bounds
    if len(bounds) == 0:
        return means(histograms)
    lower = np.concatenate(([min(0.0, bounds[0])], bounds))
    upper = np.concatenate((bounds, [bounds[-1]]))
    cumulative = np.cumsum(buckets, axis=1)
    rank = cumulative[:, -1] * (percent / 100)
    index = np.minimum((cumulative < rank[:, None]).sum(axis=1), buckets.shape[1] - 1)
    rows = np.arange(len(index))
    inside = buckets[rows, index]
    below = cumulative[rows, index] - inside
    share = np.divide(rank - below, inside, out=np.zeros_like(rank), where=inside > 0)
    answer: Floats = lower[index] + share * (upper[index] - lower[index])
    return answer


def rebucketed(histograms: Histograms, bounds: Floats) -> Histograms:
    """The same histograms with more bounds: each count goes into the last bucket below its old upper bound."""
    if np.array_equal(histograms.bounds, bounds):
        return histograms
    buckets = np.zeros((len(histograms.counts), len(bounds) + 1))
    places = [*bounds.searchsorted(histograms.bounds).tolist(), len(bounds)]
    for place, column in zip(places, histograms.buckets.T, strict=True):
        buckets[:, place] += column
    return histograms._replace(buckets=buckets, bounds=bounds)
