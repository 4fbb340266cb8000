"""Injected faults and the clock, over HTTP, against Google's own clients on both wires."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core.exceptions import (
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
)
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.monitoring_v3 import MetricServiceClient, TimeSeries
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from app.emulator.clock import ManualClock
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice

LOGS = "google.logging.v2.LoggingServiceV2"
METRICS = "google.monitoring.v3.MetricService"
WHY = "Google's APIs have no such paths: a test steers the emulator with them"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def emulator(clock) -> Iterator[RunningEmulator]:
    with running_emulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
def logs(emulator) -> Iterator[LoggingServiceV2Client]:
    with emulator.channel() as channel:
        yield LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


@pytest.fixture
def metrics(emulator) -> Iterator[MetricServiceClient]:
    with emulator.channel() as channel:
        yield MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))


def control(emulator: RunningEmulator, verb: str, path: str = "faults", **body: Any) -> tuple[int, Any]:
    answer = requests.request(verb, f"{emulator.http}/control/{path}", json=body or None, timeout=30)
    return answer.status_code, answer.json()


def write(logs: LoggingServiceV2Client, *texts: str, partial: bool = False) -> None:
    entries = [types.LogEntry(text_payload=text) for text in texts]
    request = types.WriteLogEntriesRequest(
        log_name="projects/demo/logs/app", resource={"type": "global"}, entries=entries, partial_success=partial
    )
    logs.write_log_entries(request=request, retry=None, timeout=30)


def texts(logs: LoggingServiceV2Client) -> list[str]:
    return [entry.text_payload for entry in logs.list_log_entries(resource_names=["projects/demo"])]


def over_rest(emulator: RunningEmulator) -> tuple[int, str]:
    answer = requests.post(f"{emulator.http}/v2/entries:list", json={"resourceNames": ["projects/demo"]}, timeout=30)
    return answer.status_code, answer.json().get("error", {}).get("status", "")


@our_choice(WHY)
@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("quota", ResourceExhausted, (429, "RESOURCE_EXHAUSTED")),
        ("unavailable", (ServiceUnavailable, RetryError), (503, "UNAVAILABLE")),
        ("permission", PermissionDenied, (403, "PERMISSION_DENIED")),
    ],
)
def test_a_fault_hits_both_wires_as_often_as_it_was_told(emulator, logs, kind, error, status):
    assert control(emulator, "POST", method=f"{LOGS}.*", kind=kind, count=2)[0] == 200
    with pytest.raises(error):
        write(logs, "refused")
    assert over_rest(emulator) == status
    assert over_rest(emulator) == (200, "")
    write(logs, "stored")
    assert texts(logs) == ["stored"]


@our_choice(WHY)
def test_a_client_that_retries_survives_a_short_outage(emulator, logs):
    control(emulator, "POST", method="*.WriteLogEntries", kind="unavailable", count=2, message="gone for a moment")
    entries = [types.LogEntry(text_payload="at last")]
    logs.write_log_entries(log_name="projects/demo/logs/app", resource={"type": "global"}, entries=entries)
    assert texts(logs) == ["at last"]
    assert control(emulator, "GET")[1] == {"faults": []}


@our_choice(WHY)
def test_a_slow_call_waits_and_does_not_keep_others_waiting(emulator, logs):
    control(emulator, "POST", method="*.ListLogEntries", kind="slow", count=1, delay_seconds=0.5)
    began = time.perf_counter()
    future = logs.transport.list_log_entries.future(
        types.ListLogEntriesRequest.pb()(resource_names=["projects/demo"]), timeout=30
    )
    write(logs, "meanwhile")
    assert time.perf_counter() - began < 0.5
    assert len(future.result().entries) == 1
    assert time.perf_counter() - began >= 0.5


@known_from(proto="google/logging/v2/logging.proto")
def test_a_partial_write_of_entries_tells_which_failed(emulator, logs):
    control(emulator, "POST", method="*.WriteLogEntries", kind="partial", count=1)
    with pytest.raises(InvalidArgument) as caught:
        write(logs, "a", "b", "c", "d", partial=True)
    partial = types.WriteLogEntriesPartialErrors.pb()()
    assert any(hasattr(detail, "Unpack") and detail.Unpack(partial) for detail in caught.value.details)
    assert sorted(partial.log_entry_errors) == [0, 2]
    assert texts(logs) == ["b", "d"]
    control(emulator, "POST", method="*.WriteLogEntries", kind="partial", count=1)
    with pytest.raises(InvalidArgument):
        write(logs, "e", "f")
    assert texts(logs) == ["b", "d"]


def series(job: str, seconds: int) -> TimeSeries:
    return TimeSeries(
        metric={"type": "custom.googleapis.com/x"},
        resource={
            "type": "generic_task",
            "labels": {"location": "europe-west1", "namespace": "n", "job": job, "task_id": "t"},
        },
        points=[{"interval": {"end_time": {"seconds": seconds}}, "value": {"double_value": 1}}],
    )


def jobs(metrics: MetricServiceClient, now: int) -> list[str]:
    interval = {"start_time": {"seconds": now - 600}, "end_time": {"seconds": now + 600}}
    found = metrics.list_time_series(
        request={"name": "projects/demo", "filter": 'metric.type="custom.googleapis.com/x"', "interval": interval}
    )
    return sorted(one.resource.labels["job"] for one in found)


@known_from(issue="open-telemetry/opentelemetry-collector-contrib#31507")
def test_a_partial_write_of_series_counts_what_was_written(emulator, metrics, clock):
    now = clock.now() // 10**9
    control(emulator, "POST", method=f"{METRICS}.CreateTimeSeries", kind="partial", count=1)
    with pytest.raises(InvalidArgument, match="One or more TimeSeries could not be written"):
        metrics.create_time_series(name="projects/demo", time_series=[series(job, now) for job in "abc"])
    assert jobs(metrics, now) == ["b"]


@our_choice(WHY)
def test_new_data_is_seen_only_after_its_delay(emulator, logs, metrics, clock):
    write(logs, "new")
    now = clock.now() // 10**9
    metrics.create_time_series(name="projects/demo", time_series=[series("a", now)])
    control(emulator, "POST", method="*.List*", kind="visibility_delay", delay_seconds=120)
    assert texts(logs) == []
    assert jobs(metrics, now) == []
    assert control(emulator, "POST", "clock/advance", seconds=120)[0] == 200
    assert texts(logs) == ["new"]
    assert jobs(metrics, now) == ["a"]


@our_choice(WHY)
def test_a_fault_ends_after_its_seconds_of_the_emulated_clock(emulator, clock):
    control(emulator, "POST", method="*", kind="unavailable", seconds=60)
    assert over_rest(emulator)[0] == 503
    clock.advance(60)
    assert over_rest(emulator)[0] == 200


@our_choice(WHY)
def test_a_probability_with_a_seed_hits_the_same_calls_every_time(emulator):
    def pattern() -> list[int]:
        control(emulator, "POST", method="*", kind="unavailable", probability=0.5, seed=7)
        found = [over_rest(emulator)[0] for _ in range(12)]
        control(emulator, "DELETE")
        return found

    first = pattern()
    assert first == pattern()
    assert set(first) == {200, 503}


@our_choice(WHY)
def test_faults_are_listed_counted_and_taken_back(emulator):
    one = control(emulator, "POST", method="*.ListLogEntries", kind="quota")[1]
    two = control(emulator, "POST", method="*.ListLogs", kind="quota", count=3)[1]
    over_rest(emulator)
    listed = control(emulator, "GET")[1]["faults"]
    assert [(fault["id"], fault["used"]) for fault in listed] == [(one["id"], 1), (two["id"], 0)]
    assert control(emulator, "DELETE", f"faults/{one['id']}") == (200, {"deleted": 1})
    assert control(emulator, "DELETE", f"faults/{one['id']}")[0] == 404
    assert control(emulator, "DELETE") == (200, {"deleted": 1})
    assert over_rest(emulator)[0] == 200


@our_choice(WHY)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"kind": "quota"}, "needs the field 'method'"),
        ({"method": "*"}, "needs the field 'kind'"),
        ({"method": "*", "kind": "fire"}, "no fault of kind 'fire'"),
        ({"method": "*", "kind": "quota", "often": 1}, "no field 'often'"),
        ({"method": "*", "kind": "quota", "count": "1"}, "'count' of a fault has the wrong type"),
        ({"method": "*", "kind": "quota", "count": 0}, "at least 1"),
        ({"method": "*", "kind": "quota", "probability": 0}, "greater than 0"),
        ({"method": "*", "kind": "slow", "delay_seconds": 10_000}, "at most 3600"),
        ({"method": "*.ListLogs", "kind": "partial"}, "is possible for google.logging.v2"),
    ],
)
def test_a_wrong_fault_is_refused(emulator, body, told):
    status, answer = control(emulator, "POST", **body)
    assert (status, told in answer["error"]["message"]) == (400, True), answer


@our_choice(WHY)
def test_the_clock_is_told_and_advanced_when_it_is_a_stepped_one(emulator, clock):
    assert control(emulator, "GET", "clock")[1] == {
        "now": "2023-11-14T22:13:20.000000000Z",
        "nanoseconds": "1700000000000000000",
        "mode": "manual",
    }
    assert control(emulator, "POST", "clock/advance", seconds=90)[1]["now"] == "2023-11-14T22:14:50.000000000Z"
    assert clock.now() == 1_700_000_090 * 10**9
    for wrong in ({}, {"seconds": -1}, {"seconds": True}, {"seconds": 1, "more": 2}, {"seconds": 10**12}):
        assert control(emulator, "POST", "clock/advance", **wrong)[0] == 400


@our_choice(WHY)
def test_real_time_cannot_be_advanced():
    with running_emulator() as emulator:
        assert control(emulator, "GET", "clock")[1]["mode"] == "real"
        status, answer = control(emulator, "POST", "clock/advance", seconds=1)
        assert (status, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")


@our_choice("a web page must not steer an emulator of the same machine")
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_foreign_page_cannot_inject_faults(emulator, headers):
    body = {"method": "*", "kind": "quota"}
    answer = requests.post(f"{emulator.http}/control/faults", json=body, headers=headers, timeout=30)
    assert answer.status_code == 403
    assert control(emulator, "GET")[1] == {"faults": []}
