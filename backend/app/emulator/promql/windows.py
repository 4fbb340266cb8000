"""Tools for functions over windows of samples: a `Piece` is many series with the same times, at many steps at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from .model import Floats, Mask, Times
from .values import CHUNK, Bundle, Ranges

# Above this many additions per series, sums come from a running total instead of from each window.
_MANY: Final = 20_000_000
# With both signs, such a spread of sizes loses digits: then sums are compensated (Kahan-Neumaier).
_SPREAD: Final = 1e12


@dataclass(slots=True)
class Piece:
    """S series, M samples, K steps whose windows hold samples enough; no window is empty."""

    times: Times  # (M,)
    values: Floats  # (S, M)
    lo: Times  # (K,) first sample of the window
    hi: Times  # (K,) after the last
    starts: Times  # (K,) bounds of the window, ms
    ends: Times
    now: Times  # (K,) the step itself, ms, whatever offset and @ say

    @property
    def counts(self) -> Times:
        return self.hi - self.lo

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.values), len(self.lo)


def piece_of(bundle: Bundle, ranges: Ranges, now: Times, columns: Times) -> Piece:
    if len(columns) == ranges.steps:
        return Piece(bundle.times, bundle.values, bundle.lo, bundle.hi, ranges.starts, ranges.ends, now)
    return Piece(
        bundle.times,
        bundle.values,
        bundle.lo[columns],
        bundle.hi[columns],
        ranges.starts[columns],
        ranges.ends[columns],
        now[columns],
    )


def blocks(piece: Piece) -> Iterator[tuple[slice, slice, Floats, Mask]]:
    """Windows side by side: slices of series and steps, samples (R, C, W), and which of them belong (C, W)."""
    series, steps = piece.shape
    width = int(piece.counts.max())
    offsets = np.arange(width)
    some = max(1, 4 * CHUNK // width)
    for first in range(0, steps, some):
        columns = slice(first, min(first + some, steps))
        index = piece.lo[columns, None] + offsets
        mask = index < piece.hi[columns, None]
        np.minimum(index, len(piece.times) - 1, out=index)
        rows_at_once = max(1, 4 * CHUNK // index.size)
        for row in range(0, series, rows_at_once):
            rows = slice(row, min(row + rows_at_once, series))
            yield rows, columns, piece.values[rows][:, index], mask


def reduce_windows(ufunc: np.ufunc, values: Floats, lo: Times, hi: Times) -> Floats:
    """One reduction per window [lo, hi), none of them empty."""
    bounds = np.empty(2 * len(lo), dtype=np.int64)
    bounds[0::2], bounds[1::2] = lo, hi
    if len(hi) and int(hi.max()) >= values.shape[1]:
        values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    found: Floats = ufunc.reduceat(values, bounds, axis=1)[:, ::2]
    return found


def reduced(piece: Piece, ufunc: np.ufunc) -> Floats:
    return reduce_windows(ufunc, piece.values, piece.lo, piece.hi)


def positive_sums(values: Floats, lo: Times, hi: Times) -> Floats:
    """Sums of windows whose members all have one sign, so that no digits can cancel out; windows may be empty."""
    found = np.zeros((len(values), len(lo)))
    some = np.flatnonzero(hi > lo)
    if len(some) == 0:
        return found
    if int((hi - lo).sum()) > _MANY and np.isfinite(values).all():
        totals = np.zeros((len(values), values.shape[1] + 1), dtype=np.longdouble)
        np.cumsum(values, axis=1, dtype=np.longdouble, out=totals[:, 1:])
        found[:] = totals[:, hi] - totals[:, lo]
    else:
        found[:, some] = reduce_windows(np.add, values, lo[some], hi[some])
    return found


def sums(piece: Piece) -> Floats:
    """The sum of each window, compensated where plain addition would lose digits."""
    values = piece.values
    if values.size == 0:
        return np.zeros(piece.shape)
    sizes = np.abs(values)
    if (np.signbit(values) == np.signbit(values.flat[0])).all():
        return positive_sums(values, piece.lo, piece.hi)
    finite = sizes[np.isfinite(sizes) & (sizes > 0)]
    if len(finite) and float(finite.max()) / float(finite.min()) > _SPREAD:
        return _compensated(piece)
    if int(piece.counts.sum()) > _MANY:
        above, below = np.maximum(values, 0), np.minimum(values, 0)
        return positive_sums(above, piece.lo, piece.hi) + positive_sums(below, piece.lo, piece.hi)
    return reduced(piece, np.add)


def _compensated(piece: Piece) -> Floats:
    found = np.empty(piece.shape)
    for rows, columns, block, mask in blocks(piece):
        total = np.zeros(block.shape[:2])
        lost = np.zeros(block.shape[:2])
        for column in range(block.shape[2]):
            value = np.where(mask[:, column], block[:, :, column], 0.0)
            grown = total + value
            larger = np.abs(total) >= np.abs(value)
            lost += np.where(larger, (total - grown) + value, (value - grown) + total)
            total = grown
        found[rows, columns] = np.where(np.isinf(total), total, total + lost)
    return found


def quantiles(share: Floats, block: Floats, mask: Mask) -> Floats:
    """Quantiles over the last axis: `share` (C,), block (..., C, W), mask (..., C, W) with at least one true.

    Below 0 is -Inf, above 1 +Inf; NaN sorts first (prometheus.io/docs, quantile; promql/quantile.go orders so).
    """
    counts = mask.sum(axis=-1)
    masked = np.where(mask, block, np.nan)
    if np.isnan(block[np.broadcast_to(mask, block.shape)]).any():
        rank = np.where(mask, np.where(np.isnan(masked), 0, 1), 2)
        order = np.lexsort((np.where(np.isnan(masked), 0.0, masked), rank), axis=-1)
        ordered = np.take_along_axis(masked, order, axis=-1)
    else:
        ordered = np.sort(masked, axis=-1)
    inside = np.where((share >= 0) & (share <= 1), share, 0.0)
    rank_at = inside * (counts - 1)
    lower = np.floor(rank_at).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = rank_at - lower
    shape = block.shape[:-1]
    lower, upper = np.broadcast_to(lower, shape), np.broadcast_to(upper, shape)
    below = np.take_along_axis(ordered, lower[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(ordered, upper[..., None], axis=-1)[..., 0]
    found = below * (1 - weight) + above * weight
    return np.where(np.isnan(share), np.nan, np.where(share < 0, -np.inf, np.where(share > 1, np.inf, found)))
