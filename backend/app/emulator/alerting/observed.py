"""What a condition sees of one series at one moment."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ..monitoring.streams import Stream
from ..promql.mapping import MONITORED_RESOURCE, series_labels

LabelSet = frozenset[tuple[str, str]]

# Monitoring keeps metadata beside the resource; here it travels among the resource labels, under names that no
# resource label can have (theirs have no dots), so that filters and groups treat it like any other label.
_METADATA_PREFIX = "metadata."


class EvaluationError(Exception):
    """The condition could not be evaluated now; the message is for the policy's owner."""


class Observed(NamedTuple):
    """One series with data."""

    labels: dict[str, str]
    """Metric and resource labels in one: what tells the series from others, and what people see of it."""
    value: float
    violates: bool
    metric_type: str
    resource_type: str
    resource_labels: dict[str, str]
    metric_labels: dict[str, str]
    extracted: Mapping[str, str] = {}
    """Labels that a log condition took out of its entry."""
    note: str = ""
    """Why it violates, where the value alone does not tell."""

    @property
    def label_set(self) -> LabelSet:
        return frozenset(self.labels.items())


def observed_of(stream: Stream, value: float, *, violates: bool, note: str = "") -> Observed:
    labels = series_labels(stream.metric_labels, stream.resource_labels, stream.resource_type)
    del labels[MONITORED_RESOURCE]
    return Observed(
        labels,
        value,
        violates,
        stream.metric_type,
        stream.resource_type,
        stream.resource_labels,
        stream.metric_labels,
        note=note,
    )


def without_metadata(resource_labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in resource_labels.items() if not key.startswith(_METADATA_PREFIX)}


def metadata(resource_labels: Mapping[str, str], kind: str) -> dict[str, str]:
    """The metadata of one kind: `system_labels` or `user_labels`."""
    prefix = f"metadata.{kind}."
    return {key.removeprefix(prefix): value for key, value in resource_labels.items() if key.startswith(prefix)}


_METADATA = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|\bmetadata\.(?P<kind>system|user)_labels?\.(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<plain>[\w/-]+))"""
)


@lru_cache(maxsize=1024)
def metadata_as_resource_labels(filter_: str) -> str:
    """The filter with metadata asked for under the names above."""

    def renamed(match: re.Match[str]) -> str:
        if match["string"] is not None:
            return match[0]
        key = match["quoted"] if match["quoted"] is not None else match["plain"]
        return f'resource.labels."metadata.{match["kind"]}_labels.{key}"'

    return _METADATA.sub(renamed, filter_)


def grouped_as_resource_labels(aggregation: Any) -> Any:
    """The aggregation with metadata in `group_by_fields` under the names above."""
    fields = [metadata_as_resource_labels(field) for field in aggregation.group_by_fields]
    if fields == list(aggregation.group_by_fields):
        return aggregation
    renamed = type(aggregation)()
    renamed.CopyFrom(aggregation)
    renamed.group_by_fields[:] = fields
    return renamed
