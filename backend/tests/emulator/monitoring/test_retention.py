"""How long points stay, and what a laptop's memory does to that."""

import numpy as np
import pytest
from google.api import metric_pb2, monitored_resource_pb2

from app.emulator.clock import NANOS
from app.emulator.monitoring.model import Series
from app.emulator.monitoring.retention import LONGEST, WHOLE, Retention
from app.emulator.monitoring.store import MetricStore
from support.provenance import known_from, our_choice

DAY = 86_400 * NANOS
NOW = 20_000 * DAY
QUOTAS = "https://docs.cloud.google.com/monitoring/quotas"
PLENTY = 2**40


def series_of(store: MetricStore, ends: "np.ndarray", *, kind: int = 1, name: str = "depth") -> Series:
    """A series with points at these times, whose values are the times in minutes."""
    metric_type = f"custom.googleapis.com/{name}"
    store.put_descriptor(metric_pb2.MetricDescriptor(type=metric_type, metric_kind=kind, value_type=3))
    metric = metric_pb2.Metric(type=metric_type)
    series = store.find_or_create(metric, monitored_resource_pb2.MonitoredResource(type="global"), "demo")
    series.extend(ends, ends, ends / 60 / NANOS)
    return series


def ends_of(series: Series) -> list[int]:
    ends: list[int] = series.slice(0, series.size).ends.tolist()
    return ends


@known_from(docs=QUOTAS)
def test_points_are_whole_for_six_weeks_and_then_one_in_ten_minutes() -> None:
    store = MetricStore()
    step = 60 * NANOS
    series = series_of(store, np.arange(NOW - WHOLE - 3 * DAY, NOW + 1, step))
    young = series.window(NOW - WHOLE, NOW).ends.copy()
    Retention(store).sweep(NOW, PLENTY)
    assert series.window(NOW - WHOLE, NOW).ends.tolist() == young.tolist()
    old = series.window(0, NOW - WHOLE)
    assert len(old.ends) == 3 * 144 + 1
    assert set(np.diff(old.ends).tolist()) == {600 * NANOS}
    assert old.values.tolist() == (old.ends / 60 / NANOS).tolist(), "a point that stays is as it was written"
    before = ends_of(series)
    Retention(store).sweep(NOW, PLENTY)
    assert ends_of(series) == before


@our_choice("the sum of changes has to stay what it was")
def test_changes_are_never_thinned() -> None:
    store = MetricStore()
    series = series_of(store, np.arange(NOW - WHOLE - DAY, NOW, 60 * NANOS), kind=2)
    size = series.size
    Retention(store).sweep(NOW, PLENTY)
    assert series.size == size


@known_from(docs=QUOTAS)
def test_after_24_months_points_and_empty_series_are_gone() -> None:
    store = MetricStore()
    kept = series_of(store, np.array([NOW - LONGEST - 1, NOW - LONGEST + 1, NOW]))
    series_of(store, np.array([NOW - LONGEST - 2]), name="forgotten")
    swept = Retention(store).sweep(NOW, PLENTY)
    assert (swept.dropped, swept.before) == (2, NOW - LONGEST)
    assert ends_of(kept) == [NOW - LONGEST + 1, NOW]
    assert store.series("custom.googleapis.com/forgotten") == []


@our_choice("a laptop's memory is bounded, and what gave way is counted")
def test_the_oldest_points_of_all_series_give_way_to_a_bound_in_bytes() -> None:
    store = MetricStore()
    many = [series_of(store, np.arange(NOW - 1_000_000, NOW, 10), name=f"n{number}") for number in range(5)]
    late = series_of(store, np.arange(NOW - 1000, NOW, 10), name="late")
    retention = Retention(store)
    bound = store.nbytes // 4
    retention.sweep(NOW, bound)
    assert store.nbytes <= bound
    assert retention.dropped > 300_000
    assert late.size == 100
    firsts = {ends_of(series)[0] for series in many}
    assert len(firsts) == 1, "one time for all: a query sees every series or none"
    assert retention.sweep(NOW, bound).dropped == 0


@pytest.mark.parametrize("places", [[], [0], [2, 3], [0, 1, 2, 3]])
def test_what_stays_of_a_distribution_is_whole(places: list[int]) -> None:
    from google.api import distribution_pb2  # noqa: PLC0415  # next to its use

    series = Series(
        metric_type="a", metric_labels={}, resource_type="global", resource_labels={}, kind="GAUGE",
        value_type="DISTRIBUTION",
    )  # fmt: skip
    for at in range(4):
        value = distribution_pb2.Distribution(count=at + 1, mean=1.0, bucket_counts=[at, 1])
        value.bucket_options.explicit_buckets.bounds.append(1.0)
        if at == 2:
            value.exemplars.add(value=7.0)
        series.append_distribution(at, at, value)
    series.keep(np.array(places, np.int64))
    points = series.slice(0, series.size)
    assert points.distributions is not None
    assert points.ends.tolist() == places
    assert points.distributions.buckets.tolist() == [[place, 1] for place in places]
    assert {index: one[0].value for index, one in series.exemplars.items()} == (
        {places.index(2): 7.0} if 2 in places else {}
    )
    series.append_distribution(9, 9, value)
    assert series.last_end == 9
