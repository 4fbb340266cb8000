"""The series that a condition's filter selects, aggregated up to one moment.

Alignment windows slide: at 13:00 a period of five minutes is (12:55, 13:00], at 13:01 it is (12:56, 13:01]
(cloud.google.com/monitoring/alerts/concepts-indepth, "Alignment period").
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from ..clock import NANOS
from ..monitoring.aggregate import aggregate_series, aggregate_streams
from ..monitoring.filter import parse_filter
from ..monitoring.listing import Computed, Expanded, as_it_is, nothing_computed
from ..monitoring.model import Series
from ..monitoring.streams import Stream
from ..status import ApiError
from .messages import Aggregation, Raw
from .observed import EvaluationError, grouped_as_resource_labels, metadata_as_resource_labels

# Without an aligner the newest point counts, as long as it is not older than this: our choice, a step of evaluation.
_RAW_WINDOW = 60 * NANOS
_COMPARED = frozenset({"INT64", "DOUBLE", "BOOL"})

Metadata = Callable[[Series], Mapping[str, str]]
"""The metadata of a series, keyed `metadata.user_labels.<key>` and `metadata.system_labels.<key>`."""


class SeriesStore(Protocol):
    def series(self, metric_type: str) -> Sequence[Series]: ...
    def descriptors(self) -> Sequence[Any]: ...


class MetricSource(NamedTuple):
    """Where metric conditions look."""

    store: SeriesStore
    metadata: Metadata = lambda _: {}
    computed: Computed = nothing_computed
    """The series of time-series selectors, which are no metrics."""
    expanded: Expanded = as_it_is


class _Identity(NamedTuple):
    metric_type: str
    metric_labels: Mapping[str, str]
    resource_type: str
    resource_labels: Mapping[str, str]


class _WithMetadata:
    """A series whose resource labels include its metadata."""

    def __init__(self, series: Series, more: Mapping[str, str]) -> None:
        self._series = series
        self.resource_labels = series.resource_labels | dict(more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._series, name)


def selected(source: MetricSource, filter_: str) -> list[Series]:
    """The series that a filter matches.

    Raises:
        EvaluationError: The filter cannot be read, or asks for what the emulator does not keep.
    """
    try:
        computed = source.computed(filter_)
        if computed is not None:
            return list(computed)
        renamed = metadata_as_resource_labels(source.expanded(filter_))
        parsed = parse_filter(renamed)
    except ApiError as error:
        raise EvaluationError(error.message) from error
    types: Sequence[str] = parsed.metric_types
    if not types:
        types = [one.type for one in source.store.descriptors()]
    found: list[Series] = []
    for metric_type in dict.fromkeys(types):
        for series in source.store.series(metric_type):
            one = series
            if renamed != filter_ and (more := source.metadata(series)):
                one = cast("Series", _WithMetadata(series, more))
            if parsed.matches(one):
                found.append(one)
    return found


def aligned(series: Sequence[Series], aggregations: Sequence[Raw], at: int, back: int = 0) -> list[Stream]:
    """The streams that the aggregations make of (at - back, at]; `back` is at least the longest alignment period (ns).

    Raises:
        EvaluationError: The aggregations do not fit the series, or do not end in numbers.
    """
    if len({(one.kind, one.value_type) for one in series}) > 1:
        raise EvaluationError("the filter selects metrics of several kinds or value types, which cannot be aggregated")
    steps = [grouped_as_resource_labels(one) for one in aggregations] or [Aggregation()]
    back = max([back, *(one.alignment_period.ToNanoseconds() for one in steps)]) or _RAW_WINDOW
    try:
        streams = aggregate_series(series, steps[0], at - back, at, "aggregations[0]")
        for index, step in enumerate(steps[1:], start=1):
            streams = aggregate_streams(streams, step, at - back, at, f"aggregations[{index}]")
    except ApiError as error:
        raise EvaluationError(error.message) from error
    for stream in streams:
        if stream.value_type not in _COMPARED:
            raise EvaluationError(
                f"a value of type {stream.value_type} cannot be compared with a threshold: use an aligner that makes "
                "it a number"
            )
    return streams


def newest(stream: Stream, at: int, aggregations: Sequence[Raw]) -> float | None:
    """The value at `at`; None when the stream has none there."""
    if not len(stream.ends):
        return None
    if any(one.per_series_aligner for one in aggregations) and int(stream.ends[-1]) != at:
        return None
    value = float(stream.values[-1])
    return None if np.isnan(value) else value
