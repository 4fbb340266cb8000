"""opentelemetry.proto.collector.metrics.v1.MetricsService."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from google.cloud.monitoring_v3.types import CreateTimeSeriesRequest, CreateTimeSeriesSummary
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from ..monitoring.write_rules import MAX_SERIES
from ..project import Context
from ..status import ApiError, Code, invalid
from . import metrics
from .attributes import texts
from .partial import Rejected
from .projects import check_project

# docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview, "API limits".
MAX_POINTS = 200
_SUMMARY = CreateTimeSeriesSummary.pb()
_REQUEST = CreateTimeSeriesRequest.pb()


class MetricsService:
    """`write` is Cloud Monitoring's: it applies its own rules to every series."""

    def __init__(self, context: Context, write: Callable[[Any], None]) -> None:
        self._context = context
        self._write = write

    def export(self, request: Any) -> ExportMetricsServiceResponse:
        points = metrics.count_points(request)
        if points > MAX_POINTS:
            raise invalid(f"A maximum of {MAX_POINTS} data points can be written in a single request, not {points}.")
        resources = [texts(one.resource.attributes) for one in request.resource_metrics]
        for attributes in resources:
            check_project(attributes, self._context)
        rejected = Rejected()
        series: list[Any] = []
        infos: list[Any] = []
        for attributes, one in zip(resources, request.resource_metrics, strict=True):
            source = metrics.source_of(attributes, self._context.project_id)
            found, info = _of_resource(attributes, one, source, rejected)
            series += found
            infos += info
        too_frequent = [self._store(part, rejected) for part in _calls(series)]
        # What the API adds of its own is not among the caller's points, but it comes too soon like them.
        too_frequent += [self._store(part, Rejected()) for part in _calls(infos)]
        for error in too_frequent:
            if error is not None:
                raise error
        answer = ExportMetricsServiceResponse()
        if rejected.count:
            answer.partial_success.CopyFrom(
                # A summary is several series: it is one point all the same.
                ExportMetricsPartialSuccess(
                    rejected_data_points=min(rejected.count, points), error_message=rejected.message
                )
            )
        return answer

    def _store(self, series: list[Any], rejected: Rejected) -> ApiError | None:
        """Write one call's series, count what is refused; the error when points came too soon after another.

        Too frequent points fail a call with FAILED_PRECONDITION, seen from telemetry.googleapis.com; what else a series
        is refused for is told in `partial_success`, as a missing location is (gofr-dev/gofr#4137).
        """
        try:
            self._write(_REQUEST(name=f"projects/{self._context.project_id}", time_series=series))
        except ApiError as error:
            summary = next((one for one in error.details if isinstance(one, _SUMMARY)), None)
            if summary is None:
                raise
            rejected.add(error.message, summary.total_point_count - summary.success_point_count)
            if any(one.status.code == Code.FAILED_PRECONDITION for one in summary.errors):
                return ApiError(Code.FAILED_PRECONDITION, error.message, *error.details)
        return None


def _of_resource(
    attributes: dict[str, str], one: Any, source: metrics.Source, rejected: Rejected
) -> tuple[list[Any], list[Any]]:
    """The series of one resource, and its target_info."""
    series = [
        found
        for scope in one.scope_metrics
        for metric in scope.metrics
        for found in metrics.series_of(metric, source, rejected)
    ]
    on_target = [found for found in series if found.resource.type == "prometheus_target"]
    if not on_target:
        return series, []
    end = max(found.points[0].interval.end_time.ToNanoseconds() for found in on_target)
    return series, [metrics.target_info(attributes, source, end)]


def _calls(series: list[Any]) -> list[list[Any]]:
    """The series as calls of CreateTimeSeries: each series once a call, the older point first."""
    seen: dict[bytes, int] = defaultdict(int)
    calls: list[list[Any]] = []
    for one in sorted(series, key=lambda one: one.points[0].interval.end_time.ToNanoseconds()):
        key = one.metric.SerializeToString(deterministic=True) + one.resource.SerializeToString(deterministic=True)
        at = seen[key]
        while at < len(calls) and len(calls[at]) >= MAX_SERIES:
            at += 1
        if at == len(calls):
            calls.append([])
        calls[at].append(one)
        seen[key] = at + 1
    return calls
