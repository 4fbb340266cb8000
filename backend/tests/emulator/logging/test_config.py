"""Buckets, views and settings: what they refuse and what they show, at the service objects."""

import pytest
from google.cloud.logging_v2 import types

from app.emulator.clock import ManualClock
from app.emulator.journal import SqliteJournal
from app.emulator.logging.config_service import ConfigService
from app.emulator.logging.service import LoggingService
from app.emulator.project import Context
from app.emulator.status import Code
from support.logging_config import (
    DEFAULT,
    GLOBAL,
    MINE,
    PROTO,
    bucket,
    message,
    refusal,
    sink,
    texts,
    update_bucket,
    view,
    write,
)
from support.provenance import known_from, our_choice

VIEWS = "https://docs.cloud.google.com/logging/docs/logs-views"
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
