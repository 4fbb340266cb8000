"""Time series as the emulator keeps them: an identity and columns that grow."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from google.api import distribution_pb2, metric_pb2
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

KINDS = metric_pb2.MetricDescriptor.MetricKind
VALUE_TYPES = metric_pb2.MetricDescriptor.ValueType

_Number = TypeVar("_Number", np.int64, np.float64)
_FIRST_CAPACITY = 8


class Distributions(NamedTuple):
    counts: Ints
    sums_of_squares: Floats
    """Sums of squared deviations from the mean, as in google/api/distribution.proto."""
    buckets: Ints
    """One row a point, len(bounds) + 1 columns."""
    bounds: Floats


class Points(NamedTuple):
    ends: Ints
    """Nanoseconds, ascending."""
    starts: Ints
    values: Floats
    """Numbers; BOOL as 0 and 1; the means of a DISTRIBUTION; NaN for STRING."""
    distributions: Distributions | None = None
    texts: Sequence[str] | None = None
    """The values of a STRING series."""


class Series:
    """One time series. `window` is its read side; only the store appends."""

    __slots__ = (
        "_buckets",
        "_capacity",
        "_counts",
        "_ends",
        "_latest_bounds",
        "_starts",
        "_sums_of_squares",
        "_values",
        "bounds",
        "bucket_options",
        "exemplars",
        "journal_id",
        "kind",
        "last_end",
        "last_start",
        "metric_labels",
        "metric_type",
        "promql_labels",
        "resource_labels",
        "resource_type",
        "size",
        "texts",
        "value_type",
    )

    def __init__(
        self,
        *,
        metric_type: str,
        metric_labels: dict[str, str],
        resource_type: str,
        resource_labels: dict[str, str],
        kind: str,
        value_type: str,
    ) -> None:
        self.metric_type = metric_type
        self.metric_labels = metric_labels
        self.resource_type = resource_type
        self.resource_labels = resource_labels
        self.kind = kind
        self.value_type = value_type
        self.size = 0
        self.journal_id = 0
        """By this the journal names it; 0: the journal does not know it."""
        self.promql_labels: dict[str, str] | None = None
        """Made once by promql/cloud.py, which owns it."""
        self.last_end = -1
        self.last_start = -1
        self._capacity = _FIRST_CAPACITY
        self._ends: Ints = np.empty(_FIRST_CAPACITY, np.int64)
        self._starts: Ints = np.empty(_FIRST_CAPACITY, np.int64)
        self._values: Floats = np.empty(_FIRST_CAPACITY, np.float64)
        self.texts: list[str] | None = [] if value_type == "STRING" else None
        self.bounds = self._latest_bounds = np.empty(0, np.float64)
        self.bucket_options = distribution_pb2.Distribution.BucketOptions()
        self.exemplars: dict[int, list[distribution_pb2.Distribution.Exemplar]] = {}
        if value_type == "DISTRIBUTION":
            self._counts: Ints = np.empty(_FIRST_CAPACITY, np.int64)
            self._sums_of_squares: Floats = np.empty(_FIRST_CAPACITY, np.float64)
            self._buckets: Ints = np.zeros((_FIRST_CAPACITY, 1), np.int64)

    def window(self, start: int, end: int) -> Points:
        """The points with start < end time <= end, as views of the columns."""
        size = self.size
        ends = self._ends[:size]
        low = int(ends.searchsorted(start, "right"))
        high = int(ends.searchsorted(end, "right"))
        return self.slice(low, max(low, high))

    def window_with_previous(self, start: int, end: int) -> Points:
        """As `window`, and the last point before it, if there is one."""
        ends = self._ends[: self.size]
        low = int(ends.searchsorted(start, "right"))
        high = int(ends.searchsorted(end, "right"))
        return self.slice(max(low - 1, 0), max(low, high))

    @property
    def bucket_count(self) -> int:
        """How many buckets the newest point's options allow; 0 without a histogram."""
        return len(self._latest_bounds) + 1 if self.bucket_options.WhichOneof("options") else 0

    def copy_details(self, end: int, value: distribution_pb2.Distribution) -> None:
        """Complete a distribution with what the columns of a stream do not keep."""
        index = int(self._ends[: self.size].searchsorted(end, "left"))
        value.sum_of_squared_deviation = float(self._sums_of_squares[index])
        value.exemplars.extend(self.exemplars.get(index, ()))

    def slice(self, low: int, high: int) -> Points:
        """The points with the places low <= place < high, as views of the columns."""
        distributions = None
        if self.value_type == "DISTRIBUTION":
            distributions = Distributions(
                self._counts[low:high], self._sums_of_squares[low:high], self._buckets[low:high], self.bounds
            )
        texts = None if self.texts is None else self.texts[low:high]
        return Points(self._ends[low:high], self._starts[low:high], self._values[low:high], distributions, texts)

    def append(self, start: int, end: int, value: float) -> None:
        size = self.size
        if size == self._capacity:
            self._grow()
        self._ends[size] = end
        self._starts[size] = start
        self._values[size] = value
        self.size = size + 1
        self.last_end = end
        self.last_start = start

    def append_text(self, start: int, end: int, text: str) -> None:
        assert self.texts is not None
        self.texts.append(text)
        self.append(start, end, np.nan)

    def append_distribution(self, start: int, end: int, value: distribution_pb2.Distribution) -> None:
        if value.bucket_options != self.bucket_options:
            self._widen(value.bucket_options)
        size = self.size
        if size == self._capacity:
            self._grow()
        self._counts[size] = value.count
        self._sums_of_squares[size] = value.sum_of_squared_deviation
        row = self._buckets[size]
        row[:] = 0
        _spread(value.bucket_counts, self._latest_bounds, row, self.bounds)
        if value.exemplars:
            self.exemplars[size] = list(value.exemplars)
        self.append(start, end, value.mean)

    def extend(self, starts: Ints, ends: Ints, values: Floats) -> None:
        """Append many numbers at once; times ascend."""
        low, high = self.size, self.size + len(ends)
        self._reserve(high)
        self._ends[low:high] = ends
        self._starts[low:high] = starts
        self._values[low:high] = values
        self.size = high
        self.last_end = int(ends[-1])
        self.last_start = int(starts[-1])

    def extend_distributions(  # noqa: PLR0917  # the columns in their order
        self, starts: Ints, ends: Ints, means: Floats, counts: Ints, squares: Floats, buckets: Sequence[Ints] | Ints
    ) -> None:
        """Append many distributions with the bucket options of the last point; a row of `buckets` may be shorter."""
        low, high = self.size, self.size + len(ends)
        self._reserve(high)
        self._counts[low:high] = counts
        self._sums_of_squares[low:high] = squares
        table = self._buckets[low:high]
        table[:] = 0
        same = len(self._latest_bounds) == len(self.bounds)
        if same and isinstance(buckets, np.ndarray):
            table[:, : buckets.shape[1]] = buckets
        else:
            for row, given in zip(table, buckets, strict=True):
                _spread(given, self._latest_bounds, row, self.bounds)
        self.extend(starts, ends, means)

    @property
    def written_by_clients(self) -> bool:
        """Whether its points came through the API, so that nobody else holds on to it."""
        return not self.metric_type.startswith("logging.googleapis.com/")

    @property
    def nbytes(self) -> int:
        """What the columns take, with the room to grow."""
        found = self._ends.nbytes + self._starts.nbytes + self._values.nbytes
        if self.value_type == "DISTRIBUTION":
            found += self._counts.nbytes + self._sums_of_squares.nbytes + self._buckets.nbytes
        return found + (0 if self.texts is None else sum(map(len, self.texts)))

    def first_after(self, time: int) -> int:
        """The place of the first point that ends later."""
        return int(self._ends[: self.size].searchsorted(time, "right"))

    def keep(self, places: Ints) -> None:
        """Forget all points but those at these places (ascending), and give their room back."""
        size = len(places)
        self._capacity = max(_FIRST_CAPACITY, size + size // 8)
        self._ends = _chosen(self._ends, places, self._capacity)
        self._starts = _chosen(self._starts, places, self._capacity)
        self._values = _chosen(self._values, places, self._capacity)
        if self.value_type == "DISTRIBUTION":
            self._counts = _chosen(self._counts, places, self._capacity)
            self._sums_of_squares = _chosen(self._sums_of_squares, places, self._capacity)
            self._buckets = _chosen(self._buckets, places, self._capacity)
        if self.texts is not None:
            self.texts = [self.texts[place] for place in places.tolist()]
        if self.exemplars:
            found = {old: new for new, old in enumerate(places.tolist()) if old in self.exemplars}
            self.exemplars = {new: self.exemplars[old] for old, new in found.items()}
        self.size = size

    def _reserve(self, size: int) -> None:
        while self._capacity < size:
            self._grow(max(2 * self._capacity, size))

    def _grow(self, capacity: int = 0) -> None:
        # New arrays, so that views handed out before stay what they were.
        self._capacity = capacity or 2 * self._capacity
        self._ends = _enlarged(self._ends, self._capacity)
        self._starts = _enlarged(self._starts, self._capacity)
        self._values = _enlarged(self._values, self._capacity)
        if self.value_type == "DISTRIBUTION":
            self._counts = _enlarged(self._counts, self._capacity)
            self._sums_of_squares = _enlarged(self._sums_of_squares, self._capacity)
            self._buckets = _enlarged(self._buckets, self._capacity)

    def _widen(self, options: distribution_pb2.Distribution.BucketOptions) -> None:
        """Take in points of other bounds: the columns get the union of all bounds seen."""
        new = bounds_of(options)
        bounds = new if self.size == 0 else np.union1d(self.bounds, new)
        if not np.array_equal(bounds, self.bounds) or self.size == 0:
            buckets = np.zeros((self._capacity, len(bounds) + 1), np.int64)
            for index in range(self.size):
                _spread(self._buckets[index], self.bounds, buckets[index], bounds)
            self._buckets = buckets
            self.bounds = bounds
        self._latest_bounds = new
        self.bucket_options.CopyFrom(options)


def _enlarged(column: NDArray[_Number], capacity: int) -> NDArray[_Number]:
    bigger = np.zeros((capacity, *column.shape[1:]), column.dtype)
    bigger[: len(column)] = column
    return bigger


def _chosen(column: NDArray[_Number], places: Ints, capacity: int) -> NDArray[_Number]:
    smaller = np.zeros((capacity, *column.shape[1:]), column.dtype)
    smaller[: len(places)] = column[places]
    return smaller


def _spread(counts: Sequence[int] | Ints, bounds: Floats, row: Ints, row_bounds: Floats) -> None:
    """Put bucket counts into a row of finer buckets: each count into the last bucket below the same upper bound."""
    if len(row_bounds) == len(bounds):
        row[: len(counts)] = counts
        return
    for index, count in enumerate(counts):
        target = len(row) - 1 if index == len(bounds) else int(row_bounds.searchsorted(bounds[index], "left"))
        row[target] += count


def bounds_of(options: distribution_pb2.Distribution.BucketOptions) -> Floats:
    """The finite bounds between the buckets (google/api/distribution.proto): N bounds make N + 1 buckets."""
    which = options.WhichOneof("options")
    if which == "explicit_buckets":
        return np.array(options.explicit_buckets.bounds, np.float64)
    if which == "linear_buckets":
        linear = options.linear_buckets
        return np.asarray(linear.offset + linear.width * np.arange(linear.num_finite_buckets + 1), np.float64)
    if which == "exponential_buckets":
        growing = options.exponential_buckets
        powers = np.arange(growing.num_finite_buckets + 1, dtype=np.float64)
        return np.asarray(growing.scale * growing.growth_factor**powers, np.float64)
    return np.empty(0, np.float64)
