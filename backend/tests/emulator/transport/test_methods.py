import re
from typing import Any

import pytest
from google.cloud import logging_v2, monitoring_dashboard_v1, monitoring_v3
from google.cloud.logging_v2.services import logging_service_v2

from app.emulator.transport.methods import Method, methods

CLIENTS = {
    "google.logging.v2.LoggingServiceV2": logging_service_v2.LoggingServiceV2Client,
    "google.monitoring.dashboard.v1.DashboardsService": monitoring_dashboard_v1.DashboardsServiceClient,
} | {
    f"google.monitoring.v3.{name}": getattr(monitoring_v3, f"{name}Client")
    for name in (
        "AlertPolicyService",
        "GroupService",
        "MetricService",
        "NotificationChannelService",
        "QueryService",
        "ServiceMonitoringService",
        "SnoozeService",
        "UptimeCheckService",
    )
}


@pytest.mark.parametrize("service", CLIENTS)
def test_the_table_has_the_methods_of_the_installed_client(service: str) -> None:
    ours = {method.attribute for method in methods() if method.service == service}
    missing = {name for name in ours if not hasattr(CLIENTS[service], name)}
    assert ours
    assert missing == set()
    theirs = {name for name in vars(CLIENTS[service]) if re.match(r"(create|get|list|update|delete|write|tail)_", name)}
    assert {name for name in theirs if not name.startswith("get_mtls_endpoint") and "operation" not in name} <= ours


@pytest.mark.parametrize("method", methods(), ids=lambda method: str(method.full_name))
def test_every_variable_and_body_of_a_path_is_a_field_of_the_request(method: Method) -> None:
    for rule in method.http:
        names = re.findall(r"\{([^=}]+)", rule.template) + ([rule.body] if rule.body not in {"", "*"} else [])
        for name in names:
            descriptor: Any = method.request.DESCRIPTOR
            for part in name.split("."):
                descriptor = descriptor.fields_by_name[part].message_type


def test_messages_are_those_of_the_installed_clients() -> None:
    table = {method.full_name: method for method in methods()}
    assert (
        table["google.monitoring.v3.MetricService.CreateTimeSeries"].request
        is monitoring_v3.CreateTimeSeriesRequest.pb()
    )
    assert table["google.logging.v2.LoggingServiceV2.TailLogEntries"].client_streams
    assert logging_v2.types.LogEntry.pb().DESCRIPTOR.full_name == "google.logging.v2.LogEntry"
