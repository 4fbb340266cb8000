"""The module as it stands: formatted, valid, planned by the unmodified program, in bodies that parse as Google's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.monitoring_v3 import AlertPolicy
from google.protobuf import json_format

from support.provenance import known_from, our_choice
from support.snapshots import check
from support.terraform import (
    INPUTS,
    MODULE,
    PROGRAM,
    REPOSITORY,
    VERSION,
    Workspace,
    copy_of_module,
    environment,
    mirror,
    planned_bodies,
)
from support.tools import tool

POLICIES = "google_monitoring_alert_policy.policies"
DASHBOARDS = "google_monitoring_dashboard.dashboards"
UPTIME_CHECKS = "google_monitoring_uptime_check_config.uptime_checks"
# What the examples without a default ask for.
EXAMPLES: dict[str, dict[str, Any]] = {
    "cloud-run": {"mail": "on-call@example.com", "project_number": "1234"},
    "many-regions": {"project_number": "1234"},
}
# Enough to see what is made for whom; queries have tests of their own.
SHOWN = {
    "bucket_id",
    "destination",
    "display_name",
    "filter",
    "labels",
    "location",
    "member",
    "name",
    "notification_channels",
    "period",
    "retention_days",
    "role",
    "selected_regions",
    "service_id",
    "slo_id",
    "type",
}
SNAPSHOTS = Path(__file__).parent / "snapshots"
# The policies that are on when nothing is said.
DEFAULT = set(yaml.safe_load((MODULE / "defaults.yaml").read_text())["policies"])


def files(folder: str, platform: str = "cloud_run") -> set[str]:
    """Keys of our files, those of the platform among them."""
    places = [MODULE / folder, MODULE / folder / platform]
    return {path.name.partition(".")[0] for place in places for path in place.glob("*.*")}


def keys(bodies: dict[str, Any], resource: str) -> set[str]:
    return {address.split('"')[1] for address in bodies if address.startswith(f"{resource}[")}


@pytest.fixture(scope="module")
def plan(unchanged: Workspace) -> dict[str, Any]:
    return unchanged.plan(**INPUTS)


def test_terraform_fmt_would_change_nothing(tmp_path: Path) -> None:
    tool(PROGRAM)
    workspace = Workspace(REPOSITORY / "terraform", environment(tmp_path / "cli.tfrc"))
    workspace.ok("fmt", "-check", "-recursive", "-diff", "-no-color")


def test_the_module_is_valid(unchanged: Workspace) -> None:
    answer = json.loads(unchanged.ok("validate", "-json"))
    assert (answer["valid"], answer["diagnostics"]) == (True, [])


def test_a_plan_creates_one_object_for_each_file_that_is_on_and_nothing_else(plan: dict[str, Any]) -> None:
    bodies = planned_bodies(plan)
    found = {
        POLICIES: DEFAULT,
        DASHBOARDS: files("dashboards"),
        UPTIME_CHECKS: files("uptime_checks"),
        "google_monitoring_slo.slos": files("slos"),
        "google_logging_metric.log_metrics": files("log_metrics"),
    }
    for resource, expected in found.items():
        assert keys(bodies, resource) == expected
    assert len(bodies) == sum(map(len, found.values())) + bool(files("slos"))


def test_the_outputs_name_every_object_by_its_file(plan: dict[str, Any]) -> None:
    unknown = {name: set(change["after_unknown"] or ()) for name, change in plan["output_changes"].items()}
    told = {name: set(change["after"] or ()) for name, change in plan["output_changes"].items()}
    assert unknown == {
        "alert_policies": DEFAULT,
        "apis": set(),
        "channels": set(),
        "dashboards": files("dashboards"),
        "log_metrics": set(),
        "log_sinks": set(),
        "saved_queries": set(),
        "slos": files("slos"),
        "uptime_checks": files("uptime_checks"),
    }
    assert told["log_metrics"] == files("log_metrics")
    assert told["saved_queries"] == files("saved_queries")
    assert "monitoring.googleapis.com" in told["apis"]


def test_everything_is_known_at_plan_time_but_ids(plan: dict[str, Any]) -> None:
    """So a plan on an empty project shows every query, threshold and route before anything exists."""

    def unknown(value: Any, name: str = "") -> set[str]:
        if isinstance(value, dict):
            return {found for key, item in value.items() for found in unknown(item, key)}
        if isinstance(value, list):
            return {found for item in value for found in unknown(item, name)}
        return {name} if value else set()

    for change in plan["resource_changes"]:
        given_by_the_api = {"id", "name", "uptime_check_id", "checker_type", "headers", "metric_descriptor"}
        assert unknown(change["change"]["after_unknown"]) <= given_by_the_api, change["address"]


def test_names_that_people_see_carry_service_and_environment(plan: dict[str, Any]) -> None:
    for address, body in planned_bodies(plan).items():
        shown = body["name"] if address.startswith("google_logging_metric.") else body["displayName"]
        assert "items-production" in shown, address


@our_choice("a dashboard that states a default differs from what the API returns, on every plan")
def test_dashboards_state_no_defaults_and_no_nulls(plan: dict[str, Any]) -> None:
    def walk(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            inner = [found for key, item in value.items() for found in walk(item, f"{path}.{key}")]
            return inner + ([path] if not value and not path.endswith("incidentList") else [])
        if isinstance(value, list):
            return [found for item in value for found in walk(item, f"{path}[]")] + ([] if value else [path])
        return [path] if value in (None, 0, "", False, "REDUCE_NONE", "ALIGN_NONE", "Y1", "COLOR") else []

    for address, body in planned_bodies(plan).items():
        if address.startswith(DASHBOARDS):
            assert walk(body, "") == []


@known_from(docs="cloud.google.com/monitoring/api/resources: uptime checks run from at least three locations")
def test_uptime_checks_run_from_three_places_or_more(plan: dict[str, Any]) -> None:
    places = {"USA": 3}
    for address, body in planned_bodies(plan).items():
        if address.startswith(UPTIME_CHECKS):
            assert sum(places.get(region, 1) for region in body["selectedRegions"]) >= 3


@pytest.mark.parametrize("example", sorted(path.name for path in (MODULE / "examples").iterdir()))
def test_an_example_plans_what_its_snapshot_shows(example: str, module: Workspace) -> None:
    workspace = Workspace(module.folder / "examples" / example, module.environment)
    workspace.ok("init", "-no-color", "-input=false")
    plan = workspace.plan(project="my-project", **EXAMPLES.get(example, {}))
    shown = {
        change["address"]: {
            name: value
            for name, value in change["change"]["after"].items()
            if name in SHOWN and value not in (None, [], {})
        }
        for change in plan["resource_changes"]
        if change["change"]["actions"] == ["create"]
    }
    check(SNAPSHOTS / f"{example}.json", shown)


def test_a_host_that_is_not_known_yet_does_not_stop_the_plan(module: Workspace) -> None:
    """A service on Cloud Run and its monitoring can be one configuration: the address is known during apply."""
    (module.folder / "examples" / "cloud-run" / "more.tf").write_text(
        'resource "google_monitoring_notification_channel" "later" {\n  type = "email"\n}\n'
    )
    main = module.folder / "examples" / "cloud-run" / "main.tf"
    main.write_text(
        main.read_text().replace(
            "var.project_number", "google_monitoring_notification_channel.later.verification_status"
        )
    )
    workspace = Workspace(main.parent, module.environment)
    workspace.ok("init", "-no-color", "-input=false")
    addresses = planned_bodies(workspace.plan(mail="on-call@example.com", project="my-project", project_number="1234"))
    assert f'module.monitoring.{UPTIME_CHECKS}["public"]' in addresses


ALL_KINDS: dict[str, dict[str, Any]] = {
    "promql": {
        "conditionPrometheusQueryLanguage": {
            "alertRule": "Rule",
            "disableMetricValidation": True,
            "duration": "120s",
            "evaluationInterval": "60s",
            "labels": {"tier": "web"},
            "query": "up == 0",
            "ruleGroup": "group",
        }
    },
    "threshold": {
        "conditionThreshold": {
            "aggregations": [
                {
                    "alignmentPeriod": "60s",
                    "crossSeriesReducer": "REDUCE_SUM",
                    "groupByFields": ["resource.label.service_name"],
                    "perSeriesAligner": "ALIGN_RATE",
                }
            ],
            "comparison": "COMPARISON_GT",
            "denominatorAggregations": [
                {
                    "alignmentPeriod": "120s",
                    "crossSeriesReducer": "REDUCE_MEAN",
                    "groupByFields": ["resource.label.location"],
                    "perSeriesAligner": "ALIGN_MEAN",
                }
            ],
            "denominatorFilter": 'metric.type="b/c" AND resource.type="cloud_run_revision"',
            "duration": "60s",
            "evaluationMissingData": "EVALUATION_MISSING_DATA_INACTIVE",
            "filter": 'metric.type="a/b" AND resource.type="cloud_run_revision"',
            "forecastOptions": {"forecastHorizon": "3600s"},
            "thresholdValue": 0.05,
            "trigger": {"percent": 12.5},
        }
    },
    "absent": {
        "conditionAbsent": {
            "aggregations": [
                {
                    "alignmentPeriod": "60s",
                    "crossSeriesReducer": "REDUCE_COUNT",
                    "groupByFields": ["resource.label.location"],
                    "perSeriesAligner": "ALIGN_COUNT",
                }
            ],
            "duration": "180s",
            "filter": 'metric.type="a/b" AND resource.type="cloud_run_revision"',
            "trigger": {"count": 2},
        }
    },
    "log": {
        "conditionMatchedLog": {
            "filter": 'severity>=ERROR AND jsonPayload.kind="payment"',
            "labelExtractors": {"who": "EXTRACT(jsonPayload.who)"},
        }
    },
}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_field_of_a_policy_file_reaches_the_api(kind: str, module: Workspace) -> None:
    policy: dict[str, Any] = {
        "alertStrategy": {
            "autoClose": "1800s",
            "notificationChannelStrategy": [
                {"notificationChannelNames": INPUTS["routes"]["default"]["default"], "renotifyInterval": "3600s"}
            ],
            "notificationPrompts": ["OPENED", "CLOSED"],
            "notificationRateLimit": {"period": "300s"},
        },
        "combiner": "AND_WITH_MATCHING_RESOURCE",
        "conditions": [{"displayName": "first", **ALL_KINDS[kind]}, {"displayName": "second", **ALL_KINDS[kind]}],
        "displayName": "every field",
        "documentation": {
            "content": "What ${metric.label.x} means.",
            "links": [{"displayName": "runbook", "url": "https://example.com/runbook"}],
            "mimeType": "text/plain",
            "subject": "It is so",
        },
        "enabled": False,
        "severity": "CRITICAL",
        "userLabels": {"priority": "p1", "renotify": "3600s", "team": "web"},
    }
    strategy = {key: value for key, value in policy["alertStrategy"].items() if key != "notificationChannelStrategy"}
    written = {**policy, "alertStrategy": strategy}
    (module.folder / "policies" / "everything.yaml").write_text(yaml.safe_dump(written))
    body = planned_bodies(module.plan(**INPUTS, policies=["everything"]))[f'{POLICIES}["everything"]']
    assert body.pop("notificationChannels") == INPUTS["routes"]["default"]["default"]
    assert body == policy
    json_format.ParseDict(body, AlertPolicy.pb(AlertPolicy()))


def test_every_field_of_an_uptime_check_file_reaches_the_api(module: Workspace) -> None:
    common = {
        "checkerType": "STATIC_IP_CHECKERS",
        "contentMatchers": [
            {
                "content": "ok",
                "jsonPathMatcher": {"jsonMatcher": "REGEX_MATCH", "jsonPath": "$.status"},
                "matcher": "NOT_MATCHES_JSON_PATH",
            }
        ],
        "displayName": "every field",
        "logCheckFailures": True,
        "monitoredResource": {"labels": {"host": "example.com"}, "type": "uptime_url"},
        "period": "900s",
        "selectedRegions": ["EUROPE", "USA"],
        "timeout": "5s",
        "userLabels": {"team": "web"},
    }
    http = {
        "acceptedResponseStatusCodes": [{"statusClass": "STATUS_CLASS_2XX"}, {"statusValue": 301}],
        "body": "e30=",
        "contentType": "USER_PROVIDED",
        "customContentType": "application/json",
        "headers": {"X-Who": "uptime"},
        "maskHeaders": True,
        "path": "/here",
        "pingConfig": {"pingsCount": 3},
        "port": 8443,
        "requestMethod": "POST",
        "serviceAgentAuthentication": {"type": "OIDC_TOKEN"},
        "useSsl": True,
        "validateSsl": True,
    }
    checks = {
        "http": {**common, "httpCheck": http},
        "tcp": {**common, "tcpCheck": {"pingConfig": {"pingsCount": 1}, "port": 5432}},
    }
    for key, one in checks.items():
        (module.folder / "uptime_checks" / f"{key}.yaml").write_text(yaml.safe_dump(one))
    bodies = planned_bodies(module.plan(**INPUTS))
    for key, one in checks.items():
        assert bodies[f'{UPTIME_CHECKS}["{key}"]'] == one


def test_a_file_that_is_no_template_is_read_as_it_stands(module: Workspace) -> None:
    dashboard = {"displayName": "plain ${not.replaced} %{nor this}", "gridLayout": {"widgets": [{"title": "one"}]}}
    (module.folder / "dashboards" / "plain.json").write_text(json.dumps(dashboard))
    assert planned_bodies(module.plan(**INPUTS))[f'{DASHBOARDS}["plain"]'] == dashboard


def test_terraform_starts_the_provider_itself_from_a_mirror(tmp_path: Path) -> None:
    """The path without a running provider: `terraform init` installs the stand-in, and the handshake uses TLS."""
    tool(PROGRAM)
    folder = copy_of_module(tmp_path)
    settings = tmp_path / "cli.tfrc"
    workspace = Workspace(folder, environment(settings))
    settings.write_text(mirror(tmp_path / "mirror"))
    assert f"Installed hashicorp/google v{VERSION}" in workspace.ok("init", "-no-color", "-input=false")
    assert planned_bodies(workspace.plan(**INPUTS))
