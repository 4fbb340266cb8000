"""ALIGN_PERCENT_CHANGE (google/monitoring/v3/common.proto), which monitoring/align.py does not have yet.

(current - previous) / previous * 100, one alignment period apart, after a moving mean of ten minutes; values below 0
are no data; 0 and 0 make 0, a previous 0 alone makes infinity.
"""

import numpy as np

from ..clock import NANOS
from ..monitoring.align import grid
from ..monitoring.model import Floats, Ints, Series
from ..monitoring.streams import Stream, stream_of
from .observed import EvaluationError

_MEAN_OVER = 600 * NANOS


def percent_change(series: Series, start: int, end: int, period: int) -> Stream:
    """One change for each period of (start, end] at whose both ends there is a mean."""
    if series.kind not in {"GAUGE", "DELTA"} or series.value_type not in {"INT64", "DOUBLE"}:
        raise EvaluationError(
            f"ALIGN_PERCENT_CHANGE cannot be applied to metrics with kind {series.kind} and value type "
            f"{series.value_type}."
        )
    borders = grid(start, end, period)
    stream = stream_of(series, series.window(int(borders[0]) - _MEAN_OVER, end))
    kept = np.flatnonzero(stream.values >= 0)
    means = _moving_means(stream.ends[kept], stream.values[kept], borders)
    previous, current = means[:-1], means[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where((previous == 0) & (current == 0), 0.0, (current - previous) / previous * 100)
    present = np.flatnonzero(~np.isnan(previous) & ~np.isnan(current))
    ends = borders[1:][present]
    return stream._replace(
        kind="GAUGE", value_type="DOUBLE", starts=ends, ends=ends, values=change[present], texts=None, source=None
    )


def _moving_means(times: Ints, values: Floats, at: Ints) -> Floats:
    """The mean of the ten minutes up to each moment; NaN without a point."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    first, last = times.searchsorted(at - _MEAN_OVER, "right"), times.searchsorted(at, "right")
    counts = last - first
    means: Floats = np.divide(sums[last] - sums[first], counts, out=np.full(len(at), np.nan), where=counts > 0)
    return means
