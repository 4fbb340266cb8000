"""The page's modules, called in the browser that runs them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.browser import Browser, Tab
from support.emulator import running_emulator
from support.provenance import known_from, our_choice

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Tab]:
    with running_emulator() as emulator, browser.tab() as tab:
        tab.open(f"{emulator.http}/#refresh=paused")
        tab.until("Number(document.documentElement?.dataset.polls) > 0", "the first poll")
        yield tab


@pytest.fixture
def call(page: Tab) -> Call:
    """`call("units", "format", 1.5, "s")`: a function of a module, with arguments as JSON."""

    def call(module: str, function: str, *arguments: Any, then: str = "answer") -> Any:
        told = ", ".join(json.dumps(argument) for argument in arguments)
        script = f"const answer = module.{function}({told}); return {then};"
        return page.run(f"import('/console/static/js/{module}.js').then((module) => {{ {script} }})")

    return call


@known_from(docs="https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.metricDescriptors")
def test_values_are_written_in_their_unit(call: Call):
    cases = [
        (0.1234, "s", "123 ms"),
        (75, "s", "1.25 min"),
        (250, "ms", "250 ms"),
        (0.05, "10^2.%", "5 %"),
        (99.95, "%", "100 %"),
        (1536, "By", "1.5 KiB"),
        (2_500_000, "By/s", "2.38 MiB/s"),
        (12.34, "1/s", "12.3/s"),
        (1_234_567, "1", "1.23M"),
        (4.2, "{requests}/s", "4.2 requests/s"),
        (0, "s", "0 s"),
        (0.00042, "1", "0.00042"),
        (None, "s", "\N{EN DASH}"),
    ]
    assert [call("units", "format", value, unit) for value, unit, _ in cases] == [shown for _, _, shown in cases]


def test_marks_of_an_axis_share_one_scale(call: Call):
    assert call("units", "axisValues", [0, 0.05, 0.1, 0.15], "s") == ["0", "50 ms", "100 ms", "150 ms"]
    assert call("units", "axisValues", [0, 0.05, 0.1], "10^2.%") == ["0", "5 %", "10 %"]
    assert call("units", "axisValues", [1000, 1250, 1500], "1") == ["1k", "1.25k", "1.5k"]


def test_a_legend_template_names_labels_in_every_spelling(call: Call):
    labels = {"outcome": "ok", "http.route": "/items", "instance": "i-1"}
    template = r"${labels.outcome} ${metric.labels.outcome} ${resource.labels.instance} {{ outcome }} "
    template += r"${labels.http\.route} ${labels.absent}"
    assert call("legend", "legendName", template, labels) == "ok ok i-1 ok /items \N{EN DASH}"


@our_choice("Google's console names such series by their labels; which ones it leaves out is not published")
def test_without_a_template_series_are_named_by_the_labels_in_which_they_differ(call: Call):
    series = [{"labels": {"job": "items", "method": "GET", "code": code}} for code in ("200", "500")]
    assert call("legend", "namesOf", series, "", "Requests") == ["200", "500"]
    assert call("legend", "namesOf", [{"labels": {}}], "", "Requests") == ["Requests"]


@known_from(docs="https://cloud.google.com/monitoring/dashboards/filter-permanent")
def test_template_variables_become_matchers(call: Call):
    variables = [{"name": "Job", "label": "job", "value": 'a"b'}, {"name": "Zone", "label": "location", "value": ""}]
    query = "up{${Job},${Zone}} + rate(x{job=~'${Job.value}',l=~'${Zone.value}'}[${__interval}]) + ${unknown}"
    assert call("variables", "fillQuery", query, variables, 60) == (
        'up{job="a\\"b",location=~".*"} + rate(x{job=~\'a"b\',l=~\'.*\'}[60s]) + ${unknown}'
    )


def test_all_four_layouts_become_tiles(call: Call):
    widgets = [{"title": str(number)} for number in range(3)]

    def tiles(layout: str, content: dict[str, Any]) -> list[list[int]]:
        wanted = "answer.tiles.map(({x, y, w, h}) => [x, y, w, h])"
        found: list[list[int]] = call("layout", "layoutOf", {layout: content}, then=wanted)
        return found

    tile = {"width": 6, "height": 4, "widget": {}}
    assert tiles("mosaicLayout", {"columns": 12, "tiles": [tile, {**tile, "xPos": 6}]}) == [[0, 0, 6, 4], [6, 0, 6, 4]]
    assert tiles("gridLayout", {"columns": "2", "widgets": widgets}) == [
        [0, 0, 24, 16], [24, 0, 24, 16], [0, 16, 24, 16],
    ]  # fmt: skip
    assert tiles("rowLayout", {"rows": [{"widgets": widgets[:2]}, {"widgets": widgets[2:]}]}) == [
        [0, 0, 24, 16], [24, 0, 24, 16], [0, 16, 48, 16],
    ]  # fmt: skip
    columns = {"columns": [{"weight": "1", "widgets": widgets[:1]}, {"weight": "3", "widgets": widgets[1:]}]}
    assert tiles("columnLayout", columns) == [[0, 0, 12, 16], [12, 0, 36, 16], [12, 16, 36, 16]]


@known_from(docs="https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards")
def test_a_group_holds_the_tiles_inside_its_rectangle(call: Call):
    tiles = [
        {"x": 0, "y": 0, "w": 48, "h": 20, "widget": {"collapsibleGroup": {}}},
        {"x": 0, "y": 0, "w": 24, "h": 20, "widget": {"title": "inside"}},
        {"x": 0, "y": 20, "w": 24, "h": 16, "widget": {"title": "below"}},
    ]
    titles = "map((tile) => tile.widget.title)"
    wanted = f"({{loose: answer.loose.{titles}, held: [...answer.groups.values()][0].{titles}}})"
    assert call("layout", "grouped", tiles, then=wanted) == {"loose": ["below"], "held": ["inside"]}


def test_markdown_becomes_elements_and_nothing_else(call: Call):
    source = "# Title\n\nSome **bold** `code` [docs](https://example.com/a)\n- one\n- two\n\n"
    source += "<img src=x onerror=alert(1)>\n[bad](javascript:alert)"
    shown = call("markdown", "markdown", source, then="answer.map((node) => node.outerHTML).join('')")
    assert shown == (
        "<h3>Title</h3>"
        "<p>Some <strong>bold</strong> <code>code</code> "
        '<a href="https://example.com/a" target="_blank" rel="noopener noreferrer">docs</a></p>'
        "<ul><li>one</li><li>two</li></ul>"
        "<p>&lt;img src=x onerror=alert(1)&gt;\n<span>bad</span></p>"
    )


def test_only_http_addresses_become_links(call: Call):
    for address in (
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "a",
        "//x",
    ):
        assert call("dom", "link", address, "text", then="answer.tagName") == "SPAN", address
    assert call("dom", "link", "https://example.com/x", "text", then="answer.href") == "https://example.com/x"


@known_from(proto="google/api/distribution.proto")
def test_a_heatmap_is_made_of_cumulative_buckets_or_of_distributions(call: Call):
    counts = {"+Inf": 9, "0.1": 2, "0.5": 7}
    cumulative = [{"labels": {"le": le}, "times": [60], "values": [value]} for le, value in counts.items()]
    wanted = "({bounds: answer.bounds.map(String), counts: answer.counts})"
    expected = {"bounds": ["0.1", "0.5", "Infinity"], "counts": [[2], [5], [2]]}
    assert call("heatmap", "cellsOf", cumulative, then=wanted) == expected
    bucket = {"bucketOptions": {"explicitBuckets": {"bounds": [0.1, 0.5]}}, "bucketCounts": ["2", "5", "2"]}
    distribution = {"labels": {}, "times": [60], "values": [1], "buckets": [bucket]}
    assert call("heatmap", "cellsOf", [distribution], then=wanted) == expected


def test_a_scorecard_takes_the_worst_colour_that_is_crossed(call: Call):
    yellow = {"value": 1, "color": "YELLOW", "direction": "ABOVE"}
    thresholds = [yellow, {"value": 5, "color": "RED", "direction": "ABOVE"}]
    assert [call("figures", "verdict", value, thresholds) for value in (0.5, 2, 6)] == ["", "warning", "bad"]
    assert call("figures", "verdict", 0.5, [{"value": 1, "color": "RED", "direction": "BELOW"}]) == "bad"


def test_a_series_of_chart_values_is_piled_up_without_filling_gaps(call: Call):
    assert call("chart", "stacked", [[1, None, 3], [2, None, None]]) == [[1, None, 3], [3, None, 3]]
