"""What the nodes of a query evaluate to, over all steps at once.

S is the number of series, N of steps. `present` says at which steps a series has a value: NaN is a value like any.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from .model import NAME, Floats, Labels, Mask, QueryError, Times

# How many numbers one numpy call works on at most: larger pieces leave the processor's cache.
CHUNK: Final = 65_536

Key: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Vector:
    labels: list[Labels]
    values: Floats  # (S, N)
    present: Mask  # (S, N)


@dataclass(slots=True)
class Scalar:
    values: Floats  # (N,)


@dataclass(slots=True)
class Text:
    value: str


@dataclass(slots=True)
class Bundle:
    """Series with the same sample times, and per step the window [lo, hi) of samples."""

    labels: list[Labels]
    times: Times  # (M,)
    values: Floats  # (S, M)
    lo: Times  # (N,)
    hi: Times  # (N,)

    def rows(self, cells_per_row: int) -> Iterator[slice]:
        """Slices of series, small enough for the cache."""
        size = max(1, CHUNK // max(1, cells_per_row))
        for first in range(0, len(self.labels), size):
            yield slice(first, first + size)


@dataclass(slots=True)
class Ranges:
    """A range vector: bundles, and the bounds of each step's window (already shifted by offset and @), in ms."""

    bundles: list[Bundle]
    starts: Times  # (N,)
    ends: Times  # (N,)
    steps: int


Value: TypeAlias = Vector | Scalar | Text | Ranges


def key_of(labels: Labels) -> Key:
    return tuple(sorted(labels.items()))


def without(labels: Labels, *names: str) -> Labels:
    return {name: value for name, value in labels.items() if name not in names}


def shown(labels: Labels) -> str:
    """A series as people write it."""
    inner = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != NAME)
    return f"{labels.get(NAME, '')}{{{inner}}}"


def empty(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))


def select(vector: Vector, rows: Sequence[int]) -> Vector:
    index = list(rows)
    return Vector([vector.labels[row] for row in index], vector.values[index], vector.present[index])


def concatenate(vectors: Iterable[Vector], steps: int) -> Vector:
    found = [vector for vector in vectors if vector.labels]
    if not found:
        return empty(steps)
    if len(found) == 1:
        return found[0]
    return Vector(
        [labels for vector in found for labels in vector.labels],
        np.concatenate([vector.values for vector in found]),
        np.concatenate([vector.present for vector in found]),
    )


def unique(vector: Vector) -> Vector:
    """Rows with the same labels made one; series without any value dropped.

    Raises:
        QueryError: Two rows with the same labels have a value at the same step.
    """
    alive = np.flatnonzero(vector.present.any(axis=1))
    if len(alive) < len(vector.labels):
        vector = select(vector, alive.tolist())
    rows: dict[Key, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(key_of(labels), []).append(row)
    if len(rows) == len(vector.labels):
        return vector
    vector = Vector(vector.labels, vector.values.copy(), vector.present.copy())
    for same in rows.values():
        first = same[0]
        for row in same[1:]:
            if (vector.present[first] & vector.present[row]).any():
                raise QueryError(
                    f"the result would contain {shown(vector.labels[row])} twice: vector cannot contain metrics with "
                    "the same labelset"
                )
            vector.values[first] = np.where(vector.present[row], vector.values[row], vector.values[first])
            vector.present[first] |= vector.present[row]
    return select(vector, [same[0] for same in rows.values()])
