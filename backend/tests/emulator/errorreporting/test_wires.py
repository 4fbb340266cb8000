"""Google's own Error Reporting clients against the emulator, over both wires."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest
from google.auth.credentials import AnonymousCredentials
from google.cloud import error_reporting  # type: ignore[attr-defined]  # a namespace package without types
from google.cloud.error_reporting._gapic import _ErrorReportingGapicApi
from google.cloud.errorreporting_v1beta1 import (
    ErrorGroupServiceClient,
    ErrorStatsServiceClient,
    ReportErrorsServiceClient,
    types,
)
from google.cloud.errorreporting_v1beta1.services.error_group_service.transports import ErrorGroupServiceGrpcTransport
from google.cloud.errorreporting_v1beta1.services.error_stats_service.transports import ErrorStatsServiceGrpcTransport
from google.cloud.errorreporting_v1beta1.services.report_errors_service.transports import (
    ReportErrorsServiceGrpcTransport,
)

from app.emulator.transport.methods import methods
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from

DOCS = "https://docs.cloud.google.com/python/docs/reference/clouderrorreporting/latest"
TRACE = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\nKeyError: 1'


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


@known_from(docs=DOCS)
@pytest.mark.parametrize("wire", ["grpc", "rest"])
def test_the_generated_clients_report_list_resolve_and_delete(emulator, wire):
    with emulator.channel() as channel:
        if wire == "grpc":
            report = ReportErrorsServiceClient(transport=ReportErrorsServiceGrpcTransport(channel=channel))
            stats = ErrorStatsServiceClient(transport=ErrorStatsServiceGrpcTransport(channel=channel))
            groups = ErrorGroupServiceClient(transport=ErrorGroupServiceGrpcTransport(channel=channel))
        else:
            options = {"api_endpoint": emulator.http}
            common: dict[str, Any] = {
                "credentials": AnonymousCredentials(),
                "transport": "rest",
                "client_options": options,
            }
            report = ReportErrorsServiceClient(**common)
            stats = ErrorStatsServiceClient(**common)
            groups = ErrorGroupServiceClient(**common)
        event = types.ReportedErrorEvent(message=TRACE, service_context={"service": "items"})
        for _ in range(3):
            report.report_error_event(project_name="projects/demo", event=event)
        event.message = "it broke"
        with pytest.raises(BadRequest, match="must contain a location"):
            report.report_error_event(project_name="projects/demo", event=event)
        request = {"project_name": "projects/demo", "timed_count_duration": {"seconds": 3600}}
        (found,) = stats.list_group_stats(request=request)
        assert found.count == sum(count.count for count in found.timed_counts) == 3
        events = stats.list_events(
            request={"project_name": "projects/demo", "group_id": found.group.group_id, "page_size": 2}
        )
        assert [one.message for one in events] == [TRACE] * 3  # follows the pages
        group = groups.get_group(group_name=found.group.name)
        group.resolution_status = types.ResolutionStatus(types.ResolutionStatus.ACKNOWLEDGED)
        assert groups.update_group(group=group).resolution_status == types.ResolutionStatus.ACKNOWLEDGED
        stats.delete_events(project_name="projects/demo")
        assert not list(stats.list_group_stats(request=request))


@known_from(docs=DOCS)
def test_the_hand_written_client_reports_through_the_api(emulator):
    client = error_reporting.Client(
        project="demo", credentials=AnonymousCredentials(), service="items", version="3", _use_grpc=True
    )
    with emulator.channel() as channel:
        report = ReportErrorsServiceClient(transport=ReportErrorsServiceGrpcTransport(channel=channel))
        client._report_errors_api = _ErrorReportingGapicApi(report, "demo")
        told(client)
    check(emulator)


@known_from(docs=DOCS)
def test_the_hand_written_client_reports_through_a_log_entry_over_http(emulator):
    with requests.Session() as session:
        session.trust_env = False
        client = error_reporting.Client(
            project="demo",
            credentials=AnonymousCredentials(),
            service="items",
            version="3",
            _http=session,
            _use_grpc=False,
            client_options={"api_endpoint": emulator.http},
        )
        # Its logging client takes gRPC whenever that is installed.
        client.report_errors_api.logging_client._use_grpc = False
        told(client)
    check(emulator)


def told(client: error_reporting.Client) -> None:
    context = error_reporting.HTTPContext(method="GET", url="/a", response_status_code=500, remote_ip="10.0.0.1")
    try:
        dict[str, str]()["missing"]
    except KeyError:
        client.report_exception(http_context=context)
    client.report("something went wrong", user="ann")


def check(emulator: RunningEmulator) -> None:
    answer = requests.get(f"{emulator.http}/v1beta1/projects/demo/groupStats", timeout=30).json()
    events = {stats["representative"]["message"].splitlines()[-1]: stats for stats in answer["errorGroupStats"]}
    assert sorted(events) == ["KeyError: 'missing'", "something went wrong"]
    event = events["KeyError: 'missing'"]["representative"]
    assert event["context"]["httpRequest"]["responseStatusCode"] == 500
    assert event["serviceContext"]["service"] == "items"
    assert event["serviceContext"]["version"] == "3"
    reported = events["something went wrong"]["representative"]["context"]
    assert reported["user"] == "ann"
    assert reported["reportLocation"]["functionName"]


def test_the_table_has_the_methods_of_the_installed_clients():
    ours = {method.full_name for method in methods() if "clouderrorreporting" in method.service}
    assert ours == {
        f"google.devtools.clouderrorreporting.v1beta1.{name}"
        for name in (
            "ErrorGroupService.GetGroup",
            "ErrorGroupService.UpdateGroup",
            "ErrorStatsService.DeleteEvents",
            "ErrorStatsService.ListEvents",
            "ErrorStatsService.ListGroupStats",
            "ReportErrorsService.ReportErrorEvent",
        )
    }
