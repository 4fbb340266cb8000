"""Alignment, then reduction, for one Aggregation message (google/monitoring/v3/common.proto)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.cloud import monitoring_v3

from ..clock import NANOS
from ..status import invalid_field, missing_field
from .align import PERCENT_CHANGE_MEAN, align, grid, output_of
from .model import Series
from .reduce import reduce_streams, reduced_type
from .streams import Stream, stream_of

_Aggregation = monitoring_v3.Aggregation.pb()
_SHORTEST = 60 * NANOS
_LONGEST = 104 * 7 * 86_400 * NANOS


def aggregate_series(
    series: Sequence[Series], aggregation: Any, start: int, end: int, field: str = "aggregation"
) -> list[Stream]:
    """Series of one metric, aggregated over (start, end]; streams without a point are left out.

    Raises:
        ApiError: INVALID_ARGUMENT when the aggregation does not fit; `field` is its name in the request.
    """
    if series:
        check_aggregation(aggregation, series[0].kind, series[0].value_type, field)
    if _aligner(aggregation) == "ALIGN_NONE":
        cut = (stream_of(one, one.window(start, end)) for one in series)
        return [stream for stream in cut if len(stream.ends)]
    period = _period(aggregation)
    first = int(grid(start, end, period)[0])
    if _aligner(aggregation) == "ALIGN_PERCENT_CHANGE":
        first -= PERCENT_CHANGE_MEAN
    return aggregate_streams([_cut(one, first, end) for one in series], aggregation, start, end, field)


def aggregate_streams(
    streams: Sequence[Stream], aggregation: Any, start: int, end: int, field: str = "aggregation"
) -> list[Stream]:
    """As `aggregate_series`, for what has been aggregated before."""
    if streams:
        check_aggregation(aggregation, streams[0].kind, streams[0].value_type, field)
    aligner = _aligner(aggregation)
    if aligner == "ALIGN_NONE":
        return list(streams)
    borders = grid(start, end, _period(aggregation))
    with np.errstate(invalid="ignore", over="ignore"):
        aligned = [align(stream, aligner, borders, field) for stream in streams]
        aligned = [stream for stream in aligned if len(stream.ends)]
        reducer = _Aggregation.Reducer.Name(aggregation.cross_series_reducer)
        if reducer == "REDUCE_NONE":
            return aligned
        return reduce_streams(aligned, reducer, aggregation.group_by_fields, field)


def check_aggregation(aggregation: Any, kind: str, value_type: str, field: str = "aggregation") -> tuple[str, str]:
    """Kind and value type of the output.

    Raises:
        ApiError: INVALID_ARGUMENT or UNIMPLEMENTED, naming the field.
    """
    aligner = _aligner(aggregation)
    reducer = _Aggregation.Reducer.Name(aggregation.cross_series_reducer)
    if aligner == "ALIGN_NONE":
        if reducer != "REDUCE_NONE":
            why = "A reducer needs time series that were aligned: perSeriesAligner must not be ALIGN_NONE."
            raise invalid_field(f"{field}.crossSeriesReducer", why, reducer)
        return kind, value_type
    if not aggregation.HasField("alignment_period"):
        raise missing_field(f"{field}.alignmentPeriod")
    period = _period(aggregation)
    if not _SHORTEST <= period <= _LONGEST:
        why = "The alignment period must be at least 60 seconds and at most 104 weeks."
        raise invalid_field(f"{field}.alignmentPeriod", why, f"{period / NANOS:g}s")
    kind, value_type = output_of(aligner, kind, value_type, field)
    if reducer == "REDUCE_NONE":
        return kind, value_type
    return kind, reduced_type(reducer, kind, value_type, field)


def _aligner(aggregation: Any) -> str:
    return str(_Aggregation.Aligner.Name(aggregation.per_series_aligner))


def _period(aggregation: Any) -> int:
    period: int = aggregation.alignment_period.ToNanoseconds()
    return period


def _cut(series: Series, start: int, end: int) -> Stream:
    """The points of (start, end] and the one before, from which growth is counted; NaN is no point."""
    stream = stream_of(series, series.window_with_previous(start, end))
    if series.value_type != "DOUBLE" or not np.isnan(stream.values).any():
        return stream
    kept = np.flatnonzero(~np.isnan(stream.values))
    return stream._replace(starts=stream.starts[kept], ends=stream.ends[kept], values=stream.values[kept])
