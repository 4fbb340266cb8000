from typing import Any

import pytest
from google.cloud import monitoring_v3
from google.protobuf import json_format

from app.emulator.status import ApiError, Code
from support.monitoring import COUNTER, GAUGE, Metrics, count, moment, one
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/v3/metric_service.proto"
METRIC = "google/api/metric.proto"


def declare(metrics: Metrics, **descriptor: Any) -> Any:
    wanted = {"type": GAUGE, "metricKind": "GAUGE", "valueType": "DOUBLE"} | descriptor
    request = monitoring_v3.CreateMetricDescriptorRequest.pb()()
    json_format.ParseDict({"name": "projects/demo", "metricDescriptor": wanted}, request)
    return metrics.service.create_metric_descriptor(request)


def named(metrics: Metrics, message: str, metric: str) -> Any:
    request = getattr(monitoring_v3, message).pb()(name=f"projects/demo/metricDescriptors/{metric}")
    method = {"Get": metrics.service.get_metric_descriptor, "Del": metrics.service.delete_metric_descriptor}[
        message[:3]
    ]
    return method(request)


def listed(metrics: Metrics, **fields: Any) -> list[str]:
    request = json_format.ParseDict(
        {"name": "projects/demo"} | fields, monitoring_v3.ListMetricDescriptorsRequest.pb()()
    )
    return [descriptor.type for descriptor in metrics.service.list_metric_descriptors(request).metric_descriptors]


@known_from(proto=PROTO)
def test_a_new_descriptor_gets_its_name() -> None:
    metrics = Metrics()
    answer = declare(metrics, displayName="Depth", labels=[{"key": "queue", "description": "Its name."}])
    assert answer.name == f"projects/demo/metricDescriptors/{GAUGE}"
    assert named(metrics, "GetMetricDescriptorRequest", GAUGE) == answer


def test_the_slashes_of_a_type_may_be_percent_encoded() -> None:
    metrics = Metrics()
    answer = declare(metrics)
    assert named(metrics, "GetMetricDescriptorRequest", GAUGE.replace("/", "%2F")) == answer


@known_from(proto=PROTO)
def test_declared_again_labels_grow_and_texts_change() -> None:
    metrics = Metrics()
    declare(metrics, description="old", labels=[{"key": "a"}, {"key": "b"}])
    answer = declare(metrics, description="new", labels=[{"key": "c"}, {"key": "a", "description": "A."}])
    assert answer.description == "new"
    assert [(label.key, label.description) for label in answer.labels] == [("a", "A."), ("b", ""), ("c", "")]


@known_from(proto=PROTO)
@pytest.mark.parametrize("change", [{"metricKind": "CUMULATIVE"}, {"valueType": "INT64"}])
def test_kind_and_type_never_change(change: dict[str, str]) -> None:
    metrics = Metrics()
    declare(metrics)
    with pytest.raises(ApiError, match=r"cannot be changed from"):
        declare(metrics, **change)


@known_from(proto=METRIC)
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "run.googleapis.com/request_count"}, "metricDescriptor.type"),
        ({"type": "nothing"}, "metricDescriptor.type"),
        ({"metricKind": "METRIC_KIND_UNSPECIFIED"}, "metricDescriptor.metricKind"),
        ({"metricKind": "DELTA"}, "metricDescriptor.metricKind"),
        ({"valueType": "VALUE_TYPE_UNSPECIFIED"}, "metricDescriptor.valueType"),
        ({"valueType": "MONEY"}, "metricDescriptor.valueType"),
        ({"valueType": "BOOL", "metricKind": "CUMULATIVE"}, "metricDescriptor.metricKind"),
        ({"labels": [{"key": "1a"}]}, "metricDescriptor.labels"),
        ({"labels": [{"key": f"a{n}"} for n in range(31)]}, "metricDescriptor.labels"),
        ({"labels": [{"key": "a"}, {"key": "a"}]}, "metricDescriptor.labels"),
    ],
)
def test_what_cannot_be_declared(change: dict[str, Any], field: str) -> None:
    metrics = Metrics()
    with pytest.raises(ApiError) as caught:
        declare(metrics, **change)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"Field {field} had an invalid value")
    assert metrics.store.descriptors() == []


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-java#159")
def test_workload_metrics_have_string_labels_only() -> None:
    labels = [{"key": "a"}, {"key": "b"}, {"key": "c", "valueType": "INT64"}]
    with pytest.raises(ApiError) as caught:
        declare(Metrics(), type="workload.googleapis.com/x", labels=labels)
    assert caught.value.message == (
        'Field labels[2].valueType had an invalid value of "INT64": Metric labels for this user-defined metric are '
        "required to be of type 'STRING': workload.googleapis.com"
    )


@known_from(proto=METRIC)
def test_string_metrics_are_declared_before_they_are_written() -> None:
    metrics = Metrics()
    declare(metrics, valueType="STRING")
    metrics.write(one("blue", 0))
    assert metrics.values(GAUGE, -1, 0) == [["blue"]]


@our_choice("the code NOT_FOUND is google.aip.dev/131, the sentence is not published")
@pytest.mark.parametrize("message", ["GetMetricDescriptorRequest", "DeleteMetricDescriptorRequest"])
def test_an_unknown_descriptor_is_not_found(message: str) -> None:
    with pytest.raises(ApiError, match=r"Could not find descriptor for metric 'custom.googleapis.com/no'") as caught:
        named(Metrics(), message, "custom.googleapis.com/no")
    assert caught.value.code == Code.NOT_FOUND


@known_from(proto=PROTO)
def test_with_its_descriptor_a_metric_loses_its_data() -> None:
    metrics = Metrics()
    metrics.write(one(1.0, 0), count(1, 0))
    named(metrics, "DeleteMetricDescriptorRequest", GAUGE)
    assert listed(metrics) == [COUNTER]
    metrics.write(one(7, 0))
    assert metrics.values(GAUGE, -1, 0) == [["7"]]
    assert metrics.values(COUNTER, -1, 0) == [["1"]]


@known_from(proto=PROTO)
def test_descriptors_are_listed_by_filter_page_and_activity() -> None:
    metrics = Metrics()
    declare(metrics, type="custom.googleapis.com/idle", labels=[{"key": "zone"}])
    metrics.write(one(1.0, 0), count(1, 0))
    assert listed(metrics) == ["custom.googleapis.com/idle", GAUGE, COUNTER]
    assert listed(metrics, filter='metric.type = starts_with("custom.googleapis.com/q")') == [GAUGE]
    assert listed(metrics, filter="metric.labels:zone") == ["custom.googleapis.com/idle"]
    assert listed(metrics, activeOnly=True) == [GAUGE, COUNTER]
    assert listed(metrics, pageSize=2) == ["custom.googleapis.com/idle", GAUGE]
    assert listed(metrics, pageSize=2, pageToken="2") == [COUNTER]
    metrics.clock.advance(25 * 3600)
    assert listed(metrics, activeOnly=True) == []


@known_from(docs="docs.cloud.google.com/monitoring/api/resources")
def test_monitored_resources_are_described() -> None:
    metrics = Metrics()
    request = monitoring_v3.ListMonitoredResourceDescriptorsRequest.pb()(
        name="projects/demo", filter='resource.type = starts_with("generic_") AND resource.label:node_id'
    )
    [node] = metrics.service.list_monitored_resource_descriptors(request).resource_descriptors
    assert [label.key for label in node.labels] == ["project_id", "location", "namespace", "node_id"]
    get = monitoring_v3.GetMonitoredResourceDescriptorRequest.pb()
    name = "projects/demo/monitoredResourceDescriptors/generic_node"
    assert metrics.service.get_monitored_resource_descriptor(get(name=name)) == node
    with pytest.raises(ApiError, match=r"Could not find descriptor for monitored resource 'toaster'"):
        metrics.service.get_monitored_resource_descriptor(
            get(name="projects/demo/monitoredResourceDescriptors/toaster")
        )


def test_the_time_helper_of_these_tests_is_exact() -> None:
    assert moment(0.001) == "2023-11-14T22:13:20.001000000Z"
