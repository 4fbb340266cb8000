"""Binary operators between scalars, vectors, and vectors that find each other by their labels."""

from collections.abc import Callable
from typing import Final

import numpy as np

from .model import NAME, Floats, Labels, Mask, QueryError
from .syntax import Binary, Matching
from .values import Key, Scalar, Value, Vector, concatenate, empty, select, shown, unique, without

_ARITHMETIC: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.float_power,
    "atan2": np.arctan2,
}
_COMPARISON: Final[dict[str, Callable[[Floats, Floats], Mask]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
# Prometheus 2.44 forgot atan2 in its list of operators that take the metric's name away (promql/engine.go).
_RENAMING: Final = frozenset("+-*/%^")


def binary(node: Binary, left: Value, right: Value) -> Value:
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return Scalar(_scalars(node.op, left.values, right.values))
    if isinstance(left, Vector) and isinstance(right, Vector):
        if node.op in {"and", "or", "unless"}:
            return _sets(node, left, right)
        return _vectors(node, left, right)
    return _with_scalar(node, left, right)


def _scalars(op: str, left: Floats, right: Floats) -> Floats:
    if op in _COMPARISON:
        return _COMPARISON[op](left, right).astype(np.float64)
    return _ARITHMETIC[op](left, right)


def _with_scalar(node: Binary, left: Value, right: Value) -> Vector:
    vector = left if isinstance(left, Vector) else right
    assert isinstance(vector, Vector)  # the parser checked the types
    sides = [side.values if isinstance(side, Scalar) else vector.values for side in (left, right)]
    values, present, labels = vector.values, vector.present, vector.labels
    if node.op in _ARITHMETIC:
        values = _ARITHMETIC[node.op](*sides)
    elif node.as_bool:
        values = _scalars(node.op, *sides)
    else:
        present = present & _COMPARISON[node.op](*sides)
    if node.as_bool or node.op in _RENAMING:
        labels = [without(each, NAME) for each in labels]
    return unique(Vector(labels, values, present))


def _signature(matching: Matching) -> Callable[[Labels], Key]:
    if matching.on:
        return lambda labels: tuple((name, labels[name]) for name in sorted(set(matching.labels)) if name in labels)
    ignored = {NAME, *matching.labels}
    return lambda labels: tuple(sorted((name, value) for name, value in labels.items() if name not in ignored))


def _by_signature(vector: Vector, signature: Callable[[Labels], Key]) -> dict[Key, list[int]]:
    rows: dict[Key, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(signature(labels), []).append(row)
    return rows


def _sets(node: Binary, left: Vector, right: Vector) -> Vector:
    steps = left.values.shape[1]
    signature = _signature(node.matching)
    kept, checked, op = (right, left, "unless") if node.op == "or" else (left, right, node.op)
    groups = _by_signature(checked, signature)
    nowhere = np.zeros(steps, dtype=bool)
    seen = {key: checked.present[rows].any(axis=0) for key, rows in groups.items()}
    present = kept.present.copy()
    for row, labels in enumerate(kept.labels):
        here = seen.get(signature(labels), nowhere)
        present[row] &= here if op == "and" else ~here
    filtered = Vector(kept.labels, kept.values, present)
    return unique(concatenate([left, filtered], steps) if node.op == "or" else filtered)


def _vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    matching = node.matching
    signature = _signature(matching)
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    ones = _by_signature(one, signature)
    busy: Mask = np.logical_and(many.present.any(axis=0), one.present.any(axis=0))
    _refuse_duplicates(one, ones, busy, side="left" if swapped else "right")
    pairs: list[tuple[int, int]] = []
    keys: list[Key] = []
    for row, labels in enumerate(many.labels):
        key = signature(labels)
        for other in ones.get(key, ()):
            pairs.append((row, other))
            keys.append(key)
    if not pairs:
        return empty(many.values.shape[1])
    rows, others = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = _computed(node, select(many, rows), select(one, others), swapped=swapped)
    if matching.many is None:
        _refuse_many(keys, found, signature_of=lambda row: many.labels[rows[row]])
    found.labels = [_result_labels(node, many.labels[row], one.labels[other]) for row, other in pairs]
    try:
        return unique(found)
    except QueryError as error:
        raise QueryError(f"multiple matches for labels: grouping labels must ensure unique matches ({error})") from None


def _computed(node: Binary, many: Vector, one: Vector, *, swapped: bool) -> Vector:
    left, right = (one, many) if swapped else (many, one)
    present = left.present & right.present
    if node.op in _ARITHMETIC:
        return Vector([], _ARITHMETIC[node.op](left.values, right.values), present)
    holds = _COMPARISON[node.op](left.values, right.values)
    if node.as_bool:
        return Vector([], holds.astype(np.float64), present)
    return Vector([], left.values, present & holds)


def _refuse_duplicates(one: Vector, groups: dict[Key, list[int]], busy: Mask, side: str) -> None:
    for key, rows in groups.items():
        if len(rows) > 1 and ((one.present[rows].sum(axis=0) > 1) & busy).any():
            pair = ", ".join(shown(one.labels[row]) for row in rows[:2])
            raise QueryError(
                f"found duplicate series for the match group {shown(dict(key))} on the {side} hand-side of the "
                f"operation: [{pair}]; many-to-many matching not allowed: matching labels must be unique on one side"
            )


def _refuse_many(keys: list[Key], found: Vector, signature_of: Callable[[int], Labels]) -> None:
    rows: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    for key, same in rows.items():
        if len(same) > 1 and (found.present[same].sum(axis=0) > 1).any():
            pair = ", ".join(shown(signature_of(row)) for row in same[:2])
            raise QueryError(
                f"multiple matches for labels {shown(dict(key))} ({pair}): many-to-one matching must be explicit "
                "(group_left/group_right)"
            )


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = dict(many)
    if node.op in _RENAMING or node.as_bool:
        labels.pop(NAME, None)
    if matching.many is None:
        if matching.on:
            labels = {name: value for name, value in labels.items() if name in matching.labels}
        else:
            labels = without(labels, *matching.labels)
    for name in matching.include:
        if one.get(name):
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return labels
