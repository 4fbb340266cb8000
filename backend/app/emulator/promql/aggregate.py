"""Aggregation over series: sum, avg, min, max, count, group, stddev, stdvar, topk, bottomk, quantile, count_values."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from .decimal_text import shortest
from .model import NAME, Floats, Labels, Mask, QueryError
from .syntax import Aggregate
from .values import CHUNK, Key, Scalar, Text, Value, Vector, concatenate, empty, key_of, select, unique, without
from .windows import quantiles

Reduce = Callable[["_Grouped"], Floats]


class _Grouped:
    """Some steps of all series, sorted by group: `total` adds up in groups, `spread` gives a row its group's value."""

    def __init__(self, values: Floats, present: Mask, starts: np.ndarray, sizes: np.ndarray) -> None:
        self.values = values
        self.present = present
        self.starts = starts
        self.sizes = sizes
        self.counts = np.add.reduceat(present, starts, axis=0, dtype=np.int64)

    def total(self, values: Floats) -> Floats:
        found: Floats = np.add.reduceat(np.where(self.present, values, 0.0), self.starts, axis=0)
        return found

    def spread(self, values: Floats) -> Floats:
        return np.repeat(values, self.sizes, axis=0)

    def extreme(self, ufunc: np.ufunc) -> Floats:
        found: Floats = ufunc.reduceat(np.where(self.present, self.values, np.nan), self.starts, axis=0)
        return found


def _mean(group: _Grouped) -> Floats:
    mean = group.total(group.values) / group.counts
    if not np.isfinite(mean).all():  # a sum may be too large for a float where the mean is not
        mean = np.where(np.isfinite(mean), mean, group.total(group.values / 2**64) / group.counts * 2**64)
    return mean


def _variance(group: _Grouped) -> Floats:
    # seen from one of the values, so that equal values differ by exactly nothing
    offset = group.values - group.spread(group.extreme(np.fmin))
    deviation = offset - group.spread(group.total(offset) / group.counts)
    return group.total(deviation**2) / group.counts


_REDUCERS: Final[dict[str, Reduce]] = {
    "sum": lambda group: group.total(group.values),
    "avg": _mean,
    "min": lambda group: group.extreme(np.fmin),
    "max": lambda group: group.extreme(np.fmax),
    "count": lambda group: group.counts.astype(np.float64),
    "group": lambda group: np.ones(group.counts.shape),
    "stdvar": _variance,
    "stddev": lambda group: np.sqrt(_variance(group)),
}


def aggregate(node: Aggregate, vector: Vector, param: Value | None) -> Vector:
    rows = sorted(range(len(vector.labels)), key=lambda row: key_of(vector.labels[row]))
    vector = select(vector, rows)
    if not rows:
        return vector
    if node.op == "count_values":
        return _count_values(node, vector, param)
    groups = _groups(node.labels, vector, without_labels=node.without)
    if isinstance(param, Scalar):
        return _per_group(node.op, vector, groups, param.values)
    return _reduce(_REDUCERS[node.op], vector, groups)


def _group_labels(names: tuple[str, ...], labels: Labels, *, without_labels: bool) -> Labels:
    if without_labels:
        return without(labels, NAME, *names)
    return {name: labels[name] for name in names if name in labels}


def _groups(names: tuple[str, ...], vector: Vector, *, without_labels: bool) -> dict[Key, list[int]]:
    groups: dict[Key, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        groups.setdefault(key_of(_group_labels(names, labels, without_labels=without_labels)), []).append(row)
    return groups


def _reduce(reducer: Reduce, vector: Vector, groups: dict[Key, list[int]]) -> Vector:
    order = [row for rows in groups.values() for row in rows]
    sizes = np.array([len(rows) for rows in groups.values()])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    in_order = order == list(range(len(order)))
    steps = vector.values.shape[1]
    found = Vector([dict(key) for key in groups], np.empty((len(groups), steps)), np.empty((len(groups), steps), bool))
    for columns in _columns(steps, len(order)):
        values, present = vector.values[:, columns], vector.present[:, columns]
        if not in_order:
            values, present = values[order], present[order]
        group = _Grouped(values, present, starts, sizes)
        found.values[:, columns] = reducer(group)
        found.present[:, columns] = group.counts > 0
    return found


def _columns(steps: int, rows: int) -> Iterator[slice]:
    size = max(1, CHUNK // max(1, rows))
    for first in range(0, steps, size):
        yield slice(first, first + size)


def _per_group(op: str, vector: Vector, groups: dict[Key, list[int]], param: Floats) -> Vector:
    steps = vector.values.shape[1]
    if op == "quantile":
        found = empty(steps)
        found.labels = [dict(key) for key in groups]
        found.values = np.stack(
            [quantiles(param, vector.values[rows].T, vector.present[rows].T) for rows in groups.values()]
        )
        found.present = np.stack([vector.present[rows].any(axis=0) for rows in groups.values()])
        return found
    limit = np.trunc(param)
    if not (np.abs(limit) < 2.0**63).all():
        wrong = param[~(np.abs(limit) < 2.0**63)][0]
        raise QueryError(f"{op}() needs a number of series as its first argument, got {wrong:g}")
    kept = vector.present.copy()
    for rows in groups.values():
        kept[rows] &= _ranks(vector.values[rows], vector.present[rows], largest_first=op == "topk") < limit
    return unique(Vector(vector.labels, vector.values, kept))


def _ranks(values: Floats, present: Mask, *, largest_first: bool) -> np.ndarray:
    """The place of each row at each step: numbers, then NaN, then what is absent; ties keep their order."""
    nan = np.isnan(values)
    last = np.where(present, np.where(nan, 1, 0), 2)
    key = np.where(nan, 0.0, -values if largest_first else values)
    order = np.lexsort((key, last), axis=0)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(values))[:, None], axis=0)
    return ranks


def by_value(vector: Vector, *, largest_first: bool) -> Vector:
    """The series of an instant query in the order of their values."""
    ranks = _ranks(vector.values[:, -1:], vector.present[:, -1:], largest_first=largest_first)[:, 0]
    return select(vector, np.argsort(ranks).tolist())


def _count_values(node: Aggregate, vector: Vector, param: Value | None) -> Vector:
    assert isinstance(param, Text)  # the parser checked the type
    name = param.value
    if not name or name == NAME:
        raise QueryError(f'"{name}" is no label name for count_values()')
    names = node.labels if node.without else (*node.labels, name)
    steps = vector.values.shape[1]
    found = []
    for row, labels in enumerate(vector.labels):
        values, present = vector.values[row], vector.present[row]
        for value in np.unique(values[present]):
            here = present & ((values == value) | (np.isnan(values) & np.isnan(value)))
            found.append(Vector([{**labels, name: shortest(float(value))}], here[None] * 1.0, here[None]))
    counted = concatenate(found, steps)
    if not counted.labels:
        return counted
    return _reduce(_REDUCERS["sum"], counted, _groups(names, counted, without_labels=node.without))
