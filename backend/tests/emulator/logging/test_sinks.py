"""Sinks and exclusions: what they refuse and where entries go, at the service objects."""

import pytest

from app.emulator.clock import ManualClock
from app.emulator.logging.config_service import ConfigService
from app.emulator.logging.service import LoggingService
from app.emulator.project import Context
from app.emulator.status import Code
from support.logging_config import DEFAULT, GLOBAL, MINE, PROTO, bucket, message, refusal, sink, texts, write
from support.provenance import known_from


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(clock) -> LoggingService:
    return LoggingService(Context(clock=clock))


@pytest.fixture
def config(service: LoggingService) -> ConfigService:
    return service.config


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
