"""`channels/`: a secret goes through Terraform into the API, and is found nowhere else."""

import functools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.emulator import RunningEmulator
from support.terraform import Workspace, actions

LOWEST = "7.19.0"
PLANTED = "planted-7f3a9c"
ROOT = """
variable "secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "secret_version" {
  type    = number
  default = 1
}

module "channels" {
  source = "../terraform/monitoring/channels"

  channels = {
    hook = {
      secret_version = var.secret_version
      webhook        = { url = "https://hooks.example.com/alerts", username = "google" }
    }
    pager = { pagerduty = {} }
    slack = { slack = { channel = "#on-call", team = "example" } }
  }
  project = "demo"
  secrets = { hook = var.secret, pager = "${var.secret}-pager", slack = "${var.secret}-slack" }
}

output "channels" {
  value = module.channels.channels
}
"""


@pytest.fixture
def live(live_in: Callable[..., Workspace]) -> Workspace:
    return live_in(ROOT, LOWEST)


def kept(emulator: RunningEmulator) -> dict[str, dict[str, str]]:
    """What the emulator holds of secrets, by the channel's type; its API hides them."""
    secrets = ("auth_token", "password", "service_key")
    listed = httpx.get(f"{emulator.http}/v3/projects/demo/notificationChannels").raise_for_status().json()
    held = emulator.emulator.parts.alerting.channels

    def labels(name: str) -> dict[str, str]:
        channel: Any = held.channel(name)
        return {key: channel.labels[key] for key in secrets if key in channel.labels}

    return {
        one["type"]: emulator.call(functools.partial(labels, one["name"])) for one in listed["notificationChannels"]
    }


def test_a_secret_reaches_the_api_and_neither_state_nor_plan_nor_log(
    live: Workspace, emulator: RunningEmulator
) -> None:
    log = {"TF_LOG": "DEBUG", "TF_LOG_PATH": str(live.folder / "log")}
    noisy = Workspace(live.folder, {**live.environment, **log, "TF_VAR_secret": PLANTED})
    given = ("-no-color", "-input=false")
    told = noisy.ok("plan", *given, "-out=plan.bin") + noisy.ok("show", "-json", "plan.bin")
    told += noisy.ok("apply", *given, "plan.bin")
    told += noisy.ok("show", "-json")
    assert PLANTED not in told
    for file in live.folder.rglob("*"):
        if file.is_file():
            assert PLANTED.encode() not in file.read_bytes(), file
    assert kept(emulator) == {
        "pagerduty": {"service_key": f"{PLANTED}-pager"},
        "slack": {"auth_token": f"{PLANTED}-slack"},
        "webhook_basicauth": {"password": PLANTED},
    }
    plan = ("plan", *given, "-detailed-exitcode")
    assert noisy.run(*plan).returncode == 0


def test_a_new_version_sends_the_new_secret(live: Workspace, emulator: RunningEmulator) -> None:
    def apply(secret: str, version: int) -> str:
        given = (f"-var=secret={secret}", f"-var=secret_version={version}")
        live.ok("apply", "-auto-approve", *given, "-no-color", "-input=false")
        return kept(emulator)["webhook_basicauth"]["password"]

    assert apply(PLANTED, 1) == PLANTED
    assert apply("another", 1) == PLANTED, "without a new version Terraform cannot know of the new secret"
    assert apply("another", 2) == "another"


def test_the_provider_before_it_does_not_know_what_it_needs(live_in: Callable[..., Workspace]) -> None:
    done = live_in(ROOT, "7.18.0").run("validate", "-no-color")
    assert 'An argument named "auth_token_wo" is not expected here' in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ("{ one = {} }", "channels: write exactly one of pagerduty"),
        ('{ one = { pagerduty = {}, slack = { channel = "#a", team = "b" } } }', "channels: write exactly one of"),
        ('{ one = { slack = { channel = "on-call", team = "b" } } }', "channels: write slack.channel with its #"),
        (
            '{ one = { webhook = { url = "https://example.com/?token=t", username = "u" } } }',
            "channels: write webhook.url as an https:// address without user, password and query",
        ),
        ("{ nobody = { pagerduty = {} } }", "Invalid index"),
    ],
)
def test_what_cannot_be_used_is_refused(channels: str, message: str, live_in: Callable[..., Workspace]) -> None:
    live = live_in(
        'module "channels" {\n  source = "../terraform/monitoring/channels"\n'
        f'  channels = {channels}\n  project = "demo"\n  secrets = {{ one = "x" }}\n}}\n',
        LOWEST,
    )
    assert message in " ".join(live.refusal().split())


def test_a_channel_that_policies_name_can_be_replaced(live_in: Callable[..., Workspace]) -> None:
    """The API refuses to delete a channel in use; the policies move first."""
    live = live_in(
        """
variable "key" {
  type = string
}

module "monitoring" {
  source = "../terraform/monitoring"

  channels         = { (var.key) = { email = "on-call@example.com" } }
  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  policies         = ["high_error_rate"]
  project          = "demo"
  routes           = { default = { default = [var.key] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}
"""
    )
    live.apply(key="first")
    changes = actions(live.apply(key="second"))
    assert sorted(changes.values()) == [["create"], ["delete"], ["update"]]
    assert actions(live.plan(key="second")) == {}
