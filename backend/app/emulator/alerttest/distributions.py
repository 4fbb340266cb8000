"""Distributions for tests: from values, quantiles or bucket counts to what the API takes.

    {{values:[0.1 0.2 0.2 0.9]}}                 four observations
    {{count:200 p50:0.1 p95:0.4 p99:1.2}}        200, spread evenly between the quantiles (min and max may be given)
    {{buckets:[90 8 2]}}                         so many in each bucket, the first ones of the series' bounds
    {{count:10 mean:0.25}}                       ten alike

They say what was observed since the sample before; the kind of the series decides whether that is what is written
(DELTA, GAUGE) or added to all before (CUMULATIVE).
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..monitoring.model import Floats
from .errors import ScriptError

# From a millisecond to about a day, each bound a fifth more: quantiles come back within a tenth.
DEFAULT_BOUNDS = tuple(0.001 * 1.2**power for power in range(101))
_DEFAULT_COUNT = 100
_FIELD = re.compile(r"\s*(?P<name>[a-z]+\d*(?:\.\d+)?)\s*:\s*(?:\[(?P<many>[^\]]*)\]|(?P<one>[^\s,\]]+))\s*,?")
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_PLAIN = {"count", "mean", "min", "max"}


class Observations(NamedTuple):
    """What one sample of a distribution says."""

    values: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    quantiles: tuple[tuple[float, float], ...] = ()
    """Share (0 to 1) and value, ascending, from the minimum to the maximum."""
    size: int = 0
    mean: float | None = None


class Histogram(NamedTuple):
    """Columns that add up."""

    buckets: Floats
    size: float
    total: float
    squares: float

    def plus(self, other: "Histogram") -> "Histogram":
        return Histogram(
            self.buckets + other.buckets,
            self.size + other.size,
            self.total + other.total,
            self.squares + other.squares,
        )


def observations(text: str) -> Observations:
    """What stands between the double braces.

    Raises:
        ScriptError: A field is unknown or cannot be read, or the fields do not make a distribution.
    """
    fields: dict[str, list[float]] = {}
    at = 0
    while at < len(text.rstrip()):
        match = _FIELD.match(text, at)
        if match is None:
            raise ScriptError(f"{{{{{text}}}}} cannot be read: write such as {{{{count:100 p50:0.2 p99:1}}}}")
        many = match["many"]
        try:
            fields[match["name"]] = [
                float(number) for number in ([match["one"]] if many is None else many.replace(",", " ").split())
            ]
        except ValueError as error:
            raise ScriptError(f"{{{{{text}}}}}: {match['name']} takes numbers") from error
        at = match.end()
    return _checked(fields, text)


def _checked(fields: dict[str, list[float]], text: str) -> Observations:
    quantiles = sorted(
        (float(match[1]) / 100, fields[name][0]) for name in fields if (match := _QUANTILE.fullmatch(name))
    )
    unknown = [name for name in fields if name not in _PLAIN | {"values", "buckets"} and not _QUANTILE.fullmatch(name)]
    if unknown:
        raise ScriptError(
            f"{{{{{text}}}}}: {unknown[0]} is no field here; there are values, buckets, count, mean, min, "
            "max and quantiles such as p95"
        )
    count = int(fields.get("count", [0])[0])
    mean = fields["mean"][0] if "mean" in fields else None
    if "values" in fields:
        return Observations(values=tuple(fields["values"]), size=len(fields["values"]))
    if "buckets" in fields:
        buckets = tuple(int(number) for number in fields["buckets"])
        return Observations(buckets=buckets, size=sum(buckets), mean=mean)
    if not quantiles:
        if mean is None and count:
            raise ScriptError(f"{{{{{text}}}}}: a count alone does not say what was observed")
        return Observations(size=count if mean is None else count or 1, mean=mean)
    lowest = fields["min"][0] if "min" in fields else min(0.0, quantiles[0][1])
    highest = fields["max"][0] if "max" in fields else quantiles[-1][1]
    line = [(0.0, lowest), *quantiles, (1.0, highest)]
    if any(later[1] < earlier[1] for earlier, later in pairwise(line)):
        raise ScriptError(f"{{{{{text}}}}}: a higher quantile is not smaller than a lower one")
    return Observations(quantiles=tuple(line), size=count or _DEFAULT_COUNT)


def empty(bounds: Sequence[float]) -> Histogram:
    return Histogram(np.zeros(len(bounds) + 1), 0.0, 0.0, 0.0)


def histogram(seen: Observations, bounds: Sequence[float]) -> Histogram:
    """The observations in buckets: bucket i holds what is at least bounds[i - 1] and less than bounds[i]."""
    edges = np.asarray(bounds, np.float64)
    if seen.values:
        values = np.asarray(seen.values, np.float64)
        buckets = np.bincount(edges.searchsorted(values, "right"), minlength=len(edges) + 1).astype(np.float64)
        return Histogram(buckets, float(len(values)), float(values.sum()), float((values**2).sum()))
    if seen.quantiles:
        return _between(seen, edges)
    if seen.buckets:
        if len(seen.buckets) > len(edges) + 1:
            raise ScriptError(f"{len(seen.buckets)} buckets, but the bounds of the series make {len(edges) + 1}")
        buckets = np.zeros(len(edges) + 1)
        buckets[: len(seen.buckets)] = seen.buckets
        return _estimated(buckets, edges, seen.mean)
    if not seen.size or seen.mean is None:
        return empty(bounds)
    buckets = np.zeros(len(edges) + 1)
    buckets[edges.searchsorted(seen.mean, "right")] = seen.size
    return Histogram(buckets, float(seen.size), seen.mean * seen.size, seen.mean**2 * seen.size)


def _between(seen: Observations, edges: Floats) -> Histogram:
    """Straight lines between the quantiles."""
    shares, values = (np.array(column) for column in zip(*seen.quantiles, strict=True))
    # Where two quantiles have one value the distribution jumps: the higher share counts.
    below = np.array([0.0 if edge < values[0] else _share(edge, shares, values) for edge in edges])
    cumulative = np.concatenate(([0.0], np.rint(below * seen.size), [float(seen.size)]))
    buckets = np.diff(np.maximum.accumulate(cumulative))
    widths = np.diff(shares)
    low, high = values[:-1], values[1:]
    mean = float((widths * (low + high) / 2).sum())
    squares = float((widths * (low**2 + low * high + high**2) / 3).sum())
    return Histogram(buckets, float(seen.size), mean * seen.size, squares * seen.size)


def _share(edge: float, shares: Floats, values: Floats) -> float:
    place = int(values.searchsorted(edge, "right"))
    if place >= len(values):
        return 1.0
    low, high = values[place - 1], values[place]
    return float(shares[place - 1] + (shares[place] - shares[place - 1]) * (edge - low) / (high - low))


def _estimated(buckets: Floats, edges: Floats, mean: float | None) -> Histogram:
    """With every observation in the middle of its bucket; those of the open ends at the bound."""
    first = min(0.0, edges[0]) if len(edges) else 0.0
    lower = np.concatenate(([first], edges))
    upper = np.concatenate((edges, edges[-1:] if len(edges) else [0.0]))
    middles = (lower + upper) / 2
    count = float(buckets.sum())
    total = float((buckets * middles).sum()) if mean is None else mean * count
    squares = max(float((buckets * middles**2).sum()), total**2 / count if count else 0.0)
    return Histogram(buckets, count, total, squares)


def write(value: Any, one: Histogram, bounds: Sequence[float]) -> None:
    """Fill a google.api.Distribution."""
    value.count = round(one.size)
    value.mean = one.total / one.size if one.size else 0.0
    value.sum_of_squared_deviation = max(one.squares - one.size * value.mean**2, 0.0) if one.size else 0.0
    value.bucket_options.explicit_buckets.bounds[:] = bounds
    value.bucket_counts[:] = [round(count) for count in one.buckets]
