"""Reading time series for SLIs."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from google.cloud.monitoring_v3 import types

from ..monitoring.filter import parse_filter
from ..monitoring.model import KINDS, VALUE_TYPES, Series

Aggregation: Any = types.Aggregation.pb()


class SeriesStore(Protocol):
    def series(self, metric_type: str) -> Sequence[Series]: ...
    def descriptors(self) -> Sequence[Any]: ...
    def descriptor(self, metric_type: str) -> Any: ...


def select_series(store: SeriesStore, filter_: str) -> list[Series]:
    """The series that a filter matches; it was valid when the SLO was made."""
    parsed = parse_filter(filter_)
    types: Iterable[str] = parsed.metric_types or [one.type for one in store.descriptors()]
    return [one for metric in dict.fromkeys(types) for one in store.series(metric) if parsed.matches(one)]


def described(store: SeriesStore, metric_types: Iterable[str]) -> list[tuple[str, str]]:
    """Kind and value type of the metrics that are known."""
    found = [store.descriptor(metric) for metric in metric_types]
    return [(KINDS.Name(one.metric_kind), VALUE_TYPES.Name(one.value_type)) for one in found if one is not None]
