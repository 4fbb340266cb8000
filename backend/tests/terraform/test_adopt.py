"""What `cloudops adopt` writes, through `terraform plan`: everything is taken over, and nothing is made twice."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.emulator import definitions
from app.emulator.operations import Project, adopt
from app.emulator.operations.adopt import import_blocks
from support.emulator import RunningEmulator
from support.terraform import INPUTS, MODULE, Workspace

VALUES = {
    **{name: value for name, value in INPUTS.items() if name != "routes"},
    "host": "items.example.com",
    "policies": "default",
    "project": "demo",
}
SERVICE = """
module "monitoring" {
  source = "../terraform/monitoring"

  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  project          = "demo"
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}
"""


@pytest.fixture
def adopted(live_in: Callable[..., Workspace], emulator: RunningEmulator) -> Workspace:
    """A project that has everything already, and import blocks for it."""
    loaded = definitions.load(MODULE, VALUES)
    definitions.apply(loaded, emulator.http, "demo")
    project = Project("demo", emulator.http)
    blocks = import_blocks(adopt(project, loaded, "module.monitoring", "items-production"))
    project.close()
    workspace = live_in(SERVICE)
    (workspace.folder / "imports.tf").write_text(blocks)
    return workspace


def changes(plan: dict[str, Any]) -> dict[str, list[str]]:
    return {
        one["address"]: one["change"]["actions"]
        for one in plan["resource_changes"]
        if one["change"]["actions"] != ["no-op"]
    }


def test_terraform_takes_over_every_object_as_it_stands(adopted: Workspace, emulator: RunningEmulator) -> None:
    def names() -> set[str]:
        lists = {
            "alertPolicies": "v3/projects/demo/alertPolicies",
            "dashboards": "v1/projects/demo/dashboards",
            "metrics": "v2/projects/demo/metrics",
            "serviceLevelObjectives": "v3/projects/demo/services/-/serviceLevelObjectives",
            "services": "v3/projects/demo/services",
            "uptimeCheckConfigs": "v3/projects/demo/uptimeCheckConfigs",
        }
        return {
            found["name"]
            for key, path in lists.items()
            for found in httpx.get(f"{emulator.http}/{path}").raise_for_status().json().get(key, [])
        }

    before = names()
    plan = adopted.apply()
    taken = [one["address"] for one in plan["resource_changes"] if one["change"].get("importing")]
    assert len(taken) == len(before) == len(plan["resource_changes"])
    # What only the provider keeps may be written once more; nothing is made and nothing goes.
    assert {tuple(actions) for actions in changes(plan).values()} <= {("update",)}
    assert names() == before
    (adopted.folder / "imports.tf").unlink()
    assert changes(adopted.plan()) == {}
