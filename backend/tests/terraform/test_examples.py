"""Each example from a copy of the repository, unchanged: applied, planned again, destroyed, beside another service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.emulator import RunningEmulator, running_emulator
from support.terraform import MODULE, PROGRAM, VERSION, Workspace, actions, copy_of_module, environment, provider
from support.tools import tool
from terraform.standin.rest import DEFAULT_ENDPOINTS

EXAMPLES = sorted(path.parent.name for path in MODULE.glob("examples/*/main.tf"))
ASKED = {"mail": "on-call@example.com", "project": "demo", "project_number": "123456789012"}
LISTS = {
    "alertPolicies": "v3/projects/demo/alertPolicies",
    "dashboards": "v1/projects/demo/dashboards",
    "exclusions": "v2/projects/demo/exclusions",
    "metrics": "v2/projects/demo/metrics",
    "notificationChannels": "v3/projects/demo/notificationChannels",
    "services": "v3/projects/demo/services",
    "sinks": "v2/projects/demo/sinks",
    "uptimeCheckConfigs": "v3/projects/demo/uptimeCheckConfigs",
}


def held(emulator: RunningEmulator) -> dict[str, list[dict[str, Any]]]:
    """Everything that there is; `_Default` was written to in between, so times do not count."""
    lists = {key: httpx.get(f"{emulator.http}/{path}").raise_for_status().json() for key, path in LISTS.items()}
    return {
        key: [{name: value for name, value in one.items() if name != "updateTime"} for one in answer.get(key, [])]
        for key, answer in lists.items()
    }


def endpoints(emulator: RunningEmulator) -> dict[str, str]:
    """The provider's own variables lead every product to the emulator, so that no file has to change."""
    versions = {name: url.partition("googleapis.com/")[2] for name, url in DEFAULT_ENDPOINTS.items()}
    return {f"GOOGLE_{name.upper()}_CUSTOM_ENDPOINT": f"{emulator.http}/{at}" for name, at in versions.items()}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def reattach(running: RunningEmulator) -> Iterator[str]:
    tool(PROGRAM)
    with provider(VERSION, **endpoints(running), GOOGLE_OAUTH_ACCESS_TOKEN="no-secret") as line:
        yield line


@pytest.fixture(scope="module")
def neighbours(running: RunningEmulator) -> str:
    """What the project has already; answers the name of a channel."""
    create = f"{running.http}/v3/projects/demo"
    for name in ("neighbour", "items-existing"):
        body: dict[str, Any] = {"displayName": name, "custom": {}}
        httpx.post(f"{create}/services", params={"serviceId": name}, json=body).raise_for_status()
    channel = {"type": "email", "displayName": "theirs", "labels": {"email_address": "a@b"}}
    return str(httpx.post(f"{create}/notificationChannels", json=channel).raise_for_status().json()["name"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_comes_and_goes_and_leaves_its_neighbours_whole(
    example: str, tmp_path: Path, running: RunningEmulator, reattach: str, neighbours: str
) -> None:
    before = held(running)
    module = copy_of_module(tmp_path)
    main = module / "examples" / example / "main.tf"
    # The one name that only a real project can hold.
    main.write_text(main.read_text().replace("projects/${var.project}/notificationChannels/1234567890", neighbours))
    workspace = Workspace(main.parent, environment(tmp_path / "cli.tfrc", TF_REATTACH_PROVIDERS=reattach))
    workspace.ok("init", "-no-color", "-input=false")
    asked = {name: ASKED[name] for name in ASKED if f'variable "{name}"' in main.read_text()}
    made = actions(workspace.apply(**asked))
    assert set(map(tuple, made.values())) == {("create",)}
    assert len(held(running)["alertPolicies"]) == sum("google_monitoring_alert_policy" in at for at in made)
    assert actions(workspace.plan(**asked)) == {}
    workspace.destroy()
    assert held(running) == before
