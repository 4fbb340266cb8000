import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.core.metrics import catalogue
from app.emulator.promql.mapping import base_name

FOLDER = Path(catalogue.__file__).parent
METRICS = json.loads((FOLDER / "platform_metrics.json").read_text())["metrics"]


def test_the_list_has_the_shape_of_its_schema():
    schema = json.loads((FOLDER / "platform_metrics.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads((FOLDER / "platform_metrics.json").read_text()))


def test_the_metrics_stand_in_order():
    assert list(METRICS) == sorted(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_its_name_in_promql_is_what_cloud_monitoring_makes_of_the_type(name):
    assert METRICS[name]["promql"] == base_name(name)


@pytest.mark.parametrize("name", METRICS)
def test_kind_and_value_type_go_together(name):
    metric = METRICS[name]
    assert not (metric["value_type"] == "BOOL" and metric["kind"] != "GAUGE")
    assert (metric["resource_type"] == "cloud_run_revision") >= (metric["platform"] == "cloud_run")
    assert metric["resource_type"].startswith("k8s_") == (metric["platform"] == "gke")


def test_none_has_the_name_of_one_of_ours():
    assert not {metric["promql"] for metric in METRICS.values()} & catalogue.own().keys()
