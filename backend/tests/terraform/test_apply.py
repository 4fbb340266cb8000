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
    "notificationChannels": "v3/projects/demo/notificationChannels",
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
        "notificationChannels": 1,
        "services": sum(".google_monitoring_custom_service." in at for at in actions(plan)),
        "uptimeCheckConfigs": sum(".google_monitoring_uptime_check_config." in at for at in actions(plan)),
    }
    (channel,) = objects["notificationChannels"]
    assert all(policy["notificationChannels"] == [channel["name"]] for policy in objects["alertPolicies"])
    assert actions(live.plan(**variables)) == {}


def test_terraform_and_cloudops_apply_leave_the_same_objects(live: Workspace, emulator: RunningEmulator) -> None:
    def content(objects: dict[str, list[dict[str, Any]]]) -> Any:
        """What somebody wrote: without names, ids, times and the channels, which each of the two chooses itself."""
        ids = {found["name"].rpartition("/")[2] for found in objects["uptimeCheckConfigs"]}
        given = {"name", "etag", "creationRecord", "mutationRecord", "notificationChannels", "notificationChannelNames"}

        def strip(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: strip(item) for key, item in value.items() if key not in given}
            if isinstance(value, str):
                for known in ids:
                    value = value.replace(known, "CHECK")
            return [strip(item) for item in value] if isinstance(value, list) else value

        return strip({key: found for key, found in objects.items() if key not in {"notificationChannels", "services"}})

    live.apply(environment="production", services=["items"])
    with running_emulator() as other:
        inputs = {name: value for name, value in INPUTS.items() if name != "routes"}
        given = {**inputs, "host": "items.example.com", "policies": "default", "project": "demo"}
        hook = {"hook": "http://127.0.0.1:9/hook"}
        definitions.apply(definitions.load(MODULE, given), other.http, "demo", channels=hook)
        both = content(held(emulator)), content(held(other))
    for kind in both[0].keys() | both[1].keys():
        first, second = ({one["displayName"]: one for one in objects[kind]} for objects in both)
        assert first == second


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
    for key in ("alertPolicies", "dashboards", "services", "uptimeCheckConfigs"):
        assert left[key] == [found for found in both[key] if "orders-production" in found["displayName"]]
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
