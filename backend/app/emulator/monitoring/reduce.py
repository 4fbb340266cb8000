"""Reducers: several aligned series to one (google/monitoring/v3/common.proto, Aggregation.Reducer)."""

from collections.abc import Callable, Sequence
from functools import reduce as fold

import numpy as np

from ..status import ApiError, Code, invalid_field
from .model import Floats, Ints
from .streams import PERCENTILES, Histograms, Stream, means, percentile, rebucketed, squared_deviations

_NUMERIC = frozenset({"INT64", "DOUBLE"})
_SUMMED = _NUMERIC | {"DISTRIBUTION"}
_BOOL = frozenset({"BOOL"})
_TYPES: dict[str, tuple[frozenset[str], str]] = {
    "REDUCE_MEAN": (_SUMMED, "DOUBLE"),
    "REDUCE_MIN": (_NUMERIC, ""),
    "REDUCE_MAX": (_NUMERIC, ""),
    "REDUCE_SUM": (_SUMMED, ""),
    "REDUCE_STDDEV": (_SUMMED, "DOUBLE"),
    "REDUCE_COUNT": (_SUMMED | _BOOL | {"STRING"}, "INT64"),
    "REDUCE_COUNT_TRUE": (_BOOL, "INT64"),
    "REDUCE_COUNT_FALSE": (_BOOL, "INT64"),
    "REDUCE_FRACTION_TRUE": (_BOOL, "DOUBLE"),
} | {f"REDUCE_{name}": (_SUMMED, "DOUBLE") for name in PERCENTILES}
# Sums, minima and maxima of changes are changes of the same period; what is counted or averaged is a level.
_KEEP_KIND = frozenset({"REDUCE_SUM", "REDUCE_MIN", "REDUCE_MAX"})
_MAPS = ("metric.labels.", "resource.labels.")
_ALIASES = {"metric.label.": "metric.labels.", "resource.label.": "resource.labels."}


def reduced_type(reducer: str, kind: str, value_type: str, field: str) -> str:
    """The value type after reduction.

    Raises:
        ApiError: The reducer does not apply; the sentence follows the one on aligners.
    """
    types, answer = _TYPES[reducer]
    if kind == "CUMULATIVE" or value_type not in types:
        why = f"The reducer cannot be applied to metrics with kind {kind} and value type {value_type}."
        raise invalid_field(f"{field}.crossSeriesReducer", why, reducer)
    return answer or value_type


def reduce_streams(
    streams: Sequence[Stream], reducer: str, fields: Sequence[str], field: str = "aggregation"
) -> list[Stream]:
    """One stream for each group of aligned streams; groups always keep the resource type (common.proto)."""
    paths = _paths(fields, streams, field)
    groups: dict[tuple[str, ...], list[Stream]] = {}
    for stream in streams:
        key = (stream.resource_type, *(_read(stream, path) for path in paths))
        groups.setdefault(key, []).append(stream)
    return [_reduce(group, reducer, paths, field) for group in groups.values()]


def _paths(fields: Sequence[str], streams: Sequence[Stream], field: str) -> list[str]:
    """The paths of the fields; `resource.label.*`, by which the console's uptime alerts group, is every label."""
    paths: list[str] = []
    for path in (_path(name, field) for name in fields):
        if path == "resource.labels.*":
            paths += [
                f"resource.labels.{key}" for key in sorted({key for one in streams for key in one.resource_labels})
            ]
        elif path == "metric.labels.*":
            paths += [f"metric.labels.{key}" for key in sorted({key for one in streams for key in one.metric_labels})]
        else:
            paths.append(path)
    return paths


def _path(name: str, field: str) -> str:
    path = name.replace('"', "")
    for short, long in _ALIASES.items():
        if path.startswith(short):
            path = long + path.removeprefix(short)
    if path.startswith("metadata."):
        raise ApiError(Code.UNIMPLEMENTED, f"The emulator keeps no metadata of time series: no groups by {name}.")
    if path not in {"metric.type", "resource.type", "project"} and not path.startswith(_MAPS):
        raise invalid_field(f"{field}.groupByFields", "It is not a field of time series.", name)
    return path


def _read(stream: Stream, path: str) -> str:
    if path.startswith("metric.labels."):
        return stream.metric_labels.get(path.removeprefix("metric.labels."), "")
    if path.startswith("resource.labels."):
        return stream.resource_labels.get(path.removeprefix("resource.labels."), "")
    return {
        "metric.type": stream.metric_type,
        "resource.type": stream.resource_type,
        "project": stream.resource_labels.get("project_id", ""),
    }[path]


def _kept(labels: dict[str, str], prefix: str, paths: Sequence[str], *, always: frozenset[str]) -> dict[str, str]:
    wanted = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)} | always
    return {key: value for key, value in labels.items() if key in wanted}


def _reduce(group: Sequence[Stream], reducer: str, paths: Sequence[str], field: str) -> Stream:
    first = group[0]
    value_type = reduced_type(reducer, first.kind, first.value_type, field)
    kind = first.kind if reducer in _KEEP_KIND else "GAUGE"
    ends = np.unique(np.concatenate([stream.ends for stream in group]))
    places = [ends.searchsorted(stream.ends) for stream in group]
    starts = ends.copy()
    if kind == "DELTA":
        for stream, place in zip(group, places, strict=True):
            starts[place] = stream.starts
    histograms = None
    if first.histograms is not None and reducer != "REDUCE_COUNT":
        merged = _merge([stream.histograms for stream in group if stream.histograms is not None], places, len(ends))
        values = _OF_HISTOGRAMS[reducer](merged)
        histograms = merged if reducer == "REDUCE_SUM" else None
    else:
        matrix = np.full((len(group), len(ends)), np.nan)
        for row, (stream, place) in enumerate(zip(group, places, strict=True)):
            matrix[row, place] = 1.0 if reducer == "REDUCE_COUNT" else stream.values
        values = _OF_NUMBERS[reducer](matrix)
    return first._replace(
        metric_labels=_kept(first.metric_labels, "metric.labels.", paths, always=frozenset()),
        resource_labels=_kept(first.resource_labels, "resource.labels.", paths, always=frozenset({"project_id"})),
        kind=kind,
        value_type=value_type,
        starts=starts,
        ends=ends,
        values=values,
        histograms=histograms,
        texts=None,
        source=None,
    )


def _merge(parts: Sequence[Histograms], places: Sequence[Ints], size: int) -> Histograms:
    bounds: Floats = fold(np.union1d, (part.bounds for part in parts))
    sums = Histograms(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros((size, len(bounds) + 1)), bounds)
    for part, place in zip(parts, places, strict=True):
        for total, column in zip(sums[:4], rebucketed(part, bounds)[:4], strict=True):
            total[place] += column
    return sums


def _histogram_deviation(merged: Histograms) -> Floats:
    return np.sqrt(squared_deviations(merged) / np.maximum(merged.counts, 1))


def _percentile_of_histograms(percent: float) -> Callable[[Histograms], Floats]:
    return lambda merged: percentile(merged, percent)


def _percentile_of_numbers(percent: float) -> Callable[[Floats], Floats]:
    return lambda matrix: np.asarray(np.nanpercentile(matrix, percent, axis=0))


def _fraction(matrix: Floats) -> Floats:
    fraction: Floats = np.nansum(matrix, axis=0) / (~np.isnan(matrix)).sum(axis=0)
    return fraction


_OF_HISTOGRAMS: dict[str, Callable[[Histograms], Floats]] = {
    "REDUCE_SUM": means,
    "REDUCE_MEAN": means,
    "REDUCE_STDDEV": _histogram_deviation,
} | {f"REDUCE_{name}": _percentile_of_histograms(percent) for name, percent in PERCENTILES.items()}

_OF_NUMBERS: dict[str, Callable[[Floats], Floats]] = {
    "REDUCE_MEAN": lambda matrix: np.asarray(np.nanmean(matrix, axis=0)),
    "REDUCE_MIN": lambda matrix: np.asarray(np.nanmin(matrix, axis=0)),
    "REDUCE_MAX": lambda matrix: np.asarray(np.nanmax(matrix, axis=0)),
    "REDUCE_SUM": lambda matrix: np.nansum(matrix, axis=0),
    "REDUCE_STDDEV": lambda matrix: np.asarray(np.nanstd(matrix, axis=0)),
    "REDUCE_COUNT": lambda matrix: (~np.isnan(matrix)).sum(axis=0).astype(np.float64),
    "REDUCE_COUNT_TRUE": lambda matrix: np.nansum(matrix, axis=0),
    "REDUCE_COUNT_FALSE": lambda matrix: np.nansum(1 - matrix, axis=0),
    "REDUCE_FRACTION_TRUE": _fraction,
} | {f"REDUCE_{name}": _percentile_of_numbers(percent) for name, percent in PERCENTILES.items()}
