"""ListTimeSeries: which series, which points, and how they look on the wire."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.api import distribution_pb2, metric_pb2
from google.cloud import monitoring_v3

from ..clock import NANOS
from ..paging import offset_of
from ..status import ApiError, Code, invalid_field, missing_field
from .aggregate import aggregate_series, aggregate_streams, check_aggregation
from .filter import Filter, parse_filter
from .model import KINDS, VALUE_TYPES, Series
from .store import MetricStore
from .streams import Stream, squared_deviations

_TimeSeries = monitoring_v3.TimeSeries.pb()
_Request = monitoring_v3.ListTimeSeriesRequest.pb()
_Response = monitoring_v3.ListTimeSeriesResponse.pb()
_MOST_RESULTS = 100_000


Computed = Callable[[str], Sequence[Any] | None]
"""The series of a filter that names something computed, such as an SLO; None for filters over what is stored."""


Expanded = Callable[[str], str]
"""A filter with what the store knows nothing of, such as groups, put in words that it knows."""


def as_it_is(filter_: str) -> str:
    return filter_


def nothing_computed(_filter: str) -> None:
    return None


def list_time_series(
    store: MetricStore, request: Any, computed: Computed = nothing_computed, expanded: Expanded = as_it_is
) -> Any:
    """Answer a ListTimeSeriesRequest whose project has been checked."""
    if not request.filter:
        raise missing_field("filter")
    if not request.interval.HasField("end_time"):
        raise missing_field("interval.endTime")
    if request.order_by:
        raise invalid_field("orderBy", "It must be left blank.", request.order_by)
    end: int = request.interval.end_time.ToNanoseconds()
    start: int = request.interval.start_time.ToNanoseconds() if request.interval.HasField("start_time") else end
    if start > end:
        raise invalid_field("interval.startTime", "The start time must not be later than the end time.")
    # Of an interval without length, only the point at that very time is left.
    start = min(start, end - 1)
    found = computed(request.filter)
    if found is None:
        parsed = parse_filter(expanded(request.filter))
        metric = _metric(store, parsed, request.filter)
        described = store.descriptor(metric)
        assert described is not None
        descriptor = described
        found = [series for series in store.series(metric) if parsed.matches(series)]
    else:
        kind, value_type = KINDS.Value(found[0].kind), VALUE_TYPES.Value(found[0].value_type)
        descriptor = metric_pb2.MetricDescriptor(metric_kind=kind, value_type=value_type, unit="1")
    streams = _aggregated(found, descriptor, request, start, end)
    headers = request.view == _Request.HEADERS
    size = request.page_size if 0 < request.page_size < _MOST_RESULTS else _MOST_RESULTS
    response = _Response(unit=descriptor.unit)
    offset = offset_of(request.page_token)
    done = offset
    for stream, low, high in _page(streams, offset, size, headers=headers):
        written = response.time_series.add()
        _write_header(written, stream, descriptor.unit)
        if not headers:
            _write_points(written, stream, low, high)
        done += 1 if headers else high - low
    if done < sum(1 if headers else len(stream.ends) for stream in streams):
        response.next_page_token = str(done)
    return response


def _metric(store: MetricStore, parsed: Filter, text: str) -> str:
    types = set(parsed.metric_types)
    if len(types) != 1:
        raise invalid_field(
            "filter", 'The filter must specify a single metric type, as in metric.type = "domain/path".', text
        )
    metric = types.pop()
    if store.descriptor(metric) is None:
        raise ApiError(
            Code.NOT_FOUND,
            f'Cannot find metric(s) that match type = "{metric}". If a metric was created recently, it could take '
            "up to 10 minutes to become available. Please try again soon.",
        )
    return metric


def _aggregated(
    chosen: Sequence[Series], descriptor: metric_pb2.MetricDescriptor, request: Any, start: int, end: int
) -> list[Stream]:
    kind, value_type = KINDS.Name(descriptor.metric_kind), VALUE_TYPES.Name(descriptor.value_type)
    kind, value_type = check_aggregation(request.aggregation, kind, value_type)
    streams = aggregate_series(chosen, request.aggregation, start, end)
    if not request.HasField("secondary_aggregation"):
        return streams
    if not request.HasField("aggregation"):
        raise invalid_field("secondaryAggregation", "It may only be specified if aggregation is specified.")
    check_aggregation(request.secondary_aggregation, kind, value_type, "secondaryAggregation")
    return aggregate_streams(streams, request.secondary_aggregation, start, end, "secondaryAggregation")


def _page(streams: Sequence[Stream], offset: int, size: int, *, headers: bool) -> Iterator[tuple[Stream, int, int]]:
    """Streams with the range of their points, newest first, that lie on a page; sizes count streams when `headers`."""
    for stream in streams:
        length = 1 if headers else len(stream.ends)
        low, high = min(offset, length), min(offset + size, length)
        offset -= low
        size -= high - low
        if high > low:
            yield stream, low, high
        if size == 0:
            return


def _write_header(written: Any, stream: Stream, unit: str) -> None:
    written.metric.type = stream.metric_type
    written.metric.labels.update(stream.metric_labels)
    written.resource.type = stream.resource_type
    written.resource.labels.update(stream.resource_labels)
    written.metric_kind = KINDS.Value(stream.kind)
    written.value_type = VALUE_TYPES.Value(stream.value_type)
    written.unit = unit


def _write_points(written: Any, stream: Stream, low: int, high: int) -> None:
    newest = len(stream.ends) - 1
    for index in range(newest - low, newest - high, -1):
        start, end = int(stream.starts[index]), int(stream.ends[index])
        point = written.points.add()
        point.interval.end_time.seconds, point.interval.end_time.nanos = divmod(end, NANOS)
        point.interval.start_time.seconds, point.interval.start_time.nanos = divmod(start, NANOS)
        _write_value(point.value, stream, index)


def _write_value(value: Any, stream: Stream, index: int) -> None:
    number = stream.values[index]
    match stream.value_type:
        case "BOOL":
            value.bool_value = bool(number)
        case "INT64":
            value.int64_value = int(number)
        case "STRING":
            assert stream.texts is not None
            value.string_value = stream.texts[index]
        case "DISTRIBUTION":
            _write_distribution(value.distribution_value, stream, index)
        case _:
            value.double_value = float(number)


def _write_distribution(value: distribution_pb2.Distribution, stream: Stream, index: int) -> None:
    histograms = stream.histograms
    assert histograms is not None
    value.count = int(histograms.counts[index])
    value.mean = float(stream.values[index])
    bounds = histograms.bounds
    if stream.source is None:
        value.sum_of_squared_deviation = float(squared_deviations(histograms.rows(slice(index, index + 1)))[0])
    else:
        stream.source.copy_details(int(stream.ends[index]), value)
    if len(bounds) == 0:
        return
    if stream.source is not None and stream.source.bucket_count == len(bounds) + 1:
        value.bucket_options.CopyFrom(stream.source.bucket_options)
    else:
        value.bucket_options.explicit_buckets.bounds.extend(bounds.tolist())
    value.bucket_counts.extend(int(count) for count in histograms.buckets[index])
