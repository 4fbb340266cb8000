"""Buckets, views, sinks, exclusions, settings: what they refuse and where entries go, at the service objects."""

from typing import Any

import pytest
from google.cloud.logging_v2 import types
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict

from app.emulator.clock import ManualClock
from app.emulator.journal import SqliteJournal
from app.emulator.logging.config_service import ConfigService
from app.emulator.logging.service import LoggingService
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from support.provenance import known_from, our_choice

PROTO = "google/logging/v2/logging_config.proto"
VIEWS = "https://docs.cloud.google.com/logging/docs/logs-views"
GLOBAL = "projects/demo/locations/global"
DEFAULT = f"{GLOBAL}/buckets/_Default"
MINE = f"{GLOBAL}/buckets/mine"
DAY = 86_400
DELETE_REQUESTED = types.LifecycleState.DELETE_REQUESTED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(clock) -> LoggingService:
    return LoggingService(Context(clock=clock))


@pytest.fixture
def config(service: LoggingService) -> ConfigService:
    return service.config


def message(kind: str, **fields: Any) -> Any:
    return ParseDict(fields, getattr(types, kind).pb()())


def write(service, *entries: dict[str, Any]) -> None:
    body = {"logName": "projects/demo/logs/app", "resource": {"type": "global"}, "entries": entries}
    service.write_log_entries(message("WriteLogEntriesRequest", **body))


def texts(service, *names: str, **request: Any) -> list[str]:
    body = {"resourceNames": names or ["projects/demo"], **request}
    return [entry.text_payload for entry in service.list_log_entries(message("ListLogEntriesRequest", **body)).entries]


def bucket(config, bucket_id: str = "mine", location: str = GLOBAL, **fields: Any) -> Any:
    request = message("CreateBucketRequest", parent=location, bucketId=bucket_id, bucket=fields)
    return config.create_bucket(request)


def view(config, view_id: str, text: str, parent: str = DEFAULT) -> Any:
    return config.create_view(message("CreateViewRequest", parent=parent, viewId=view_id, view={"filter": text}))


def sink(config, name: str, to: str = MINE, *, unique: bool = True, **fields: Any) -> Any:
    destination = to if to.partition("/")[0].endswith(".com") else f"logging.googleapis.com/{to}"
    body = {"name": name, "destination": destination, **fields}
    return config.create_sink(
        message("CreateSinkRequest", parent="projects/demo", sink=body, uniqueWriterIdentity=unique)
    )


def update_bucket(config, name: str = MINE, **fields: Any) -> Any:
    request = message("UpdateBucketRequest", name=name, bucket=fields)
    request.update_mask.CopyFrom(FieldMask(paths=_paths(fields)))
    return config.update_bucket(request)


def _paths(fields: dict[str, Any]) -> list[str]:
    return ["".join(f"_{char.lower()}" if char.isupper() else char for char in field) for field in fields]


def refusal(function, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        function(*arguments, **keywords)
    return caught.value


@known_from(docs="https://docs.cloud.google.com/logging/docs/buckets")
def test_a_project_begins_with_two_buckets_and_their_sinks(config):
    found = config.list_buckets(message("ListBucketsRequest", parent=GLOBAL)).buckets
    assert [(one.name, one.retention_days, one.locked) for one in found] == [
        (DEFAULT, 30, False),
        (f"{GLOBAL}/buckets/_Required", 400, True),
    ]
    sinks = config.list_sinks(message("ListSinksRequest", parent="projects/demo")).sinks
    assert [(one.name, one.destination) for one in sinks] == [
        ("_Default", f"logging.googleapis.com/{DEFAULT}"),
        ("_Required", f"logging.googleapis.com/{GLOBAL}/buckets/_Required"),
    ]


@known_from(docs="https://docs.cloud.google.com/logging/docs/routing/overview")
def test_audit_entries_go_to_the_required_bucket_and_all_others_to_the_default_one(service):
    write(
        service,
        {"textPayload": "audit", "logName": "projects/demo/logs/cloudaudit.googleapis.com%2Factivity"},
        {"textPayload": "plain"},
    )
    assert texts(service, f"{DEFAULT}/views/_AllLogs") == ["plain"]
    assert texts(service, f"{GLOBAL}/buckets/_Required/views/_AllLogs") == ["audit"]
    assert texts(service) == ["audit", "plain"]


@known_from(proto=PROTO)
def test_a_bucket_is_created_with_thirty_days_and_times(config, clock):
    created = bucket(config, description="ours")
    assert (created.name, created.retention_days, created.description) == (MINE, 30, "ours")
    assert created.create_time.ToNanoseconds() == created.update_time.ToNanoseconds() == clock.now()
    assert created.lifecycle_state == types.LifecycleState.ACTIVE
    assert config.get_bucket(message("GetBucketRequest", name=MINE)) == created
    assert refusal(bucket, config).code is Code.ALREADY_EXISTS
    everywhere = message("ListBucketsRequest", parent="projects/demo/locations/-")
    bucket(config, location="projects/demo/locations/europe-west1")
    assert len(config.list_buckets(everywhere).buckets) == 4


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bucket_id": "a b"}, "letters, digits, underscores, hyphens and periods"),
        ({"bucket_id": "x" * 101}, "1 to 100"),
        ({"bucket_id": ""}, "missing field bucket_id"),
        ({"retentionDays": 3651}, "between 1 and 3650"),
        ({"retentionDays": -1}, "between 1 and 3650"),
        ({"description": "x" * 8001}, "the limit is 8000"),
        ({"location": "projects/demo"}, "is not of the form"),
        ({"location": "projects/demo/locations/Here"}, "Location 'Here' is not supported"),
    ],
)
def test_a_wrong_bucket_is_refused(config, change, told):
    error = refusal(bucket, config, **change)
    assert (error.code, told in error.message) == (Code.INVALID_ARGUMENT, True), error.message


@known_from(proto=PROTO)
def test_only_the_fields_of_the_mask_change(config, clock):
    bucket(config, description="before")
    clock.advance(5)
    changed = update_bucket(config, retentionDays=7)
    assert (changed.retention_days, changed.description) == (7, "before")
    assert changed.update_time.ToNanoseconds() == clock.now()
    request = message("UpdateBucketRequest", name=MINE, bucket={"description": "x"})
    assert "missing field update_mask" in refusal(config.update_bucket, request).message
    request.update_mask.paths.append("create_time")
    assert "cannot be updated" in refusal(config.update_bucket, request).message


@known_from(proto=PROTO)
def test_a_locked_bucket_keeps_its_retention_and_goes_only_when_empty(service, config):
    bucket(config, retentionDays=10)
    sink(config, "to-mine")
    write(service, {"textPayload": "x"})
    update_bucket(config, locked=True)
    assert "cannot be changed" in refusal(update_bucket, config, retentionDays=20).message
    assert "cannot be undone" in refusal(update_bucket, config, locked=False).message
    delete = message("DeleteBucketRequest", name=MINE)
    error = refusal(config.delete_bucket, delete)
    assert (error.code, error.message) == (
        Code.FAILED_PRECONDITION,
        "Locked buckets may only be deleted if they are empty.",
    )
    service.store.forget_bucket(MINE)
    config.delete_bucket(delete)


@known_from(proto=PROTO)
def test_log_analytics_stays_on(config):
    bucket(config, analyticsEnabled=True)
    assert "cannot be disabled" in refusal(update_bucket, config, analyticsEnabled=False).message


@known_from(proto=PROTO)
def test_a_deleted_bucket_can_be_brought_back_for_seven_days(service, config, clock):
    bucket(config)
    sink(config, "to-mine")
    write(service, {"textPayload": "before"})
    config.delete_bucket(message("DeleteBucketRequest", name=MINE))
    assert config.get_bucket(message("GetBucketRequest", name=MINE)).lifecycle_state == DELETE_REQUESTED
    write(service, {"textPayload": "meanwhile"})
    assert texts(service, f"{MINE}/views/_AllLogs") == []
    clock.advance(6 * DAY)
    config.undelete_bucket(message("UndeleteBucketRequest", name=MINE))
    assert texts(service, f"{MINE}/views/_AllLogs") == ["before", "meanwhile"]
    assert refusal(config.undelete_bucket, message("UndeleteBucketRequest", name=MINE)).code is Code.FAILED_PRECONDITION

    config.delete_bucket(message("DeleteBucketRequest", name=MINE))
    clock.advance(7 * DAY)
    assert refusal(config.get_bucket, message("GetBucketRequest", name=MINE)).code is Code.NOT_FOUND
    assert refusal(config.undelete_bucket, message("UndeleteBucketRequest", name=MINE)).code is Code.NOT_FOUND
    assert texts(service) == ["before", "meanwhile"]  # the bucket _Default has them too


@known_from(docs="https://docs.cloud.google.com/logging/docs/buckets")
@pytest.mark.parametrize("name", ["_Default", "_Required"])
def test_the_two_buckets_and_sinks_of_the_system_stay(config, name):
    delete = message("DeleteBucketRequest", name=f"{GLOBAL}/buckets/{name}")
    assert "cannot be deleted" in refusal(config.delete_bucket, delete).message
    gone = message("DeleteSinkRequest", sinkName=f"projects/demo/sinks/{name}")
    assert "cannot be deleted" in refusal(config.delete_sink, gone).message


@known_from(proto="google/logging/v2/log_entry.proto")
def test_the_retention_of_a_bucket_decides_what_it_still_shows(service, config, clock):
    bucket(config, retentionDays=1)
    sink(config, "to-mine")
    write(service, {"textPayload": "old"})
    clock.advance(2 * DAY)
    write(service, {"textPayload": "new"})
    assert texts(service, f"{MINE}/views/_AllLogs") == ["new"]
    assert texts(service) == ["old", "new"]
    update_bucket(config, DEFAULT, retentionDays=1)
    assert texts(service) == ["new"]


@known_from(proto=PROTO)
def test_an_entry_goes_to_every_bucket_whose_sink_takes_it(service, config):
    bucket(config)
    sink(config, "errors", filter="severity>=ERROR", exclusions=[{"name": "noise", "filter": "textPayload:noise"}])
    write(
        service,
        {"textPayload": "quiet"},
        {"textPayload": "loud", "severity": "ERROR"},
        {"textPayload": "noise", "severity": "ERROR"},
    )
    assert texts(service, f"{MINE}/views/_AllLogs") == ["loud"]
    assert texts(service) == ["quiet", "loud", "noise"]


@known_from(proto=PROTO)
def test_a_disabled_exclusion_excludes_nothing_and_a_disabled_sink_routes_nothing(service, config):
    bucket(config)
    sink(config, "a", exclusions=[{"name": "all", "filter": "severity>=DEFAULT", "disabled": True}])
    write(service, {"textPayload": "first"})
    request = message("UpdateSinkRequest", sinkName="projects/demo/sinks/a", sink={"disabled": True})
    request.update_mask.paths.append("disabled")
    config.update_sink(request)
    write(service, {"textPayload": "second"})
    assert texts(service, f"{MINE}/views/_AllLogs") == ["first"]


@known_from(proto=PROTO)
def test_an_exclusion_of_the_project_is_one_of_the_default_sink(service, config):
    exclusion = {"name": "probes", "filter": 'textPayload:"/health"'}
    created = config.create_exclusion(message("CreateExclusionRequest", parent="projects/demo", exclusion=exclusion))
    assert created.create_time.seconds
    default = config.get_sink(message("GetSinkRequest", sinkName="projects/demo/sinks/_Default"))
    assert [one.name for one in default.exclusions] == ["probes"]
    write(service, {"textPayload": "GET /health"}, {"textPayload": "GET /items"})
    assert texts(service) == ["GET /items"]

    name = "projects/demo/exclusions/probes"
    update = message("UpdateExclusionRequest", name=name, exclusion={"disabled": True})
    update.update_mask.paths.append("disabled")
    assert config.update_exclusion(update).filter == exclusion["filter"]
    assert [
        one.disabled
        for one in config.list_exclusions(message("ListExclusionsRequest", parent="projects/demo")).exclusions
    ] == [True]
    config.delete_exclusion(message("DeleteExclusionRequest", name=name))
    assert refusal(config.get_exclusion, message("GetExclusionRequest", name=name)).code is Code.NOT_FOUND


@known_from(proto=PROTO)
def test_a_sink_that_leaves_the_project_gets_a_writer_and_counts_what_it_would_export(service, config):
    there = "pubsub.googleapis.com/projects/demo/topics/logs"
    unique = sink(config, "unique", there)
    shared = sink(config, "shared", there, unique=False)
    own = sink(config, "own")
    assert unique.writer_identity == "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
    assert shared.writer_identity == "serviceAccount:cloud-logs@system.gserviceaccount.com"
    assert own.writer_identity == ""
    write(service, {"textPayload": "x"})
    assert config.sinks.exported == {there: 2}
    back = message("UpdateSinkRequest", sinkName="projects/demo/sinks/unique", sink={"destination": there})
    assert "set back to false" in refusal(config.update_sink, back).message
    forth = message(
        "UpdateSinkRequest",
        sinkName="projects/demo/sinks/shared",
        sink={"destination": there},
        uniqueWriterIdentity=True,
    )
    assert config.update_sink(forth).writer_identity == unique.writer_identity


@known_from(proto=PROTO)
def test_without_a_mask_a_sink_s_destination_and_filter_are_replaced(config):
    bucket(config)
    sink(config, "a", filter="severity>=ERROR", description="kept")
    body = {"destination": f"logging.googleapis.com/{DEFAULT}"}
    changed = config.update_sink(message("UpdateSinkRequest", sinkName="projects/demo/sinks/a", sink=body))
    assert (changed.destination, changed.filter, changed.description) == (body["destination"], "", "kept")


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "-a"}, "must begin with a letter or digit"),
        ({"name": "a" * 101}, "1 to 100"),
        ({"to": "nowhere.example.com/x"}, "Unsupported sink destination"),
        ({"to": "projects/demo"}, "cannot route to its own project"),
        ({"filter": "severity>="}, "Unparseable filter: syntax error at line 1"),
        ({"exclusions": [{"name": "a"}]}, "missing field exclusion.filter"),
        ({"exclusions": [{"name": "a", "filter": "x"}] * 2}, "different names"),
        ({"exclusions": [{"name": f"e{n}", "filter": "x"} for n in range(51)]}, "at most 50"),
    ],
)
def test_a_wrong_sink_is_refused(config, change, told):
    error = refusal(sink, config, **{"name": "a", **change})
    assert (error.code, told in error.message) == (Code.INVALID_ARGUMENT, True), error.message


@known_from(docs=VIEWS)
def test_a_view_shows_its_part_of_a_bucket(service, config):
    view(config, "app-only", 'LOG_ID("app") AND NOT resource.type="k8s_container"')
    write(
        service,
        {"textPayload": "app"},
        {"textPayload": "other", "logName": "projects/demo/logs/other"},
        {"textPayload": "pod", "resource": {"type": "k8s_container"}},
    )
    assert texts(service, f"{DEFAULT}/views/app-only") == ["app"]
    listed = message("ListLogsRequest", resourceNames=[f"{DEFAULT}/views/app-only"])
    assert service.list_logs(listed).log_names == ["projects/demo/logs/app"]


@known_from(docs=VIEWS)
@pytest.mark.parametrize("text", ['LOG_ID("a") OR LOG_ID("b")', "severity>=ERROR", '"word"', 'resource.type:"k8s"'])
def test_a_view_compares_only_sources_logs_and_resource_types(config, text):
    assert "logical AND" in refusal(view, config, "v", text).message


@known_from(docs=VIEWS)
def test_the_views_of_the_system_hide_data_access_and_cannot_be_changed(service, config):
    names = [
        one.name.rpartition("/")[2] for one in config.list_views(message("ListViewsRequest", parent=DEFAULT)).views
    ]
    assert names == ["_AllLogs", "_Default"]
    write(service, {"textPayload": "x", "logName": "projects/demo/logs/cloudaudit.googleapis.com%2Fdata_access"})
    assert texts(service, f"{DEFAULT}/views/_Default") == []
    assert texts(service, f"{DEFAULT}/views/_AllLogs") == ["x"]
    for name in names:
        change = message("UpdateViewRequest", name=f"{DEFAULT}/views/{name}", view={"filter": ""})
        assert "cannot be changed" in refusal(config.update_view, change).message
    config.delete_view(message("DeleteViewRequest", name=f"{DEFAULT}/views/_AllLogs"))
    error = refusal(config.delete_view, message("DeleteViewRequest", name=f"{DEFAULT}/views/_Default"))
    assert "cannot be deleted" in error.message


@known_from(docs=VIEWS)
def test_a_bucket_has_at_most_thirty_views(config):
    for number in range(28):
        view(config, f"v{number}", "")
    assert "at most 30" in refusal(view, config, "one-more", "").message


@known_from(proto="google/logging/v2/logging.proto")
def test_a_read_names_projects_or_views_that_exist(service, config):
    assert refusal(texts, service, f"{DEFAULT}/views/none").code is Code.NOT_FOUND
    assert refusal(texts, service, f"{MINE}/views/_AllLogs").code is Code.NOT_FOUND
    assert refusal(texts, service, "projects/demo/locations/global").code is Code.INVALID_ARGUMENT
    assert refusal(texts, service, DEFAULT).code is Code.INVALID_ARGUMENT


@known_from(proto="google/logging/v2/logging.proto")
def test_deleting_a_log_empties_the_default_bucket_only(service, config):
    bucket(config)
    sink(config, "to-mine")
    write(service, {"textPayload": "x"})
    service.delete_log(message("DeleteLogRequest", logName="projects/demo/logs/app"))
    assert texts(service, f"{DEFAULT}/views/_AllLogs") == []
    assert texts(service, f"{MINE}/views/_AllLogs") == ["x"]


@known_from(proto=PROTO)
def test_settings_are_kept(config):
    request = message("UpdateSettingsRequest", name="projects/demo", settings={"storageLocation": "europe-west1"})
    request.update_mask.paths.append("storage_location")
    config.update_settings(request)
    assert config.get_settings(message("GetSettingsRequest", name="projects/demo")).storage_location == "europe-west1"
    assert config.get_cmek_settings(message("GetCmekSettingsRequest", name="projects/demo")).service_account_id


@our_choice("the work is done when the call answers; the operation has the bucket, as Terraform's provider demands")
def test_an_asynchronous_creation_is_done_at_once(config):
    request = message("CreateBucketRequest", parent=GLOBAL, bucketId="mine", bucket={"retentionDays": 3})
    operation = config.create_bucket_async(request)
    created, metadata = types.LogBucket.pb()(), types.BucketMetadata.pb()()
    assert operation.done
    assert operation.response.Unpack(created)
    assert operation.metadata.Unpack(metadata)
    assert (created.retention_days, metadata.create_bucket_request) == (3, request)
    assert config.operation(operation.name) == operation


@our_choice("an acknowledged change survives kill -9 when there is a data directory")
def test_a_journal_brings_the_configuration_back_in_its_order(tmp_path, clock):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    service = LoggingService(Context(clock=clock, journal=journal))
    bucket(service.config)
    bucket(service.config, "gone")
    sink(service.config, "late", filter="severity>=ERROR")
    write(service, {"textPayload": "routed", "severity": "ERROR"}, {"textPayload": "default only"})
    service.config.delete_sink(message("DeleteSinkRequest", sinkName="projects/demo/sinks/late"))
    write(service, {"textPayload": "too late", "severity": "ERROR"})
    view(service.config, "v", 'LOG_ID("app")')
    service.config.delete_bucket(message("DeleteBucketRequest", name=f"{GLOBAL}/buckets/gone"))
    clock.advance(8 * DAY)
    service.config.list_buckets(message("ListBucketsRequest", parent=GLOBAL))  # sees that the seven days are over
    journal.close()

    reopened = SqliteJournal(tmp_path / "journal.sqlite")
    again = LoggingService(Context(clock=clock, journal=reopened))
    for kind, record in reopened.replay():
        again.restore(kind, record)
    for names in ([f"{MINE}/views/_AllLogs"], [f"{DEFAULT}/views/v"], ["projects/demo"]):
        assert texts(again, *names) == texts(service, *names)
    assert texts(again, f"{MINE}/views/_AllLogs") == ["routed"]
    everything = message("ListBucketsRequest", parent=GLOBAL)
    assert again.config.list_buckets(everything) == service.config.list_buckets(everything)
    reopened.close()
