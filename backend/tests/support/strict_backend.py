"""A second opinion on CreateTimeSeries: a server that takes only what Google's documents allow.

Written from google/monitoring/v3/metric_service.proto, metric.proto, common.proto, google/api/distribution.proto and
the answers that users have published; it knows nothing of the emulator, whose reading of them may be wrong.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.monitoring_v3 import CreateTimeSeriesRequest, CreateTimeSeriesSummary
from google.rpc import status_pb2

_REQUEST = CreateTimeSeriesRequest.pb()
_SUMMARY = CreateTimeSeriesSummary.pb()
_SECOND = 1_000_000_000
_LABELS = {
    "prometheus_target": {"location", "cluster", "namespace", "job", "instance"},
    "generic_task": {"location", "namespace", "job", "task_id"},
}
_INVALID, _TOO_OFTEN = 3, 9

Identity = tuple[str, tuple[tuple[str, str], ...], str, tuple[tuple[str, str], ...]]


@dataclass
class Point:
    start: int
    end: int
    value: float
    counts: tuple[int, ...] = ()


@dataclass
class StrictBackend:
    """What was accepted, by series; `refusals` holds every reason that was given.

    Attributes:
        gap: Least seconds between two points of a series.
        answers: Answers to the next calls: a status for the whole call, or None to treat it as usual.
        poison: Refuses a series for a reason of its own, when it returns one.
    """

    gap: float = 5.0
    now: Callable[[], int] = time.time_ns
    points: dict[Identity, list[Point]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    answers: list[status_pb2.Status | None] = field(default_factory=list)
    poison: Callable[[Any], str | None] = lambda _series: None
    calls: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, body: bytes) -> status_pb2.Status | None:
        """The answer to a serialised request; None when all of it was written."""
        with self.lock:
            request = _REQUEST.FromString(body)
            self.calls.append(len(request.time_series))
            if self.answers and (answer := self.answers.pop(0)) is not None:
                return answer
            if not request.name.startswith("projects/") or not 1 <= len(request.time_series) <= 200:
                return status_pb2.Status(code=_INVALID, message="Field timeSeries had an invalid value: at most 200.")
            return self._write(request)

    def _write(self, request: Any) -> status_pb2.Status | None:
        seen: set[Identity] = set()
        parts: list[str] = []
        refused: dict[int, int] = {}
        for place, series in enumerate(request.time_series):
            code, why = self._why_not(series, seen)
            if why:
                self.refusals.append(f"{series.metric.type}: {why}")
                parts.append(
                    f'timeSeries[{place}] (example metric.type="{series.metric.type}", metric.labels={{}}): '
                    f"write for resource={series.resource.type}{{}} failed with: {why}"
                )
                refused[code] = refused.get(code, 0) + 1
        if not parts:
            return None
        total = len(request.time_series)
        summary = _SUMMARY(total_point_count=total, success_point_count=total - len(parts))
        for code, count in refused.items():
            error = summary.errors.add(point_count=count)
            error.status.code = code
        message = "One or more TimeSeries could not be written: " + "; ".join(parts)
        status = status_pb2.Status(code=_INVALID, message=message)
        status.details.add().Pack(summary)
        return status

    def _why_not(self, series: Any, seen: set[Identity]) -> tuple[int, str]:
        """Stores the point, or says why not."""
        metric, resource = series.metric, series.resource
        identity = (
            metric.type,
            tuple(sorted(metric.labels.items())),
            resource.type,
            tuple(sorted(resource.labels.items())),
        )
        if len(series.points) != 1:
            return _INVALID, "exactly one point"
        if identity in seen:
            return _INVALID, "Duplicate TimeSeries encountered."
        seen.add(identity)
        missing = _LABELS[resource.type] - set(resource.labels)
        if missing:
            return _INVALID, f"The set of resource labels is incomplete. Missing labels: ({' '.join(sorted(missing))})."
        if any(len(value) > 1024 for value in metric.labels.values()):
            return _INVALID, "label value too long"
        if (why := self.poison(series)) is not None:
            return _INVALID, why
        return self._store(series, self.points.setdefault(identity, []))

    def _store(self, series: Any, stored: list[Point]) -> tuple[int, str]:
        interval = series.points[0].interval
        start, end = interval.start_time.ToNanoseconds(), interval.end_time.ToNanoseconds()
        now = self.now()
        if not now - 25 * 3600 * _SECOND <= end <= now + 300 * _SECOND:
            return _INVALID, "too old or in the future"
        gauge = series.metric_kind == 1
        if gauge and start not in {0, end}:
            return _INVALID, "a gauge has no start"
        if not gauge and not 0 < start < end:
            return _INVALID, "The start time must be before the end time."
        point = _read(series, start, end)
        if isinstance(point, str):
            return _INVALID, point
        if stored and (why := self._out_of_order(point, stored[-1], gauge=gauge)):
            return _INVALID, why
        if stored and end - stored[-1].end < self.gap * _SECOND:
            return _TOO_OFTEN, "One or more points were written more frequently than the maximum sampling period."
        stored.append(point)
        return 0, ""

    @staticmethod
    def _out_of_order(point: Point, last: Point, *, gauge: bool) -> str:
        if point.end <= last.end:
            return "Points must be written in order. One or more had an older end time than the last."
        if not gauge and point.start != last.start and point.start < last.end + 1_000_000:
            return "Points must be written in order. One or more had an older start time than the last."
        if not gauge and point.start == last.start and point.value < last.value:
            return "a cumulative value fell although its start did not move"
        return ""

    def total(self, name: str, **labels: str) -> float:
        """The newest values of all series of a metric, over all starts, added up."""
        total = 0.0
        for (metric_type, metric_labels, _, resource_labels), points in self.points.items():
            if f"/{name}" in metric_type and labels.items() <= dict([*metric_labels, *resource_labels]).items():
                newest = {point.start: point.value for point in points}
                total += sum(newest.values())
        return total

    def of(self, name: str) -> dict[Identity, list[Point]]:
        return {identity: points for identity, points in self.points.items() if f"/{name}" in identity[0]}


def _read(series: Any, start: int, end: int) -> Point | str:
    value = series.points[0].value
    which = value.WhichOneof("value")
    if which == "double_value":
        return Point(start, end, value.double_value)
    if which != "distribution_value":
        return "in prometheus.googleapis.com every number is a double or a distribution"
    distribution = value.distribution_value
    bounds = list(distribution.bucket_options.explicit_buckets.bounds)
    counts = tuple(distribution.bucket_counts)
    if not bounds or bounds != sorted(set(bounds)):
        return "Distribution |explicit_buckets.bounds| must increase"
    if len(counts) > len(bounds) + 1 or sum(counts) != distribution.count:
        return "Distribution |count| is not the sum of its buckets"
    if distribution.sum_of_squared_deviation < 0 or (not distribution.count and distribution.mean):
        return "Distribution has an impossible mean or deviation"
    exemplars = [exemplar.value for exemplar in distribution.exemplars]
    if exemplars != sorted(exemplars):
        return "exemplars must be in order"
    return Point(start, end, float(distribution.count), counts)


@contextlib.contextmanager
def serving(backend: StrictBackend, port: int = 0) -> Iterator[str]:
    """The back end behind a real gRPC port; yields its address."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, call: Any) -> Any:
            if call.method.endswith("MetricService/CreateTimeSeries"):
                return grpc.unary_unary_rpc_method_handler(answer)
            return None

    def answer(body: bytes, context: Any) -> bytes:
        status = backend.write(body)
        if status is not None:
            code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(code, status.message)
        return b""

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()], options=(("grpc.so_reuseport", 0),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(None).wait()
