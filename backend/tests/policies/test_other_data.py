"""Objectives, log-based metrics and saved queries: Google's own messages take them, and what they name is there."""

import re
from pathlib import Path
from typing import Any

import pytest
from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_v3.types import ServiceLevelObjective
from google.protobuf import json_format

from app.emulator.definitions import data_root, render, template_values
from app.emulator.definitions.catalogue import catalogue_metrics
from app.emulator.definitions.document import parse
from app.emulator.logging.query import compile_query
from app.emulator.monitoring.filter import parse_filter
from support.provenance import known_from, our_choice

VALUES = template_values(
    service="items", environment="production", project="my-project", location="europe-west1", host="items.example.com"
)


def files(folder: str) -> list[Path]:
    return sorted((data_root() / folder).rglob("*.yaml.tftpl"))


def read(file: Path, values: dict[str, Any] | None = None) -> dict[str, Any]:
    document = parse(render(file.read_text(encoding="utf-8"), values or VALUES, str(file)), file.name)
    found: dict[str, Any] = document.data
    return found


def names(path: Path) -> str:
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


def of(data: Any, key: str) -> list[str]:
    """Every text below a key whose name ends so."""
    if not isinstance(data, dict):
        return []
    here = [value for name, value in data.items() if isinstance(value, str) and name.lower().endswith(key)]
    return here + [text for value in data.values() for text in of(value, key)]


@known_from(proto="google/monitoring/v3/service.proto")
@pytest.mark.parametrize("file", files("slos"), ids=names)
def test_an_objective_is_googles_message_and_reads_metrics_of_the_catalogue(file: Path) -> None:
    data = read(file)
    message = ServiceLevelObjective()
    json_format.ParseDict(data, ServiceLevelObjective.pb(message))
    assert 0 < message.goal <= 0.9999
    assert data["rollingPeriod"] == "2592000s"
    for text in of(data, "filter"):
        parse_filter(text)
        (name,) = re.findall(r'metric\.type="prometheus\.googleapis\.com/(\w+)/', text)
        labels = {*re.findall(r"metric\.labels\.(\w+)", text)}
        assert labels <= catalogue_metrics()[name]["labels"].keys()


@our_choice("between two bounds of a histogram Cloud Monitoring has to guess")
def test_the_limit_of_the_latency_objective_is_a_bound_of_its_buckets() -> None:
    cut = read(data_root() / "slos" / "latency.yaml.tftpl")["serviceLevelIndicator"]["requestBased"]["distributionCut"]
    assert cut["range"]["max"] in catalogue_metrics()["http_time_to_first_byte_seconds"]["buckets"]


def test_an_objective_follows_the_domain_of_the_metrics() -> None:
    values = template_values(service="items", environment="production", metrics_domain="custom")
    data = read(data_root() / "slos" / "availability.yaml.tftpl", values)
    for text in of(data, "filter"):
        assert 'metric.type="custom.googleapis.com/cloudops/http_request_total" resource.type="generic_task"' in text


@known_from(proto="google/logging/v2/logging_metrics.proto")
@pytest.mark.parametrize("file", files("log_metrics"), ids=names)
def test_a_log_based_metric_is_googles_message_and_its_filter_compiles(file: Path) -> None:
    data = read(file)
    json_format.ParseDict(data, LogMetric.pb(LogMetric()))
    compile_query(data["filter"])
    assert data["name"].startswith("items-production-")
    assert len(data["name"]) <= 100
    declared = {label["key"] for label in data["metricDescriptor"].get("labels", ())}
    assert declared == data.get("labelExtractors", {}).keys()


@our_choice("a service that moves to the other platform, and one that is upgraded, keep their metrics")
def test_a_metric_of_one_name_has_the_same_labels_on_both_platforms() -> None:
    """Cloud Logging refuses to change the labels of a metric that exists."""
    labels: dict[str, Any] = {}
    for file in files("log_metrics"):
        data = read(file)
        assert labels.setdefault(data["name"], data["metricDescriptor"].get("labels")) == data["metricDescriptor"].get(
            "labels"
        )


@pytest.mark.parametrize("file", files("saved_queries"), ids=names)
def test_a_saved_query_compiles_and_carries_service_and_environment(file: Path) -> None:
    data = read(file)
    assert data.keys() == {"displayName", "description", "loggingQuery", "visibility"}
    assert data["displayName"].endswith("(items-production)")
    compile_query(data["loggingQuery"]["filter"])
    assert re.search(r'"\^?items["-]|"items\.example\.com/"', data["loggingQuery"]["filter"])
