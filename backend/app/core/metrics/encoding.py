"""CreateTimeSeriesRequest as bytes: the part that never changes once a series, the point at each write.

Field numbers: google/monitoring/v3/metric.proto, metric_service.proto, common.proto, span_context.proto;
google/api/metric.proto, monitored_resource.proto, distribution.proto. A test parses what comes out with Google's own
classes.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import mul
from typing import Final, Protocol

from . import wire
from .catalogue import Metric
from .cells import Cell, Exemplar, Series
from .target import Target
from .written import Item

_GAUGE: Final = 1
_CUMULATIVE: Final = 3
_VALUE_DOUBLE: Final = 3
_VALUE_DISTRIBUTION: Final = 5
_SPAN_CONTEXT: Final = wire.text(1, "type.googleapis.com/google.monitoring.v3.SpanContext")
# Field 2 (value) of a Point with nine bytes: field 3 (double_value) of a TypedValue.
_DOUBLE_VALUE: Final = b"\x12\x09\x19"
_BYTE: Final = 0x80


class Encoding(Protocol):
    """One back end's way to write series."""

    def prefix(self, series: Series) -> bytes:
        """What never changes of a series."""

    def request(self, items: Sequence[Item], end: int) -> bytes:
        """A request that writes these values at `end` (nanoseconds)."""

    def accepted(self, items: Sequence[Item]) -> None:
        """The back end has taken a request with these series."""


class CloudEncoding:
    """CreateTimeSeries, for one project and identity."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._traces = f"projects/{target.project}/traces/"
        self._name = wire.text(3, f"projects/{target.project}")
        self._described: set[str] = set()
        self._shapes: dict[str, _Shape] = {}

    def prefix(self, series: Series) -> bytes:
        metric = series.metric
        resource_type, resource = self._target.resource(series.job)
        distribution = metric.kind == "histogram"
        return (
            wire.message(1, _labels(self._target.labels(series)) + wire.text(3, self._target.metric_type(metric)))
            + wire.message(2, wire.text(1, resource_type) + _labels(resource))
            + wire.number(3, _GAUGE if metric.kind == "gauge" else _CUMULATIVE)
            + wire.number(4, _VALUE_DISTRIBUTION if distribution else _VALUE_DOUBLE)
        )

    def request(self, items: Sequence[Item], end: int) -> bytes:
        """A CreateTimeSeriesRequest. Per series: a few look-ups, one join for all."""
        parts = [self._name]
        add = parts.append
        heads: dict[int, tuple[bytes, bytes]] = {}
        told: set[str] = set()
        small, pack = wire.SMALL, wire.DOUBLE
        for series, written, cell in items:
            metric = series.metric
            start = 0 if metric.kind == "gauge" else written.start
            head = heads.get(start)
            if head is None:
                head = heads[start] = _heads(start, end)
            if metric.kind == "histogram":
                body = self._distribution(series, cell)
                # Field 5 (distribution_value) of a TypedValue, 2 (value) of a Point, 5 (points) of the TimeSeries.
                size = wire.varint(len(body))
                value = wire.varint(1 + len(size) + len(body))
                length = len(head[0]) + 2 + len(value) + len(size) + len(body)
                body = b"".join((b"\x2a", wire.varint(length), head[0], b"\x12", value, b"\x2a", size, body))
            else:
                body = head[1] + pack(cell[0])
            if metric.name not in self._described and metric.name not in told:
                told.add(metric.name)
                body = wire.text(8, metric.unit) + wire.text(9, metric.description) + body
            length = len(written.prefix) + len(body)
            add(b"\x12")
            add(small[length] if length < len(small) else wire.varint(length))
            add(written.prefix)
            add(body)
        return b"".join(parts)

    def accepted(self, items: Sequence[Item]) -> None:
        """Unit and description make a descriptor complete without a call of its own; they are wanted once."""
        self._described.update({item.series.metric.name for item in items})

    def _distribution(self, series: Series, cell: Cell) -> bytes:
        shape = self._shapes.get(series.metric.name)
        if shape is None:
            shape = self._shapes[series.metric.name] = _Shape(series.metric)
        counts = list(map(int, cell[:-1]))
        count = sum(counts)
        if not count:
            return b"\x08\x00" + shape.options
        mean = cell[-1] / count
        # Buckets keep no values: each counts at its middle, the last at its lower bound, as Managed Prometheus does it.
        spread = (
            sum(map(mul, counts, shape.squares)) - 2 * mean * sum(map(mul, counts, shape.middles)) + count * mean * mean
        )
        packed = bytes(counts) if max(counts) < _BYTE else b"".join(map(wire.varint, counts))
        body = (
            wire.number(1, count)
            + b"\x11"
            + wire.DOUBLE(mean)
            + b"\x19"
            + wire.DOUBLE(max(spread, 0.0))
            + shape.options
            + b"\x3a"
            + wire.varint(len(packed))
            + packed
        )
        return body + self._exemplar(series.exemplar) if series.exemplar is not None else body

    def _exemplar(self, exemplar: Exemplar) -> bytes:
        """A link to the trace of one observation."""
        span = f"{self._traces}{exemplar.trace_id}/spans/{exemplar.span_id}".encode()
        small = wire.SMALL
        # Fields 1 (value), 2 (timestamp) and 3 (attachments) of an Exemplar; 10 (exemplars) of the Distribution.
        context = b"\x0a" + small[len(span)] + span
        attachment = _SPAN_CONTEXT + b"\x12" + small[len(context)] + context
        time = wire.timestamp(exemplar.time_ns)
        value = wire.DOUBLE(exemplar.value)
        body = b"".join((b"\x09", value, b"\x12", small[len(time)], time, b"\x1a", small[len(attachment)], attachment))
        return b"\x52" + small[len(body)] + body


class _Shape:
    """What all distributions of one metric share."""

    def __init__(self, metric: Metric) -> None:
        bounds = metric.buckets
        packed = b"".join(map(wire.DOUBLE, bounds))
        self.options = wire.message(6, wire.message(3, wire.message(1, packed)))
        self.middles = [bounds[0] / 2, *((low + high) / 2 for low, high in pairwise(bounds)), bounds[-1]]
        self.squares = [middle * middle for middle in self.middles]


def _heads(start: int, end: int) -> tuple[bytes, bytes]:
    """The interval field of a Point, and a points field with a number up to where the number stands.

    A gauge has no start (0).
    """
    times = wire.message(2, wire.timestamp(end)) + (wire.message(1, wire.timestamp(start)) if start else b"")
    interval = wire.message(1, times)
    return interval, b"\x2a" + wire.varint(len(interval) + len(_DOUBLE_VALUE) + 8) + interval + _DOUBLE_VALUE


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(wire.message(2, wire.text(1, key) + wire.text(2, value)) for key, value in labels.items())
