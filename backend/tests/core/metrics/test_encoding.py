from bisect import bisect_left
from itertools import pairwise
from typing import Any

import pytest
from google.cloud.monitoring_v3 import CreateTimeSeriesRequest, SpanContext
from hypothesis import given
from hypothesis import strategies as st

from app.core.metrics.catalogue import Metric
from app.core.metrics.cells import Exemplar, Series
from app.core.metrics.encoding import CloudEncoding
from app.core.metrics.target import Target
from app.core.metrics.written import Item, Written
from support.provenance import known_from

REQUEST = CreateTimeSeriesRequest.pb()
SPAN = SpanContext.pb()
START, END = 1_700_000_000_000_000_000, 1_700_000_060_500_000_000
BOUNDS = (1.0, 5.0, 10.0, 50.0)
TARGET = Target("shop", "europe-west1", "__run__", "test", "items", "i-0", "prometheus", "cloudops")

_text = st.text(max_size=50).filter(lambda text: text.isprintable())


def _metric(kind: Any, labels: tuple[str, ...] = (), name: str = "x_total") -> Metric:
    return Metric(name, kind, "s", "How long", dict.fromkeys(labels), BOUNDS if kind == "histogram" else ())


def _item(encoding: CloudEncoding, metric: Metric, cell: list[float], values: tuple[str, ...] = ()) -> Item:
    series = Series("", metric, values, cell)
    return Item(series, Written(encoding.prefix(series), START, cell), cell)


def _written(*items_of: tuple[Metric, list[float], tuple[str, ...]]) -> Any:
    encoding = CloudEncoding(TARGET)
    items = [_item(encoding, *one) for one in items_of]
    return REQUEST.FromString(encoding.request(items, END)).time_series


@known_from(proto="google/monitoring/v3/metric_service.proto")
@given(labels=st.dictionaries(_text, _text, max_size=5), value=st.floats(allow_nan=False))
def test_a_counter_is_what_googles_own_class_reads(labels, value):
    [series] = _written((_metric("counter", tuple(labels)), [value], tuple(labels.values())))
    assert dict(series.metric.labels) == labels
    assert dict(series.resource.labels) == TARGET.resource("")[1]
    assert (series.metric.type, series.resource.type) == (
        "prometheus.googleapis.com/x_total/counter",
        "prometheus_target",
    )
    assert (series.metric_kind, series.value_type) == (3, 3)  # CUMULATIVE, DOUBLE
    [point] = series.points
    assert point.value.double_value == value
    assert (point.interval.start_time.ToNanoseconds(), point.interval.end_time.ToNanoseconds()) == (START, END)
    assert (series.unit, series.description) == ("s", "How long")


def test_a_gauge_has_no_start():
    [series] = _written((_metric("gauge"), [1.5], ()))
    assert series.metric_kind == 1  # GAUGE
    assert series.points[0].value.double_value == 1.5
    assert not series.points[0].interval.HasField("start_time")


@known_from(proto="google/api/distribution.proto")
@given(values=st.lists(st.floats(min_value=0, max_value=100), max_size=400))
def test_a_histogram_is_a_distribution_with_its_bounds_and_counts(values):
    counts = [0.0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    [series] = _written((_metric("histogram"), [*counts, sum(values)], ()))
    read = series.points[0].value.distribution_value
    assert read.count == len(values)
    assert list(read.bucket_options.explicit_buckets.bounds) == list(BOUNDS)
    assert [float(count) for count in read.bucket_counts] == (counts if values else [])
    assert read.mean * read.count == pytest.approx(sum(values))
    middles = [0.5, *((low + high) / 2 for low, high in pairwise(BOUNDS)), 50.0]
    mean = sum(values) / len(values) if values else 0
    spread = sum(n * (middle - mean) ** 2 for n, middle in zip(counts, middles, strict=True))
    assert read.sum_of_squared_deviation == pytest.approx(spread, abs=1e-6)
    assert read.sum_of_squared_deviation >= 0


@known_from(proto="google/monitoring/v3/span_context.proto")
def test_an_exemplar_links_to_its_trace():
    encoding = CloudEncoding(TARGET)
    item = _item(encoding, _metric("histogram"), [0.0, 1.0, 0.0, 0.0, 0.0, 2.5])
    item.series.exemplar = Exemplar(2.5, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", END)
    [series] = REQUEST.FromString(encoding.request([item], END)).time_series
    [exemplar] = series.points[0].value.distribution_value.exemplars
    span = SPAN()
    assert exemplar.attachments[0].Unpack(span)
    assert span.span_name == "projects/shop/traces/0af7651916cd43dd8448eb211c80319c/spans/b7ad6b7169203331"
    assert (exemplar.value, exemplar.timestamp.ToNanoseconds()) == (2.5, END)


def test_unit_and_description_stand_in_one_series_of_a_metric_and_not_again():
    encoding = CloudEncoding(TARGET)
    metric, other = _metric("counter", ("a",)), _metric("counter", name="y_total")
    items = [_item(encoding, metric, [1.0], (str(number),)) for number in range(3)] + [_item(encoding, other, [1.0])]
    told = [bool(series.description) for series in REQUEST.FromString(encoding.request(items, END)).time_series]
    assert told == [True, False, False, True]
    encoding.accepted(items)
    assert not any(one.description for one in REQUEST.FromString(encoding.request(items, END)).time_series)


@known_from(proto="google/monitoring/v3/metric_service.proto")
def test_the_projects_name_is_written_first():
    request = CloudEncoding(TARGET).request([], END)
    assert REQUEST.FromString(request).name == "projects/shop"
    assert request[2 : 2 + request[1]] == b"projects/shop"


@known_from(issue="https://github.com/influxdata/telegraf")
def test_a_label_longer_than_the_api_takes_is_cut():
    [series] = _written((_metric("counter", ("a",)), [1.0], ("x" * 2000,)))
    assert len(series.metric.labels["a"]) == 1024
