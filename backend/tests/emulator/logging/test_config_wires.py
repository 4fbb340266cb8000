"""Configuration and log-based metrics over both wires: Google's own clients, and the calls of Terraform's provider."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core.exceptions import AlreadyExists, NotFound
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.logging_v2.services.metrics_service_v2 import MetricsServiceV2Client
from google.cloud.logging_v2.services.metrics_service_v2.transports import MetricsServiceV2GrpcTransport
from google.cloud.monitoring_v3 import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from

PROVIDER = "https://github.com/hashicorp/terraform-provider-google"
BUCKETS = "v2/projects/demo/locations/global/buckets"


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


def rest(emulator: RunningEmulator, verb: str, path: str, **body: Any) -> tuple[int, Any]:
    answer = requests.request(verb, f"{emulator.http}/{path}", json=body or None, timeout=30)
    return answer.status_code, answer.json()


@known_from(docs=f"{PROVIDER}/blob/main/google/services/logging/resource_logging_bucket_config.go")
def test_a_bucket_lives_through_the_calls_of_terraform(emulator):
    assert rest(emulator, "GET", f"{BUCKETS}/app?alt=json")[0] == 404
    body = {"name": "", "retentionDays": 7, "description": "ours", "locked": False}
    status, operation = rest(emulator, "POST", f"{BUCKETS}:createAsync?bucketId=app&alt=json", **body)
    assert (status, operation["done"]) == (200, True)
    assert operation["response"]["name"] == "projects/demo/locations/global/buckets/app"
    polled = rest(emulator, "GET", f"v2/{operation['name']}")
    assert polled == (200, operation)
    assert rest(emulator, "GET", f"{BUCKETS}/app")[1]["lifecycleState"] == "ACTIVE"
    path = f"{BUCKETS}/app?updateMask=retentionDays,description&alt=json"
    assert rest(emulator, "PATCH", path, retentionDays=3, description="")[1]["retentionDays"] == 3
    path = f"{BUCKETS}/app:updateAsync?updateMask=analyticsEnabled"
    assert rest(emulator, "POST", path, analyticsEnabled=True)[1]["response"]["analyticsEnabled"] is True
    assert rest(emulator, "DELETE", f"{BUCKETS}/app") == (200, {})
    assert rest(emulator, "GET", f"{BUCKETS}/app")[1]["lifecycleState"] == "DELETE_REQUESTED"
    adopted = rest(emulator, "PATCH", f"{BUCKETS}/_Default?updateMask=retentionDays", retentionDays=10)
    assert adopted[1]["retentionDays"] == 10


@known_from(docs=f"{PROVIDER}/blob/main/google/services/logging/resource_logging_project_sink.go")
def test_a_sink_lives_through_the_calls_of_terraform(emulator):
    quiet = "alt=json&prettyPrint=false"
    assert rest(emulator, "GET", f"v2/projects/demo/sinks/a?{quiet}")[0] == 404
    body = {
        "name": "a",
        "destination": "pubsub.googleapis.com/projects/demo/topics/t",
        "filter": "severity>=ERROR",
        "exclusions": [{"name": "e", "filter": "textPayload:x"}],
    }
    status, created = rest(emulator, "POST", f"v2/projects/demo/sinks?uniqueWriterIdentity=true&{quiet}", **body)
    assert status == 200
    assert created["writerIdentity"].startswith("serviceAccount:service-")
    mask = "updateMask=exclusions%2Cfilter&uniqueWriterIdentity=true"
    changed = rest(emulator, "PATCH", f"v2/projects/demo/sinks/a?{mask}&{quiet}", **{**body, "exclusions": []})[1]
    assert "exclusions" not in changed
    assert rest(emulator, "DELETE", f"v2/projects/demo/sinks/a?{quiet}") == (200, {})
    assert rest(emulator, "DELETE", f"v2/projects/demo/sinks/a?{quiet}")[0] == 404


@known_from(docs=f"{PROVIDER}/blob/main/google/services/logging/resource_logging_metric.go")
def test_a_metric_lives_through_the_calls_of_terraform(emulator):
    body = {
        "name": "my/metric",
        "filter": "severity>=ERROR",
        "metricDescriptor": {"metricKind": "DELTA", "valueType": "INT64", "labels": [{"key": "level"}]},
        "labelExtractors": {"level": "EXTRACT(severity)"},
    }
    status, created = rest(emulator, "POST", "v2/projects/demo/metrics?alt=json", **body)
    assert status == 200
    # DELTA and INT64 are answered as they were sent, the unit is computed.
    assert created["metricDescriptor"]["unit"] == "1"
    path = "v2/projects/demo/metrics/my%2Fmetric?alt=json"
    assert rest(emulator, "GET", path) == (200, created)
    assert rest(emulator, "PUT", path, **{**body, "description": "new"})[1]["description"] == "new"
    assert rest(emulator, "DELETE", path) == (200, {})
    assert rest(emulator, "GET", path)[0] == 404


@known_from(docs="https://docs.cloud.google.com/python/docs/reference/logging/latest")
def test_google_s_clients_configure_and_read_what_entries_became(emulator):
    with emulator.channel() as channel:
        config = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
        metrics = MetricsServiceV2Client(transport=MetricsServiceV2GrpcTransport(channel=channel))
        logs = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))
        monitoring = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
        place = "projects/demo/locations/global"
        created = config.create_bucket_async(
            request={"parent": place, "bucket_id": "app", "bucket": {"retention_days": 2}}
        )
        assert created.result(timeout=10).retention_days == 2
        destination = f"logging.googleapis.com/{place}/buckets/app"
        sink = types.LogSink(name="errors", destination=destination, filter="severity>=ERROR")
        config.create_sink(parent="projects/demo", sink=sink)
        with pytest.raises(AlreadyExists):
            config.create_sink(parent="projects/demo", sink=sink)
        metrics.create_log_metric(
            parent="projects/demo", metric=types.LogMetric(name="errors", filter="severity>=ERROR")
        )
        entries = [types.LogEntry(text_payload=level, severity=level) for level in ("INFO", "ERROR", "ALERT")]
        logs.write_log_entries(log_name="projects/demo/logs/app", resource={"type": "global"}, entries=entries)
        found = logs.list_log_entries(resource_names=[f"{place}/buckets/app/views/_AllLogs"])
        assert [entry.text_payload for entry in found] == ["ERROR", "ALERT"]
        now = emulator.emulator.context.clock.now()
        interval = {"end_time": {"seconds": now // 10**9 + 5}, "start_time": {"seconds": now // 10**9 - 300}}
        (series,) = monitoring.list_time_series(
            request={
                "name": "projects/demo",
                "filter": 'metric.type="logging.googleapis.com/user/errors"',
                "interval": interval,
            }
        )
        assert [point.value.int64_value for point in series.points] == [2]
        assert {one.type for one in logs.list_monitored_resource_descriptors(request={})} >= {"k8s_container"}
        with pytest.raises(NotFound):
            config.get_view(request={"name": f"{place}/buckets/app/views/none"})


def test_both_wires_give_the_same_answer(emulator):
    with emulator.channel() as channel:
        config = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
        over_grpc = list(config.list_sinks(parent="projects/demo"))
    over_rest = rest(emulator, "GET", "v2/projects/demo/sinks")[1]["sinks"]
    assert [types.LogSink.to_dict(sink)["filter"] for sink in over_grpc] == [sink["filter"] for sink in over_rest]
