from bisect import bisect_left

import pytest
from google.cloud.monitoring_v3 import CreateTimeSeriesRequest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metrics import wire
from support.provenance import known_from

REQUEST = CreateTimeSeriesRequest.pb()
RESOURCE = {"project_id": "shop", "location": "global", "job": "items"}
START, END = 1_700_000_000_000_000_000, 1_700_000_060_500_000_000

_text = st.text(max_size=50).filter(lambda text: text.isprintable())


def _parse(*series: bytes):
    return REQUEST.FromString(wire.request(wire.name_field("shop"), series))


@known_from(proto="google/monitoring/v3/metric_service.proto")
@given(labels=st.dictionaries(_text, _text, max_size=5), value=st.floats(allow_nan=False))
def test_a_counter_is_what_googles_own_class_reads(labels, value):
    metric_type, resource = "prometheus.googleapis.com/x/counter", "prometheus_target"
    prefix = wire.series_prefix(metric_type, labels, resource, RESOURCE, cumulative=True, distribution=False)
    [series] = _parse(prefix + wire.double_point(wire.interval(START, END), value)).time_series
    assert dict(series.metric.labels) == labels
    assert dict(series.resource.labels) == RESOURCE
    assert (series.metric.type, series.resource.type) == (metric_type, resource)
    assert (series.metric_kind, series.value_type) == (3, 3)  # CUMULATIVE, DOUBLE
    [point] = series.points
    assert point.value.double_value == value
    assert (point.interval.start_time.ToNanoseconds(), point.interval.end_time.ToNanoseconds()) == (START, END)


def test_a_gauge_has_no_start():
    prefix = wire.series_prefix("x.example/y", {}, "global", {}, cumulative=False, distribution=False)
    [series] = _parse(prefix + wire.double_point(wire.interval(None, END), 1.5)).time_series
    assert series.metric_kind == 1  # GAUGE
    assert not series.points[0].interval.HasField("start_time")


@known_from(proto="google/api/distribution.proto")
@given(values=st.lists(st.floats(min_value=0, max_value=100), max_size=60))
def test_a_histogram_is_a_distribution_with_its_bounds_and_counts(values):
    bounds = (1.0, 5.0, 10.0, 50.0)
    counts = [0.0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    prefix = wire.series_prefix("x.example/y", {}, "global", {}, cumulative=True, distribution=True)
    point = wire.distribution_point(wire.interval(START, END), wire.bucket_options(bounds), counts, sum(values), bounds)
    [series] = _parse(prefix + wire.unit_and_description("s", "How long") + point).time_series
    read = series.points[0].value.distribution_value
    assert read.count == len(values)
    assert list(read.bucket_options.explicit_buckets.bounds) == list(bounds)
    assert [float(count) for count in read.bucket_counts] == (counts if values else [])
    assert read.mean * read.count == pytest.approx(sum(values))
    assert read.sum_of_squared_deviation >= 0
    assert (series.unit, series.description) == ("s", "How long")


@known_from(proto="google/monitoring/v3/metric_service.proto")
def test_the_projects_name_is_written_first():
    request = _parse(b"")
    assert request.name == "projects/shop"
    assert wire.request(wire.name_field("shop"), ()).startswith(wire.name_field("shop"))
