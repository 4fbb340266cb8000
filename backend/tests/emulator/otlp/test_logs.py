"""How telemetry.googleapis.com maps OTLP log records."""

from typing import Any

import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest
from google.protobuf import json_format

from app.emulator.parts import Parts
from app.emulator.status import ApiError, Code
from support.otlp import LOGS, NOW, RUN, any_value, attributes, logs, parts
from support.provenance import known_from, our_choice

MAPPING = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/otlp-log-record-to-log-entry"
RESOURCES = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/otlp-attribute-to-logging-resource"
EXPORTER = (
    "https://github.com/GoogleCloudPlatform/opentelemetry-operations-python"
    "/blob/main/opentelemetry-exporter-gcp-logging/src/opentelemetry/exporter/cloud_logging/__init__.py"
)


@pytest.fixture
def emulator() -> Parts:
    return parts()


def export(emulator: Parts, *records: dict[str, Any], **changes: Any) -> Any:
    service: Any = emulator.services[LOGS]
    return service.export(logs(*records, **changes)).partial_success


def entries(emulator: Parts) -> list[dict[str, Any]]:
    request = ListLogEntriesRequest.pb()(resource_names=["projects/demo"])
    return [json_format.MessageToDict(one) for one in emulator.logging.list_log_entries(request).entries]


def entry(emulator: Parts, record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    assert not export(emulator, {"timeUnixNano": str(NOW), **record}, **changes).rejected_log_records
    [found] = entries(emulator)
    return found


@known_from(docs=EXPORTER)
@pytest.mark.parametrize(
    ("number", "severity"),
    [
        (0, None),
        (1, "DEBUG"),
        (8, "DEBUG"),
        (9, "INFO"),
        (10, "INFO"),
        (11, "NOTICE"),
        (13, "WARNING"),
        (17, "ERROR"),
        (21, "CRITICAL"),
        (23, "ALERT"),
        (24, "EMERGENCY"),
    ],
)
def test_severity_numbers_have_their_severity(emulator: Parts, number: int, severity: str | None) -> None:
    assert entry(emulator, {"severityNumber": number}).get("severity") == severity


@our_choice("a record without a number may still name one of Cloud Logging's severities")
def test_a_severity_text_stands_in_for_the_number(emulator: Parts) -> None:
    assert entry(emulator, {"severityText": "Error"})["severity"] == "ERROR"


@known_from(docs=MAPPING)
@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"attributes": attributes({"gcp.log_name": "audit", "log_name": "x"}), "eventName": "e"}, "audit"),
        ({"attributes": attributes({"log_name": "access log"}), "eventName": "e"}, "access_log"),
        ({"eventName": "app.started"}, "app.started"),
        ({}, "otel"),
    ],
    ids=["gcp.log_name", "log_name", "event name", "none"],
)
def test_the_log_is_named_by_attributes_then_by_the_event(emulator: Parts, record: dict[str, Any], name: str) -> None:
    assert entry(emulator, record)["logName"] == f"projects/demo/logs/{name}"


@known_from(docs=MAPPING)
def test_a_map_is_the_json_payload_and_anything_else_is_text(emulator: Parts) -> None:
    body = {"message": "placed", "items": [1, 2], "nested": {"deep": True}}
    found = entry(emulator, {"body": any_value(body)})
    assert found["jsonPayload"] == {"message": "placed", "items": [1.0, 2.0], "nested": {"deep": True}}
    other = parts()
    assert entry(other, {"body": any_value("placed")})["textPayload"] == "placed"


@known_from(docs=MAPPING)
def test_trace_span_and_attributes_reach_the_entry(emulator: Parts) -> None:
    record = {"attributes": attributes({"user": "u-1", "retries": 3})}
    request = logs({"timeUnixNano": str(NOW), **record})
    given = request.resource_logs[0].scope_logs[0].log_records[0]
    given.trace_id, given.span_id, given.flags = bytes(range(16)), bytes(range(8)), 1
    service: Any = emulator.services[LOGS]
    service.export(request)
    [found] = entries(emulator)
    assert found["trace"] == "projects/demo/traces/000102030405060708090a0b0c0d0e0f"
    assert found["spanId"] == "0001020304050607"
    assert found["traceSampled"] is True
    assert found["labels"] == {"user": "u-1", "retries": "3"}


@known_from(docs=MAPPING)
def test_the_special_attributes_fill_their_fields(emulator: Parts) -> None:
    special = {
        "gcp.http_request": {"requestMethod": "GET", "status": 200, "latency": "0.5s", "unknown": 1},
        "gcp.source_location": {"file": "a.py", "line": "7", "function": "f"},
        "gcp.trace_sampled": True,
    }
    found = entry(emulator, {"attributes": attributes(special)})
    assert found["httpRequest"] == {"requestMethod": "GET", "status": 200, "latency": "0.500s"}
    assert found["sourceLocation"] == {"file": "a.py", "line": "7", "function": "f"}
    assert found["traceSampled"] is True
    assert "labels" not in found


@our_choice("a special attribute of another shape is left out; the rest of the record is kept")
def test_a_special_attribute_that_does_not_fit_is_left_out(emulator: Parts) -> None:
    special = {"gcp.http_request": {"status": "many"}, "gcp.source_location": "a.py:7"}
    found = entry(emulator, {"attributes": attributes(special)})
    assert "httpRequest" not in found
    assert "sourceLocation" not in found


@known_from(docs=RESOURCES)
@pytest.mark.parametrize(
    ("resource", "kind", "label"),
    [
        ({}, "cloud_run_revision", ("service_name", "items")),
        ({"cloud.platform": "gcp_compute_engine", "host.id": "7"}, "gce_instance", ("instance_id", "7")),
        (
            {"cloud.platform": "gcp_kubernetes_engine", "k8s.cluster.name": "c", "k8s.pod.name": "p"},
            "k8s_pod",
            ("pod_name", "p"),
        ),
        (
            {
                "cloud.platform": "gcp_kubernetes_engine",
                "k8s.cluster.name": "c",
                "k8s.pod.name": "p",
                "k8s.container.name": "server",
            },
            "k8s_container",
            ("container_name", "server"),
        ),
        ({"cloud.platform": ""}, "generic_task", ("task_id", "i-1")),
        ({"cloud.platform": "", "service.instance.id": "", "host.id": "h"}, "generic_node", ("node_id", "h")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_resource_is_told_by_its_attributes(
    emulator: Parts, resource: dict[str, str], kind: str, label: tuple[str, str]
) -> None:
    found = entry(emulator, {}, resource=RUN | resource)["resource"]
    assert found["type"] == kind
    assert found["labels"][label[0]] == label[1]


@known_from(docs=MAPPING)
def test_time_is_the_record_s_then_the_observed_one_then_now(emulator: Parts) -> None:
    export(emulator, {"observedTimeUnixNano": str(NOW - 10**9)}, {"timeUnixNano": str(NOW - 2 * 10**9)}, {})
    assert len({one["timestamp"] for one in entries(emulator)}) == 3


@known_from(docs="https://docs.cloud.google.com/logging/quotas")
def test_an_entry_above_256_kib_is_rejected_and_the_others_stay(emulator: Parts) -> None:
    large, small = {"body": any_value("x" * 300_000)}, {"body": any_value("small")}
    told = export(emulator, large, small)
    assert told.rejected_log_records == 1
    assert "exceeds maximum size" in told.error_message
    assert [one["textPayload"] for one in entries(emulator)] == ["small"]


@known_from(docs="https://docs.cloud.google.com/logging/quotas")
def test_when_all_are_too_large_all_are_rejected(emulator: Parts) -> None:
    assert export(emulator, *[{"body": any_value("x" * 300_000)}] * 3).rejected_log_records == 3
    assert entries(emulator) == []


@known_from(proto="google/logging/v2/log_entry.proto")
def test_labels_that_are_too_long_are_cut(emulator: Parts) -> None:
    found = entry(emulator, {"attributes": attributes({"k" * 600: "v" * 70_000})})
    [(key, value)] = found["labels"].items()
    assert len(key.encode()) <= 512
    assert len(value.encode()) <= 64 * 1024


@known_from(docs="https://github.com/GoogleCloudPlatform/opentelemetry-operations-go/blob/main/MIGRATION.md")
def test_logs_name_their_project(emulator: Parts) -> None:
    with pytest.raises(ApiError) as caught:
        export(emulator, {}, resource={"service.name": "items"})
    assert caught.value.code is Code.INVALID_ARGUMENT
