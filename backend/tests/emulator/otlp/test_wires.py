"""OpenTelemetry's own exporters against a running emulator, and what nobody's exporter would send."""

import gzip
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from support.emulator import RunningEmulator, running_emulator
from support.otlp import RUN, any_value, attributes, counter, histogram, logs, metrics
from support.processes import emulator_process
from support.provenance import known_from, our_choice

SPECIFICATION = "https://opentelemetry.io/docs/specs/otlp/"
PROTOBUF = {"content-type": "application/x-protobuf"}
TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


class Exporters:
    """One wire's three."""

    def __init__(self, metrics: MetricExporter, spans: SpanExporter, logs: LogRecordExporter) -> None:
        self.metrics = metrics
        self.spans = spans
        self.logs = logs


def over(wire: str, emulator: RunningEmulator) -> Exporters:
    if wire.startswith("grpc"):
        packed = {"compression": grpc.Compression.Gzip} if wire.endswith("gzip") else {}
        to: dict[str, Any] = {"endpoint": emulator.grpc, "insecure": True, **packed}
        return Exporters(GrpcMetrics(**to), GrpcSpans(**to), GrpcLogs(**to))
    packing: dict[str, Any] = {"compression": Compression.Gzip} if wire.endswith("gzip") else {}
    paths = [f"{emulator.http}/v1/{signal}" for signal in ("metrics", "traces", "logs")]
    metrics, spans, logs = paths
    return Exporters(
        HttpMetrics(endpoint=metrics, **packing),
        HttpSpans(endpoint=spans, **packing),
        HttpLogs(endpoint=logs, **packing),
    )


@known_from(docs="https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/overview")
@pytest.mark.parametrize("wire", ["grpc", "grpc gzip", "http", "http gzip"])
def test_opentelemetry_s_exporters_deliver_all_three_signals(emulator: RunningEmulator, wire: str) -> None:
    exporters = over(wire, emulator)
    resource = Resource(RUN | {"service.instance.id": wire})
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], resource=resource)
    meters.get_meter("test").create_counter("orders.placed").add(3, {"size": "L"})
    data = reader.get_metrics_data()
    assert data is not None
    assert exporters.metrics.export(data) is MetricExportResult.SUCCESS

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(exporters.spans))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(exporters.logs))
    with tracers.get_tracer("test").start_as_current_span(f"GET /{wire}") as span:
        loggers.get_logger("test").emit(severity_number=None, body=f"by {wire}")
    trace_id = f"{span.get_span_context().trace_id:032x}"
    meters.shutdown()
    tracers.shutdown()
    loggers.shutdown()

    trace = httpx.get(f"{emulator.http}/v1/projects/demo/traces/{trace_id}").json()
    assert [one["name"] for one in trace["spans"]] == [f"GET /{wire}"]
    listing = {"resourceNames": ["projects/demo"], "filter": f'trace="projects/demo/traces/{trace_id}"'}
    [entry] = httpx.post(f"{emulator.http}/v2/entries:list", json=listing).json()["entries"]
    assert entry["textPayload"] == f"by {wire}"
    query = {"query": f'{{"orders.placed", instance="{wire}"}}'}
    answer = httpx.get(f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query", params=query).json()
    assert [one["value"][1] for one in answer["data"]["result"]] == ["3"]


def trace_json(**fields: Any) -> dict[str, Any]:
    span = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": "GET /json",
        "kind": 2,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        **fields,
    }
    attributes = [{"key": "gcp.project_id", "value": {"stringValue": "demo"}}]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}]}


@known_from(docs=SPECIFICATION)
def test_json_has_ids_in_hexadecimal_and_unknown_fields_are_ignored() -> None:
    with running_emulator() as running:
        now = running.emulator.context.clock.now()
        times = {"startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now)}
        answer = httpx.post(f"{running.http}/v1/traces", json=trace_json(**times, fromTheFuture=1))
        assert (answer.status_code, answer.json()) == (200, {})
        found = httpx.get(f"{running.http}/v1/projects/demo/traces/{TRACE_ID}").json()
        assert found["spans"][0]["spanId"] == str(int(SPAN_ID, 16))


@known_from(docs=SPECIFICATION)
def test_a_partial_success_is_told_in_the_encoding_of_the_request(emulator: RunningEmulator) -> None:
    body = trace_json(name="")
    told = httpx.post(f"{emulator.http}/v1/traces", json=body)
    assert told.status_code == 200
    assert told.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert told.headers["content-type"].startswith("application/json")
    empty = httpx.post(f"{emulator.http}/v1/metrics", content=b"", headers=PROTOBUF)
    assert ExportMetricsServiceResponse.FromString(empty.content) == ExportMetricsServiceResponse()
    assert empty.headers["content-type"] == "application/x-protobuf"


@known_from(docs=SPECIFICATION)
def test_an_error_is_a_status_in_the_encoding_of_the_request(emulator: RunningEmulator) -> None:
    nobodys = ExportLogsServiceRequest()
    nobodys.resource_logs.add().scope_logs.add().log_records.add()
    answer = httpx.post(f"{emulator.http}/v1/logs", content=nobodys.SerializeToString(), headers=PROTOBUF)
    status = status_pb2.Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (400, 3)
    assert "gcp.project_id" in status.message
    told = httpx.post(f"{emulator.http}/v1/logs", json={"resourceLogs": [{"scopeLogs": [{"logRecords": [{}]}]}]})
    assert told.json()["error"]["status"] == "INVALID_ARGUMENT"


@known_from(docs="https://docs.cloud.google.com/apis/docs/system-parameters")
def test_the_quota_project_of_the_headers_names_the_project(emulator: RunningEmulator) -> None:
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}
    for project, expected in (("demo", 200), ("other", 404)):
        headers = {"x-goog-user-project": project}
        assert httpx.post(f"{emulator.http}/v1/logs", json=body, headers=headers).status_code == expected
    exporter = GrpcLogs(endpoint=emulator.grpc, insecure=True, headers=(("x-goog-user-project", "demo"),))
    loggers = LoggerProvider(resource=Resource({}))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    loggers.get_logger("test").emit(body="by its header")
    loggers.shutdown()
    listing = {"resourceNames": ["projects/demo"], "filter": '"by its header"'}
    assert httpx.post(f"{emulator.http}/v2/entries:list", json=listing).json()["entries"]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"\xff\xff\xff\xff", PROTOBUF),
        (b"\x0a\x05ab", PROTOBUF),
        (b"{", {"content-type": "application/json"}),
        (b"[]", {"content-type": "application/json"}),
        (b'{"resourceSpans": 1}', {"content-type": "application/json"}),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            {"content-type": "application/json"},
        ),
        (b'{"a":' * 900 + b"1" + b"}" * 900, {"content-type": "application/json"}),
        (b"[" * 100_000 + b"]" * 100_000, {"content-type": "application/json"}),
        (b"no gzip", PROTOBUF | {"content-encoding": "gzip"}),
        (gzip.compress(b"\x0a\x00" * 10)[:-9], PROTOBUF | {"content-encoding": "gzip"}),
        (gzip.compress(bytes(30 * 2**20)), PROTOBUF | {"content-encoding": "gzip"}),
        (b"", PROTOBUF | {"content-encoding": "br"}),
    ],
    ids=[
        "garbage",
        "cut short",
        "half an object",
        "a list",
        "a number for a list",
        "an id that is no hexadecimal",
        "deep objects",
        "deep lists",
        "no gzip",
        "half a gzip",
        "a zip bomb",
        "another packing",
    ],
)
@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
@our_choice("what is no OTLP is refused as INVALID_ARGUMENT, in the encoding of the request")
def test_hostile_bodies_are_refused(
    emulator: RunningEmulator, signal: str, content: bytes, headers: dict[str, str]
) -> None:
    if signal != "traces" and b"traceId" in content:
        content = content.replace(b"resourceSpans", b"x")  # an unknown field still has its ids read
    if content == b'{"resourceSpans": 1}':
        content = {"traces": content, "metrics": b'{"resourceMetrics": 1}', "logs": b'{"resourceLogs": 1}'}[signal]
    answer = httpx.post(f"{emulator.http}/v1/{signal}", content=content, headers=headers)
    assert answer.status_code == 400
    assert httpx.get(f"{emulator.http}/console/about").status_code == 200


def nested(levels: int) -> ExportLogsServiceRequest:
    request = logs({})
    value = request.resource_logs[0].scope_logs[0].log_records[0].body
    for _ in range(levels):
        value = value.array_value.values.add()
    value.string_value = "deep"
    return request


@our_choice("protobuf itself reads a hundred messages within messages; what it reads, the emulator keeps")
def test_deep_values_are_kept_or_refused_and_survive_the_journal(tmp_path: Path) -> None:
    with running_emulator(data_dir=tmp_path) as running:
        codes = [
            httpx.post(
                f"{running.http}/v1/logs", content=nested(levels).SerializeToString(), headers=PROTOBUF
            ).status_code
            for levels in (40, 45, 48, 60)
        ]
        assert codes[0] == 200
        assert codes[-1] == 400
        listing = {"resourceNames": ["projects/demo"]}
        kept = httpx.post(f"{running.http}/v2/entries:list", json=listing)
        assert kept.status_code == 200
    with running_emulator(data_dir=tmp_path) as running:
        again = httpx.post(f"{running.http}/v2/entries:list", json=listing)
        assert again.json() == kept.json()


def test_what_every_signal_left_survives_kill_9(tmp_path: Path) -> None:
    now = time.time_ns()
    stamps = {"timeUnixNano": str(now), "startTimeUnixNano": str(now - 10**9)}
    number = {**stamps, "asInt": "3", "attributes": attributes({"http.route": "/a"})}
    buckets = {**stamps, "count": "2", "sum": 3.0, "explicitBounds": [1], "bucketCounts": ["1", "1"]}
    bodies = {
        "metrics": metrics(
            counter("orders.placed", number),
            counter("orders.delta", number, delta=True),
            histogram("latency", buckets),
            histogram("size", buckets, delta=True),
        ),
        "logs": logs({"body": any_value({"deep": {"er": [1, 2]}})}),
    }
    spans = trace_json(startTimeUnixNano=str(now - 10**9), endTimeUnixNano=str(now))

    def found(http: str) -> list[Any]:
        with httpx.Client(base_url=http, timeout=30) as client:
            read = [client.get(f"/v1/projects/demo/traces/{TRACE_ID}").json()]
            read += [client.post("/v2/entries:list", json={"resourceNames": ["projects/demo"]}).json()]
            for name in ("orders.placed", "orders.delta", "latency_count", "size_count", "target_info"):
                query = {"query": f'{{"{name}"}}', "time": str(now / 1e9 + 1)}
                answer = client.get("/v1/projects/demo/location/global/prometheus/api/v1/query", params=query).json()
                assert answer.get("data", {}).get("result"), (name, answer)
                read.append(answer["data"]["result"])
        return read

    with emulator_process(data_dir=str(tmp_path)) as (process, addresses):
        for signal, message in bodies.items():
            body = message.SerializeToString()
            answer = httpx.post(f"{addresses['http']}/v1/{signal}", content=body, headers=PROTOBUF)
            assert (answer.status_code, answer.content) == (200, b"")
        assert httpx.post(f"{addresses['http']}/v1/traces", json=spans).json() == {}
        before = found(addresses["http"])
        process.kill()
    with emulator_process(data_dir=str(tmp_path)) as (_, addresses):
        assert found(addresses["http"]) == before


@known_from(docs=SPECIFICATION)
@pytest.mark.parametrize("media_type", ["text/plain", "", "application/xml"])
def test_another_media_type_is_refused(emulator: RunningEmulator, media_type: str) -> None:
    headers = {"content-type": media_type} if media_type else {}
    assert httpx.post(f"{emulator.http}/v1/logs", content=b"x", headers=headers).status_code == 415


def test_a_packed_bomb_over_grpc_is_refused(emulator: RunningEmulator) -> None:
    with emulator.channel() as channel:
        call: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(30 * 2**20), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with emulator.channel() as channel:
        call = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        assert call(b"") == ExportTraceServiceResponse()


def test_faults_reach_otlp_too(emulator: RunningEmulator) -> None:
    fault = {"method": "opentelemetry.*LogsService.Export", "kind": "unavailable", "count": 1}
    assert httpx.post(f"{emulator.http}/control/faults", json=fault).status_code == 200
    body: dict[str, Any] = {"resourceLogs": []}
    assert httpx.post(f"{emulator.http}/v1/logs", json=body).status_code == 503
    assert httpx.post(f"{emulator.http}/v1/logs", json=body).status_code == 200


def test_both_wires_reject_the_same_points(emulator: RunningEmulator, caplog: pytest.LogCaptureFixture) -> None:
    large = any_value("x" * 300_000)
    request = logs({"body": large}, {"body": any_value("fits")})
    over_http = httpx.post(f"{emulator.http}/v1/logs", content=request.SerializeToString(), headers=PROTOBUF)
    with emulator.channel() as channel:
        call: Any = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        assert call(request.SerializeToString()) == over_http.content
    assert json.dumps(str(over_http.content)).count("exceeds maximum size") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
