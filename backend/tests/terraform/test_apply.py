"""Apply into the emulator, over the REST calls of the provider: create, nothing on the second plan, update, destroy."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml

from app.emulator import definitions
from support.emulator import RunningEmulator, running_emulator
from support.terraform import INPUTS, MODULE, Workspace, actions
from terraform.standin import bodies
from terraform.standin.schema import RESOURCES
from terraform.standin.values import conform

COLLECTIONS = {
    "alertPolicies": "v3/projects/demo/alertPolicies",
    "dashboards": "v1/projects/demo/dashboards",
    "metrics": "v2/projects/demo/metrics",
    "notificationChannels": "v3/projects/demo/notificationChannels",
    "serviceLevelObjectives": "v3/projects/demo/services/-/serviceLevelObjectives",
    "services": "v3/projects/demo/services",
    "uptimeCheckConfigs": "v3/projects/demo/uptimeCheckConfigs",
}
SERVICES = """
resource "google_monitoring_notification_channel" "hook" {
  display_name = "hook"
  type         = "webhook_tokenauth"
  labels       = { url = "http://127.0.0.1:9/hook" }
}

variable "environment" {
  type = string
}

variable "platform" {
  type    = string
  default = "cloud_run"
}

variable "services" {
  type = set(string)
}

variable "thresholds" {
  type    = map(map(number))
  default = {}
}

module "monitoring" {
  source   = "../terraform/monitoring"
  for_each = var.services

  directories      = length(fileset(path.module, "own/**")) == 0 ? [] : ["${path.module}/own"]
  environment      = var.environment
  host             = "${each.key}.example.com"
  location         = "europe-west1"
  platform         = var.platform
  project          = "demo"
  routes           = { default = { default = [google_monitoring_notification_channel.hook.name] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = each.key
  thresholds       = var.thresholds
}
"""


@pytest.fixture
def live(live_in: Callable[..., Workspace]) -> Workspace:
    return live_in(SERVICES)


def held(emulator: RunningEmulator) -> dict[str, list[dict[str, Any]]]:
    """Everything of ours that the emulator holds, as its REST lists tell it."""
    found = {}
    for key, path in COLLECTIONS.items():
        answer = httpx.get(f"{emulator.http}/{path}").raise_for_status().json()
        found[key] = answer.get(key, [])
    return found


def own(live: Workspace, name: str, policy: dict[str, Any]) -> None:
    """A policy of the user's own folder."""
    folder = live.folder / "own" / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(policy))


def test_what_was_applied_is_there_and_a_second_plan_is_empty(live: Workspace, emulator: RunningEmulator) -> None:
    variables = {"environment": "production", "services": ["items"]}
    plan = live.apply(**variables)
    objects = held(emulator)
    assert {key: len(found) for key, found in objects.items()} == {
        "alertPolicies": sum(".google_monitoring_alert_policy." in at for at in actions(plan)),
        "dashboards": sum(".google_monitoring_dashboard." in at for at in actions(plan)),
        "metrics": sum(".google_logging_metric." in at for at in actions(plan)),
        "notificationChannels": 1,
        "serviceLevelObjectives": sum(".google_monitoring_slo." in at for at in actions(plan)),
        "services": sum(".google_monitoring_custom_service." in at for at in actions(plan)),
        "uptimeCheckConfigs": sum(".google_monitoring_uptime_check_config." in at for at in actions(plan)),
    }
    (channel,) = objects["notificationChannels"]
    assert all(policy["notificationChannels"] == [channel["name"]] for policy in objects["alertPolicies"])
    assert actions(live.plan(**variables)) == {}


def content(objects: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What somebody wrote, by the name that they chose: without ids of the server's, times and channels."""
    ids = {found["name"].rpartition("/")[2] for found in objects["uptimeCheckConfigs"]}
    given = {"etag", "creationRecord", "mutationRecord", "notificationChannels", "notificationChannelNames"}
    given |= {"createTime", "updateTime"}
    # Of these the name is chosen too.
    named = {"metrics", "serviceLevelObjectives", "services"}

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in given}
        if isinstance(value, str):
            for known in ids:
                value = value.replace(known, "CHECK")
        return [strip(item) for item in value] if isinstance(value, list) else value

    def unnamed(kind: str, found: dict[str, Any]) -> Any:
        conditions = [{**one, "name": ""} for one in found.get("conditions", [])]
        return strip({**found, **({} if kind in named else {"name": "", "conditions": conditions})})

    return {
        kind: {one["name"] if kind in named else one["displayName"]: unnamed(kind, one) for one in found}
        for kind, found in objects.items()
        if kind != "notificationChannels"
    }


@pytest.mark.parametrize("platform", ["cloud_run", "gke"])
def test_terraform_and_cloudops_apply_leave_the_same_objects(
    platform: str, live: Workspace, emulator: RunningEmulator
) -> None:
    live.apply(environment="production", services=["items"], platform=platform)
    with running_emulator() as other:
        inputs = {name: value for name, value in INPUTS.items() if name != "routes"}
        given = {**inputs, "host": "items.example.com", "policies": "default", "project": "demo", "platform": platform}
        hook = {"hook": "http://127.0.0.1:9/hook"}
        loaded = definitions.load(MODULE, given)
        definitions.apply(loaded, other.http, "demo", channels=hook)
        applied, ours = content(held(emulator)), content(held(other))
        again = definitions.apply(loaded, other.http, "demo", channels=hook)
    assert applied.keys() == ours.keys()
    for kind, found in applied.items():
        assert found, f"no {kind} to compare"
        assert found == ours[kind]
    assert {one.action for one in again} == {"unchanged"}


def test_a_marker_holds_the_uptime_checks_id(live: Workspace, emulator: RunningEmulator) -> None:
    policy = {
        "displayName": "marked",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": "c",
                "conditionPrometheusQueryLanguage": {
                    "disableMetricValidation": True,
                    "query": 'monitoring_googleapis_com:uptime_check_check_passed{check_id="@uptime:public"} == 0',
                },
            }
        ],
        "userLabels": {"priority": "p1", "team": "web"},
    }
    own(live, "marked", policy)
    variables = {"environment": "production", "services": ["items"]}
    live.apply(**variables)
    objects = held(emulator)
    (marked,) = [found for found in objects["alertPolicies"] if found["displayName"] == "marked"]
    (check,) = [one for one in objects["uptimeCheckConfigs"] if "Public address" in one["displayName"]]
    query = marked["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
    assert f'check_id="{check["name"].rpartition("/")[2]}"' in query
    assert actions(live.plan(**variables)) == {}


def test_one_change_is_one_update_of_the_fields_that_changed(live: Workspace, emulator: RunningEmulator) -> None:
    before = {"environment": "production", "services": ["items", "orders"]}
    after = {**before, "thresholds": {"authentication_failures": {"failures": 321}}}
    live.apply(**before)
    names = {found["name"] for found in held(emulator)["alertPolicies"]}
    plan = live.apply(**{**after, "services": ["items", "orders"]})
    changes = [one for one in plan["resource_changes"] if one["change"]["actions"] != ["no-op"]]
    assert [one["change"]["actions"] for one in changes] == [["update"], ["update"]]
    for one in changes:
        assert one["address"].endswith('google_monitoring_alert_policy.policies["authentication_failures"]')
        resource = RESOURCES[one["type"]]
        was, will = (conform(one["change"][when], resource.block) for when in ("before", "after"))
        assert set(bodies.changed(resource, was, will)) <= {"conditions", "documentation"}
    assert {found["name"] for found in held(emulator)["alertPolicies"]} == names
    told = [one for one in held(emulator)["alertPolicies"] if "> 321" in json.dumps(one["conditions"])]
    assert len(told) == len(changes)
    assert actions(live.plan(**after)) == {}


def test_another_environment_keeps_nothing_of_the_first_ones_names(live: Workspace, emulator: RunningEmulator) -> None:
    live.apply(environment="production", services=["items"])
    names = {key: {found["name"] for found in objects} for key, objects in held(emulator).items()}
    changes = actions(live.apply(environment="staging", services=["items"]))
    kept = ("alert_policy", "dashboard", "uptime_check_config")
    assert all(
        change == ["update"] for at, change in changes.items() if any(f"monitoring_{one}." in at for one in kept)
    )
    after = held(emulator)
    for key in ("alertPolicies", "dashboards", "uptimeCheckConfigs"):
        assert {found["name"] for found in after[key]} == names[key]
        assert all("items-staging" in found["displayName"] for found in after[key])
    assert actions(live.plan(environment="staging", services=["items"])) == {}


def test_destroying_one_of_two_services_leaves_the_other_whole(live: Workspace, emulator: RunningEmulator) -> None:
    live.apply(environment="production", services=["items", "orders"])
    both = held(emulator)
    live.apply(environment="production", services=["orders"])
    left = held(emulator)
    for key in left.keys() - {"notificationChannels"}:
        mine = [found for found in both[key] if "orders-production" in found.get("displayName", found["name"])]
        assert mine
        assert left[key] == mine
    live.destroy()
    assert not any(held(emulator).values())


def test_what_was_deleted_by_hand_is_planned_again(live: Workspace, emulator: RunningEmulator) -> None:
    variables = {"environment": "production", "services": ["items"]}
    live.apply(**variables)
    dashboard, *_ = held(emulator)["dashboards"]
    httpx.delete(f"{emulator.http}/v1/{dashboard['name']}").raise_for_status()
    assert list(actions(live.plan(**variables)).values()) == [["create"]]


def test_what_the_api_refuses_fails_the_apply_in_its_words(live: Workspace) -> None:
    policy = {
        "displayName": "broken",
        "combiner": "OR",
        "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "sum(("}}],
        "userLabels": {"priority": "p1", "team": "web"},
    }
    own(live, "broken", policy)
    live.plan(environment="production", services=["items"])
    done = live.run("apply", "-json", "-input=false", "plan.bin")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (error,) = [line["diagnostic"] for line in lines if "diagnostic" in line and line["@level"] == "error"]
    assert done.returncode != 0
    assert "Error 400" in error["summary"]
    assert error["address"].endswith('google_monitoring_alert_policy.policies["broken"]')


def test_two_environments_plan_the_same_objects_under_other_names(unchanged: Workspace) -> None:
    def names(environment_name: str) -> set[str]:
        plan = unchanged.plan(**{**INPUTS, "environment": environment_name})
        return {
            json.loads(after["dashboard_json"])["displayName"] if "dashboard_json" in after else after["display_name"]
            for after in (change["change"]["after"] for change in plan["resource_changes"])
            if "dashboard_json" in after or "display_name" in after
        }

    assert not names("production") & names("staging")
