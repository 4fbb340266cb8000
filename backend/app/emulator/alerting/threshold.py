"""Threshold and absence conditions at one moment (google/monitoring/v3/alert.proto)."""

from collections.abc import Callable

import numpy as np
from google.cloud.monitoring_v3.types import ComparisonType

from ..clock import NANOS
from ..monitoring.streams import Stream
from ..project import Switches
from .limits import seconds
from .messages import Raw
from .observed import Observed, observed_of
from .selection import MetricSource, aligned, newest, selected

_GREATER = int(ComparisonType.COMPARISON_GT)

Violates = Callable[[float], bool]


def observe_threshold(body: Raw, source: MetricSource, at: int, switches: Switches) -> list[Observed]:
    """The series that have a value at `at` (ns), and whether it violates.

    Raises:
        EvaluationError: Filter and aggregations do not fit the data.
    """
    limit = body.threshold_value
    violates: Violates = (lambda value: value > limit) if body.comparison == _GREATER else (lambda value: value < limit)
    training = 0
    if body.HasField("forecast_options") and switches.forecast_training > 0:
        training = round(seconds(body.forecast_options.forecast_horizon) * switches.forecast_training * NANOS)
    streams = aligned(selected(source, body.filter), body.aggregations, at, training)
    if body.denominator_filter:
        below = aligned(selected(source, body.denominator_filter), body.denominator_aggregations, at, training)
        streams = ratio(streams, below)
    found: list[Observed] = []
    for stream in streams:
        value = newest(stream, at, body.aggregations)
        if value is None:
            continue
        note = ""
        if training and not violates(value):
            horizon = round(seconds(body.forecast_options.forecast_horizon) * NANOS)
            predicted = forecast(stream, at, training, horizon)
            note = "" if predicted is None else f"forecast {predicted:g}"
            found.append(observed_of(stream, value, violates=predicted is not None and violates(predicted), note=note))
        else:
            found.append(observed_of(stream, value, violates=violates(value)))
    return found


def observe_absence(body: Raw, source: MetricSource, at: int) -> list[Observed]:
    """The series that have data at `at`: none of them violates, those that had some before and have none now do.

    Raises:
        EvaluationError: Filter and aggregations do not fit the data.
    """
    found: list[Observed] = []
    for stream in aligned(selected(source, body.filter), body.aggregations, at):
        value = newest(stream, at, body.aggregations)
        if value is not None:
            found.append(observed_of(stream, value, violates=False))
    return found


def last_seen(body: Raw, source: MetricSource, since: int, at: int) -> list[tuple[Observed, int]]:
    """Every series that had data in (since, at], with the time of its last aligned value (ns)."""
    streams = aligned(selected(source, body.filter), body.aggregations, at, at - since)
    return [
        (observed_of(stream, float(stream.values[-1]), violates=False), int(stream.ends[-1]))
        for stream in streams
        if len(stream.ends)
    ]


def ratio(numerator: list[Stream], denominator: list[Stream]) -> list[Stream]:
    """Streams of equal labels divided, point by point.

    The two sides must have the same periods and labels (alert.proto, `denominator_aggregations`); what has no partner
    is left out. A denominator of 0 makes no value: Google does not publish what it does there.
    """
    partners = {_labels(stream): stream for stream in denominator}
    divided: list[Stream] = []
    for stream in numerator:
        other = partners.get(_labels(stream))
        if other is None:
            continue
        ends, ours, theirs = np.intersect1d(stream.ends, other.ends, assume_unique=True, return_indices=True)
        below = other.values[theirs]
        kept = np.flatnonzero(below != 0)
        values = stream.values[ours][kept] / below[kept]
        divided.append(
            stream._replace(kind="GAUGE", value_type="DOUBLE", starts=ends[kept], ends=ends[kept], values=values)
        )
    return divided


def _labels(stream: Stream) -> tuple[str, frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    return (
        stream.resource_type,
        frozenset(stream.resource_labels.items()),
        frozenset(item for item in stream.metric_labels.items() if item[1]),
    )


def forecast(stream: Stream, at: int, training: int, horizon: int) -> float | None:
    """The value that a straight line through the values of the training time has `horizon` after `at` (all ns).

    None until the series is as old as the training time, less one period: before, Google's algorithm makes no forecasts
    either (cloud.google.com/monitoring/alerts/metric-forecast, "initial training time"). Google's algorithm itself is
    not published, and it knows periodic series; this one does not.
    """
    values = stream.values
    if len(values) < 2:  # noqa: PLR2004  # a line needs two points
        return None
    step = int(stream.ends[-1] - stream.ends[-2])
    if at - int(stream.ends[0]) < training - step:
        return None
    times = (stream.ends - at) / NANOS
    mean_time, mean_value = times.mean(), values.mean()
    spread = ((times - mean_time) ** 2).sum()
    slope = ((times - mean_time) * (values - mean_value)).sum() / spread
    return float(mean_value + slope * (horizon / NANOS - mean_time))
