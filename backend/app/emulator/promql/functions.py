"""Functions of values at one step: arithmetic, time, labels, absence. Functions over windows are in over_time.py."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from .aggregate import by_value
from .histogram import histogram_quantile
from .model import NAME, Floats, Labels, Mask, QueryError
from .over_time import RANGE_FUNCTIONS
from .regex import RegexError, groups_of
from .selectors import Environment
from .syntax import Call, Selector, Window
from .values import Ranges, Scalar, Text, Value, Vector, empty, unique, without

__all__ = ["FUNCTIONS", "RANGE_FUNCTIONS", "Arguments"]

_LABEL_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)


@dataclass(slots=True)
class Arguments:
    call: Call
    values: list[Value]
    env: Environment

    def vector(self, place: int = 0) -> Vector:
        value = self.values[place]
        assert isinstance(value, Vector)  # the parser checked the types
        return value

    def scalar(self, place: int, default: float = 0.0) -> Floats:
        if place >= len(self.values):
            return np.full(self.env.steps, default)
        value = self.values[place]
        assert isinstance(value, Scalar)
        return value.values

    def text(self, place: int) -> str:
        value = self.values[place]
        assert isinstance(value, Text)
        return value.value


Function = Callable[[Arguments], Value]


def _nameless(vector: Vector, values: Floats) -> Vector:
    return unique(Vector([without(labels, NAME) for labels in vector.labels], values, vector.present))


def _plain(compute: Callable[[Floats], Floats]) -> Function:
    return lambda given: _nameless(given.vector(), compute(given.vector().values))


def _round(given: Arguments) -> Vector:
    inverse = 1 / given.scalar(1, 1.0)
    return _nameless(given.vector(), np.floor(given.vector().values * inverse + 0.5) / inverse)


def _clamp(given: Arguments) -> Vector:
    low, high = given.scalar(1), given.scalar(2)
    found = _nameless(given.vector(), np.maximum(low, np.minimum(high, given.vector().values)))
    return unique(Vector(found.labels, found.values, found.present & ~(high < low)))


def _calendar(compute: Callable[["np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]"], np.ndarray]) -> Function:
    """A part of the UTC date of a time in seconds; without argument, of the step itself."""

    def function(given: Arguments) -> Vector:
        vector = given.vector() if given.values else _of_scalar(given.env.times / 1000)
        seconds = np.where(np.isfinite(vector.values), np.trunc(vector.values), 0).astype("datetime64[s]")
        found = np.asarray(compute(seconds), dtype=np.float64)
        return _nameless(vector, np.where(np.isfinite(vector.values), found, np.nan))

    return function


def _days_in_month(dates: np.ndarray) -> np.ndarray:
    month = dates.astype("datetime64[M]")
    days: np.ndarray = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
    return days.astype(np.int64)


def _since(dates: np.ndarray, unit: str, since: str) -> np.ndarray:
    passed: np.ndarray = dates.astype(f"datetime64[{unit}]") - dates.astype(f"datetime64[{since}]")
    return passed.astype(np.int64)


def _of_scalar(values: Floats) -> Vector:
    return Vector([{}], values[None, :].copy(), np.ones((1, len(values)), dtype=bool))


def _scalar(given: Arguments) -> Scalar:
    vector = given.vector()
    one = vector.present.sum(axis=0) == 1
    return Scalar(np.where(one, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))


def _absent(given: Arguments) -> Vector:
    """1 where there is nothing; its labels are what the selector asked for by `=` (prometheus.io/docs, absent)."""
    value = given.values[0]
    if isinstance(value, Ranges):
        anything: Mask = np.zeros(value.steps, dtype=bool)
        for bundle in value.bundles:
            anything |= bundle.hi > bundle.lo
    else:
        anything = np.asarray(given.vector().present.any(axis=0))
    return unique(Vector([_asked(given.call)], np.ones((1, len(anything))), ~anything[None, :]))


def _asked(call: Call) -> Labels:
    node = call.args[0]
    selector = node.selector if isinstance(node, Window) else node
    if not isinstance(selector, Selector):
        return {}
    labels: Labels = {}
    spoiled = {NAME}
    for matcher in selector.matchers:
        if matcher.label in spoiled:
            continue
        if matcher.op == "=" and matcher.label not in labels:
            labels[matcher.label] = matcher.value
        else:
            labels.pop(matcher.label, None)
            spoiled.add(matcher.label)
    return {name: value for name, value in labels.items() if value}


def _check_label(given: Arguments, name: str) -> None:
    if name and (given.env.dialect.utf8_names or _LABEL_NAME.fullmatch(name)):
        return
    raise QueryError(f'{given.call.function}(): "{name}" is no valid label name')


def _label_replace(given: Arguments) -> Vector:
    vector = given.vector()
    target, replacement, origin, pattern = (given.text(place) for place in range(1, 5))
    _check_label(given, target)
    labels = []
    for each in vector.labels:
        try:
            groups = groups_of(pattern, each.get(origin, ""))
        except RegexError as error:
            raise QueryError(f"label_replace(): {error}") from None
        labels.append(each if groups is None else _with(each, target, _expanded(replacement, groups)))
    return unique(Vector(labels, vector.values.copy(), vector.present.copy()))


def _expanded(template: str, groups: dict[str, str]) -> str:
    """Go's Regexp.Expand: `$1`, `${name}`, `$$`; an unknown group is empty."""
    return _PLACEHOLDER.sub(lambda found: "$" if found[1] else groups.get(found[2] or found[3], ""), template)


def _with(labels: Labels, name: str, value: str) -> Labels:
    return {**labels, name: value} if value else without(labels, name)


def _label_join(given: Arguments) -> Vector:
    vector = given.vector()
    target, separator = given.text(1), given.text(2)
    origins = [given.text(place) for place in range(3, len(given.values))]
    for name in (target, *origins):
        _check_label(given, name)
    labels = [_with(each, target, separator.join(each.get(name, "") for name in origins)) for each in vector.labels]
    return unique(Vector(labels, vector.values.copy(), vector.present.copy()))


def _sorted(given: Arguments, *, largest_first: bool) -> Vector:
    vector = given.vector()
    return by_value(vector, largest_first=largest_first) if given.env.steps == 1 and vector.labels else vector


def _histogram_quantile(given: Arguments) -> Vector:
    nothing = given.env.dialect.empty_histogram_is_nothing
    return unique(histogram_quantile(given.scalar(0), given.vector(1), empty_is_nothing=nothing))


def _no_native_histograms(given: Arguments) -> Vector:
    # these read native histograms only, and drop floats; neither dialect's sources hold any
    return empty(given.env.steps)


def _sign(values: Floats) -> Floats:
    return np.where(np.isnan(values), np.nan, np.sign(values))


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": _plain(np.abs),
    "absent": _absent,
    "absent_over_time": _absent,
    "acos": _plain(np.arccos),
    "acosh": _plain(np.arccosh),
    "asin": _plain(np.arcsin),
    "asinh": _plain(np.arcsinh),
    "atan": _plain(np.arctan),
    "atanh": _plain(np.arctanh),
    "ceil": _plain(np.ceil),
    "clamp": _clamp,
    "clamp_max": lambda given: _nameless(given.vector(), np.minimum(given.scalar(1), given.vector().values)),
    "clamp_min": lambda given: _nameless(given.vector(), np.maximum(given.scalar(1), given.vector().values)),
    "cos": _plain(np.cos),
    "cosh": _plain(np.cosh),
    "day_of_month": _calendar(lambda dates: _since(dates, "D", "M") + 1),
    "day_of_week": _calendar(lambda dates: (dates.astype("datetime64[D]").astype(np.int64) + 4) % 7),
    "day_of_year": _calendar(lambda dates: _since(dates, "D", "Y") + 1),
    "days_in_month": _calendar(_days_in_month),
    "deg": _plain(np.degrees),
    "exp": _plain(np.exp),
    "floor": _plain(np.floor),
    "histogram_count": _no_native_histograms,
    "histogram_fraction": _no_native_histograms,
    "histogram_quantile": _histogram_quantile,
    "histogram_sum": _no_native_histograms,
    "hour": _calendar(lambda dates: _since(dates, "h", "D")),
    "label_join": _label_join,
    "label_replace": _label_replace,
    "ln": _plain(np.log),
    "log10": _plain(np.log10),
    "log2": _plain(np.log2),
    "minute": _calendar(lambda dates: _since(dates, "m", "h")),
    "month": _calendar(lambda dates: _since(dates, "M", "Y") + 1),
    "pi": lambda given: Scalar(np.full(given.env.steps, np.pi)),
    "rad": _plain(np.radians),
    "round": _round,
    "scalar": _scalar,
    "sgn": _plain(_sign),
    "sin": _plain(np.sin),
    "sinh": _plain(np.sinh),
    "sort": lambda given: _sorted(given, largest_first=False),
    "sort_desc": lambda given: _sorted(given, largest_first=True),
    "sqrt": _plain(np.sqrt),
    "tan": _plain(np.tan),
    "tanh": _plain(np.tanh),
    "time": lambda given: Scalar(given.env.times / 1000),
    "timestamp": lambda given: _nameless(
        given.vector(), np.broadcast_to(given.env.times / 1000, given.vector().values.shape).copy()
    ),
    "vector": lambda given: _of_scalar(given.scalar(0)),
    "year": _calendar(lambda dates: dates.astype("datetime64[Y]").astype(np.int64) + 1970),
}
