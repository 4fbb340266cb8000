"""Data files: what is wrong with one is said before anything is planned, and both readers see the same objects."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.emulator import definitions
from app.emulator.definitions.routes import route
from support.terraform import INPUTS, MODULE, Workspace, copy_of_module, initialised, planned_bodies

ROUTES = json.loads((Path(__file__).parent / "routes.json").read_text())["cases"]
RESOURCES = {
    "dashboard": "google_monitoring_dashboard.dashboards",
    "log_metric": "google_logging_metric.log_metrics",
    "policy": "google_monitoring_alert_policy.policies",
    "slo": "google_monitoring_slo.slos",
    "uptime_check": "google_monitoring_uptime_check_config.uptime_checks",
}


def policy(**changes: Any) -> dict[str, Any]:
    """A policy that is right but for the changes; None takes a key away."""
    right = {
        "displayName": "one",
        "combiner": "OR",
        "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "up == 0"}}],
        "userLabels": {"priority": "p1", "team": "web"},
    }
    return {key: value for key, value in {**right, **changes}.items() if value is not None}


def condition(**fields: Any) -> list[dict[str, Any]]:
    return [{"displayName": "c", **fields}]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": (policy(severety="ERROR"), "policy: unknown key severety"),
    "channels in a file": (
        policy(notificationChannels=["projects/p/notificationChannels/1"]),
        "policy: unknown key notificationChannels",
    ),
    "an unknown key of a condition": (
        policy(conditions=condition(conditionPrometheusQueryLanguage={"query": "up", "durasion": "60s"})),
        "conditions[0].conditionPrometheusQueryLanguage: unknown key durasion",
    ),
    "an unknown key of an aggregation": (
        policy(conditions=condition(conditionThreshold={"filter": "f", "aggregations": [{"alignmentPeriode": "60s"}]})),
        "conditions[0].conditionThreshold.aggregations[0]: unknown key alignmentPeriode",
    ),
    "an unknown key of a trigger": (
        policy(conditions=condition(conditionAbsent={"duration": "180s", "trigger": {"counts": 1}})),
        "conditions[0].conditionAbsent.trigger: unknown key counts",
    ),
    "an unknown key of a link": (
        policy(documentation={"links": [{"name": "runbook"}]}),
        "documentation.links[0]: unknown key name",
    ),
    "an unknown key of a strategy": (
        policy(alertStrategy={"notificationRateLimit": {"periode": "300s"}}),
        "alertStrategy.notificationRateLimit: unknown key periode",
    ),
    "a list for a mapping": (policy(documentation=["content"]), "documentation: unknown key no mapping"),
    "two kinds of condition in one": (
        policy(conditions=condition(conditionAbsent={}, conditionThreshold={})),
        "conditions[0]: write exactly one of conditionAbsent",
    ),
    "no condition inside a condition": (policy(conditions=condition()), "conditions[0]: write exactly one of"),
    "no conditions": (policy(conditions=None), "policy: conditions is missing"),
    "no combiner": (policy(combiner=None), "policy: combiner is missing"),
    "no name": (policy(displayName=None), "policy: displayName is missing"),
    "no priority": (policy(userLabels={"team": "web"}), "userLabels.priority: write p1, p2, p3 or p4"),
    "a priority of its own": (
        policy(userLabels={"priority": "high", "team": "web"}),
        "userLabels.priority: write p1, p2, p3 or p4",
    ),
    "no team": (policy(userLabels={"priority": "p1"}), "userLabels.team: write the team that is told"),
    "a marker without its uptime check": (
        policy(conditions=condition(conditionPrometheusQueryLanguage={"query": 'x{check_id="@uptime:publik"}'})),
        "@uptime:publik: no uptime check of this name",
    ),
}


@pytest.fixture(scope="module")
def refused_together(tmp_path_factory: pytest.TempPathFactory, reattach: str) -> str:
    """What one plan says of all of them: a plan for each would take half a minute."""
    root = tmp_path_factory.mktemp("wrong")
    workspace = initialised(copy_of_module(root), root, reattach)
    for fault, (wrong, _) in WRONG.items():
        (workspace.folder / "policies" / f"{name_of(fault)}.yaml").write_text(yaml.safe_dump(wrong))
    return workspace.refusal(**INPUTS, policies=[name_of(fault) for fault in WRONG])


def name_of(fault: str) -> str:
    return fault.replace(" ", "_")


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_policy_file_stops_the_plan_and_names_file_place_and_reason(fault: str, refused_together: str) -> None:
    lines = [line for line in refused_together.splitlines() if f"policies/{name_of(fault)}.yaml: " in line]
    assert any(WRONG[fault][1] in line for line in lines), refused_together


def test_a_right_policy_file_is_planned(module: Workspace) -> None:
    """So that each refusal above is about its own fault."""
    (module.folder / "policies" / "right.yaml").write_text(yaml.safe_dump(policy()))
    bodies = planned_bodies(module.plan(**INPUTS, policies=["right"]))
    assert 'google_monitoring_alert_policy.policies["right"]' in bodies


@pytest.mark.parametrize(
    ("folder", "name", "text", "reason"),
    [
        ("policies", "wrong.yaml.tftpl", 'displayName: "${upper(service)}"', "${upper(service)}: templates take plain"),
        ("policies", "wrong.yaml.tftpl", 'displayName: "${service == "a"}"', "templates take plain names only"),
        ("policies", "wrong.yaml.tftpl", "displayName: %{ if true }x%{ endif }", "%{ if true }: templates take plain"),
        ("policies", "wrong.yaml.tftpl", 'displayName: "${servise}"', "servise"),
        ("dashboards", "wrong.json", '{"displayName": "x", "mosaikLayout": {}}', "dashboard: unknown key mosaikLayout"),
        (
            "dashboards",
            "wrong.json",
            json.dumps({"displayName": "x", "mosaicLayout": {"tiles": [{"widget": {"title": "t"}}] * 51}}),
            "mosaicLayout: at most 50 tiles",
        ),
        ("uptime_checks", "wrong.yaml", "displayName: x", "uptime check: monitoredResource is missing"),
        ("uptime_checks", "wrong.yaml", "displayName: x\nperiode: 60s", "uptime check: unknown key periode"),
        ("uptime_checks", "wrong.yaml", "displayName: x\nhttpCheck: {pth: /}", "httpCheck: unknown key pth"),
        ("uptime_checks", "wrong.yaml", "displayName: x\ncontentMatchers: [{contents: a}]", "unknown key contents"),
        ("slos", "wrong.yaml", "displayName: x\ngaol: 0.9", "slo: unknown key gaol"),
        ("slos", "wrong.yaml", "displayName: x\ngoal: 0.99999\nrollingPeriod: 86400s", "write a goal above 0"),
        ("slos", "wrong.yaml", "displayName: x\ngoal: 0.9", "write one of rollingPeriod and calendarPeriod"),
        ("slos", "wrong.yaml", "goal: 0.9\nrollingPeriod: 3600s", "slo: write rollingPeriod as whole days"),
        ("slos", "wrong.yaml", "serviceLevelIndicator: {}", "serviceLevelIndicator: write exactly one of basicSli"),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {basicSli: {availability: {}}}",
            "basicSli: the service that is made here has no metrics of its own; write slo_service",
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {basicSli: {latency: {treshold: 1s}}}",
            "serviceLevelIndicator.basicSli.latency: unknown key treshold",
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {basicSli: {latency: {threshold: 0.5s}}}",
            'write whole seconds, or three digits after the point, such as "0.500s"',
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {basicSli: {}}",
            "serviceLevelIndicator.basicSli: write exactly one of availability and latency",
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {windowsBased: {goodTotalRatioThreshold: {performance: {ratio: 1}}}}",
            "serviceLevelIndicator.windowsBased.goodTotalRatioThreshold.performance: unknown key ratio",
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {requestBased: {distributionCut: {range: {mx: 1}}}}",
            "serviceLevelIndicator.requestBased.distributionCut.range: unknown key mx",
        ),
        (
            "slos",
            "wrong.yaml",
            "serviceLevelIndicator: {windowsBased: {metricMeanInRange: {series: x}}}",
            "serviceLevelIndicator.windowsBased.metricMeanInRange: unknown key series",
        ),
        ("saved_queries", "wrong.yaml", "displayName: x\nvisibilty: SHARED", "saved query: unknown key visibilty"),
        ("saved_queries", "wrong.yaml", "displayName: x\nvisibility: ALL", "write visibility as SHARED or PRIVATE"),
        ("saved_queries", "wrong.yaml", "displayName: x\nloggingQuery: {}", "loggingQuery: filter is missing"),
        ("log_metrics", "wrong.yaml", "name: x\nfiltre: y", "log metric: unknown key filtre"),
        ("log_metrics", "wrong.yaml", "name: x", "log metric: filter is missing"),
        (
            "log_metrics",
            "wrong.yaml",
            "name: x\nmetricDescriptor: {labels: [{kee: a}]}",
            "metricDescriptor.labels[0]: unknown key kee",
        ),
        (
            "log_metrics",
            "wrong.yaml",
            "name: x\nbucketOptions: {linearBuckets: {widht: 1}}",
            "bucketOptions.linearBuckets: unknown key widht",
        ),
    ],
)
def test_other_faults_of_a_file_stop_the_plan_too(
    folder: str, name: str, text: str, reason: str, module: Workspace
) -> None:
    (module.folder / folder / name).write_text(text)
    # Only what is asked about: a plan of everything takes twice as long.
    nothing: dict[str, Any] = {"dashboards": [], "log_metrics": [], "policies": [], "saved_queries": [], "slos": []}
    assert reason in module.refusal(**INPUTS, **{**nothing, **({folder: ["wrong"]} if folder in nothing else {})})


def test_literal_dollars_and_percents_are_no_template_fault(module: Workspace) -> None:
    text = yaml.safe_dump(policy(documentation={"content": "$${metric.label.x} and 5 %%{ of $5 ${service}"}))
    (module.folder / "policies" / "right.yaml.tftpl").write_text(text)
    bodies = planned_bodies(module.plan(**INPUTS, policies=["right"]))
    body = bodies['google_monitoring_alert_policy.policies["right"]']
    assert body["documentation"]["content"] == "${metric.label.x} and 5 %{ of $5 items"


def test_a_marker_becomes_the_uptime_checks_id_which_is_known_after_apply(module: Workspace) -> None:
    marked = policy(
        conditions=condition(conditionPrometheusQueryLanguage={"query": 'a{check_id="@uptime:public"} or b{u="me@x"}'})
    )
    (module.folder / "policies" / "marked.yaml").write_text(yaml.safe_dump(marked))
    (change,) = [
        change["change"]
        for change in module.plan(**INPUTS, policies=["marked"])["resource_changes"]
        if change["address"] == 'google_monitoring_alert_policy.policies["marked"]'
    ]
    (unknown,) = change["after_unknown"]["conditions"][0]["condition_prometheus_query_language"]
    assert unknown["query"] is True
    assert change["after"]["display_name"] == "one"


@pytest.mark.parametrize("case", ROUTES, ids=lambda case: case["name"])
def test_routes_choose_the_channels_by_one_table(case: dict[str, Any], module: Workspace) -> None:
    def name(channel: str) -> str:
        return f"projects/p/notificationChannels/{channel}"

    labels = {"priority": case["priority"], "team": case["team"]}
    (module.folder / "policies" / "one.yaml").write_text(yaml.safe_dump(policy(userLabels=labels)))
    routes = {
        priority: {team: [name(channel) for channel in channels] for team, channels in teams.items()}
        for priority, teams in case["routes"].items()
    }
    variables = {**INPUTS, "policies": ["one"], "routes": routes}
    if case["told"] is None:
        refusal = module.refusal(**variables)
        assert f"no route for priority {case['priority']} and team {case['team']}" in refusal
        return
    bodies = planned_bodies(module.plan(**variables))
    told = bodies['google_monitoring_alert_policy.policies["one"]'].get("notificationChannels", [])
    assert told == [name(channel) for channel in case["told"]]
    assert told == route(routes, labels)


def without_default_types(body: dict[str, Any]) -> dict[str, Any]:
    """A label of a log-based metric is text unless it says otherwise; the provider says it always."""
    descriptor = body.get("metricDescriptor", {})
    labels = [{key: value for key, value in one.items() if value != "STRING"} for one in descriptor.get("labels", [])]
    return {**body, "metricDescriptor": {**descriptor, "labels": labels}} if labels else body


READINGS: list[dict[str, Any]] = [
    {},
    {"metrics_domain": "custom", "policies": ["all"]},
    {"metrics_domain": "workload", "metrics_namespace": "shop"},
    {"platform": "gke", "policies": ["default", "queue_age", "-ddos_attempt"], "resources": {"container": "web"}},
    {"policies": ["all"], "regions": ["europe-west1", "us-central1"]},
    {"policies": ["all", "-critical_error_rate"], "thresholds": {"high_error_rate": {"ratio": 0.07}}},
]


@pytest.mark.parametrize("reading", READINGS, ids=lambda one: ",".join(one) or "defaults")
def test_terraform_and_the_emulator_see_the_same_objects(reading: dict[str, Any], unchanged: Workspace) -> None:
    inputs = {name: value for name, value in INPUTS.items() if name != "routes"}
    bodies = planned_bodies(unchanged.plan(**inputs, **reading))
    words = {"policies": ["default"], **reading}
    given: dict[str, Any] = {name: value for name, value in words.items() if isinstance(value, str)}
    given |= {name: ",".join(words[name]) for name in ("policies", "regions") if name in words}
    given |= words.get("resources", {})
    given |= {
        f"thresholds.{policy}.{name}": number
        for policy, numbers in words.get("thresholds", {}).items()
        for name, number in numbers.items()
    }
    loaded = definitions.load(MODULE, {**inputs, **given})
    # The provider always says whether a policy is enabled; where a file does not, it is (alert_policy.proto).
    always: dict[str, dict[str, Any]] = {"policy": {"enabled": True}}
    expected = {f'{RESOURCES[one.kind]}["{one.key}"]': {**always.get(one.kind, {}), **one.data} for one in loaded}
    ours = {at: body for at, body in bodies.items() if at.split("[")[0] in RESOURCES.values()}
    assert ours.keys() == expected.keys()
    for at, body in ours.items():
        assert without_default_types(body) == without_default_types(expected[at])
