"""The three services of Error Reporting, and what is picked out of log entries."""

from itertools import pairwise
from typing import Any

import pytest
from google.cloud.errorreporting_v1beta1 import types
from google.cloud.logging_v2 import types as logging_types
from google.protobuf.json_format import ParseDict

from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import SqliteJournal
from app.emulator.parts import Parts
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from support.provenance import known_from, our_choice

COMMON = "google/devtools/clouderrorreporting/v1beta1/common.proto"
STATS = "google/devtools/clouderrorreporting/v1beta1/error_stats_service.proto"
REPORT = "google/devtools/clouderrorreporting/v1beta1/report_errors_service.proto"
FORMAT = "https://docs.cloud.google.com/error-reporting/docs/formatting-error-messages"
TRACE = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\n    g()\n{}: no'
EVENT = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
RUN = {"type": "cloud_run_revision", "labels": {"service_name": "items", "revision_name": "items-2"}}
HOUR = 3600


class Cloud:
    def __init__(self, context: Context | None = None) -> None:
        self.clock = ManualClock()
        self.parts = Parts(context or Context(clock=self.clock))
        self.errors = self.parts.errors

    def report(self, message: str = TRACE.format("KeyError"), **event: Any) -> None:
        body = {"serviceContext": {"service": "items", "version": "1"}, "message": message, **event}
        request = ParseDict({"projectName": "projects/demo", "event": body}, types.ReportErrorEventRequest.pb()())
        self.errors.report_error_event(request)

    def log(self, *entries: dict[str, Any], resource: dict[str, Any] = RUN) -> None:
        body = {"logName": "projects/demo/logs/run.googleapis.com%2Fstderr", "resource": resource, "entries": entries}
        self.parts.logging.write_log_entries(ParseDict(body, logging_types.WriteLogEntriesRequest.pb()()))

    def stats(self, **request: Any) -> Any:
        body = {"projectName": "projects/demo", **request}
        return self.errors.list_group_stats(ParseDict(body, types.ListGroupStatsRequest.pb()()))

    def groups(self, **request: Any) -> list[Any]:
        return list(self.stats(**request).error_group_stats)

    def update(self, group: Any, **fields: Any) -> Any:
        body = {"group": {"name": group.name, **fields}}
        return self.errors.update_group(ParseDict(body, types.UpdateGroupRequest.pb()()))


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def refusal(function, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        function(*arguments, **keywords)
    return caught.value


@known_from(proto=STATS)
def test_reported_events_are_counted_in_groups(cloud):
    cloud.report()
    cloud.clock.advance(60)
    cloud.report(context={"user": "ann"})
    cloud.report(TRACE.format("ValueError"), context={"httpRequest": {"remoteIp": "10.0.0.1"}})
    first, second = cloud.groups()
    assert (first.count, second.count) == (2, 1)
    assert (first.affected_users_count, second.affected_users_count) == (1, 1)
    assert first.last_seen_time.ToNanoseconds() - first.first_seen_time.ToNanoseconds() == 60 * NANOS
    assert first.representative.message == TRACE.format("KeyError")
    assert [(one.service, one.version) for one in first.affected_services] == [("items", "1")]
    assert first.num_affected_services == 1
    assert first.group.resolution_status == types.ResolutionStatus.OPEN
    assert first.group.name == f"projects/demo/groups/{first.group.group_id}"


@known_from(docs=FORMAT)
def test_a_reported_event_is_a_log_entry_too(cloud):
    cloud.report()
    request = ParseDict({"resourceNames": ["projects/demo"]}, logging_types.ListLogEntriesRequest.pb()())
    (entry,) = cloud.parts.logging.list_log_entries(request).entries
    assert entry.log_name == "projects/demo/logs/clouderrorreporting.googleapis.com%2Freported_errors"
    assert entry.json_payload["message"] == TRACE.format("KeyError")


@known_from(issue="GoogleCloudPlatform/stackdriver-errors-js#64")
def test_a_message_without_a_stack_needs_a_location(cloud):
    error = refusal(cloud.report, "it broke")
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message == (
        "ReportedErrorEvent.context must contain a location unless `message` contain an exception or stacktrace."
    )
    cloud.report("it broke", context={"reportLocation": {"filePath": "a.py", "lineNumber": 3, "functionName": "f"}})
    (group,) = cloud.groups()
    assert group.representative.context.report_location.line_number == 3


@known_from(proto=REPORT)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"serviceContext": {}}, "missing field event.serviceContext.service"),
        ({"serviceContext": {"service": "a", "resourceType": "global"}}, "must not be set"),
        ({"message": " "}, "missing field event.message"),
        ({"eventTime": "2023-10-01T00:00:00Z"}, "older than 30 days"),
        ({"eventTime": "2023-11-15T22:13:21Z"}, "more than 24 hours in the future"),
    ],
)
def test_a_wrong_report_is_refused(cloud, change, told):
    error = refusal(cloud.report, **change)
    assert (error.code, told in error.message) == (Code.INVALID_ARGUMENT, True), error.message


@known_from(docs=FORMAT)
@pytest.mark.parametrize(
    ("entry", "picked"),
    [
        ({"severity": "ERROR", "textPayload": TRACE.format("KeyError")}, True),
        ({"severity": "CRITICAL", "jsonPayload": {"message": TRACE.format("KeyError")}}, True),
        ({"severity": "ERROR", "jsonPayload": {"message": "m", "stack_trace": TRACE.format("KeyError")}}, True),
        ({"severity": "ERROR", "jsonPayload": {"message": "m", "exception": TRACE.format("KeyError")}}, True),
        ({"severity": "WARNING", "textPayload": TRACE.format("KeyError")}, False),
        ({"severity": "ERROR", "textPayload": "it broke"}, False),
        ({"severity": "ERROR", "jsonPayload": {"message": "it broke"}}, False),
        ({"severity": "INFO", "jsonPayload": {"@type": EVENT, "message": "it broke"}}, True),
        ({"jsonPayload": {"@type": EVENT}}, False),
        ({"jsonPayload": {"serviceContext": {"service": "a"}, "message": TRACE.format("KeyError")}}, True),
        ({"jsonPayload": {"serviceContext": {"service": "a"}, "message": "it broke"}}, False),
        ({"severity": "ERROR", "jsonPayload": {"message": {"not": "text"}}}, False),
    ],
)
def test_errors_are_picked_out_of_log_entries(cloud, entry, picked):
    cloud.log(entry)
    assert bool(cloud.groups()) is picked


@known_from(docs=FORMAT)
def test_of_several_fields_stack_trace_comes_before_exception_and_message(cloud):
    payload = {"stack_trace": TRACE.format("A"), "exception": TRACE.format("B"), "message": TRACE.format("C")}
    cloud.log({"severity": "ERROR", "jsonPayload": payload})
    (group,) = cloud.groups()
    assert group.representative.message == TRACE.format("A")


@known_from(docs=FORMAT)
def test_an_entry_s_context_is_read(cloud):
    context = {
        "user": "ann",
        "httpRequest": {"method": "GET", "url": "/a", "responseStatusCode": 500, "remoteIp": "10.0.0.1"},
        "reportLocation": {"filePath": "a.py", "lineNumber": 7, "functionName": "f"},
    }
    service = {"service": "own", "version": "9"}
    cloud.log({"jsonPayload": {"@type": EVENT, "message": "m", "serviceContext": service, "context": context}})
    (group,) = cloud.groups()
    event = group.representative
    assert (event.service_context.service, event.service_context.version) == ("own", "9")
    assert event.service_context.resource_type == "cloud_run_revision"
    assert (event.context.user, event.context.http_request.response_status_code) == ("ann", 500)
    assert (event.context.report_location.line_number, event.context.http_request.method) == (7, "GET")


@our_choice("service and version of an entry that names none: those of its Cloud Run revision; the request: its own")
def test_an_entry_without_a_context_has_its_resource_s(cloud):
    request = {"requestMethod": "POST", "requestUrl": "/b", "status": 500, "remoteIp": "10.0.0.2"}
    cloud.log({"severity": "ERROR", "textPayload": TRACE.format("KeyError"), "httpRequest": request})
    (group,) = cloud.groups()
    event = group.representative
    assert (event.service_context.service, event.service_context.version) == ("items", "items-2")
    assert (event.context.http_request.method, event.context.http_request.remote_ip) == ("POST", "10.0.0.2")
    assert group.affected_users_count == 1


@known_from(proto=REPORT)
def test_an_entry_that_no_bucket_stores_or_only_one_with_a_key_is_not_looked_at(cloud):
    exclusion = {"name": "traces", "filter": 'textPayload:"Traceback"'}
    cloud.parts.logging.config.create_exclusion(
        ParseDict({"parent": "projects/demo", "exclusion": exclusion}, logging_types.CreateExclusionRequest.pb()())
    )
    entry = {"severity": "ERROR", "textPayload": TRACE.format("KeyError")}
    cloud.log(entry)
    config = cloud.parts.logging.config
    place = {"parent": "projects/demo/locations/global", "bucketId": "secret"}
    bucket = {"cmekSettings": {"kmsKeyName": "projects/demo/locations/global/keyRings/r/cryptoKeys/k"}}
    config.create_bucket(ParseDict({**place, "bucket": bucket}, logging_types.CreateBucketRequest.pb()()))
    sink = {"name": "s", "destination": "logging.googleapis.com/projects/demo/locations/global/buckets/secret"}
    config.create_sink(ParseDict({"parent": "projects/demo", "sink": sink}, logging_types.CreateSinkRequest.pb()()))
    cloud.log(entry)
    assert cloud.groups() == []


@known_from(proto=COMMON)
def test_a_resolved_group_reopens_and_a_muted_one_is_left_out(cloud):
    cloud.report()
    (found,) = cloud.groups()
    issue = [{"url": "https://example.com/1"}]
    changed = cloud.update(found.group, resolutionStatus="RESOLVED", trackingIssues=issue)
    assert changed.tracking_issues[0].url == issue[0]["url"]
    cloud.report()
    again = cloud.errors.get_group(types.GetGroupRequest.pb()(group_name=found.group.name))
    assert again.resolution_status == types.ResolutionStatus.OPEN
    assert len(again.tracking_issues) == 1
    cloud.update(found.group, resolutionStatus="MUTED")
    assert cloud.groups() == []
    assert len(cloud.groups(groupId=[found.group.group_id])) == 1
    assert cloud.update(found.group).resolution_status == types.ResolutionStatus.OPEN
    assert "not the address" in refusal(cloud.update, found.group, trackingIssues=[{"url": "x"}]).message


@known_from(proto="google/devtools/clouderrorreporting/v1beta1/error_group_service.proto")
def test_an_unknown_group_is_not_found(cloud):
    name = "projects/demo/groups/none"
    assert refusal(cloud.errors.get_group, types.GetGroupRequest.pb()(group_name=name)).code is Code.NOT_FOUND
    assert refusal(cloud.update, types.ErrorGroup.pb()(name=name)).code is Code.NOT_FOUND
    located = types.GetGroupRequest.pb()(group_name="projects/demo/locations/global/groups/none")
    assert refusal(cloud.errors.get_group, located).code is Code.NOT_FOUND


@known_from(proto=STATS)
def test_a_time_range_ends_now_and_first_seen_ignores_it(cloud):
    cloud.report()
    cloud.clock.advance(2 * HOUR)
    cloud.report(TRACE.format("ValueError"))
    short = cloud.stats(timeRange={"period": "PERIOD_1_HOUR"})
    assert [stats.count for stats in short.error_group_stats] == [1]
    assert short.time_range_begin.ToNanoseconds() == cloud.clock.now() - HOUR * NANOS
    assert len(cloud.groups(timeRange={"period": "PERIOD_6_HOURS"})) == 2
    cloud.report()
    (seen,) = [
        stats
        for stats in cloud.groups(timeRange={"period": "PERIOD_1_HOUR"})
        if "KeyError" in stats.representative.message
    ]
    assert seen.count == 1
    assert seen.first_seen_time.ToNanoseconds() == cloud.clock.now() - 2 * HOUR * NANOS
    asked = cloud.groups(groupId=[seen.group.group_id], serviceFilter={"service": "other"})
    assert [stats.count for stats in asked] == [0]


@known_from(proto=STATS)
@pytest.mark.parametrize(
    ("alignment", "widths"),
    [("ALIGNMENT_EQUAL_AT_END", [1200, 1200, 1200]), ("ALIGNMENT_EQUAL_ROUNDED", [401, 1200, 1200, 799])],
)
def test_timed_counts_fill_the_range_in_order(cloud, alignment, widths):
    # From 22:13:20 on: twenty minutes begin at 22:20 and 22:40; it ends at 23:13:19.
    for wait in (0, 1800, 1799):
        cloud.clock.advance(wait)
        cloud.report()
    (stats,) = cloud.groups(timeRange={"period": "PERIOD_1_HOUR"}, timedCountDuration="1200s", alignment=alignment)
    counts = stats.timed_counts
    assert [count.end_time.seconds - count.start_time.seconds for count in counts] == widths
    assert sum(count.count for count in counts) == stats.count == 3
    assert all(one.end_time == other.start_time for one, other in pairwise(counts))
    assert counts[-1].end_time.ToNanoseconds() == cloud.clock.now()


@known_from(proto=STATS)
def test_groups_come_in_the_order_asked_for_and_in_pages(cloud):
    for number, name in enumerate(("A", "B", "C")):
        for _ in range(3 - number):
            cloud.report(TRACE.format(f"{name}Error"), context={"user": f"{name}{number}"})
        cloud.clock.advance(1)
    cloud.report(TRACE.format("BError"), context={"user": "one more"})

    def order(**request: Any) -> str:
        return "".join(stats.representative.message.splitlines()[-1][0] for stats in cloud.groups(**request))

    assert order() in {"ABC", "BAC"}  # three each
    assert order(order="LAST_SEEN_DESC") == "BCA"
    assert order(order="CREATED_DESC") == "CBA"
    assert order(order="AFFECTED_USERS_DESC")[0] == "B"
    first = cloud.stats(pageSize=2)
    rest = cloud.stats(pageSize=2, pageToken=first.next_page_token)
    ids = [stats.group.group_id for stats in (*first.error_group_stats, *rest.error_group_stats)]
    assert len(set(ids)) == 3
    assert not rest.next_page_token


@known_from(proto=STATS)
def test_events_of_a_group_are_listed_and_deleted(cloud):
    cloud.report(serviceContext={"service": "items", "version": "1"})
    cloud.clock.advance(1)
    cloud.report(serviceContext={"service": "items", "version": "2"})
    (group,) = cloud.groups()

    def events(**request: Any) -> list[str]:
        body = {"projectName": "projects/demo", "groupId": group.group.group_id, **request}
        found = cloud.errors.list_events(ParseDict(body, types.ListEventsRequest.pb()()))
        return [event.service_context.version for event in found.error_events]

    assert events() == ["2", "1"]
    assert events(serviceFilter={"version": "1"}) == ["1"]
    assert "missing field groupId" in refusal(events, groupId="").message
    cloud.errors.delete_events(types.DeleteEventsRequest.pb()(project_name="projects/demo"))
    assert events() == []
    assert cloud.groups() == []


@our_choice("a laptop's memory is bounded")
def test_the_oldest_events_give_way(cloud, monkeypatch):
    monkeypatch.setattr("app.emulator.errorreporting.store._EVENTS_KEPT", 5)
    for number in range(8):
        cloud.report(context={"user": str(number)})
    (group,) = cloud.groups()
    assert (group.count, cloud.errors.store.forgotten) == (5, 3)


@our_choice("events come back with the log entries, states in their order")
def test_a_journal_brings_groups_events_and_states_back(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    clock = ManualClock()
    cloud = Cloud(Context(clock=clock, journal=journal))
    cloud.report()
    cloud.errors.delete_events(types.DeleteEventsRequest.pb()(project_name="projects/demo"))
    cloud.report()
    cloud.report(TRACE.format("ValueError"))
    resolved, acknowledged = cloud.groups()
    cloud.update(acknowledged.group, resolutionStatus="ACKNOWLEDGED", trackingIssues=[{"url": "https://a.example"}])
    cloud.update(resolved.group, resolutionStatus="RESOLVED")
    journal.close()

    reopened = SqliteJournal(tmp_path / "journal.sqlite")
    again = Cloud(Context(clock=clock, journal=reopened))
    for kind, record in reopened.replay():
        again.parts.restore(kind, record)
    assert again.groups() == cloud.groups()
    assert {stats.count for stats in again.groups()} == {1}
    reopened.close()
