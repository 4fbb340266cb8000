"""What a condition sees at every moment of a range, asked once instead of moment by moment.

PromQL: one range query. Threshold and absence: their alignment windows slide by a minute, so a period of five minutes
takes five alignments of the whole range, each a minute earlier. Where neither is sure to answer what the evaluator
would have seen, each moment is asked: correct, only slower.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np
from google.cloud.monitoring_v3.types import ComparisonType

from ..alerting.conditions import ABSENT, PROMQL, THRESHOLD, Sources, kind_of, observe, violating
from ..alerting.messages import Aggregation, Raw
from ..alerting.observed import EvaluationError, Observed, observed_of
from ..alerting.selection import aligned, selected
from ..alerting.threshold import ratio
from ..clock import NANOS
from ..promql.dialect import CLOUD
from ..promql.evaluate import MAX_POINTS, evaluate_range
from ..promql.model import QueryError
from ..promql.parse import parse
from ..promql.syntax import Shift, Window

if TYPE_CHECKING:
    from ..monitoring.model import Series
    from ..monitoring.streams import Stream

_MILLIS = 1_000_000
_GREATER = int(ComparisonType.COMPARISON_GT)
_SLIDE = 60 * NANOS
_FOREVER = 2**62
_NEED_MOMENTS = frozenset({"ALIGN_NONE", "ALIGN_PERCENT_CHANGE", "ALIGN_INTERPOLATE"})

See = Callable[[int], list[Observed]]
"""What is seen at a moment (ns)."""


class Foreseen:
    """Moments at which something violates, and what is seen at each."""

    def __init__(self, see: See, violations: set[int]) -> None:
        self.see = see
        self.violations = violations


def foresee(condition: Raw, sources: Sources, moments: Sequence[int]) -> Foreseen:
    """`moments` are on one grid.

    Raises:
        EvaluationError: The condition cannot be evaluated.
    """
    kind = kind_of(condition)
    found = None
    if kind == PROMQL:
        found = _promql(condition, sources, moments)
    elif kind in {THRESHOLD, ABSENT}:
        found = _sliding(condition, sources, moments)
    return found if found is not None else each_moment(condition, sources, moments)


def each_moment(condition: Raw, sources: Sources, moments: Sequence[int]) -> Foreseen:
    """The slow way, which is the evaluator's own."""
    seen = {moment: observe(condition, sources, moment) for moment in moments}
    return Foreseen(
        lambda moment: seen.get(moment, []), {at for at, those in seen.items() if any(one.violates for one in those)}
    )


def _promql(condition: Raw, sources: Sources, moments: Sequence[int]) -> Foreseen | None:
    body = condition.condition_prometheus_query_language
    step = (moments[1] - moments[0]) // _MILLIS if len(moments) > 1 else 60_000
    try:
        if _depends_on_range(parse(body.query, CLOUD), step):
            return None
        by_moment: dict[int, list[tuple[Mapping[str, str], float]]] = {}
        for first in range(0, len(moments), MAX_POINTS):
            some = moments[first : first + MAX_POINTS]
            result = evaluate_range(body.query, sources.samples, some[0] // _MILLIS, some[-1] // _MILLIS, step)
            for labels, times, values in result.series:
                for time, value in zip(times.tolist(), values.tolist(), strict=True):
                    by_moment.setdefault(time * _MILLIS, []).append((labels, value))
    except QueryError as error:
        raise EvaluationError(str(error)) from error
    return Foreseen(
        lambda moment: violating(body, by_moment.get(moment, ()), sources.project_id),
        set(by_moment),
    )


def _depends_on_range(node: Any, step: int) -> bool:
    """Whether a range query may answer otherwise than instant ones: `start()`, `end()`, windows below the step."""
    if isinstance(node, Shift):
        return node.at in {"start", "end"}
    if isinstance(node, Window) and node.length < step:
        return True
    if isinstance(node, tuple):
        return any(_depends_on_range(one, step) for one in node)
    if is_dataclass(node):
        return any(_depends_on_range(getattr(node, part.name), step) for part in fields(node))
    return False


def _sliding(condition: Raw, sources: Sources, moments: Sequence[int]) -> Foreseen | None:
    body = getattr(condition, kind_of(condition))
    threshold = kind_of(condition) == THRESHOLD
    sides = [(body.filter, body.aggregations)]
    if threshold and body.denominator_filter:
        sides.append((body.denominator_filter, body.denominator_aggregations))
    steps = [one for _, aggregations in sides for one in aggregations]
    if not all(aggregations for _, aggregations in sides) or not all(_slides(one) for one in steps):
        return None
    if threshold and body.HasField("forecast_options"):
        return None
    period = lcm(*(one.alignment_period.ToNanoseconds() for one in steps))
    if period % _SLIDE or any(moment % _SLIDE for moment in moments[:2]):
        return None
    delay = round(sources.switches.alert_delay_seconds * NANOS)
    series = [(selected(sources.metrics, filter_), aggregations) for filter_, aggregations in sides]
    if not all(_steady(one) for those, _ in series for one in those):
        return None
    last, first = moments[-1] - delay, moments[0] - delay - period
    violates = _violates(body) if threshold else None
    seen: dict[int, list[tuple[Stream, float, bool]]] = {}
    violations: set[int] = set()
    for phase in range(period // _SLIDE):
        at = last - phase * _SLIDE
        back = max((at - first) // period, 1) * period
        streams = [aligned(these, aggregations, at, back) for these, aggregations in series]
        for stream in ratio(*streams) if len(streams) > 1 else streams[0]:
            for end, value in zip(stream.ends.tolist(), stream.values.tolist(), strict=True):
                if np.isnan(value):
                    continue
                bad = violates is not None and violates(value)
                seen.setdefault(end + delay, []).append((stream, value, bad))
                if bad:
                    violations.add(end + delay)

    def see(moment: int) -> list[Observed]:
        return [observed_of(stream, value, violates=bad) for stream, value, bad in seen.get(moment, ())]

    return Foreseen(see, violations)


def _slides(aggregation: Raw) -> bool:
    return Aggregation.Aligner.Name(aggregation.per_series_aligner) not in _NEED_MOMENTS


def _steady(series: "Series") -> bool:
    """Whether a later point cannot change what was known at a moment before it.

    Growth is shared out between the two points around a border; over a gap the second of them comes from the future.
    """
    points = series.window(-1, _FOREVER)
    if series.kind == "GAUGE" or not len(points.ends):
        return True
    if (points.ends % _SLIDE).any():
        return False
    if series.kind == "DELTA":
        return bool((points.ends - points.starts <= _SLIDE).all())
    return bool((np.diff(points.ends) == _SLIDE).all())


def _violates(body: Raw) -> Callable[[float], bool]:
    limit = body.threshold_value
    return (lambda value: value > limit) if body.comparison == _GREATER else (lambda value: value < limit)
