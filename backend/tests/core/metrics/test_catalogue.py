import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.core.metrics import CatalogueError, MetricsClient, catalogue, metrics_client
from app.core.metrics.catalogue import Catalogue, Metric
from app.core.metrics.cells import Store
from support.provenance import known_from
from support.service import observed

FOLDER = Path(catalogue.__file__).parent


def test_the_catalogue_has_the_shape_of_its_schema():
    schema = json.loads((FOLDER / "catalogue.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads((FOLDER / "catalogue.json").read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"bukets": [1]},
        {"labels": {"a": {"values": ["x"], "guard": "route"}}},
        {"kind": "meter"},
        {"kind": "gauge", "across": None},
        {"kind": "gauge"},
        {"across": "sum"},
        {"buckets": [1]},
        {"kind": "histogram"},
        {"labels": {"le": {"values": ["1"]}}},
        {"labels": {"a": {"guard": "address"}}, "kind": "gauge", "across": "sum"},
    ],
)
def test_the_schema_refuses_what_readers_would_ignore(change):
    schema = json.loads((FOLDER / "catalogue.schema.json").read_text())
    good = {"kind": "counter", "unit": "1", "description": "x", "labels": {}}
    metric = {**good, **change}
    assert not list(Draft202012Validator(schema).iter_errors({"metrics": {"x": good}}))
    assert list(Draft202012Validator(schema).iter_errors({"metrics": {"x": metric}}))


def test_bounds_of_every_histogram_ascend():
    for metric in catalogue.own().values():
        assert list(metric.buckets) == sorted(metric.buckets), metric.name


@pytest.mark.parametrize("metric", catalogue.own().values(), ids=lambda metric: metric.name)
def test_prometheus_and_cloud_monitoring_take_every_metric(metric):
    catalogue.check(metric)


def test_the_metrics_stand_in_order():
    names = list(json.loads((FOLDER / "catalogue.json").read_text())["metrics"])
    assert names == sorted(names)


COUNTER: dict[str, Any] = {"name": "x_total", "kind": "counter", "unit": "1", "description": "X.", "labels": {}}
GAUGE = {**COUNTER, "name": "x", "kind": "gauge", "across": "sum"}
HISTOGRAM = {**COUNTER, "name": "x", "kind": "histogram", "unit": "s", "buckets": (1.0, 2.0)}


@pytest.mark.parametrize("good", [COUNTER, GAUGE, HISTOGRAM])
def test_a_good_metric_is_taken(good):
    assert Catalogue().declare(Metric(**good)) == Metric(**good)


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ({**COUNTER, "name": "x"}, "ends in _total"),
        ({**COUNTER, "name": "X_total"}, "small letters"),
        ({**COUNTER, "name": "x" * 95 + "_total"}, "small letters"),
        ({**GAUGE, "name": "x_total"}, "may end in"),
        ({**HISTOGRAM, "name": "x_count"}, "may end in"),
        ({**GAUGE, "across": ""}, "how it adds up"),
        ({**COUNTER, "across": "sum"}, "no `across`"),
        ({**COUNTER, "kind": "summary"}, "kind 'summary'"),
        ({**COUNTER, "unit": "seconds"}, "no UCUM unit"),
        ({**COUNTER, "unit": ""}, "no UCUM unit"),
        ({**COUNTER, "description": " "}, "no description"),
        ({**COUNTER, "buckets": (1.0,)}, "no buckets"),
        ({**HISTOGRAM, "buckets": ()}, "1 to 200 bounds"),
        ({**HISTOGRAM, "buckets": tuple(map(float, range(201)))}, "1 to 200 bounds"),
        ({**HISTOGRAM, "buckets": (1.0, 1.0)}, "ascend"),
        ({**HISTOGRAM, "buckets": (2.0, 1.0)}, "ascend"),
        ({**HISTOGRAM, "buckets": (1.0, float("inf"))}, "finite"),
        ({**COUNTER, "labels": {"Shop": frozenset("a")}}, "label 'Shop'"),
        ({**COUNTER, "labels": {"instance": frozenset("a")}}, "the resource's"),
        ({**COUNTER, "labels": {"le": frozenset("a")}}, "Prometheus' own"),
        ({**COUNTER, "labels": {"shop": frozenset()}}, "empty set"),
        ({**COUNTER, "labels": {"shop": None}}, "neither values nor"),
        ({**COUNTER, "labels": {"shop": None}, "guards": {"shop": "few"}}, "neither values nor"),
        ({**GAUGE, "labels": {"shop": None}, "guards": {"shop": "open"}}, "cannot be open"),
        ({**COUNTER, "labels": {f"l{n}": frozenset("a") for n in range(21)}}, "more than 20"),
    ],
)
def test_what_they_would_refuse_is_refused_where_it_is_declared(metric, problem):
    with pytest.raises(CatalogueError, match=problem):
        Catalogue().declare(Metric(**metric))


@known_from(docs="google/api/metric.proto, MetricDescriptor.unit")
@pytest.mark.parametrize(
    "unit",
    ["1", "s", "ms", "us", "By", "KiBy", "MBy", "bit", "%", "d", "By/s", "{USD}/h", "{request}", "s{CPU}", "1/s"],
)
def test_a_unit_of_the_grammar_is_taken(unit):
    Catalogue().declare(Metric(**{**COUNTER, "unit": unit}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no catalogue"),
        ("[]", "is no catalogue"),
        ('{"metrics": {"x_total": {}}}', "is no catalogue .KeyError"),
        ('{"metrics": {"x_total": {"kind": "counter", "bukets": [1]}}}', r"nobody reads \['bukets'\]"),
        ('{"metrics": {"x": {"kind": "counter", "unit": "1", "description": "X", "labels": {}}}}', "ends in _total"),
    ],
)
def test_a_catalogue_file_that_cannot_be_used_is_named(tmp_path, text, problem):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=f"mine.json.*{problem}"):
        catalogue.read(path)


def test_a_catalogue_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"gone\.json is no catalogue"):
        catalogue.read(tmp_path / "gone.json")


def test_the_files_of_the_environment_are_installed(tmp_path, monkeypatch):
    path = tmp_path / "mine.json"
    catalogue.write([Metric(**COUNTER)], path)
    monkeypatch.setenv("METRICS_CATALOGUE", f" {path} ,")
    catalogue.installed.cache_clear()
    try:
        assert catalogue.installed()["x_total"] == Metric(**COUNTER)
        assert "x_total" not in catalogue.own()
    finally:
        monkeypatch.undo()
        catalogue.installed.cache_clear()


def test_the_files_of_the_settings_are_installed_too(tmp_path):
    path = tmp_path / "mine.json"
    catalogue.write([Metric(**{**COUNTER, "name": "of_the_settings_total"})], path)
    with observed(metrics_catalogue=str(path)):
        assert metrics_client.metrics["of_the_settings_total"].kind == "counter"


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(CatalogueError, match="did you mean http_request_total"):
        MetricsClient(Store()).counter("http_requests_total")


def test_a_metric_of_another_kind_is_refused():
    with pytest.raises(CatalogueError, match="http_requests_in_flight is a gauge, not a counter"):
        MetricsClient(Store()).counter("http_requests_in_flight")


def test_a_missing_label_is_refused():
    with pytest.raises(CatalogueError, match="takes the labels"):
        MetricsClient(Store()).counter("cloudops_dropped_total", labels={"signal": "logs"})


def test_a_value_outside_of_a_closed_set_is_refused():
    with pytest.raises(CatalogueError, match="signal='smoke' is none of"):
        MetricsClient(Store()).counter("cloudops_dropped_total", labels={"signal": "smoke", "reason": "refused"})
