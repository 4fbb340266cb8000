"""The demo's line without its display, asserted through Google's own clients: `make smoke`."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import grpc
import pytest
from google.cloud import logging_v2, monitoring_v3
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.monitoring_v3.services.alert_policy_service.transports import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from demo.line import Line
from demo.traffic import API, ORDINARY, Call
from demo.view import State

PROJECT = "projects/demo"
LIMIT_SECONDS = 40.0
FAILING = (
    (1.0, lambda _dice, _items: Call("GET", f"{API}/fail", f"{API}/fail?status=503")),
    *ORDINARY,
)

# Nothing of ours in this one: the address is the only thing that differs from production.
UNMODIFIED = """
import sys
from google.auth.credentials import AnonymousCredentials
from google.cloud.monitoring_v3 import AlertPolicyServiceClient
client = AlertPolicyServiceClient(
    credentials=AnonymousCredentials(), client_options={"api_endpoint": sys.argv[1]}
)
print(*(policy.display_name for policy in client.list_alert_policies(name="projects/demo")))
"""


async def test_from_a_real_request_to_a_fired_alert():
    async with Line(free_ports=True, tls=True, policies=["high_error_rate"]) as line:
        line.driver.per_second = 20.0
        async with line.driver.sending():
            await asyncio.sleep(2)  # healthy traffic first, as in life
            line.driver.mix = FAILING
            state = await _until_the_alert_is_told(line)
        assert await line.stop_service() == 128 + signal.SIGTERM  # uvicorn raises it again after it has ended cleanly

        assert [one.policy for one in state.incidents if one.closed is None] == ["high_error_rate"]
        payload = line.receiver.payloads[0]
        assert (payload["version"], payload["incident"]["state"]) == ("1.2", "open")

        ledger = dict(line.driver.ledger.by_route())
        assert line.driver.ledger.unanswered == 0
        with grpc.insecure_channel(line.addresses["grpc"]) as channel:
            assert _requests_by_googles_client(channel) == ledger
            assert _access_entries_by_googles_client(channel) == sum(ledger.values())
            assert _policies_by_googles_client(channel) == ["High error rate on items-demo"]
        assert _policies_by_an_unmodified_client(line) == "High error rate on items-demo"


async def _until_the_alert_is_told(line: Line) -> State:
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        state = await line.look()
        if line.receiver.payloads and any(one.closed is None for one in state.incidents):
            return state
        if time.monotonic() > deadline:
            pytest.fail(f"no alert within {LIMIT_SECONDS} s: {state}, {line.receiver.payloads}")
        await asyncio.sleep(0.2)


def _requests_by_googles_client(channel: grpc.Channel) -> dict[tuple[str, str, int], int]:
    client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
    now = int(time.time()) + 5
    request = monitoring_v3.ListTimeSeriesRequest(
        name=PROJECT,
        filter='metric.type = "prometheus.googleapis.com/http_request_total/counter"',
        interval=monitoring_v3.TimeInterval(end_time={"seconds": now}, start_time={"seconds": now - 600}),
        view=monitoring_v3.ListTimeSeriesRequest.TimeSeriesView.FULL,
    )
    counts: dict[tuple[str, str, int], int] = {}
    for one in client.list_time_series(request):
        labels = one.metric.labels
        if not labels["endpoint"].startswith("/health"):
            key = (labels["endpoint"], labels["method"], int(labels["status_code"]))
            counts[key] = counts.get(key, 0) + round(one.points[0].value.double_value)
    return counts


def _access_entries_by_googles_client(channel: grpc.Channel) -> int:
    client = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))
    request = logging_v2.types.ListLogEntriesRequest(
        resource_names=[PROJECT],
        filter='resource.type="cloud_run_revision" jsonPayload.logger="fastapi_cloudops.access"',
        page_size=1000,
    )
    entries = list(client.list_log_entries(request))
    assert all(entry.http_request.status and entry.trace.startswith("projects/demo/traces/") for entry in entries)
    return len(entries)


def _policies_by_googles_client(channel: grpc.Channel) -> list[str]:
    transport = AlertPolicyServiceGrpcTransport(channel=channel)
    client = monitoring_v3.AlertPolicyServiceClient(transport=transport)
    return [policy.display_name for policy in client.list_alert_policies(name=PROJECT)]


def _policies_by_an_unmodified_client(line: Line) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", UNMODIFIED, line.addresses["grpc_tls"]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": line.addresses["certificate"]},
    )
    return answer.stdout.strip()
