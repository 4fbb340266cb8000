"""CreateTimeSeriesRequest as bytes: the part that never changes once a series, the point at each write.

Field numbers: google/monitoring/v3/metric.proto, metric_service.proto, common.proto; google/api/metric.proto,
monitored_resource.proto, distribution.proto. A test parses what comes out with Google's own classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from struct import Struct
from typing import Final

_DOUBLE: Final = Struct("<d").pack
_GAUGE: Final = 1
_CUMULATIVE: Final = 3
_VALUE_DOUBLE: Final = 3
_VALUE_DISTRIBUTION: Final = 5
_NANOS: Final = 1_000_000_000


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits a byte, least first."""
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  # the wire format's seven bits
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def message(field: int, body: bytes) -> bytes:
    """A length-delimited field: a message, a string or packed numbers."""
    return _tag(field, 2) + varint(len(body)) + body


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + varint(value)


def _double(field: int, value: float) -> bytes:
    return _tag(field, 1) + _DOUBLE(value)


def _string_map(field: int, entries: Mapping[str, str]) -> bytes:
    return b"".join(
        message(field, message(1, key.encode()) + message(2, value.encode())) for key, value in entries.items()
    )


def series_prefix(
    metric_type: str,
    labels: Mapping[str, str],
    resource_type: str,
    resource_labels: Mapping[str, str],
    *,
    cumulative: bool,
    distribution: bool,
) -> bytes:
    """Everything of a TimeSeries but its point, unit and description."""
    metric = message(1, _string_map(2, labels) + message(3, metric_type.encode()))
    resource = message(2, message(1, resource_type.encode()) + _string_map(2, resource_labels))
    kind = _number(3, _CUMULATIVE if cumulative else _GAUGE)
    value_type = _number(4, _VALUE_DISTRIBUTION if distribution else _VALUE_DOUBLE)
    return metric + resource + kind + value_type


def unit_and_description(unit: str, description: str) -> bytes:
    """Fields of a TimeSeries that make a descriptor complete without a call of its own; wanted once."""
    return message(8, unit.encode()) + message(9, description.encode())


def interval(start_ns: int | None, end_ns: int) -> bytes:
    """A Point's interval field; gauges have no start."""
    body = message(2, _timestamp(end_ns))
    if start_ns is not None:
        body += message(1, _timestamp(start_ns))
    return message(1, body)


def _timestamp(nanoseconds: int) -> bytes:
    seconds, nanos = divmod(nanoseconds, _NANOS)
    return _number(1, seconds) + (_number(2, nanos) if nanos else b"")


def double_point(when: bytes, value: float) -> bytes:
    """A TimeSeries' points field with one number; `when` comes from `interval`."""
    return message(5, when + message(2, _double(3, value)))


def bucket_options(bounds: Sequence[float]) -> bytes:
    """A Distribution's bucket_options field with explicit bounds."""
    packed = b"".join(map(_DOUBLE, bounds))
    return message(6, message(3, message(1, packed)))


def distribution_point(
    when: bytes, options: bytes, counts: Sequence[float], total: float, bounds: Sequence[float]
) -> bytes:
    """A TimeSeries' points field with one distribution.

    Args:
        when: From `interval`.
        options: From `bucket_options`.
        counts: One for each bucket, the last beyond the highest bound.
        total: Sum of all values.
        bounds: Upper bounds, as in `options`.
    """
    count = int(sum(counts))
    body = _number(1, count)
    if count:
        mean = total / count
        body += _double(2, mean) + _double(3, _sum_of_squared_deviation(counts, bounds, mean))
    body += options
    if count:
        body += message(7, b"".join(varint(int(number)) for number in counts))
    return message(5, when + message(2, message(5, body)))


def _sum_of_squared_deviation(counts: Sequence[float], bounds: Sequence[float], mean: float) -> float:
    # Buckets keep no values: each counts at its middle, the last at its lower bound, as Managed Prometheus does it.
    middles = [bounds[0] / 2, *((low + high) / 2 for low, high in pairwise(bounds)), bounds[-1]]
    return float(sum(n * (middle - mean) ** 2 for n, middle in zip(counts, middles, strict=True) if n))


def request(project_name: bytes, series: Iterable[bytes]) -> bytes:
    """A CreateTimeSeriesRequest; `project_name` comes from `name_field`, `series` are TimeSeries bodies."""
    return project_name + b"".join(message(2, body) for body in series)


def name_field(project: str) -> bytes:
    return message(3, f"projects/{project}".encode())
