"""Reading data files: templates as Terraform renders them, errors that name their place, nothing read loosely."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.emulator.definitions import DefinitionError, data_root, load, render, template_values
from app.emulator.definitions.document import parse
from app.emulator.definitions.routes import route
from support.provenance import known_from, our_choice
from support.tools import tool

VARIABLES = {
    "service": "items",
    "environment": "production",
    "project": "demo",
    "location": "europe-west1",
    "host": "items.example.com",
    "runbook_base_url": "https://example.com/runbooks",
}

POLICY = """\
displayName: "P"
combiner: OR
conditions:
  - displayName: C
    conditionPrometheusQueryLanguage:
      query: "m > 1"
      duration: "0s"
"""

FILTER = 'metric.type="run.googleapis.com/request_count"'
OBJECTIVE = {
    "displayName": "O",
    "goal": 0.99,
    "rollingPeriod": "86400s",
    "serviceLevelIndicator": {
        "requestBased": {"goodTotalRatio": {"goodServiceFilter": FILTER, "totalServiceFilter": FILTER}}
    },
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, **variables: Any) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load(path, variables)
    return list(caught.value.problems)


# Templates


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("a ${x} b", {"x": "v"}),
    "spaces": ("${ x }", {"x": "v"}),
    "dots": ("${m.a}/${m.b}", {"m": {"a": "1", "b": "2"}}),
    "whole_float": ("v=${x}", {"x": 1.0}),
    "fraction": ("v=${x}", {"x": 0.05}),
    "large": ("v=${x}", {"x": 1e21}),
    "small": ("v=${x}", {"x": 1e-7}),
    "negative": ("v=${x}", {"x": -2.50}),
    "booleans": ("${t} ${f}", {"t": True, "f": False}),
    "escapes": ("$${policy.display_name} $$ $ %%{x} %", {}),
    "quotes": ("{${x}}", {"x": 'job="items"'}),
}


@known_from(docs="https://developer.hashicorp.com/terraform/language/functions/templatefile")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", "a v b"),
        ("spaces", "v"),
        ("dots", "1/2"),
        ("whole_float", "v=1"),
        ("fraction", "v=0.05"),
        ("large", "v=1000000000000000000000"),
        ("small", "v=0.0000001"),
        ("negative", "v=-2.5"),
        ("booleans", "true false"),
        ("escapes", "${policy.display_name} $$ $ %{x} %"),
        ("quotes", '{job="items"}'),
    ],
)
def test_values_are_printed_as_hcl_prints_them(name: str, expected: str) -> None:
    text, values = CASES[name]
    assert render(text, values) == expected


@known_from(docs="https://developer.hashicorp.com/terraform/language/functions/templatefile")
def test_terraform_itself_renders_every_case_to_the_same_text(tmp_path: Path) -> None:
    terraform = tool("terraform")
    lines = []
    for name, (text, values) in CASES.items():
        write(tmp_path, f"{name}.tftpl", text)
        given = json.dumps(json.dumps(values))
        call = f'templatefile("${{path.module}}/{name}.tftpl", jsondecode({given}))'
        lines.append(f'output "{name}" {{ value = {call} }}')
    write(tmp_path, "main.tf", "\n".join(lines))
    for arguments in (["init", "-input=false"], ["apply", "-auto-approve", "-input=false"]):
        subprocess.run([terraform, *arguments], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    shown = subprocess.run([terraform, "output", "-json"], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    ours = {name: render(text, values) for name, (text, values) in CASES.items()}
    assert {name: one["value"] for name, one in json.loads(shown.stdout).items()} == ours


def test_an_argument_that_many_templates_need_is_asked_for_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        load(data_root(), {"service": "items", "project": "demo", "policies": "default"})
    first, second = caught.value.problems
    assert first.endswith("other files; give it one: --var environment=VALUE")
    assert second.endswith("other files; give it one: --var host=VALUE")


@pytest.mark.parametrize("name", ["Shop", "shop!", "-shop", "9", ""])
def test_a_name_that_terraform_refuses_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="write lower-case letters, digits and hyphens"):
        load(data_root(), {"service": name, "environment": "dev", "host": "localhost"})


@our_choice("templates hold plain names only, so that two readers agree on them")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\n${servce}", "f:2: ${servce} has no value; did you mean service?"),
        ("${metrics.http_request_totl}", "did you mean metrics.http_request_total?"),
        ("${upper(service)}", "is not a plain dotted name"),
        ('${service == "x" ? 1 : 2}', "is not a plain dotted name"),
        ("${service", "is not a plain dotted name"),
        ("${}", "is not a plain dotted name"),
        ("x\n\n%{ if true }", "f:3: %{...} directives are not read"),
        ("${metrics}", "cannot be put into text"),
    ],
)
def test_what_is_not_a_known_plain_name_is_an_error_with_its_place(text: str, reason: str) -> None:
    values = {"service": "items", "metrics": {"http_request_total": "http_request_total"}}
    with pytest.raises(DefinitionError) as caught:
        render(text, values, "f")
    assert reason in str(caught.value)


def test_every_problem_of_a_template_is_told_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        render("${a} ${b}", {}, "f")
    assert len(caught.value.problems) == 2


def test_quotes_of_a_value_are_escaped_inside_json() -> None:
    assert render('{"q": "m{${scope}}"}', {"scope": 'job="x"'}, inside_json=True) == '{"q": "m{job=\\"x\\"}"}'


def test_the_values_are_those_that_the_terraform_module_passes() -> None:
    plain = template_values(service="items", environment="production")
    assert plain["scope"] == 'job="items",namespace="production"'
    assert plain["metrics"]["http_request_total"] == "http_request_total"
    assert "host" not in plain
    custom = template_values(
        service="items", environment="production", metrics_domain="custom", metrics_namespace="shop"
    )
    assert custom["scope"].endswith('monitored_resource="generic_task"')
    assert custom["metrics"]["http_request_total"] == "custom_googleapis_com:shop_http_request_total"
    with pytest.raises(ValueError, match="metrics_domain"):
        template_values(metrics_domain="metrics")


# YAML and JSON


@our_choice("what readers of YAML disagree about is quoted, or refused")
@pytest.mark.parametrize(
    "scalar", ["yes", "No", "on", "010", "0x1F", "1e3", "1_000", "12:30", "2026-01-01", ".inf", "1."]
)
def test_yaml_that_readers_take_for_different_things_is_refused_with_its_line(scalar: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(f"a: 1\nb: {scalar}\n", "f.yaml")
    assert str(caught.value).startswith(f"f.yaml:2: {scalar} means different things")
    assert parse(f'a: 1\nb: "{scalar}"\n', "f.yaml").data["b"] == scalar


@known_from(docs="https://yaml.org/spec/1.2.2/#103-core-schema")
def test_plain_scalars_mean_what_yaml_1_2_says() -> None:
    text = "a: true\nb: null\nc: -3\nd: 0.05\ne: word\nf: run.googleapis.com/x\n"
    text += "g: |-\n  two\n  lines\nh: [1, two]\ni: {}\n"
    assert parse(text, "f.yaml").data == {
        "a": True, "b": None, "c": -3, "d": 0.05, "e": "word", "f": "run.googleapis.com/x", "g": "two\nlines",
        "h": [1, "two"], "i": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("f.yaml", "a: 1\nb: [\n", "f.yaml:3: not YAML"),
        ("f.yaml", "a: 1\na: 2\n", "f.yaml:2: a appears twice"),
        ("f.yaml", "", "the file is empty"),
        ("f.yaml", "a: 1\n---\nb: 2\n", "not YAML"),
        ("f.yaml", "a: 1\n1: 2\n", "f.yaml:2: a key must be text"),
        ("f.yaml", "a: &x [*x]\n", "refers to what contains it"),
        ("f.json", '{"a": 1,\n "b" 2}', "f.json:2: not JSON"),
        ("f.json", '{"a": 1,\n "a": 2}', "f.json:2: a appears twice"),
        ("f.json", '{"a": NaN}', "not JSON: NaN"),
        ("f.json", '{"a": 1} x', "text after the end"),
        ("f.json", "[" * 200, "nested too deeply"),
        ("f.json", "", "not JSON"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_its_line(name: str, text: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text, name)
    assert reason in str(caught.value)


def test_lines_are_known_in_both_formats() -> None:
    yaml = parse("a:\n  - b: 1\n  - c:\n      d: 2\n", "f.yaml")
    assert (yaml.line("a[0].b"), yaml.line("a[1].c.d"), yaml.line("a[1].missing")) == (2, 4, 3)
    text = '{"a": [\n  {"b": 1},\n  {"c": {\n    "d": 2}}\n]}'
    document = parse(text, "f.json")
    assert document.data == json.loads(text)
    assert (document.line("a[0].b"), document.line("a[1].c.d")) == (2, 4)


# Loading


def test_our_own_files_load_and_carry_service_and_environment() -> None:
    definitions = load(data_root(), VARIABLES)
    assert {one.kind for one in definitions} >= {"policy"}
    assert all("items-production" in one.display_name for one in definitions)
    for one in definitions:
        left = set(re.findall(r"\$\{(\w*)", json.dumps(one.data)))
        # What Cloud Monitoring fills in itself: documentation of policies, legends and variables of dashboards.
        ours = (
            {"labels", "service", "environment", "region"}
            if one.kind == "dashboard"
            else {"policy", "condition", "log"}
        )
        assert left <= ours, one.file


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (POLICY.replace("displayName: C", "displayNme: C"), 4, "did you mean displayName?"),
        (POLICY.replace("combiner: OR", "combiner: XOR"), 2, "must be one of AND, OR"),
        (POLICY.replace('"0s"', '"0"'), 7, 'must be a duration such as "60s"'),
        (POLICY.replace('"0s"', "0"), 7, 'must be a duration such as "60s", not 0'),
        (POLICY.replace('"m > 1"', '"m >"'), 6, "cannot be parsed as PromQL"),
        (POLICY.replace('"m > 1"', "5"), 6, "must be text, not 5: quote it"),
        (POLICY + '      evaluationInterval: "45s"\n', 8, "multiple of 30 seconds"),
        (POLICY + "      disableMetricValidation: maybe\n", 8, "must be true or false"),
        (POLICY + "    conditionAbsent: {}\n", 8, "cannot stand beside"),
        (POLICY + "userLabels: {Team: x}\n", 8, "lowercase"),
        (POLICY.replace('displayName: "P"', "enabled: true"), None, "displayName: is missing"),
        (POLICY + "name: projects/p/alertPolicies/1\n", 8, "must not be set on create"),
    ],
)
def test_a_broken_policy_is_told_by_file_line_field_and_reason(
    tmp_path: Path, text: str, place: int | None, reason: str
) -> None:
    path = write(tmp_path, "p.yaml", text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:{place}: " if place else f"{path}:")
    assert reason in problem


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("slos/o.json", {"gaol": 0.9}, "gaol: ServiceLevelObjective has no field gaol; did you mean goal?"),
        ("slos/o.json", {"goal": 0.99999}, "goal: Field service_level_objective.goal"),
        ("slos/o.json", {"rollingPeriod": "3600s"}, "must be an integer multiple of 1 day"),
        ("slos/o.json", {"serviceLevelIndicator": {}}, "service_level_indicator.type"),
        ("slos/o.json", {"displayName": ""}, "displayName: is missing"),
        ("log_metrics/m.json", {"filtre": "x"}, "filtre: LogMetric has no field filtre; did you mean filter?"),
        ("log_metrics/m.json", {"filter": "severity=("}, "filter"),
        ("log_metrics/m.json", {"name": ""}, "name: is missing"),
        ("log_metrics/m.json", {"valueExtractor": "EXTRACT(jsonPayload.x)"}, "needs a metric_descriptor with"),
    ],
)
def test_a_broken_objective_or_metric_is_told_with_its_file(
    tmp_path: Path, name: str, change: dict[str, Any], reason: str
) -> None:
    right = OBJECTIVE if name.startswith("slos") else {"name": "m", "filter": "severity=ERROR"}
    path = write(tmp_path, name, json.dumps({**right, **change}))
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:")
    assert reason in problem


def test_all_problems_of_all_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, "policies/a.yaml", POLICY.replace("combiner", "combinr").replace("duration", "durtion"))
    write(tmp_path, "policies/b.yaml.tftpl", POLICY.replace('"P"', '"${nme}"'))
    assert len(problems(tmp_path)) == 3


def test_plain_files_are_read_verbatim(tmp_path: Path) -> None:
    path = write(tmp_path, "p.json", json.dumps(parse(POLICY, "f.yaml").data | {"displayName": "${metric.label.x} %{"}))
    assert load(path)[0].display_name == "${metric.label.x} %{"


def test_what_a_file_is_its_folder_says_or_its_content(tmp_path: Path) -> None:
    layout = {"displayName": "D", "gridLayout": {"widgets": []}}
    check = {
        "displayName": "U",
        "monitoredResource": {"type": "uptime_url", "labels": {"host": "h"}},
        "httpCheck": {},
    }
    metric = {"name": "failures", "filter": "severity=ERROR", "metricDescriptor": {"valueType": "INT64"}}
    files = (("a.json", layout), ("b.json", check), ("c/d.json", {"displayName": "x"}), ("m.json", metric))
    for name, data in (*files, ("o.json", OBJECTIVE)):
        write(tmp_path, name, json.dumps(data))
    write(tmp_path, "p.yaml", POLICY)
    assert "neither an alert policy" in problems(tmp_path)[0]
    shutil.rmtree(tmp_path / "c")
    assert [(one.kind, one.key) for one in load(tmp_path)] == [
        ("uptime_check", "b"),
        ("log_metric", "m"),
        ("policy", "p"),
        ("slo", "o"),
        ("dashboard", "a"),
    ]


def test_unknown_fields_of_a_dashboard_are_warnings(tmp_path: Path) -> None:
    data = {"displayName": "D", "gridLayout": {"widgets": [{"titel": "a"}, {"titel": "b"}]}}
    (definition,) = load(write(tmp_path, "d.json", json.dumps(data, indent=1)))
    (warning,) = definition.warnings
    assert "did you mean title?" in warning
    assert "1 more like it" in warning
    assert definition.data == data


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", POLICY)
    write(tmp_path, "b.yaml", POLICY)
    assert "is also the name in" in problems(tmp_path)[0]


def test_a_variable_that_no_file_uses_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml.tftpl", POLICY.replace('"P"', '"P ${threshold}"'))
    assert load(tmp_path, {"threshold": 1.0, "service": "x"})[0].display_name == "P 1"
    (problem,) = problems(tmp_path, threshold="1", enviroment="production")
    assert problem.startswith("--var enviroment: no file uses it; did you mean environment?")
    assert "threshold" in problem
    load(tmp_path, {"threshold": "1", "webhook": "http://x"}, more_names=["webhook"])


def test_a_missing_path_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    assert "no such file or folder" in problems(tmp_path / "none")[0]
    assert "no definition here" in problems(tmp_path)[0]


# Routes


@our_choice("the order is that of _routes in terraform/monitoring/definitions.tf")
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"priority": "p1", "team": "shop"}, ["both"]),
        ({"priority": "p1", "team": "other"}, ["priority"]),
        ({"priority": "p2", "team": "shop"}, ["team"]),
        ({"priority": "p2", "team": "other"}, ["any"]),
        ({}, ["any"]),
        ({"priority": "p3", "team": "shop"}, ["priority before team"]),
        ({"priority": "p4", "team": "shop"}, []),
    ],
)
def test_a_route_is_found_by_priority_then_by_team(labels: dict[str, str], expected: list[str]) -> None:
    routes: dict[str, dict[str, list[str]]] = {
        "p1": {"shop": ["both"], "default": ["priority"]},
        "p3": {"default": ["priority before team"]},
        "p4": {"shop": []},
        "default": {"shop": ["team"], "default": ["any"]},
    }
    assert route(routes, labels) == expected
    assert route({}, labels) == []
