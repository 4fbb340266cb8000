"""WriteLogEntries, ListLogEntries, ListLogs, DeleteLog: rules and refusals, at the service object."""

from typing import Any

import pytest
from google.cloud.logging_v2 import types
from google.protobuf.json_format import ParseDict
from google.rpc.error_details_pb2 import DebugInfo

from app.emulator.clock import ManualClock
from app.emulator.journal import SqliteJournal
from app.emulator.logging.service import LoggingService
from app.emulator.project import Context, Switches
from app.emulator.status import ApiError, Code
from support.provenance import known_from, our_choice

PROTO = "google/logging/v2/logging.proto"
ENTRY_PROTO = "google/logging/v2/log_entry.proto"
LOG = "projects/demo/logs/app"
DAY = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(clock) -> LoggingService:
    return LoggingService(Context(clock=clock))


def write(service, *entries: dict[str, Any], **request: Any) -> Any:
    body = {"logName": LOG, "resource": {"type": "global"}, "entries": entries, **request}
    return service.write_log_entries(ParseDict(body, types.WriteLogEntriesRequest.pb()()))


def listed(service, **request: Any) -> Any:
    body = {"resourceNames": ["projects/demo"], **request}
    return service.list_log_entries(ParseDict(body, types.ListLogEntriesRequest.pb()()))


def texts(service, **request: Any) -> list[str]:
    return [entry.text_payload for entry in listed(service, **request).entries]


def refusal(function, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        function(*arguments, **keywords)
    return caught.value


@known_from(proto=ENTRY_PROTO)
def test_time_and_id_are_filled_in_and_the_order_of_the_request_is_kept(service):
    write(service, *({"textPayload": str(number)} for number in range(300)))
    entries = listed(service, pageSize=1000).entries
    assert [entry.text_payload for entry in entries] == [str(number) for number in range(300)]
    assert all(entry.insert_id and entry.timestamp == entry.receive_timestamp for entry in entries)


@known_from(proto=PROTO)
def test_defaults_of_the_request_fill_what_an_entry_lacks(service):
    write(
        service,
        {"textPayload": "plain"},
        {
            "textPayload": "own",
            "logName": "projects/demo/logs/other",
            "labels": {"a": "own"},
            "resource": {"type": "x"},
        },
        labels={"a": "request", "b": "request"},
    )
    plain, own = listed(service).entries
    assert (plain.log_name, plain.resource.type, dict(plain.labels)) == (
        LOG,
        "global",
        {"a": "request", "b": "request"},
    )
    assert (own.log_name, own.resource.type) == ("projects/demo/logs/other", "x")
    assert dict(own.labels) == {"a": "own", "b": "request"}


@known_from(proto=ENTRY_PROTO)
def test_the_same_time_and_id_twice_is_one_entry(service):
    entry = {"textPayload": "once", "timestamp": "2023-11-14T22:00:00Z", "insertId": "one"}
    write(service, entry)
    write(service, entry, {**entry, "insertId": "two"}, {**entry, "timestamp": "2023-11-14T22:00:01Z"})
    assert len(listed(service).entries) == 3


@known_from(proto=ENTRY_PROTO)
def test_entries_are_ordered_by_time_then_id(service):
    moments = [("2023-11-14T22:00:02Z", "a"), ("2023-11-14T22:00:01Z", "b"), ("2023-11-14T22:00:01Z", "a")]
    for time, insert_id in moments:
        write(service, {"textPayload": f"{time[-3:-1]}{insert_id}", "timestamp": time, "insertId": insert_id})
    assert texts(service) == ["01a", "01b", "02a"]
    assert texts(service, orderBy="timestamp desc") == ["02a", "01b", "01a"]


@known_from(proto=ENTRY_PROTO)
def test_entries_of_next_week_and_of_last_year_are_accepted_and_not_listed(service):
    write(
        service,
        {"textPayload": "early", "timestamp": "2023-11-16T22:13:21Z"},
        {"textPayload": "late", "timestamp": "2022-11-14T22:13:20Z"},
        {"textPayload": "now"},
    )
    assert texts(service) == ["now"]


@known_from(proto=ENTRY_PROTO)
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("/projects/demo/logs/app", "projects/demo/logs/app"),
        ("projects/123456789012/logs/app", "projects/demo/logs/app"),
        ("projects/demo/logs/run.googleapis.com%2Fstdout", "projects/demo/logs/run.googleapis.com%2Fstdout"),
        ("projects/demo/logs/a/b", "projects/demo/logs/a%2Fb"),
    ],
)
def test_a_log_name_is_brought_to_its_one_spelling(service, given, stored):
    write(service, {"textPayload": "x"}, logName=given)
    assert listed(service).entries[0].log_name == stored


@known_from(proto=ENTRY_PROTO)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"logName": ""}, "Log name is missing"),
        ({"logName": "app"}, "not of the form"),
        ({"logName": "projects/demo/logs/a b"}, "Log name contains illegal character ' '"),
        ({"logName": f"projects/demo/logs/{'x' * 512}"}, "fewer than 512"),
        ({"resource": {}}, "A monitored resource must be specified for each log entry."),
        ({"entries": []}, "Request was missing field entries"),
    ],
)
def test_an_incomplete_write_is_refused(service, change, told):
    error = refusal(write, service, **{"entries": [{"textPayload": "x"}], **change})
    assert (error.code, told in error.message) == (Code.INVALID_ARGUMENT, True), error.message


@our_choice("one project is emulated; the real answer depends on the caller's rights")
def test_another_project_is_not_found(service):
    assert refusal(write, service, {"textPayload": "x"}, logName="projects/other/logs/a").code is Code.NOT_FOUND
    assert refusal(listed, service, resourceNames=["projects/other"]).code is Code.NOT_FOUND
    organization = refusal(write, service, {"textPayload": "x"}, logName="organizations/1/logs/a")
    assert organization.code is Code.PERMISSION_DENIED


@known_from(issue="googleapis/nodejs-logging#520")
@pytest.mark.parametrize(("size", "shown"), [(568_950, "555.6K"), (2_411_724, "2.30M")])
def test_an_entry_of_more_than_256_kib_is_refused_in_the_api_s_words(service, size, shown):
    error = refusal(write, service, {"textPayload": "x" * (size - 80)})
    assert error.message == f"Log entry with size {shown} exceeds maximum size of 256.0K"
    assert error.code is Code.INVALID_ARGUMENT
    assert not listed(service).entries


@known_from(proto=PROTO)
def test_without_partial_success_one_bad_entry_rejects_all_and_is_named(service):
    error = refusal(write, service, {"textPayload": "good"}, {"textPayload": "x" * 300_000})
    assert not listed(service).entries
    (debug,) = error.details
    assert isinstance(debug, DebugInfo)
    assert "key: 1 " in debug.detail  # python-logging's Batch.commit looks for this


@known_from(proto=PROTO)
def test_with_partial_success_the_good_entries_are_stored_and_the_bad_ones_named(service):
    bad = {"textPayload": "x" * 300_000}
    error = refusal(write, service, bad, {"textPayload": "good"}, bad, partialSuccess=True)
    assert texts(service) == ["good"]
    partial = next(detail for detail in error.details if isinstance(detail, types.WriteLogEntriesPartialErrors.pb()))
    assert sorted(partial.log_entry_errors) == [0, 2]
    assert partial.log_entry_errors[2].code == Code.INVALID_ARGUMENT
    assert partial.log_entry_errors[2].message == error.message


@known_from(proto=PROTO)
def test_when_nothing_was_written_no_entry_is_named(service):
    error = refusal(write, service, {"textPayload": "x" * 300_000}, partialSuccess=True)
    assert error.details == ()


@known_from(proto=PROTO)
def test_a_dry_run_checks_and_stores_nothing(service):
    write(service, {"textPayload": "x"}, dryRun=True)
    assert not listed(service).entries
    assert refusal(write, service, {"textPayload": "x"}, dryRun=True, logName="").code is Code.INVALID_ARGUMENT


@known_from(proto=ENTRY_PROTO)
def test_long_labels_are_cut_and_end_in_an_ellipsis(service):
    write(service, {"textPayload": "x", "labels": {"k" * 600: "short", "value": "é" * 40_000, "fits": "v" * 65_536}})
    labels = dict(listed(service).entries[0].labels)
    key = next(key for key in labels if key.startswith("kk"))
    assert (len(key.encode()), key[-1]) == (512, "…")
    assert len(labels["value"].encode()) <= 65_536
    assert labels["value"].endswith("é…")
    assert labels["fits"] == "v" * 65_536


@our_choice("Google's OpenTelemetry exporter splits at this size; the text of the refusal is not published")
def test_a_request_of_more_than_10_mib_is_refused(service):
    entries = [{"textPayload": "x" * 250_000}] * 43
    assert "10485760 bytes" in refusal(write, service, *entries).message
    lenient = LoggingService(Context(switches=Switches(log_request_bytes=0)))
    write(lenient, *entries)


@known_from(proto=PROTO)
def test_more_than_1000_parents_in_one_write_are_refused(service):
    entries = [{"textPayload": "x", "logName": f"projects/p{number}/logs/a"} for number in range(1001)]
    assert "1000" in refusal(write, service, *entries).message


@known_from(docs="https://docs.cloud.google.com/logging/docs/view/logging-query-language")
def test_numbers_of_a_payload_are_doubles(service):
    write(service, {"jsonPayload": {"id": 9_007_199_254_740_993}})
    assert listed(service, filter="jsonPayload.id=9007199254740992").entries


@known_from(proto=ENTRY_PROTO)
def test_an_unknown_severity_is_stored_as_it_came(service):
    request = ParseDict({"logName": LOG, "resource": {"type": "global"}}, types.WriteLogEntriesRequest.pb()())
    request.entries.add(severity=250, text_payload="odd")
    service.write_log_entries(request)
    assert texts(service, filter="severity>INFO severity<NOTICE") == ["odd"]


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resourceNames": []}, "resource_names"),
        ({"resourceNames": ["projects/demo"] * 101}, "limit is 100"),
        ({"pageSize": -1}, "page_size -1"),
        ({"pageSize": 1001}, "page_size 1001"),
        ({"orderBy": "severity"}, "order_by 'severity'"),
        ({"filter": "-" * 20_001}, "20000"),
        ({"filter": "a b =="}, "Unparseable filter: syntax error at line 1, column 6, token '='"),
        ({"filter": "nonsense=1"}, "Field not found: 'nonsense'"),
        ({"pageToken": "bm9uc2Vuc2U="}, "page_token doesn't match arguments from the request"),
        ({"pageToken": "é"}, "page_token doesn't match arguments from the request"),
    ],
)
def test_a_wrong_list_request_is_refused(service, change, told):
    error = refusal(listed, service, **change)
    assert (error.code, told in error.message) == (Code.INVALID_ARGUMENT, True), error.message


@known_from(proto=PROTO)
@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_pages_together_hold_everything_once_also_while_more_arrives(service, clock, order):
    write(service, *({"textPayload": str(number)} for number in range(10)))
    found, token = [], ""
    while True:
        page = listed(service, pageSize=3, orderBy=order, pageToken=token)
        found += [int(entry.text_payload) for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
        # Older than everything: it would push a numbered page along.
        write(service, {"textPayload": "-1", "timestamp": "2023-11-14T00:00:00Z", "insertId": "older"})
    expected = list(range(10)) if order.endswith("asc") else [*range(9, -1, -1), -1]
    assert found == expected


@known_from(proto=PROTO)
def test_a_page_token_belongs_to_its_query(service):
    write(service, *({"textPayload": str(number)} for number in range(60)))
    first = listed(service)
    assert len(first.entries) == 50
    assert refusal(listed, service, pageToken=first.next_page_token, filter="severity>=INFO").code == 3
    assert len(listed(service, pageToken=first.next_page_token).entries) == 10


@known_from(proto=PROTO)
def test_logs_are_listed_and_deleted(service):
    write(service, {"textPayload": "a"}, {"textPayload": "b", "logName": "projects/demo/logs/z%2Fy"})
    names = service.list_logs(types.ListLogsRequest.pb()(parent="projects/demo")).log_names
    assert names == [LOG, "projects/demo/logs/z%2Fy"]
    page = service.list_logs(types.ListLogsRequest.pb()(parent="projects/demo", page_size=1))
    rest = service.list_logs(
        types.ListLogsRequest.pb()(parent="projects/demo", page_size=1, page_token=page.next_page_token)
    )
    assert [*page.log_names, *rest.log_names] == names
    service.delete_log(types.DeleteLogRequest.pb()(log_name=LOG))
    assert texts(service) == ["b"]
    assert refusal(service.delete_log, types.DeleteLogRequest.pb()(log_name=LOG)).code is Code.NOT_FOUND


@our_choice("a laptop's memory is bounded, and what gave way is counted")
def test_the_oldest_entries_give_way(clock):
    service = LoggingService(Context(clock=clock, switches=Switches(log_entries_kept=5)))
    for number in range(8):
        write(service, {"textPayload": str(number)})
        clock.advance(1)
    assert texts(service) == ["3", "4", "5", "6", "7"]
    assert service.store.evicted == 3
    small = LoggingService(Context(clock=clock, switches=Switches(log_bytes_kept=4000)))
    write(small, *({"textPayload": "x" * 300} for _ in range(8)))
    assert len(small.store) == 2
    assert small.store.evicted == 6


@known_from(docs="https://docs.cloud.google.com/logging/docs/buckets#custom-retention")
def test_entries_older_than_their_bucket_keeps_them_leave_memory_and_journal(tmp_path, clock):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    service = LoggingService(Context(clock=clock, journal=journal))
    write(service, {"textPayload": "old"})
    audit = "projects/demo/logs/cloudaudit.googleapis.com%2Factivity"
    clock.advance(86_400)
    write(service, {"textPayload": "audited", "logName": audit})
    clock.advance(20 * 86_400)
    write(service, {"textPayload": "new"})
    clock.advance(10 * 86_400)
    service.sweep()
    assert texts(service) == ["audited", "new"]
    assert (len(service.store), service.store.expired, service.store.evicted) == (2, 1, 0)
    assert [b"old" in record.body for record in journal.records()] == [False, False]
    clock.advance(25 * 86_400)
    service.sweep()
    assert texts(service) == ["audited"], "the bucket _Required keeps for 400 days"
    journal.close()


@our_choice("an acknowledged write survives kill -9 when there is a data directory")
def test_a_journal_brings_entries_and_deletions_back(tmp_path, clock):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    service = LoggingService(Context(clock=clock, journal=journal))
    write(service, {"textPayload": "kept"}, {"textPayload": "gone", "logName": "projects/demo/logs/gone"})
    service.delete_log(types.DeleteLogRequest.pb()(log_name="projects/demo/logs/gone"))
    write(service, {"textPayload": "later"})
    journal.close()

    reopened = SqliteJournal(tmp_path / "journal.sqlite")
    again = LoggingService(Context(clock=clock, journal=reopened))
    for kind, record in list(reopened.replay()):
        assert kind.startswith("logging.")
        again.restore(kind, record)
    assert listed(again) == listed(service)
    write(again, {"textPayload": "after the restart"})
    assert texts(again) == ["kept", "later", "after the restart"]
    reopened.close()
