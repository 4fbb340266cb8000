"""Apply into the emulator, over the REST calls of the provider: create, nothing on the second plan, update, destroy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.emulator import definitions
from support.emulator import RunningEmulator, running_emulator
from support.terraform import INPUTS, MODULE, Workspace, copy_of_module, environment
from terraform.standin import bodies
from terraform.standin.schema import RESOURCES
from terraform.standin.values import conform

COLLECTIONS = {
    "alertPolicies": "v3/projects/demo/alertPolicies",
    "dashboards": "v1/projects/demo/dashboards",
    "notificationChannels": "v3/projects/demo/notificationChannels",
    "uptimeCheckConfigs": "v3/projects/demo/uptimeCheckConfigs",
}
ROOT = """
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

provider "google" {
  access_token               = "no-secret"
  monitoring_custom_endpoint = "%(endpoint)s/"
  project                    = "demo"
}

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

module "monitoring" {
  source   = "../terraform/monitoring"
  for_each = var.services

  environment      = var.environment
  host             = "${each.key}.example.com"
  location         = "europe-west1"
  project          = "demo"
  routes           = { default = { default = [google_monitoring_notification_channel.hook.name] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = each.key
}
"""


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def live(tmp_path: Path, reattach: str, emulator: RunningEmulator) -> Workspace:
    copy_of_module(tmp_path)
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "main.tf").write_text(ROOT % {"endpoint": address(emulator)})
    workspace = Workspace(folder, environment(tmp_path / "cli.tfrc", TF_REATTACH_PROVIDERS=reattach))
    workspace.ok("init", "-no-color", "-input=false")
    return workspace


def address(emulator: RunningEmulator) -> str:
    return emulator.http if emulator.http.startswith("http") else f"http://{emulator.http}"


def apply(workspace: Workspace, **variables: Any) -> dict[str, Any]:
    """Plan and apply; answers the plan."""
    plan = workspace.plan(**variables)
    workspace.ok("apply", "-no-color", "-input=false", "plan.bin")
    return plan


def actions(plan: dict[str, Any]) -> dict[str, list[str]]:
    return {
        change["address"]: change["change"]["actions"]
        for change in plan["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }


def held(emulator: RunningEmulator) -> dict[str, list[dict[str, Any]]]:
    """Everything of ours that the emulator holds, as its REST lists tell it."""
    found = {}
    for key, path in COLLECTIONS.items():
        answer = httpx.get(f"{address(emulator)}/{path}").raise_for_status().json()
        found[key] = answer.get(key, [])
    return found


def test_what_was_applied_is_there_and_a_second_plan_is_empty(live: Workspace, emulator: RunningEmulator) -> None:
    variables = {"environment": "production", "services": ["items"]}
    plan = apply(live, **variables)
    objects = held(emulator)
    assert {key: len(found) for key, found in objects.items()} == {
        "alertPolicies": sum(".google_monitoring_alert_policy." in at for at in actions(plan)),
        "dashboards": sum(".google_monitoring_dashboard." in at for at in actions(plan)),
        "notificationChannels": 1,
        "uptimeCheckConfigs": sum(".google_monitoring_uptime_check_config." in at for at in actions(plan)),
    }
    (channel,) = objects["notificationChannels"]
    assert all(policy["notificationChannels"] == [channel["name"]] for policy in objects["alertPolicies"])
    assert actions(live.plan(**variables)) == {}


def test_terraform_and_cloudops_apply_leave_the_same_objects(live: Workspace, emulator: RunningEmulator) -> None:
    def content(objects: dict[str, list[dict[str, Any]]]) -> Any:
        """What somebody wrote: without names, ids, times and the channels, which each of the two chooses itself."""

        def strip(value: Any) -> Any:
            if isinstance(value, dict):
                given = {"name", "etag", "creationRecord", "mutationRecord", "notificationChannels"}
                return {key: strip(item) for key, item in value.items() if key not in given}
            return [strip(item) for item in value] if isinstance(value, list) else value

        return strip({key: found for key, found in objects.items() if key != "notificationChannels"})

    apply(live, environment="production", services=["items"])
    with running_emulator() as other:
        inputs = {name: value for name, value in INPUTS.items() if name != "routes"}
        loaded = definitions.load(MODULE, {**inputs, "host": "items.example.com", "project": "demo"})
        definitions.apply(loaded, address(other), "demo")
        assert content(held(emulator)) == content(held(other))


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
    (live.folder.parent / "terraform" / "monitoring" / "policies" / "marked.yaml").write_text(yaml.safe_dump(policy))
    variables = {"environment": "production", "services": ["items"]}
    apply(live, **variables)
    objects = held(emulator)
    (marked,) = [found for found in objects["alertPolicies"] if found["displayName"] == "marked"]
    (check,) = objects["uptimeCheckConfigs"]
    query = marked["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]
    assert f'check_id="{check["name"].rpartition("/")[2]}"' in query
    assert actions(live.plan(**variables)) == {}


def test_one_change_is_one_update_of_each_object_it_touches(live: Workspace, emulator: RunningEmulator) -> None:
    apply(live, environment="production", services=["items"])
    names = {key: {found["name"] for found in objects} for key, objects in held(emulator).items()}
    changes = actions(apply(live, environment="staging", services=["items"]))
    assert changes
    assert all(change == ["update"] for change in changes.values())
    after = held(emulator)
    assert {key: {found["name"] for found in objects} for key, objects in after.items()} == names
    assert all("items-staging" in found["displayName"] for found in after["alertPolicies"])
    assert all("items-staging" in found["displayName"] for found in after["dashboards"])
    assert actions(live.plan(environment="staging", services=["items"])) == {}


def test_an_update_sends_the_fields_that_changed_and_no_others(live: Workspace) -> None:
    apply(live, environment="production", services=["items"])
    masks = {}
    for change in live.plan(environment="staging", services=["items"])["resource_changes"]:
        if change["change"]["actions"] == ["update"] and RESOURCES[change["type"]].update_mask:
            before, after = (
                conform(change["change"][when], RESOURCES[change["type"]].block) for when in ("before", "after")
            )
            masks[change["type"]] = bodies.changed(RESOURCES[change["type"]], before, after)
    assert masks["google_monitoring_uptime_check_config"] == ["displayName", "userLabels"]
    assert {"displayName", "conditions"} <= set(masks["google_monitoring_alert_policy"])
    assert "combiner" not in masks["google_monitoring_alert_policy"]


def test_destroying_one_of_two_services_leaves_the_other_whole(live: Workspace, emulator: RunningEmulator) -> None:
    apply(live, environment="production", services=["items", "orders"])
    both = held(emulator)
    apply(live, environment="production", services=["orders"])
    left = held(emulator)
    for key in ("alertPolicies", "dashboards", "uptimeCheckConfigs"):
        assert left[key] == [found for found in both[key] if "orders-production" in found["displayName"]]
    live.ok("destroy", "-auto-approve", "-no-color", "-input=false", "-var-file=test.tfvars.json")
    assert not any(held(emulator).values())


def test_what_was_deleted_by_hand_is_planned_again(live: Workspace, emulator: RunningEmulator) -> None:
    variables = {"environment": "production", "services": ["items"]}
    apply(live, **variables)
    (dashboard,) = held(emulator)["dashboards"]
    httpx.delete(f"{address(emulator)}/v1/{dashboard['name']}").raise_for_status()
    assert list(actions(live.plan(**variables)).values()) == [["create"]]


def test_what_the_api_refuses_fails_the_apply_in_its_words(live: Workspace) -> None:
    policy = {
        "displayName": "broken",
        "combiner": "OR",
        "conditions": [{"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "sum(("}}],
        "userLabels": {"priority": "p1", "team": "web"},
    }
    (live.folder.parent / "terraform" / "monitoring" / "policies" / "broken.yaml").write_text(yaml.safe_dump(policy))
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
        }

    assert not names("production") & names("staging")
