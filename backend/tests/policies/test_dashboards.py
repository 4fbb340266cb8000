"""Each dashboard over synthetic data: every query answers, in every domain; and the form of the files."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerttest.series import Writer, series_of
from app.emulator.clock import NANOS, ManualClock
from app.emulator.definitions import Definition, data_root, load
from app.emulator.definitions.catalogue import catalogue_metrics
from app.emulator.logging.query import compile_query
from app.emulator.parts import Parts
from app.emulator.project import Context, Switches
from app.emulator.promql.evaluate import evaluate_range
from support.provenance import our_choice

VARIABLES = {
    "service": "items",
    "environment": "production",
    "project": "demo",
    "location": "europe-west1",
    "host": "items.example.com",
}
# Monday 2026-01-05, midnight UTC.
START = 1_767_571_200 * NANOS
MINUTES = 90
# What a service puts into labels without listed values.
SAMPLES = {
    "route": ["/items", "/orders"],
    "status_code": ["200", "429", "500"],
    "address": ["203.0.113.7", "other"],
    "account": ["6f1d"],
    "type": ["KeyError"],
    "declared": ["a"],
}
OWN = ("system_overview", "authentication", "rate_limiting", "content_generation", "operations", "performance", "slo")


@cache
def dashboards(domain: str = "prometheus") -> dict[str, Definition]:
    loaded = load(data_root(), {**VARIABLES, "metrics_domain": domain})
    return {one.key: one for one in loaded if one.kind == "dashboard"}


@cache
def emulator(domain: str) -> Parts:
    """One that holds an hour and a half of every metric of the catalogue."""
    clock = ManualClock(START + (MINUTES + 1) * 60 * NANOS)
    parts = Parts(Context(project_id="demo", clock=clock, switches=Switches(minimum_gap_seconds=0.0)))
    given = {**VARIABLES, "metrics_domain": domain}
    for name, facts in catalogue_metrics().items():
        values = {
            "counter": f"0+3x{MINUTES}",
            "gauge": f"1x{MINUTES}",
            "histogram": "{{count:20 p50:0.2 p95:0.9 p99:2}}" + f"x{MINUTES}",
        }[facts["kind"]]
        choices = [rule.get("values") or SAMPLES[rule["guard"]] for rule in facts["labels"].values()]
        for combination in product(*choices):
            labels = dict(zip(facts["labels"], combination, strict=True))
            kind = facts["kind"]
            series = series_of(name, values, interval=60, variables=given, labels=labels, kind=kind)
            writer = Writer(series, START)
            while not writer.done:
                request = types.CreateTimeSeriesRequest.pb()(name="projects/demo", time_series=[writer.take()])
                parts.metrics.create_time_series(request)
    return parts


def widgets(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [tile["widget"] for tile in data["mosaicLayout"]["tiles"]]


def queries(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "prometheusQuery" in value:
            yield value["prometheusQuery"]
        for item in value.values():
            yield from queries(item)
    elif isinstance(value, list):
        for item in value:
            yield from queries(item)


def filled(query: str, data: dict[str, Any]) -> str:
    """As the console fills in template variables: a matcher each, any value where none is chosen."""
    for one in data["dashboardFilters"]:
        matcher = f'{one["labelKey"]}="{one["stringValue"]}"' if "stringValue" in one else f'{one["labelKey"]}=~".*"'
        query = query.replace(f"${{{one['templateVariable']}}}", matcher)
    assert "${" not in query
    return query


def test_there_is_a_dashboard_for_each_view() -> None:
    assert dashboards().keys() == set(OWN)


@pytest.mark.parametrize("domain", ["prometheus", "custom"])
@pytest.mark.parametrize("key", OWN)
def test_every_query_answers_over_synthetic_data(key: str, domain: str) -> None:
    data, parts = dashboards(domain)[key].data, emulator(domain)
    end = START // 1_000_000 + MINUTES * 60_000
    for query in queries(data):
        result = evaluate_range(filled(query, data), parts.source, end - 600_000, end, 60_000)
        assert result.series, query
        assert any(value == value for _, _, values in result.series for value in values), query  # noqa: PLR0124  # no NaN


def test_a_query_of_a_metric_that_nobody_writes_would_be_empty() -> None:
    result = evaluate_range("no_such_metric", emulator("prometheus").source, 0, 60_000, 60_000)
    assert not result.series


@pytest.mark.parametrize("key", OWN)
def test_a_dashboard_asks_for_service_environment_and_region_by_variables(key: str) -> None:
    data = dashboards()[key].data
    found = {one["templateVariable"]: one["labelKey"] for one in data["dashboardFilters"]}
    assert found == {"service": "job", "environment": "namespace", "region": "location"}
    for query in queries(data):
        for selector in re.findall(r"\{([^{}]*(?:\$\{\w+\}[^{}]*)*)\}", query):
            assert selector.startswith("${service},${environment},${region}"), query


@our_choice("more is no dashboard any more, and slow to draw; Cloud Monitoring refuses more than a hundred")
@pytest.mark.parametrize("key", OWN)
def test_a_dashboard_has_at_most_fifty_widgets_that_do_not_overlap(key: str) -> None:
    tiles = dashboards()[key].data["mosaicLayout"]["tiles"]
    assert len(tiles) <= 50
    taken: set[tuple[int, int]] = set()
    for tile in tiles:
        x, y = tile.get("xPos", 0), tile.get("yPos", 0)
        assert x + tile["width"] <= 48
        cells = set(product(range(x, x + tile["width"]), range(y, y + tile["height"])))
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("key", OWN)
def test_a_dashboard_is_canonical(key: str) -> None:
    """What the API leaves out of its answers must not stand in the file, or every plan shows a change."""
    text = json.dumps(dashboards()[key].data)
    assert "null" not in text
    for default in ('"xPos": 0', '"yPos": 0', "[]", '"collapsed": false', "REDUCE_NONE", "ALIGN_NONE"):
        assert default not in text
    assert text.replace('"incidentList": {}', "").count("{}") == 0


@pytest.mark.parametrize("key", OWN)
def test_the_filters_of_log_panels_can_be_read(key: str) -> None:
    for widget in widgets(dashboards()[key].data):
        if "logsPanel" in widget:
            compile_query(widget["logsPanel"]["filter"])


def test_operations_shows_latency_as_a_heatmap_deployments_and_recent_errors() -> None:
    shown = widgets(dashboards()["operations"].data)
    kinds = {next(name for name in widget if name != "title") for widget in shown}
    assert {"xyChart", "incidentList", "errorReportingPanel", "logsPanel"} <= kinds
    plots = {one["plotType"] for widget in shown for one in widget.get("xyChart", {}).get("dataSets", [])}
    assert "HEATMAP" in plots
    assert any("by (revision)" in query for query in queries(shown))
