"""Quantiles of classic histograms: cumulative buckets, told apart by their label `le`."""

import numpy as np

from .model import NAME, Floats, Mask
from .values import Key, Vector, empty, key_of, without


def histogram_quantile(share: Floats, vector: Vector, *, empty_is_nothing: bool) -> Vector:
    """Linear within the bucket that holds the rank (prometheus.io/docs, histogram_quantile, at version 2.44)."""
    steps = vector.values.shape[1]
    groups: dict[Key, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        try:
            bound = float(labels.get("le", ""))
        except ValueError:
            continue  # series without a usable bound are ignored
        groups.setdefault(key_of(without(labels, "le")), []).append((bound, row))
    found = empty(steps)
    # two metrics whose buckets differ in name only make the same series twice, which the caller refuses
    found.labels = [without(dict(key), NAME) for key in groups]
    found.values = np.full((len(groups), steps), np.nan)
    found.present = np.zeros((len(groups), steps), dtype=bool)
    for place, buckets in enumerate(groups.values()):
        buckets.sort()
        bounds = np.array([bound for bound, _ in buckets])
        rows = [row for _, row in buckets]
        counts, present = vector.values[rows], vector.present[rows]
        found.present[place] = present.any(axis=0)
        for columns, some in _patterns(present):
            values, observed = _quantile(share[columns], bounds[some], counts[np.ix_(some, columns)])
            found.values[place, columns] = values
            if empty_is_nothing:
                found.present[place, columns] &= observed
    return found


def _patterns(present: Mask) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steps at which the same buckets exist: (indices of steps, indices of buckets)."""
    if present.all():
        return [(np.arange(present.shape[1]), np.arange(len(present)))]
    kinds, kind_of = np.unique(present, axis=1, return_inverse=True)
    return [
        (np.flatnonzero(kind_of.ravel() == kind), np.flatnonzero(kinds[:, kind]))
        for kind in range(kinds.shape[1])
        if kinds[:, kind].any()
    ]


def _quantile(share: Floats, bounds: Floats, counts: Floats) -> tuple[Floats, Mask]:
    """The quantile per step, and whether anything was observed."""
    outside = np.where(share < 0, -np.inf, np.where(share > 1, np.inf, np.nan))
    unknown = ~((share >= 0) & (share <= 1))
    nothing = np.full(len(share), np.nan)
    something = np.ones(len(share), dtype=bool)
    if not np.isposinf(bounds[-1]):
        return np.where(unknown, outside, nothing), something
    bounds, first = np.unique(bounds, return_index=True)
    counts = np.add.reduceat(counts, first, axis=0)
    if len(bounds) < 2:  # noqa: PLR2004  # +Inf alone tells nothing
        return np.where(unknown, outside, nothing), something
    counts = np.maximum.accumulate(counts, axis=0)  # scrapes and float sums may leave small dents
    observed = counts[-1]
    rank = share * observed
    reaches = counts[:-1] >= rank
    bucket = np.where(reaches.any(axis=0), reaches.argmax(axis=0), len(bounds) - 1)
    columns = np.arange(len(share))
    below = np.maximum(bucket - 1, 0)
    start = np.where(bucket > 0, bounds[below], 0.0)
    before = np.where(bucket > 0, counts[below, columns], 0.0)
    inside = start + (bounds[bucket] - start) * ((rank - before) / (counts[bucket, columns] - before))
    found = np.where(bucket == len(bounds) - 1, bounds[-2], inside)
    if bounds[0] <= 0:
        found = np.where(bucket == 0, bounds[0], found)
    found = np.where(observed == 0, np.nan, found)
    return np.where(unknown, outside, found), observed != 0
