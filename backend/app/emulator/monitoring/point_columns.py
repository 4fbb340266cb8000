"""Points as the journal keeps them: columns, so that a million of them are read back in a moment.

A record of points is blocks, each a tag, a number of rows and its columns, little-endian:

- `N`: numbers: series ids, start times, end times, values.
- `D`: distributions without exemplars whose buckets are those of the point before: series ids, start and end times,
  counts, means, sums of squared deviations, widths, and as many bucket counts as the widths say.
- `O`: any other value: series id, start, end, length and bytes of a TypedValue.

A series gets its id by a record of its own: the id, then a TimeSeries without points.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from google.api import distribution_pb2, metric_pb2
from google.cloud import monitoring_v3

from .model import KINDS, VALUE_TYPES, Ints, Series

_TimeSeries = monitoring_v3.TimeSeries.pb()
_TypedValue = monitoring_v3.TypedValue.pb()
_HEAD = struct.Struct("<cI")
_OTHER = struct.Struct("<IqqI")
_ID = struct.Struct("<I")


class Written(NamedTuple):
    """One point on its way: `value` is a number, a text or a Distribution."""

    series: Series
    start: int
    end: int
    value: Any


def named(series: Series, descriptor: metric_pb2.MetricDescriptor) -> bytes:
    """The record of a series and of what is known of its metric."""
    header = _TimeSeries(
        metric={"type": series.metric_type, "labels": series.metric_labels},
        resource={"type": series.resource_type, "labels": series.resource_labels},
        metric_kind=KINDS.Value(series.kind),
        value_type=VALUE_TYPES.Value(series.value_type),
        unit=descriptor.unit,
        description=descriptor.description,
    )
    return _ID.pack(series.journal_id) + bytes(header.SerializeToString())


def read_name(record: bytes) -> tuple[int, bytes]:
    return _ID.unpack_from(record)[0], record[_ID.size :]


def packed(points: Sequence[Written]) -> bytes:
    """A record of points, made before they are stored: their series have ids."""
    numbers: list[Written] = []
    regular: list[Written] = []
    others: list[Written] = []
    for point in points:
        value = point.value
        if isinstance(value, str):
            others.append(point)
        elif not isinstance(value, distribution_pb2.Distribution):
            numbers.append(point)
        elif point.series.size and not value.exemplars and value.bucket_options == point.series.bucket_options:
            regular.append(point)
        else:
            others.append(point)
    found = []
    if numbers:
        found += [_HEAD.pack(b"N", len(numbers)), *_places(numbers), _floats([point.value for point in numbers])]
    if regular:
        values = [point.value for point in regular]
        found += [_HEAD.pack(b"D", len(regular)), *_places(regular), _ints([value.count for value in values])]
        found += [_floats([value.mean for value in values])]
        found += [_floats([value.sum_of_squared_deviation for value in values])]
        counts = [list(value.bucket_counts) for value in values]
        found += [_ints([len(row) for row in counts]), _ints([count for row in counts for count in row])]
    if others:
        found.append(_HEAD.pack(b"O", len(others)))
        for series, start, end, value in others:
            typed = _TypedValue(string_value=value) if isinstance(value, str) else _TypedValue(distribution_value=value)
            body = typed.SerializeToString()
            found += [_OTHER.pack(series.journal_id, start, end, len(body)), body]
    return b"".join(found)


def _places(points: Sequence[Written]) -> tuple[bytes, bytes, bytes]:
    ids = np.array([point.series.journal_id for point in points], "<u4").tobytes()
    return ids, _ints([point.start for point in points]), _ints([point.end for point in points])


def _ints(values: Sequence[int]) -> bytes:
    return np.array(values, "<i8").tobytes()


def _floats(values: Sequence[float]) -> bytes:
    return np.array(values, "<f8").tobytes()


def columns_of(series: Series, low: int, high: int) -> Iterator[bytes]:
    """Records of the points [low, high) that a series already has."""
    points = series.slice(low, high)
    size = high - low
    if not size:
        return
    if series.texts is not None or points.distributions is not None:
        for index in range(size):
            yield packed_again(series, low + index)
        return
    ids = np.full(size, series.journal_id, "<u4").tobytes()
    yield (
        _HEAD.pack(b"N", size)
        + ids
        + b"".join(np.ascontiguousarray(column).tobytes() for column in (points.starts, points.ends, points.values))
    )


def packed_again(series: Series, index: int) -> bytes:
    """The record of one stored point, a text or a distribution."""
    points = series.slice(index, index + 1)
    if points.texts is not None:
        typed = _TypedValue(string_value=points.texts[0])
    else:
        assert points.distributions is not None
        value = distribution_pb2.Distribution(
            count=int(points.distributions.counts[0]),
            mean=float(points.values[0]),
            sum_of_squared_deviation=float(points.distributions.sums_of_squares[0]),
            bucket_counts=points.distributions.buckets[0].tolist(),
        )
        value.bucket_options.explicit_buckets.bounds.extend(series.bounds.tolist())
        value.exemplars.extend(series.exemplars.get(index, ()))
        typed = _TypedValue(distribution_value=value)
    body = typed.SerializeToString()
    place = _OTHER.pack(series.journal_id, int(points.starts[0]), int(points.ends[0]), len(body))
    return _HEAD.pack(b"O", 1) + place + bytes(body)


class Loader:
    """Takes records of points back; `finish` puts what is still waiting into the series."""

    def __init__(self) -> None:
        self.series: dict[int, Series] = {}
        self._numbers: list[tuple[Any, ...]] = []
        self._regular: list[tuple[Any, ...]] = []

    def read(self, record: bytes) -> None:
        """Take one record.

        Raises:
            ValueError: It is cut short, or names a series that no record defined.
        """
        at = 0
        while at < len(record):
            tag, rows = _HEAD.unpack_from(record, at)
            at += _HEAD.size
            if tag == b"N":
                at = self._read_columns(record, at, rows, "<f8", into=self._numbers)
            elif tag == b"D":
                at = self._read_distributions(record, at, rows)
            elif tag == b"O":
                at = self._read_others(record, at, rows)
            else:
                raise ValueError(f"a record of points has an unknown block {tag!r}")

    def finish(self) -> None:
        """Store what was read."""
        if self._numbers:
            ids, starts, ends, values = (np.concatenate(columns) for columns in zip(*self._numbers, strict=True))
            self._numbers = []
            for series, rows in self._by_series(ids):
                series.extend(starts[rows], ends[rows], values[rows])
        if self._regular:
            waiting, self._regular = self._regular, []
            *columns, buckets = zip(*waiting, strict=True)
            ids, starts, ends, counts, means, squares, widths = (np.concatenate(column) for column in columns)
            firsts = np.concatenate([[0], np.cumsum(widths)])
            flat = np.concatenate(buckets)
            for series, rows in self._by_series(ids):
                series.extend_distributions(
                    starts[rows],
                    ends[rows],
                    means[rows],
                    counts[rows],
                    squares[rows],
                    _table(flat, firsts[rows], widths[rows]),
                )

    def _by_series(self, ids: Ints) -> Iterator[tuple[Series, Ints]]:
        order = np.argsort(ids, kind="stable")
        in_order = ids[order]
        cuts = np.flatnonzero(np.diff(in_order)) + 1
        for rows in np.split(order, cuts):
            series = self.series.get(int(ids[rows[0]]))
            if series is None:
                raise ValueError(f"a record of points names series {int(ids[rows[0]])}, which no record defines")
            yield series, rows

    def _read_columns(self, record: bytes, at: int, rows: int, last: str, *, into: list[tuple[Any, ...]]) -> int:
        columns = []
        for kind in ("<u4", "<i8", "<i8", last):
            column = np.frombuffer(record, kind, rows, at)
            at += column.nbytes
            columns.append(column)
        into.append(tuple(columns))
        return at

    def _read_distributions(self, record: bytes, at: int, rows: int) -> int:
        columns: list[Any] = []
        for kind in ("<u4", "<i8", "<i8", "<i8", "<f8", "<f8", "<i8"):
            column = np.frombuffer(record, kind, rows, at)
            at += column.nbytes
            columns.append(column)
        buckets = np.frombuffer(record, "<i8", int(columns[-1].sum()), at)
        self._regular.append((*columns, buckets))
        return at + buckets.nbytes

    def _read_others(self, record: bytes, at: int, rows: int) -> int:
        # New buckets change what the next regular points mean: everything before them is stored first.
        self.finish()
        for _ in range(rows):
            series_id, start, end, size = _OTHER.unpack_from(record, at)
            at += _OTHER.size
            typed = _TypedValue.FromString(record[at : at + size])
            at += size
            series = self.series.get(series_id)
            if series is None:
                raise ValueError(f"a record of points names series {series_id}, which no record defines")
            if typed.WhichOneof("value") == "string_value":
                series.append_text(start, end, typed.string_value)
            else:
                series.append_distribution(start, end, typed.distribution_value)
        return at


def _table(flat: Ints, firsts: Ints, widths: Ints) -> Ints | list[Ints]:
    """The bucket counts of some points: one array where all are equally wide."""
    if widths.min() == widths.max():
        table: Ints = flat[firsts[:, None] + np.arange(widths[0])]
        return table
    return [flat[first : first + width] for first, width in zip(firsts.tolist(), widths.tolist(), strict=True)]
