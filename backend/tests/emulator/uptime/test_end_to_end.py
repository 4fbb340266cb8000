"""From a service that goes down to an incident: checks, metrics, a policy, on a clock that the test moves."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.services.uptime_check_service.transports import UptimeCheckServiceGrpcTransport

from app.emulator.clock import NANOS, FastClock, ManualClock
from app.emulator.uptime.targets import Place
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.uptime import Reply, Site, site
from support.waiting import wait_until

HOST = "shop.example.com"
PROJECT = "projects/demo"
START = 1_760_000_000
PASSED = "monitoring.googleapis.com/uptime_check/check_passed"


@pytest.fixture
def shop() -> Iterator[Site]:
    with site() as running:
        yield running


@pytest.fixture
def emulator(shop: Site) -> Iterator[RunningEmulator]:
    targets = {HOST: Place("127.0.0.1", shop.port)}
    with running_emulator(clock=ManualClock(START * NANOS), uptime_targets=targets) as running:
        yield running


@pytest.fixture
def http(emulator: RunningEmulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=emulator.http, timeout=30) as client:
        yield client


def posted(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = http.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def advance(http: httpx.Client, seconds: float) -> None:
    posted(http, "/control/clock/advance", {"seconds": seconds})


def check(http: httpx.Client, **fields: Any) -> str:
    """Create a check and answer its id."""
    resource = {"type": "uptime_url", "labels": {"host": HOST}}
    body = {"displayName": "Shop", "monitoredResource": resource, "httpCheck": {}, "timeout": "10s"} | fields
    name: str = posted(http, f"/v3/{PROJECT}/uptimeCheckConfigs", body)["name"]
    return name.rpartition("/")[2]


def series(emulator: RunningEmulator, metric: str, check_id: str) -> list[monitoring_v3.TimeSeries]:
    now = emulator.emulator.context.clock.now() // NANOS
    with emulator.channel() as channel:
        client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
        return list(
            client.list_time_series(
                request={
                    "name": PROJECT,
                    "filter": f'metric.type="{PASSED.replace("check_passed", metric)}" '
                    f'metric.labels.check_id="{check_id}"',
                    "interval": {"start_time": {"seconds": now - 3600}, "end_time": {"seconds": now}},
                }
            )
        )


def down_policy(check_id: str) -> dict[str, Any]:
    """The policy that the console makes for an uptime check."""
    return {
        "displayName": "Shop is down",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": "Failing from two places",
                "conditionThreshold": {
                    "filter": f'metric.type="{PASSED}" AND metric.label.check_id="{check_id}" '
                    'AND resource.type="uptime_url"',
                    "comparison": "COMPARISON_GT",
                    "thresholdValue": 1,
                    "duration": "60s",
                    "trigger": {"count": 1},
                    "aggregations": [
                        {
                            "alignmentPeriod": "1200s",
                            "perSeriesAligner": "ALIGN_NEXT_OLDER",
                            "crossSeriesReducer": "REDUCE_COUNT_FALSE",
                            "groupByFields": ["resource.label.*"],
                        }
                    ],
                },
            }
        ],
    }


@known_from(docs="https://cloud.google.com/monitoring/uptime-checks/uptime-alerting-policies")
def test_a_service_that_goes_down_opens_an_incident_and_its_return_closes_it(
    shop: Site, emulator: RunningEmulator, http: httpx.Client
) -> None:
    check_id = check(http)
    posted(http, f"/v3/{PROJECT}/alertPolicies", down_policy(check_id))

    def alerts() -> list[Any]:
        found: list[Any] = http.get(f"/v3/{PROJECT}/alerts").json().get("alerts", [])
        return found

    advance(http, 300)
    assert alerts() == []
    shop.answer = lambda _: Reply(503)
    advance(http, 240)
    (alert,) = alerts()
    assert (alert["state"], alert["resource"]["labels"]["host"]) == ("OPEN", HOST)
    shop.answer = lambda _: Reply()
    advance(http, 300)
    (alert,) = alerts()
    assert alert["state"] == "CLOSED"
    del emulator


@known_from(docs="https://cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-monitoring")
def test_each_place_writes_its_own_series_of_each_metric(
    shop: Site, emulator: RunningEmulator, http: httpx.Client
) -> None:
    check_id = check(http, contentMatchers=[{"content": "ok"}])
    advance(http, 179)
    passed = series(emulator, "check_passed", check_id)
    assert {one.metric.labels["checker_location"] for one in passed} == {
        "usa-oregon", "usa-iowa", "usa-virginia", "eur-belgium", "sa-brazil-sao_paulo", "apac-singapore",
    }  # fmt: skip
    for one in passed:
        assert (one.resource.type, one.resource.labels["host"]) == ("uptime_url", HOST)
        assert [point.value.bool_value for point in one.points] == [True] * 3
    assert all(
        point.value.double_value > 0 for one in series(emulator, "request_latency", check_id) for point in one.points
    )
    assert {point.value.int64_value for one in series(emulator, "http_status", check_id) for point in one.points} == {
        200
    }
    assert not any(
        point.value.bool_value for one in series(emulator, "content_mismatch", check_id) for point in one.points
    )
    assert len(shop.seen) == 18


@known_from(proto="google/monitoring/v3/uptime.proto")
def test_a_check_is_made_as_often_as_its_period_says(shop: Site, emulator: RunningEmulator, http: httpx.Client) -> None:
    check(http, period="300s", selectedRegions=["USA"])
    advance(http, 890)
    assert len(shop.seen) == 3 * 3
    del emulator


@our_choice("a check that may not be made says nothing about the service: a false alarm would be worse")
def test_a_host_that_is_not_this_machine_is_told_not_called(emulator: RunningEmulator, http: httpx.Client) -> None:
    check_id = check(http, monitoredResource={"type": "uptime_url", "labels": {"host": "192.0.2.1"}})
    advance(http, 120)
    shown = http.get("/emulator/v1/uptimeChecks").json()["uptimeChecks"]
    assert len(shown) == 6
    assert all("--allow-targets 192.0.2.1" in one["notMade"] for one in shown)
    assert emulator.emulator.parts.store.series(PASSED) == []
    assert check_id in shown[0]["name"]


@known_from(docs="https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.uptimeCheckConfigs")
def test_failed_checks_are_logged_when_the_check_says_so(
    shop: Site, emulator: RunningEmulator, http: httpx.Client
) -> None:
    quiet, told = check(http), check(http, logCheckFailures=True)
    assert http.get(f"/v3/{PROJECT}/uptimeCheckConfigs/{told}").json()["logCheckFailures"] is True
    assert "logCheckFailures" not in http.get(f"/v3/{PROJECT}/uptimeCheckConfigs/{quiet}").json()
    shop.answer = lambda _: Reply(500)
    advance(http, 30)
    wanted = {"resourceNames": [PROJECT], "filter": 'log_id("monitoring.googleapis.com/uptime_checks")'}
    entries = posted(http, "/v2/entries:list", wanted)["entries"]
    assert {one["labels"]["check_id"] for one in entries} == {told}
    assert {one["jsonPayload"]["httpStatus"] for one in entries} == {500}
    name = f"/v3/{PROJECT}/uptimeCheckConfigs/{told}"
    changed = http.patch(name, params={"updateMask": "logCheckFailures,displayName"}, json={"displayName": "New"})
    assert (changed.json()["displayName"], "logCheckFailures" in changed.json()) == ("New", False)
    only = http.patch(name, params={"updateMask": "logCheckFailures"}, json={"logCheckFailures": True})
    assert only.json()["logCheckFailures"] is True
    listed = http.get(f"/v3/{PROJECT}/uptimeCheckConfigs").json()["uptimeCheckConfigs"]
    assert [one.get("logCheckFailures", False) for one in listed] == [False, True]
    del emulator


@known_from(proto="google/monitoring/v3/uptime.proto")
def test_a_check_of_a_group_looks_at_each_of_its_members(
    shop: Site, emulator: RunningEmulator, http: httpx.Client
) -> None:
    group = posted(http, f"/v3/{PROJECT}/groups", {"displayName": "VMs", "filter": 'resource.type="gce_instance"'})
    now = "2025-10-09T08:53:20Z"
    for instance in ("vm-1", "vm-2"):
        resource = {"type": "gce_instance", "labels": {"instance_id": instance, "zone": "us-central1-a"}}
        point = {"interval": {"endTime": now}, "value": {"int64Value": "1"}}
        posted(
            http,
            f"/v3/{PROJECT}/timeSeries",
            {"timeSeries": [{"metric": {"type": "custom.googleapis.com/up"}, "resource": resource, "points": [point]}]},
        )
    members = emulator.emulator.parts.groups.current_members(group["name"].rpartition("/")[2])
    assert [one.labels["instance_id"] for one in members] == ["vm-1", "vm-2"]
    check(
        http,
        monitoredResource=None,
        resourceGroup={"groupId": group["name"].rpartition("/")[2], "resourceType": "INSTANCE"},
        selectedRegions=["USA"],
    )
    advance(http, 10)
    shown = http.get("/emulator/v1/uptimeChecks").json()["uptimeChecks"]
    assert sorted({one["resource"] for one in shown}) == ["vm-1", "vm-2"]
    refused = http.delete(f"/v3/{group['name']}")
    assert (refused.status_code, "used by the uptime check" in refused.text) == (400, True)
    del shop


@our_choice("a fast clock drives the checks too")
def test_checks_follow_a_fast_clock(shop: Site) -> None:
    targets = {HOST: Place("127.0.0.1", shop.port)}
    with running_emulator(clock=FastClock(600), uptime_targets=targets) as running:
        with httpx.Client(base_url=running.http) as http:
            assert http.get("/control/clock").json()["mode"] == "fast"
            check(http, selectedRegions=["USA"])
        wait_until(
            lambda: len(shop.seen) >= 9, seconds=30, what="three rounds of checks, a minute apart on a fast clock"
        )


@known_from(proto="google/monitoring/v3/uptime_service.proto")
def test_googles_client_lists_where_checks_come_from(emulator: RunningEmulator) -> None:
    with emulator.channel() as channel:
        client = monitoring_v3.UptimeCheckServiceClient(transport=UptimeCheckServiceGrpcTransport(channel=channel))
        assert len(list(client.list_uptime_check_ips(request={}))) == 6
