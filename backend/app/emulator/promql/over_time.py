"""Functions over range vectors: rates, regressions and the *_over_time family, for all series and steps at once.

The formulas are those that prometheus.io/docs/prometheus/latest/querying/functions describes, at version 2.44.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from .model import NAME, Floats, QueryError, Times
from .values import CHUNK, Ranges, Vector, concatenate, without
from .windows import Piece, blocks, piece_of, positive_sums, quantiles, reduced, sums

Compute = Callable[..., Floats]


class RangeFunction(NamedTuple):
    compute: Compute  # (piece, *scalars per step) -> (S, K)
    least: int = 1  # samples a window must hold
    keeps_name: bool = False


def apply(function: RangeFunction, ranges: Ranges, now: Times, scalars: list[Floats]) -> Vector:
    found = []
    for bundle in ranges.bundles:
        columns = np.flatnonzero(bundle.hi - bundle.lo >= function.least)
        if len(columns) == 0:
            continue
        values = np.zeros((len(bundle.labels), ranges.steps))
        present = np.zeros((len(bundle.labels), ranges.steps), dtype=bool)
        piece = piece_of(bundle, ranges, now, columns)
        values[:, columns] = function.compute(piece, *(scalar[columns] for scalar in scalars))
        present[:, columns] = True
        labels = bundle.labels if function.keeps_name else [without(each, NAME) for each in bundle.labels]
        found.append(Vector(list(labels), values, present))
    return concatenate(found, ranges.steps)


def _rows(piece: Piece) -> list[slice]:
    size = max(1, CHUNK // max(len(piece.lo), len(piece.times)))
    return [slice(first, first + size) for first in range(0, len(piece.values), size)]


def _extrapolated(piece: Piece, *, counter: bool, per_second: bool) -> Floats:
    """The change in each window, stretched to the window's ends where the samples reach close enough to them."""
    first, last = piece.lo, piece.hi - 1
    sampled = (piece.times[last] - piece.times[first]) / 1000
    average = sampled / (last - first)
    to_start = (piece.times[first] - piece.starts) / 1000
    to_end = (piece.ends - piece.times[last]) / 1000
    threshold = average * 1.1
    at_end = np.where(to_end < threshold, to_end, average / 2)
    seconds = (piece.ends - piece.starts) / 1000
    found = np.empty(piece.shape)
    for rows in _rows(piece):
        values = piece.values[rows]
        begin = values[:, first]
        change = values[:, last] - begin
        reach = to_start
        if counter:
            change += _resets_added(values, piece)
            # a counter does not begin below zero: do not stretch beyond the moment at which it would have been zero
            to_zero = np.where((change > 0) & (begin >= 0), sampled * (begin / change), np.inf)
            reach = np.minimum(to_start, to_zero)
        at_start = np.where(reach < threshold, reach, average / 2)
        factor = (sampled + at_start + at_end) / sampled
        found[rows] = change * (factor / seconds if per_second else factor)
    return found


def _resets_added(values: Floats, piece: Piece) -> Floats | float:
    """What each counter had when it fell, summed over the falls inside each window."""
    before, after = values[:, :-1], values[:, 1:]
    falls = after < before
    if not falls.any():
        return 0.0
    lost = np.zeros_like(values)
    lost[:, 1:] = np.where(falls, before, 0.0)
    return positive_sums(lost, piece.lo + 1, piece.hi)


def _instant(piece: Piece, *, counter: bool) -> Floats:
    last, before = piece.values[:, piece.hi - 1], piece.values[:, piece.hi - 2]
    change = last - before
    if not counter:
        return change
    seconds = (piece.times[piece.hi - 1] - piece.times[piece.hi - 2]) / 1000
    change = np.where(last < before, last, change)
    return change / seconds


def _events(piece: Piece, happened: Callable[[Floats, Floats], np.ndarray]) -> Floats:
    """How often two neighbours in a window satisfy a condition."""
    flags = np.zeros(piece.values.shape)
    flags[:, 1:] = happened(piece.values[:, :-1], piece.values[:, 1:])
    totals = np.cumsum(flags, axis=1)
    return np.asarray(totals[:, piece.hi - 1] - totals[:, piece.lo], dtype=np.float64)


def _changes(piece: Piece) -> Floats:
    return _events(piece, lambda old, new: (old != new) & ~(np.isnan(old) & np.isnan(new)))


def _resets(piece: Piece) -> Floats:
    return _events(piece, lambda old, new: new < old)


def _line(piece: Piece, origin: Times) -> tuple[Floats, Floats]:
    """Slope per second, and value at `origin` (K,), of the least-squares line through each window."""
    slope, value = np.empty(piece.shape), np.empty(piece.shape)
    for rows, columns, block, mask in blocks(piece):
        counts = mask.sum(axis=1)
        index = np.minimum(piece.lo[columns, None] + np.arange(mask.shape[1]), len(piece.times) - 1)
        x = np.where(mask, (piece.times[index] - origin[columns, None]) / 1000, 0.0)
        middle = x.sum(axis=1) / counts
        centred = np.where(mask, x - middle[:, None], 0.0)
        y = np.where(mask, block, 0.0)
        mean = y.sum(axis=2) / counts
        deviation = np.where(mask, block - mean[:, :, None], 0.0)
        found = (centred * deviation).sum(axis=2) / (centred**2).sum(axis=1)
        begin = block[:, :, 0]
        constant = (np.where(mask, block, begin[:, :, None]) == begin[:, :, None]).all(axis=2)
        level = np.where(np.isinf(begin), np.nan, begin)
        slope[rows, columns] = np.where(constant, level * 0, found)
        value[rows, columns] = np.where(constant, level, mean - found * middle)
    return slope, value


def _deriv(piece: Piece) -> Floats:
    return _line(piece, piece.times[piece.lo])[0]


def _predict_linear(piece: Piece, seconds: Floats) -> Floats:
    slope, value = _line(piece, piece.now)
    return slope * seconds + value


def _holt_winters(piece: Piece, smoothing: Floats, trend: Floats) -> Floats:
    for name, factor in (("smoothing", smoothing), ("trend", trend)):
        wrong = factor[~((factor > 0) & (factor < 1))]
        if len(wrong):
            raise QueryError(f"invalid {name} factor in holt_winters(): expected 0 < factor < 1, got {wrong[0]:g}")
    found = np.empty(piece.shape)
    for rows, columns, block, mask in blocks(piece):
        sf, tf = smoothing[columns], trend[columns]
        before = np.zeros(block.shape[:2])
        level = block[:, :, 0]
        growth = block[:, :, 1] - block[:, :, 0]
        for place in range(1, block.shape[2]):
            if place > 1:
                growth = np.where(mask[:, place], tf * (level - before) + (1 - tf) * growth, growth)
            onwards = sf * block[:, :, place] + (1 - sf) * (level + growth)
            before = np.where(mask[:, place], level, before)
            level = np.where(mask[:, place], onwards, level)
        found[rows, columns] = level
    return found


def _average(piece: Piece) -> Floats:
    total = sums(piece)
    if np.isinf(total).any():  # either infinite samples, or finite ones whose sum is too large for a float
        small = Piece(piece.times, piece.values / 2**64, piece.lo, piece.hi, piece.starts, piece.ends, piece.now)
        return sums(small) / piece.counts * 2**64
    return total / piece.counts


def _variance(piece: Piece) -> Floats:
    found = np.empty(piece.shape)
    for rows, columns, block, mask in blocks(piece):
        counts = mask.sum(axis=1)
        # seen from the first value, so that equal values differ by exactly nothing
        offset = np.where(mask, block - block[:, :, :1], 0.0)
        mean = offset.sum(axis=2) / counts
        squares = np.where(mask, offset - mean[:, :, None], 0.0) ** 2
        found[rows, columns] = squares.sum(axis=2) / counts
    return found


def _quantile(share_first: Piece, share: Floats) -> Floats:
    found = np.empty(share_first.shape)
    for rows, columns, block, mask in blocks(share_first):
        found[rows, columns] = quantiles(share[columns], block, mask)
    return found


def _counted(piece: Piece) -> Floats:
    return np.broadcast_to(piece.counts.astype(np.float64), piece.shape)


def _last(piece: Piece) -> Floats:
    return piece.values[:, piece.hi - 1]


RANGE_FUNCTIONS: Final[dict[str, RangeFunction]] = {
    "rate": RangeFunction(lambda piece: _extrapolated(piece, counter=True, per_second=True), least=2),
    "increase": RangeFunction(lambda piece: _extrapolated(piece, counter=True, per_second=False), least=2),
    "delta": RangeFunction(lambda piece: _extrapolated(piece, counter=False, per_second=False), least=2),
    "irate": RangeFunction(lambda piece: _instant(piece, counter=True), least=2),
    "idelta": RangeFunction(lambda piece: _instant(piece, counter=False), least=2),
    "deriv": RangeFunction(_deriv, least=2),
    "predict_linear": RangeFunction(_predict_linear, least=2),
    "holt_winters": RangeFunction(_holt_winters, least=2),
    "changes": RangeFunction(_changes),
    "resets": RangeFunction(_resets),
    "sum_over_time": RangeFunction(sums),
    "avg_over_time": RangeFunction(_average),
    "min_over_time": RangeFunction(lambda piece: reduced(piece, np.fmin)),
    "max_over_time": RangeFunction(lambda piece: reduced(piece, np.fmax)),
    "count_over_time": RangeFunction(_counted),
    "stddev_over_time": RangeFunction(lambda piece: np.sqrt(_variance(piece))),
    "stdvar_over_time": RangeFunction(_variance),
    "quantile_over_time": RangeFunction(_quantile),
    "last_over_time": RangeFunction(_last, keeps_name=True),
    "present_over_time": RangeFunction(lambda piece: np.ones(piece.shape)),
}
