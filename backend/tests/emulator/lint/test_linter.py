"""What lint says, and where."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.emulator.definitions import DefinitionError
from app.emulator.lint.finding import Finding
from app.emulator.lint.linter import Options, Report, lint

GUARD = "and sum(increase(http_request_total[5m])) > 20"
GOOD = (
    'metric.type="prometheus.googleapis.com/http_request_total/counter" resource.type="prometheus_target" '
    'metric.labels.endpoint="/items"'
)
RATIO = 'sum(increase(http_request_total{status_code=~"5.."}[5m])) / sum(increase(http_request_total[5m])) > 0.05'


def policy(query: str, **more: Any) -> dict[str, Any]:
    condition = {"query": query, "duration": "0s", "evaluationInterval": "60s", "disableMetricValidation": True}
    return {
        "displayName": "p",
        "severity": "ERROR",
        "combiner": "OR",
        "userLabels": {"priority": "p1", "team": "t"},
        "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {**condition, **more}}],
        "documentation": {"content": "https://example.com/runbook", "subject": "s"},
    }


@pytest.fixture
def linted(tmp_path: Path):
    """Lints one document; answers its findings by rule."""

    def check(data: Any, name: str = "policies/p.json", **options: Any) -> Report:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(data if isinstance(data, str) else json.dumps(data, indent=2))
        return lint([file], Options(**options))

    return check


def rules(report: Report) -> list[tuple[str, str]]:
    return [(one.level, one.rule) for one in report.findings]


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def test_a_good_policy_is_silent(linted) -> None:
    assert rules(linted(policy(f"{RATIO} {GUARD}"))) == []


def test_the_projects_own_files_are_clean() -> None:
    report = lint([])
    assert [str(one) for one in report.findings if one.level == "error"] == []
    assert report.policies
    assert report.metrics


def test_a_parse_error_names_line_column_and_field_in_yaml(linted) -> None:
    text = """displayName: p
combiner: OR
conditions:
  - displayName: c
    conditionPrometheusQueryLanguage:
      query: |-
        sum(increase(http_request_total[5m]))
          > = 3
"""
    found = next(one for one in linted(text, "policies/p.yaml").findings if one.rule == "not-promql")
    assert (found.line, found.column) == (8, 13)
    assert found.field == "conditions[0].conditionPrometheusQueryLanguage.query"
    assert str(found).startswith(f"{found.file}:8:13: error: conditions[0].conditionPrometheusQueryLanguage.query: ")


def test_a_parse_error_names_line_and_column_in_json(linted) -> None:
    report = linted(policy('sum(rate(http_request_total{a="b"}[5m])) = 3'))
    found = only(report)
    assert found.line is not None
    assert found.column is not None
    line = Path(found.file).read_text().splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith("= 3")


def test_a_place_in_a_template_is_that_of_the_template(linted) -> None:
    text = (
        'displayName: "x"\ncombiner: OR\nconditions:\n  - displayName: c\n    conditionPrometheusQueryLanguage:\n'
        "      query: 'sum(rate(${metrics.http_request_total}{${scope},colour=\"red\"}[5m])) > 1'\n"
    )
    report = linted(text, "policies/p.yaml.tftpl", variables={"service": "s", "environment": "e"})
    found = next(one for one in report.findings if one.rule == "unknown-label")
    assert text.splitlines()[found.line - 1][found.column - 1 :].startswith("colour")


def test_an_unknown_field_names_its_place(linted) -> None:
    found = only(linted(policy("vector(1) > 2") | {"severty": "ERROR"}))
    assert found.rule == "unknown-field"
    assert "did you mean severity" in found.message
    assert found.line is not None
    assert found.line > 1


@pytest.mark.parametrize(
    ("query", "level", "rule"),
    [
        ("sum(rate(http_requests_total[5m])) > 1", "error", "unknown-metric"),
        ("sum(rate(my_own_total[5m])) > 1", "warning", "unknown-metric"),
        ("rate(foo_googleapis_com:bar[5m]) > 1", "note", "unknown-metric"),
        ('sum(rate(run_googleapis_com:request_count{colour="red"}[5m])) > 1', "error", "unknown-label"),
        ('sum(rate(http_request_total{colour="red"}[5m])) > 1', "error", "unknown-label"),
        ("sum by (colour) (rate(http_request_total[5m])) > 1", "error", "unknown-label"),
        ('sum(rate(http_request_total{outcome="fine"}[5m])) > 1', "error", "unknown-value"),
        ("sum(rate(http_request_total[3m])) > 1", "error", "short-window"),
        ("sum(increase(http_request_total[239s])) > 1", "error", "short-window"),
        ("sum(db_pool_utilization) > 0.8", "error", "gauge-across"),
        ("max(health_check_status) < 1", "error", "gauge-across"),
        ("sum(avg_over_time(db_pool_utilization[10m])) > 0.8", "error", "gauge-across"),
        ("sum(rate(db_pool_utilization[5m])) > 1", "error", "rate-of-a-gauge"),
        ("deriv(http_request_total[10m]) > 1", "warning", "gauge-function"),
        ("sum(http_request_total) > 1", "warning", "counter-without-rate"),
        ("sum(rate(http_request_total[5m]))", "warning", "no-comparison"),
        (RATIO, "warning", "no-traffic-guard"),
    ],
)
def test_a_query_is_judged(linted, query: str, level: str, rule: str) -> None:
    assert (level, rule) in rules(linted(policy(query)))


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(http_request_total[4m])) > 1",
        "max(db_pool_utilization) > 0.8",
        "sum(http_requests_in_flight) > 100",
        "min by (check) (health_check_status) < 1",
        "avg(health_check_status) < 0.5",
        'sum by (instance, le) (rate(http_request_duration_seconds_bucket{le="0.5"}[5m])) > 1',
        "absent(sum(rate(http_request_total[5m])))",
        f"({RATIO}) {GUARD}",
        'sum(rate({"prometheus.googleapis.com/http_request_total/counter"}[5m])) > 1',
        'sum(rate(run_googleapis_com:request_count{service_name="x",response_code_class="5xx"}[5m])) > 1',
        "max by (database_id) (cloudsql_googleapis_com:database_cpu_utilization) > 0.9",
        'sum(rate({"run.googleapis.com/request_count","service_name"="x"}[5m])) > 1',
        'sum(rate(custom_googleapis_com:cloudops_http_request_total{outcome="ok"}[5m])) > 1',
    ],
)
def test_a_right_query_is_not_complained_of(linted, query: str) -> None:
    assert rules(linted(policy(query))) == []


def test_four_export_intervals_are_those_of_the_service(linted) -> None:
    query = policy("sum(rate(http_request_total[5m])) > 1")
    assert rules(linted(query, export_seconds=120)) == [("error", "short-window")]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"severity": ""}, "no-severity"),
        ({"userLabels": {"team": "t"}}, "no-user-label"),
        ({"documentation": {"subject": "s", "content": "look"}}, "no-runbook"),
        ({"documentation": {"content": "https://example.com"}}, "no-subject"),
        ({"documentation": {"subject": "s"}}, "no-documentation"),
    ],
)
def test_what_people_need_must_be_there(linted, change: dict[str, Any], rule: str) -> None:
    data = {key: value for key, value in (policy("vector(1) > 2") | change).items() if value != ""}
    assert ("warning", rule) in rules(linted(data))


def test_an_evaluation_oftener_than_the_samples_is_told(linted) -> None:
    assert rules(linted(policy("vector(1) > 2", evaluationInterval="30s"))) == [("warning", "evaluation-interval")]
    found = policy("vector(1) > 2")
    del found["conditions"][0]["conditionPrometheusQueryLanguage"]["evaluationInterval"]
    assert "means 30 s" in only(linted(found)).message


def test_two_promql_conditions_are_refused(linted) -> None:
    data = policy("vector(1) > 2")
    data["conditions"] *= 2
    assert "exactly one condition" in only(linted(data)).message


def test_missing_runbooks_and_scripts_are_told_when_there_are_folders_for_them(linted, tmp_path: Path) -> None:
    books, scripts = tmp_path / "books", tmp_path / "scripts"
    books.mkdir()
    scripts.mkdir()
    data = policy("vector(1) > 2")
    report = linted(data, runbooks=books, scripts=scripts)
    assert rules(report) == [("error", "no-runbook"), ("error", "no-script")]
    (books / "p.md").touch()
    (scripts / "p.yaml").touch()
    assert rules(linted(data, runbooks=books, scripts=scripts)) == []


def threshold(filter_: str, **more: Any) -> dict[str, Any]:
    data = policy("vector(1) > 2")
    body = {"filter": filter_, "comparison": "COMPARISON_GT", "duration": "60s", **more}
    data["conditions"] = [{"displayName": "c", "conditionThreshold": body}]
    return data


def test_a_filter_is_judged_too(linted) -> None:
    ours = (
        'metric.type = "prometheus.googleapis.com/http_request_total/counter" AND resource.type = "prometheus_target"'
    )
    assert rules(linted(threshold(ours))) == []
    assert rules(linted(threshold(f'{ours} AND metric.labels.colour = "red"'))) == [("error", "unknown-label")]
    assert rules(linted(threshold(f'{ours} AND resource.labels.zone = "a"'))) == [("error", "unknown-label")]
    assert rules(linted(threshold(f'{ours} AND metric.labels.outcome = "fine"'))) == [("error", "unknown-value")]
    ratio = threshold(ours, denominatorFilter=ours)
    assert rules(linted(ratio)) == [("warning", "no-traffic-guard")]


def dashboard(widgets: int, query: str = "vector(1)") -> dict[str, Any]:
    chart = {"xyChart": {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": query}}]}}
    return {"displayName": "d", "gridLayout": {"widgets": [chart] * widgets}}


def test_fifty_widgets_are_enough(linted) -> None:
    assert rules(linted(dashboard(50), "dashboards/d.json")) == []
    assert rules(linted(dashboard(51), "dashboards/d.json")) == [("error", "too-many-widgets")]


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(http_request_total[${__interval}]))",
        "sum(rate(http_request_total{${cluster}}[5m]))",
        'sum(rate(http_request_total{job="${service.value}"}[5m]))',
    ],
)
def test_a_dashboards_variables_are_no_mistake(linted, query: str) -> None:
    assert rules(linted(dashboard(1, query), "dashboards/d.json")) == []


def test_a_query_of_a_dashboard_is_judged_with_its_place(linted) -> None:
    found = only(linted(dashboard(1, "sum(rate(http_request_total[1m]))"), "dashboards/d.json"))
    assert found.rule == "short-window"
    assert found.field == "gridLayout.widgets[0].xyChart.dataSets[0].timeSeriesQuery.prometheusQuery"
    assert found.line is not None


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kind": "countr"}, "metric-kind"),
        ({"unit": ""}, "missing"),
        ({"buckets": [1, 2]}, "buckets"),
        ({"across": "sum"}, "across"),
        ({"labels": {"user": {}}}, "open-label"),
        ({"lables": {}}, "unknown-field"),
        ({"kind": "gauge"}, "across"),
        ({"kind": "histogram", "buckets": [2, 1]}, "buckets"),
    ],
)
def test_a_catalogue_is_judged(linted, change: dict[str, Any], rule: str) -> None:
    metric = {"kind": "counter", "unit": "1", "description": "d", "labels": {}, **change}
    assert ("error", rule) in rules(linted({"metrics": {"x_total": metric}}, "metrics.json"))


def test_a_users_catalogue_makes_its_metrics_known(linted, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    metric = {"kind": "counter", "unit": "1", "description": "d", "labels": {"kind": {"values": ["a", "b"]}}}
    own.write_text(json.dumps({"metrics": {"orders_total": metric}}))
    assert rules(linted(policy('sum(rate(orders_total{kind="a"}[5m])) > 1'), catalogues=[own])) == []
    assert rules(linted(policy('sum(rate(orders_total{kind="c"}[5m])) > 1'), catalogues=[own])) == [
        ("error", "unknown-value")
    ]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no such file"):
        lint([tmp_path / "nothing"])


def test_other_files_in_a_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "p.json").write_text(json.dumps(policy("vector(1) > 2")))
    assert lint([tmp_path]).files == 1


def test_an_objective_reads_metrics_and_labels_that_there_are(linted) -> None:
    def objective(total: str) -> dict[str, Any]:
        filters = {"goodServiceFilter": GOOD, "totalServiceFilter": total}
        indicator = {"requestBased": {"goodTotalRatio": filters}}
        return {"displayName": "o", "goal": 0.99, "rollingPeriod": "86400s", "serviceLevelIndicator": indicator}

    assert rules(linted(objective(GOOD), "slos/o.json")) == []
    misspelt = GOOD.replace("endpoint", "endpiont")
    finding = only(linted(objective(misspelt), "slos/o.json"))
    assert finding.field == "serviceLevelIndicator.requestBased.goodTotalRatio.totalServiceFilter"
    assert "endpiont" in finding.message


def test_a_log_based_metric_whose_filter_does_not_compile_is_told(linted) -> None:
    assert rules(linted({"name": "m", "filter": "severity>=ERROR"}, "log_metrics/m.json")) == []
    assert only(linted({"name": "m", "filter": "severity>=("}, "log_metrics/m.json")).level == "error"
