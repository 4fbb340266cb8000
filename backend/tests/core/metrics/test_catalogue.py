import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.core.metrics import CatalogueError, MetricsClient, catalogue
from app.core.metrics.cells import Store

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
    ],
)
def test_the_schema_refuses_what_readers_would_ignore(change):
    schema = json.loads((FOLDER / "catalogue.schema.json").read_text())
    metric = {"kind": "counter", "unit": "1", "description": "x", "labels": {}, **change}
    assert list(Draft202012Validator(schema).iter_errors({"metrics": {"x": metric}}))


def test_bounds_of_every_histogram_ascend():
    for metric in catalogue.own().values():
        assert list(metric.buckets) == sorted(metric.buckets), metric.name


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
