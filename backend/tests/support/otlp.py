"""OTLP requests for tests, small and valid, and OpenTelemetry's SDK pointed at an emulator."""

from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.emulator.clock import NANOS, ManualClock
from app.emulator.parts import Parts
from app.emulator.project import Context, Switches
from support.monitoring import START

RUN = {
    "gcp.project_id": "demo",
    "cloud.platform": "gcp_cloud_run",
    "cloud.region": "europe-west1",
    "service.name": "items",
    "service.instance.id": "i-1",
}
METRICS = "opentelemetry.proto.collector.metrics.v1.MetricsService"
LOGS = "opentelemetry.proto.collector.logs.v1.LogsService"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
NOW = START * NANOS


def parts(**switches: Any) -> Parts:
    """An emulator that stands still at START, without ports."""
    return Parts(Context(clock=ManualClock(NOW), switches=Switches(**switches)))


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes in JSON; texts, numbers, truth values, lists and maps."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    return {{int: "intValue", float: "doubleValue", str: "stringValue"}[type(value)]: value}


def metrics(*wanted: dict[str, Any], resource: dict[str, Any] = RUN) -> ExportMetricsServiceRequest:
    group = {"resource": {"attributes": attributes(resource)}, "scopeMetrics": [{"metrics": list(wanted)}]}
    return json_format.ParseDict({"resourceMetrics": [group]}, ExportMetricsServiceRequest())


def logs(*records: dict[str, Any], resource: dict[str, Any] = RUN) -> ExportLogsServiceRequest:
    group = {"resource": {"attributes": attributes(resource)}, "scopeLogs": [{"logRecords": list(records)}]}
    return json_format.ParseDict({"resourceLogs": [group]}, ExportLogsServiceRequest())


def spans(*wanted: Any, resource: dict[str, Any] = RUN) -> ExportTraceServiceRequest:
    """Spans are messages (`span`): their ids are bytes."""
    group = {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{}]}
    request = json_format.ParseDict({"resourceSpans": [group]}, ExportTraceServiceRequest())
    request.resource_spans[0].scope_spans[0].spans.extend(wanted)
    return request


def point(value: float, at: float = 0, since: float = -60, **labels: Any) -> dict[str, Any]:
    """A number at `at` seconds after START."""
    return {
        "asInt" if isinstance(value, int) else "asDouble": value,
        "timeUnixNano": str(NOW + round(at * NANOS)),
        "startTimeUnixNano": str(NOW + round(since * NANOS)),
        "attributes": attributes(labels),
    }


def counter(name: str, *points: dict[str, Any], monotonic: bool = True, delta: bool = False) -> dict[str, Any]:
    temporality = "AGGREGATION_TEMPORALITY_DELTA" if delta else "AGGREGATION_TEMPORALITY_CUMULATIVE"
    data = {"dataPoints": list(points), "aggregationTemporality": temporality, "isMonotonic": monotonic}
    return {"name": name, "sum": data}


def gauge(name: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": list(points)}}


def histogram(name: str, *points: dict[str, Any], kind: str = "histogram", delta: bool = False) -> dict[str, Any]:
    temporality = "AGGREGATION_TEMPORALITY_DELTA" if delta else "AGGREGATION_TEMPORALITY_CUMULATIVE"
    return {"name": name, kind: {"dataPoints": list(points), "aggregationTemporality": temporality}}
