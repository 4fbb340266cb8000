"""The walk over a query's tree: once for a whole range, every node over all steps."""

from dataclasses import replace
from typing import Final

import numpy as np

from . import syntax
from .aggregate import aggregate, by_value
from .binary import binary
from .dialect import DIALECTS, Dialect
from .functions import FUNCTIONS, Arguments
from .model import NAME, Floats, QueryError, Result, Sampled, SampleSource
from .over_time import RANGE_FUNCTIONS, apply
from .parse import parse
from .selectors import Environment, instant_times, instant_vector, ranges, shifted, window_ranges
from .values import Ranges, Scalar, Text, Value, Vector, key_of, unique, without

# The step of a subquery that names none: Prometheus takes its global evaluation interval, one minute by default.
_SUBQUERY_STEP: Final = 60_000
# prometheus.io/docs, "Range queries": more points per series than this are refused.
MAX_POINTS: Final = 11_000
# Bounds what one subquery may make the emulator compute per series.
_MAX_INNER_STEPS: Final = 1_000_000
_RAISED_TO_STEP: Final = frozenset({"rate", "irate", "increase"})
_LARGEST_FIRST: Final = {"topk": True, "bottomk": False}


def instant(query: str, source: SampleSource, at: int, dialect: str = "cloud") -> Result:
    """The value of a query at one moment.

    Raises:
        QueryError: The query is wrong, or does not fit the data.
    """
    chosen = _dialect(dialect)
    tree = parse(query, chosen)
    env = Environment(source, chosen, np.array([at], dtype=np.int64), at, at, 0)
    if isinstance(tree, syntax.Window | syntax.Subquery):
        return _matrix(_ranges(tree, env, 0))
    value = _evaluated(tree, env)
    if isinstance(value, Text):
        return Result("string", text=value.value)
    if isinstance(value, Scalar):
        return Result("scalar", samples=[({}, float(value.values[0]), at)])
    assert isinstance(value, Vector)
    vector = unique(value)
    if isinstance(tree, syntax.Aggregate) and tree.op in _LARGEST_FIRST:
        vector = by_value(vector, largest_first=_LARGEST_FIRST[tree.op]) if vector.labels else vector
    elif not (isinstance(tree, syntax.Call) and tree.function in {"sort", "sort_desc"}):
        vector = _sorted(vector)
    rows = enumerate(vector.labels)
    return Result("vector", samples=[(labels, float(vector.values[row, 0]), at) for row, labels in rows])


def evaluate_range(  # noqa: PLR0917  # the order of Prometheus's own query_range
    query: str, source: SampleSource, start: int, end: int, step: int, dialect: str = "cloud"
) -> Result:
    """The values of a query at start, start + step, ... up to end, as a matrix.

    Raises:
        QueryError: The query is wrong, does not fit the data, or the range is.
    """
    if step <= 0:
        raise QueryError("the step of a range query must be greater than 0")
    if end < start:
        raise QueryError("the end of a range query must not be before its start")
    if (end - start) // step + 1 > MAX_POINTS:
        raise QueryError(
            f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    chosen = _dialect(dialect)
    tree = parse(query, chosen)
    times = np.arange(start, end + 1, step, dtype=np.int64)
    if isinstance(tree, syntax.Window | syntax.Subquery | syntax.Text):
        kind = "string" if isinstance(tree, syntax.Text) else "range vector"
        raise QueryError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
    value = _evaluated(tree, Environment(source, chosen, times, start, end, step))
    if isinstance(value, Scalar):
        return Result("matrix", series=[({}, times, np.array(value.values))])
    assert isinstance(value, Vector)
    vector = _sorted(unique(value))
    found = []
    for row, labels in enumerate(vector.labels):
        present = vector.present[row]
        whole = bool(present.all())
        found.append(
            (labels, times if whole else times[present], vector.values[row] if whole else vector.values[row][present])
        )
    return Result("matrix", series=found)


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise QueryError(f'there is no dialect "{name}"; there are {", ".join(DIALECTS)}')
    return DIALECTS[name]


def _evaluated(tree: syntax.Node, env: Environment) -> Value:
    try:
        with np.errstate(all="ignore"):  # NaN and Inf are ordinary values here
            return _value(tree, env)
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None


def _sorted(vector: Vector) -> Vector:
    rows = sorted(range(len(vector.labels)), key=lambda row: key_of(vector.labels[row]))
    return Vector([vector.labels[row] for row in rows], vector.values[rows], vector.present[rows])


def _matrix(found: Ranges) -> Result:
    """A range selector as an instant query: the samples themselves."""
    series = []
    for bundle in found.bundles:
        window = slice(int(bundle.lo[0]), int(bundle.hi[0]))
        if window.stop > window.start:
            rows = enumerate(bundle.labels)
            series += [(labels, bundle.times[window], bundle.values[row, window]) for row, labels in rows]
    series.sort(key=lambda each: key_of(each[0]))
    return Result("matrix", series=series)


def _value(node: syntax.Node, env: Environment) -> Value:
    match node:
        case syntax.Number(value=number):
            return Scalar(np.full(env.steps, number))
        case syntax.Text(value=text):
            return Text(text)
        case syntax.Selector():
            return instant_vector(node, env)
        case syntax.Window() | syntax.Subquery():
            return _ranges(node, env, 0)
        case syntax.Call():
            return _call(node, env)
        case syntax.Aggregate():
            vector = _value(node.body, env)
            assert isinstance(vector, Vector)  # the parser checked the types
            return aggregate(node, vector, None if node.param is None else _value(node.param, env))
        case syntax.Binary():
            return binary(node, _value(node.left, env), _value(node.right, env))
        case syntax.Negate():
            return _negated(_value(node.body, env))


def _negated(value: Value) -> Value:
    if isinstance(value, Scalar):
        return Scalar(-value.values)
    assert isinstance(value, Vector)
    return unique(Vector([without(labels, NAME) for labels in value.labels], -value.values, value.present))


def _call(node: syntax.Call, env: Environment) -> Value:
    if node.function == "timestamp" and isinstance(node.args[0], syntax.Selector):
        vector = instant_times(node.args[0], env)
        return unique(Vector([without(labels, NAME) for labels in vector.labels], vector.values, vector.present))
    function = RANGE_FUNCTIONS.get(node.function)
    if function is None:
        return FUNCTIONS[node.function](Arguments(node, [_value(arg, env) for arg in node.args], env))
    raised = env.dialect.rate_window_at_least_step and node.function in _RAISED_TO_STEP
    scalars: list[Floats] = []
    found: Ranges | None = None
    for arg in node.args:
        if isinstance(arg, syntax.Window | syntax.Subquery):
            found = _ranges(arg, env, env.step if raised else 0)
        else:
            value = _value(arg, env)
            assert isinstance(value, Scalar)
            scalars.append(value.values)
    assert found is not None
    return unique(apply(function, found, env.times, scalars))


def _ranges(node: syntax.Window | syntax.Subquery, env: Environment, least: int) -> Ranges:
    if isinstance(node, syntax.Window):
        return window_ranges(node, env, least)
    ends = shifted(node.shift, env)
    starts = ends - max(node.length, least)
    step = node.step or _SUBQUERY_STEP
    first = -(-int(starts.min()) // step) * step  # inner steps are multiples of the step since the epoch
    count = (int(ends.max()) - first) // step + 1
    if count > _MAX_INNER_STEPS:
        raise QueryError(f"a subquery of {count:,} steps is too large; the limit is {_MAX_INNER_STEPS:,}")
    inner = np.arange(first, int(ends.max()) + 1, step, dtype=np.int64)
    if len(inner) == 0:
        return Ranges([], starts, ends, env.steps)
    value = _value(node.body, replace(env, times=inner, step=step))
    if isinstance(value, Scalar):
        series = [Sampled({}, inner, value.values)]
    else:
        assert isinstance(value, Vector)
        vector = unique(value)
        rows = enumerate(vector.labels)
        series = [
            Sampled(labels, inner[vector.present[row]], vector.values[row][vector.present[row]]) for row, labels in rows
        ]
    return ranges(series, starts, ends, left_closed=env.dialect.left_closed_windows)
