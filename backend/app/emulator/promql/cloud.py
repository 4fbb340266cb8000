"""The emulator's metric store as a source of PromQL samples, with Google's names and kinds."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..monitoring.store import MetricStore, Points, Series
from ..project import Context
from .decimal_text import general
from .mapping import (
    DISTRIBUTION_PARTS,
    MONITORED_RESOURCE,
    PROMETHEUS,
    SUFFIXES,
    Part,
    asked_as,
    base_name,
    series_labels,
)
from .model import NAME, Floats, Labels, Mask, Matcher, QueryError, Sampled, Times, label_filter

_NANOS_PER_MILLI = 1_000_000
_FOREVER = 2**62  # nanoseconds that int64 still holds


class _Found(NamedTuple):
    metric_type: str
    name: str  # as the query spells it
    part: Part


class CloudSource:
    """Implements SampleSource; the other methods answer the questions of the Prometheus HTTP API."""

    def __init__(self, store: MetricStore, context: Context) -> None:
        self._store = store
        self._context = context

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Sampled]:
        """The series that match, with their samples of start <= t <= end.

        Raises:
            QueryError: The metric exists on several monitored resources, and no matcher says which.
        """
        names = [matcher for matcher in matchers if matcher.label == NAME]
        others = [matcher for matcher in matchers if matcher.label != NAME]
        exact = next((matcher.value for matcher in names if matcher.op == "="), None)
        candidates = self._named(exact) if exact is not None else self._all()
        if len(names) > 1 or exact is None:
            holds = label_filter(names)
            candidates = [found for found in candidates if holds({NAME: found.name})]
        found: list[Sampled] = []
        for candidate in candidates:
            found += self._selected(candidate, others, start, end)
        return found

    def _selected(self, found: _Found, matchers: list[Matcher], start: int, end: int) -> list[Sampled]:
        series = self._store.series(found.metric_type)
        _require_one_resource(found.name, series, matchers)
        # the labels of all buckets but `le` are known before any bucket is read
        rest = label_filter([matcher for matcher in matchers if found.part != "_bucket" or matcher.label != "le"])
        bounds = label_filter([matcher for matcher in matchers if matcher.label == "le"])
        selected: list[Sampled] = []
        for each in series:
            known = each.promql_labels
            if known is None:
                # A series never changes its labels, and every query reads them.
                known = each.promql_labels = series_labels(each.metric_labels, each.resource_labels, each.resource_type)
            labels = {NAME: found.name, **known}
            if each.value_type == "STRING" or not rest(labels):
                continue
            points = _window(each, start, end)
            if not len(points.ends):
                continue
            if found.part == "_bucket":
                selected += _buckets(each, points, labels, start, bounds)
            else:
                selected.append(_sampled(each, points, labels, start, _values(points, found.part)))
        return selected

    def _named(self, name: str) -> list[_Found]:
        """The metrics that an exact name may stand for."""
        types = {name, *(name.removesuffix(part) for part in DISTRIBUTION_PARTS)}
        types |= {f"{PROMETHEUS}{base}/{suffix}" for base in types for suffix in SUFFIXES}
        if ":" in name:
            wanted = {name, *(name.removesuffix(part) for part in DISTRIBUTION_PARTS)}
            types |= {each.type for each in self._store.descriptors() if base_name(each.type) in wanted}
        found = []
        for metric_type in sorted(types):
            descriptor = self._store.descriptor(metric_type)
            if descriptor is None:
                continue
            part = asked_as(name, metric_type, distribution=_is_distribution(descriptor.value_type))
            if part is not None:
                found.append(_Found(metric_type, name, part))
        return _without_second_kinds(found)

    def _all(self) -> list[_Found]:
        found = []
        for descriptor in self._store.descriptors():
            name = base_name(descriptor.type)
            parts = DISTRIBUTION_PARTS if _is_distribution(descriptor.value_type) else ("",)
            found += [_Found(descriptor.type, name + part, part) for part in parts]
        return _without_second_kinds(found)

    def names(self) -> list[str]:
        return sorted({found.name for found in self._all() if self._store.series(found.metric_type)})

    def label_sets(self, matchers: Sequence[Matcher], start: int, end: int) -> list[Labels]:
        """The label sets of the series that match and have samples in the range; all series without matchers."""
        if matchers:
            return [series.labels for series in self.select(matchers, start, end)]
        anywhere = Matcher(MONITORED_RESOURCE, "!=", "")
        return [series.labels for found in self._all() for series in self._selected(found, [anywhere], start, end)]

    def metadata(self) -> dict[str, list[dict[str, str]]]:
        """What Prometheus tells of its metrics, by name: type, help, unit."""
        told: dict[str, list[dict[str, str]]] = {}
        for descriptor in self._store.descriptors():
            kind = "counter" if descriptor.metric_kind != descriptor.GAUGE else "gauge"
            if _is_distribution(descriptor.value_type):
                kind = "histogram"
            entry = {"type": kind, "help": descriptor.description, "unit": descriptor.unit}
            told.setdefault(base_name(descriptor.type), []).append(entry)
        return told


def _is_distribution(value_type: int) -> bool:
    return value_type == 5  # noqa: PLR2004  # DISTRIBUTION in google/api/metric.proto


def _without_second_kinds(found: list[_Found]) -> list[_Found]:
    """An untyped Prometheus metric is stored as a gauge and as a counter; the name means the gauge."""
    types = {each.metric_type for each in found}
    return [
        each
        for each in found
        if not (each.metric_type.endswith(":counter") and each.metric_type.removesuffix(":counter") in types)
    ]


def _require_one_resource(name: str, series: list[Series], matchers: list[Matcher]) -> None:
    if any(matcher.label == MONITORED_RESOURCE for matcher in matchers):
        return
    types = sorted({each.resource_type for each in series})
    if len(types) > 1:
        raise QueryError(
            f'the metric "{name}" is associated with multiple resource types ({", ".join(types)}); '
            f'say which with a matcher such as {MONITORED_RESOURCE}="{types[0]}"'
        )


def _window(series: Series, start: int, end: int) -> Points:
    """The points whose end, in whole milliseconds, is in start..end; for DELTA all before the end, to add them up."""
    first = -_FOREVER if series.kind == "DELTA" else max(start * _NANOS_PER_MILLI - 1, -_FOREVER)
    last = min((end + 1) * _NANOS_PER_MILLI - 1, _FOREVER)
    points = series.window(first, last)
    # queries over HTTP run in a thread: a write that brings new bounds may fall between reading counts and bounds
    while points.distributions and points.distributions.buckets.shape[1] != len(points.distributions.bounds) + 1:
        points = series.window(first, last)
    return points


def _values(points: Points, part: Part) -> Floats:
    counts = points.distributions.counts if points.distributions is not None else None
    if part == "_count":
        assert counts is not None
        return counts.astype(np.float64)
    if part == "_sum":
        assert counts is not None
        return np.asarray(points.values * counts)
    return points.values


def _sampled(series: Series, points: Points, labels: Labels, start: int, values: Floats) -> Sampled:
    times: Times = points.ends // _NANOS_PER_MILLI
    if series.kind == "DELTA":
        times, values = _running(points, times, values, start)
    last = _last_of_millisecond(times)
    return Sampled(labels, times, values) if last is None else Sampled(labels, times[last], values[last])


def _last_of_millisecond(times: Times) -> Mask | None:
    """Of two points in one millisecond the later one counts; None when there are none."""
    rising = times[1:] > times[:-1]
    return None if rising.all() else np.append(rising, True)


def _running(points: Points, times: Times, values: Floats, start: int) -> tuple[Times, Floats]:
    """Changes as a counter, which is what rate() and increase() read; it begins at 0 where the first change began."""
    totals = np.concatenate([[0.0], np.cumsum(values)])
    begin = min(int(points.starts[0]) // _NANOS_PER_MILLI, int(times[0]) - 1)
    moments = np.concatenate([np.array([begin], dtype=np.int64), times])
    inside = moments >= start
    return moments[inside], totals[inside]


def _buckets(
    series: Series, points: Points, labels: Labels, start: int, wanted: Callable[[Labels], bool]
) -> Iterator[Sampled]:
    """One cumulative series for each upper bound, as a Prometheus histogram has them."""
    distributions = points.distributions
    assert distributions is not None
    below = np.cumsum(distributions.buckets, axis=1)
    bounds = [*(general(float(bound)) for bound in distributions.bounds), "+Inf"]
    # One array of times for all buckets: what reads them sees at once that they are the same.
    times: Times = points.ends // _NANOS_PER_MILLI
    plain = series.kind != "DELTA" and _last_of_millisecond(times) is None
    for column, bound in enumerate(bounds):
        if not wanted({"le": bound}):
            continue
        # a distribution without buckets still tells how much there was
        counts = distributions.counts if bound == "+Inf" else below[:, column]
        values = counts.astype(np.float64)
        with_bound = {**labels, "le": bound}
        yield Sampled(with_bound, times, values) if plain else _sampled(series, points, with_bound, start, values)
