import re
from typing import Any

import pytest
from google.cloud import logging_v2, monitoring_dashboard_v1, monitoring_v3
from google.cloud.logging_v2.services import logging_service_v2
from google.cloud.trace_v1.services.trace_service import TraceServiceClient as TraceV1
from google.cloud.trace_v2.services.trace_service import TraceServiceClient as TraceV2

from app.emulator.parts import Parts
from app.emulator.project import Context
from app.emulator.transport.methods import Method, RestMethod, methods, rest_methods

CLIENTS = {
    "google.devtools.cloudtrace.v1.TraceService": TraceV1,
    "google.devtools.cloudtrace.v2.TraceService": TraceV2,
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


def test_a_method_without_installed_messages_is_one_of_the_rest_wire() -> None:
    assert "google.pubsub.v1.Publisher.Publish" in {method.full_name for method in rest_methods()}
    assert not {method.full_name for method in rest_methods()} & {method.full_name for method in methods()}


@pytest.mark.parametrize("service", sorted(Parts(Context()).services))
def test_a_service_object_has_no_method_that_the_table_does_not_know(service: str) -> None:
    known: list[Method | RestMethod] = [*methods(), *rest_methods()]
    attributes = {method.attribute for method in known if method.service == service}
    assert attributes, "the table knows no such service"
    answered = Parts(Context()).services[service]
    told = {name.removesuffix("_json") for name in dir(answered) if name.endswith("_json") and name[0] != "_"}
    assert told <= attributes
