"""Log-based metrics: what they refuse, and the points that entries become."""

from typing import Any

import pytest
from google.cloud.logging_v2 import types
from google.protobuf.json_format import ParseDict

from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import MemoryJournal, SqliteJournal
from app.emulator.logging.suite import CloudLogging
from app.emulator.monitoring.store import MetricStore, Series
from app.emulator.project import Context
from app.emulator.promql.cloud import CloudSource
from app.emulator.promql.evaluate import instant
from app.emulator.status import ApiError, Code
from support.provenance import known_from, our_choice

PROTO = "google/logging/v2/logging_metrics.proto"
DOCS = "https://docs.cloud.google.com/logging/docs/logs-based-metrics"
TROUBLE = "https://docs.cloud.google.com/logging/docs/logs-based-metrics/troubleshooting"
TYPE = "logging.googleapis.com/user/orders"
RUN = {"type": "cloud_run_revision", "labels": {"service_name": "items", "location": "europe-west1"}}
LATENCY = {
    "metricDescriptor": {"metricKind": "DELTA", "valueType": "DISTRIBUTION", "unit": "s"},
    "valueExtractor": "EXTRACT(httpRequest.latency)",
    "bucketOptions": {"explicitBuckets": {"bounds": [0.1, 1]}},
}


class Cloud:
    def __init__(self, journal: SqliteJournal | None = None) -> None:
        self.clock = ManualClock()
        self.context = Context(clock=self.clock, journal=journal or MemoryJournal())
        self.store = MetricStore()
        self.logging = CloudLogging(self.context, self.store)

    def create(self, name: str = "orders", text: str = 'textPayload:"order"', **fields: Any) -> Any:
        metric = {"name": name, "filter": text, **fields}
        request = ParseDict({"parent": "projects/demo", "metric": metric}, types.CreateLogMetricRequest.pb()())
        return self.logging.metrics.create_log_metric(request)

    def update(self, name: str = "orders", text: str = 'textPayload:"order"', **fields: Any) -> Any:
        body = {"metricName": f"projects/demo/metrics/{name}", "metric": {"filter": text, **fields}}
        return self.logging.metrics.update_log_metric(ParseDict(body, types.UpdateLogMetricRequest.pb()()))

    def write(self, *entries: dict[str, Any], resource: dict[str, Any] = RUN) -> None:
        body = {"logName": "projects/demo/logs/app", "resource": resource, "entries": entries}
        self.logging.entries.write_log_entries(ParseDict(body, types.WriteLogEntriesRequest.pb()()))

    def series(self, name: str = "orders") -> list[Series]:
        return self.store.series(f"logging.googleapis.com/user/{name}")

    def total(self, name: str = "orders") -> float:
        return sum(float(series.window(0, 2**62).values.sum()) for series in self.series(name))


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def refusal(function, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        function(*arguments, **keywords)
    return caught.value


@known_from(proto=PROTO)
def test_a_counter_counts_matching_entries_on_their_resource_from_its_creation_on(cloud):
    cloud.write({"textPayload": "order 1"})
    cloud.create()
    cloud.write({"textPayload": "order 2"}, {"textPayload": "order 3"}, {"textPayload": "else"})
    (series,) = cloud.series()
    assert (series.kind, series.value_type, series.resource_type) == ("DELTA", "INT64", "cloud_run_revision")
    assert series.resource_labels == {"project_id": "demo", "service_name": "items", "location": "europe-west1"}
    assert cloud.total() == 2


@known_from(proto=PROTO)
def test_the_descriptor_of_a_metric_is_the_server_s(cloud):
    created = cloud.create(description="Orders taken")
    descriptor = created.metric_descriptor
    assert (descriptor.type, descriptor.unit, descriptor.description) == (TYPE, "1", "Orders taken")
    assert descriptor.name == f"projects/demo/metricDescriptors/{TYPE}"
    assert (descriptor.metric_kind, descriptor.value_type) == (descriptor.DELTA, descriptor.INT64)
    assert cloud.store.descriptor(TYPE) == descriptor
    assert created.create_time.ToNanoseconds() == cloud.clock.now()


@known_from(docs=DOCS)
def test_excluded_entries_count_too_and_a_bucket_s_metric_counts_only_its_own(cloud):
    bucket = "projects/demo/locations/global/buckets/_Required"
    cloud.create()
    cloud.create("audits", "logName:*", bucketName=bucket)
    exclusion = {"name": "all", "filter": "severity>=DEFAULT"}
    cloud.logging.entries.config.create_exclusion(
        ParseDict({"parent": "projects/demo", "exclusion": exclusion}, types.CreateExclusionRequest.pb()())
    )
    cloud.write({"textPayload": "order"})
    cloud.write({"textPayload": "x", "logName": "projects/demo/logs/cloudaudit.googleapis.com%2Factivity"})
    assert (cloud.total(), cloud.total("audits")) == (1, 1)


@known_from(docs=TROUBLE)
def test_an_entry_of_yesterday_or_of_the_next_hour_is_not_counted(cloud):
    cloud.create()
    cloud.write(
        {"textPayload": "order", "timestamp": "2023-11-13T22:13:19Z"},
        {"textPayload": "order", "timestamp": "2023-11-14T22:23:21Z"},
        {"textPayload": "order", "timestamp": "2023-11-14T22:23:19Z"},
    )
    assert cloud.total() == 1


@known_from(proto=PROTO)
def test_labels_are_extracted_and_have_a_default_where_that_fails(cloud):
    keys = [
        {"key": "method"},
        {"key": "status", "valueType": "INT64"},
        {"key": "big", "valueType": "BOOL"},
        {"key": "level"},
    ]
    cloud.create(
        text="logName:*",
        metricDescriptor={"labels": keys},
        labelExtractors={
            "method": 'REGEXP_EXTRACT(jsonPayload.line, "^(\\\\w+) ")',
            "status": "EXTRACT(jsonPayload.status)",
            "big": "EXTRACT(jsonPayload.big)",
            "level": "EXTRACT(severity)",
        },
    )
    cloud.write(
        {"jsonPayload": {"line": "GET /a", "status": 200, "big": True}, "severity": "ERROR"},
        {"jsonPayload": {"line": "?", "status": "none"}},
    )
    assert [series.metric_labels for series in cloud.series()] == [
        {"method": "GET", "status": "200", "big": "true", "level": "ERROR"},
        {"method": "", "status": "0", "big": "false", "level": "DEFAULT"},
    ]


@known_from(proto=PROTO)
def test_a_distribution_records_the_values_that_are_numbers(cloud):
    cloud.create(text="httpRequest.latency:*", **LATENCY)
    for latency in ("0.05s", "0.5s", "2.5s"):
        cloud.write({"httpRequest": {"latency": latency}})
    (series,) = cloud.series()
    points = series.window(0, 2**62)
    assert points.distributions is not None
    assert points.distributions.counts.tolist() == [3]
    assert points.distributions.buckets.tolist() == [[1, 1, 1]]
    assert points.values[0] == pytest.approx(3.05 / 3)
    cloud.create(
        "text",
        "textPayload:*",
        **{**LATENCY, "valueExtractor": 'REGEXP_EXTRACT(textPayload, "took (\\\\S+) s")'},
    )
    cloud.write({"textPayload": "took 0.2 s"}, {"textPayload": "took long s"}, {"textPayload": "nothing"})
    (series,) = cloud.series("text")
    assert series.window(0, 2**62).distributions.counts.tolist() == [1]


@our_choice("a point grows for ten seconds, so that whoever watches sees a count at once and a flood makes few points")
def test_entries_within_ten_seconds_are_one_point(cloud):
    cloud.create()
    for _ in range(25):
        cloud.write({"textPayload": "order"})
        cloud.clock.advance(1)
    (series,) = cloud.series()
    points = series.window(0, 2**62)
    assert points.values.tolist() == [10, 10, 5]
    assert points.starts.tolist()[1:] == points.ends.tolist()[:-1]


@our_choice("two writes in one instant of a clock that stands still")
def test_writes_in_the_same_instant_add_up(cloud):
    cloud.create()
    for _ in range(3):
        cloud.write({"textPayload": "order"})
    cloud.update(description="changed meanwhile")
    cloud.write({"textPayload": "order"})
    (series,) = cloud.series()
    points = series.window(0, 2**62)
    assert points.values.sum() == 4
    assert (points.ends[1:] > points.ends[:-1]).all()


@our_choice("a silence is a point of zero: without it increase() would see one sample after it, and no change")
@pytest.mark.parametrize("distribution", [False, True])
def test_increase_sees_the_first_entries_after_an_hour_of_silence(cloud, distribution):
    name = "logging_googleapis_com:user_orders" + ("_count" if distribution else "")
    cloud.create(text="logName:*", **(LATENCY if distribution else {}))
    for _ in range(2):
        cloud.write(*[{"httpRequest": {"latency": "0.2s"}}] * 5)
        cloud.clock.advance(3600)
        cloud.write(*[{"httpRequest": {"latency": "0.2s"}}] * 5)
        found = instant(
            f'increase({name}{{monitored_resource="cloud_run_revision"}}[5m])',
            CloudSource(cloud.store, cloud.context),
            cloud.clock.now() // 1_000_000,
        )
        ((_, value, _),) = found.samples
        assert value >= 5


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "/a"}, "must not begin with a slash"),
        ({"name": "a b"}, "1 to 100 characters"),
        ({"name": "a" * 101}, "1 to 100 characters"),
        ({"text": " "}, "missing field metric.filter"),
        ({"text": "severity>="}, "Unparseable filter: syntax error"),
        ({"description": "x" * 8001}, "limit is 8000"),
        ({"bucketName": "projects/demo/locations/global/buckets/none"}, "does not exist"),
        ({"metricDescriptor": {"metricKind": "GAUGE"}}, "kind DELTA, not GAUGE"),
        ({"metricDescriptor": {"valueType": "DOUBLE"}}, "INT64 or DISTRIBUTION, not DOUBLE"),
        ({"metricDescriptor": {"valueType": "DISTRIBUTION"}}, "needs a value_extractor"),
        ({**LATENCY, "bucketOptions": {}}, "needs bucket_options"),
        ({**LATENCY, "bucketOptions": {"explicitBuckets": {"bounds": [2, 1]}}}, "must increase"),
        ({**LATENCY, "valueExtractor": "httpRequest.latency"}, "EXTRACT(field) or REGEXP_EXTRACT(field, regex)"),
        ({**LATENCY, "valueExtractor": "EXTRACT(nonsense)"}, "Field not found: 'nonsense'"),
        ({**LATENCY, "valueExtractor": 'REGEXP_EXTRACT(textPayload, "a")'}, "exactly one group, it has 0"),
        ({"valueExtractor": "EXTRACT(jsonPayload.a)"}, "needs a metric_descriptor with the value type DISTRIBUTION"),
        ({"metricDescriptor": {"labels": [{"key": "a"}]}}, "has no extractor"),
        ({"labelExtractors": {"a": "EXTRACT(severity)"}}, "which is no label"),
        (
            {
                "metricDescriptor": {"labels": [{"key": f"k{n}"} for n in range(11)]},
                "labelExtractors": {f"k{n}": "EXTRACT(severity)" for n in range(11)},
            },
            "at most 10 labels",
        ),
    ],
)
def test_a_wrong_metric_is_refused(cloud, change, told):
    error = refusal(cloud.create, **change)
    assert told in error.message
    assert error.code in {Code.INVALID_ARGUMENT, Code.NOT_FOUND}


@known_from(proto=PROTO)
def test_kind_type_and_labels_are_fixed_but_labels_may_be_added(cloud):
    label = {"key": "level"}
    extractors = {"level": "EXTRACT(severity)"}
    cloud.create(metricDescriptor={"labels": [label]}, labelExtractors=extractors)
    assert "cannot be updated" in refusal(cloud.update, **LATENCY).message
    assert "cannot be removed or modified" in refusal(cloud.update).message
    more = {"labels": [label, {"key": "log"}]}
    changed = cloud.update(metricDescriptor=more, labelExtractors={**extractors, "log": "EXTRACT(logName)"})
    assert [one.key for one in changed.metric_descriptor.labels] == ["level", "log"]
    cloud.write({"textPayload": "order"})
    assert cloud.series()[0].metric_labels["log"] == "projects/demo/logs/app"


@known_from(proto=PROTO)
def test_an_update_of_a_metric_that_does_not_exist_creates_it(cloud):
    assert cloud.update("nginx%2Frequests").name == "nginx/requests"
    metrics = cloud.logging.metrics
    got = metrics.get_log_metric(types.GetLogMetricRequest.pb()(metric_name="projects/demo/metrics/nginx%2Frequests"))
    assert got.metric_descriptor.type == "logging.googleapis.com/user/nginx/requests"
    assert refusal(cloud.create, "nginx/requests").code is Code.ALREADY_EXISTS
    metrics.delete_log_metric(types.DeleteLogMetricRequest.pb()(metric_name="projects/demo/metrics/nginx%2Frequests"))
    assert not metrics.list_log_metrics(types.ListLogMetricsRequest.pb()(parent="projects/demo")).metrics
    assert cloud.store.descriptor("logging.googleapis.com/user/nginx/requests") is None


@known_from(proto=PROTO)
def test_a_disabled_metric_makes_no_points(cloud):
    cloud.create(disabled=True)
    cloud.write({"textPayload": "order"})
    assert cloud.series() == []


@our_choice("points of log-based metrics come back from the entries, which are journalled even when no bucket has them")
def test_a_journal_brings_metrics_and_their_points_back(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    cloud = Cloud(journal)
    cloud.create()
    cloud.write({"textPayload": "order", "timestamp": "2023-11-14T22:13:20Z"})
    cloud.clock.advance(120)
    cloud.logging.entries.config.create_exclusion(
        ParseDict(
            {"parent": "projects/demo", "exclusion": {"name": "all", "filter": "severity>=DEFAULT"}},
            types.CreateExclusionRequest.pb()(),
        )
    )
    cloud.write({"textPayload": "order"}, {"textPayload": "order"})
    journal.close()

    reopened = SqliteJournal(tmp_path / "journal.sqlite")
    again = Cloud(reopened)
    for kind, record in reopened.replay():
        again.logging.restore(kind, record)
    (before,), (after,) = cloud.series(), again.series()
    for column in ("starts", "ends", "values"):
        assert getattr(after.window(0, 2**62), column).tolist() == getattr(before.window(0, 2**62), column).tolist()
    assert after.window(0, 2**62).values.tolist() == [1, 0, 2]
    assert (after.window(0, 2**62).ends[-1] - cloud.clock.now()) // NANOS == 0
    reopened.close()
