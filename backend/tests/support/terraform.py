"""Terraform for tests: the unmodified program, a copy of the module, and the stand-in provider of tests/terraform.

One provider process answers every command (Terraform is told through TF_REATTACH_PROVIDERS), so a plan costs 0.2 s.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.tools import tool
from terraform.standin import bodies

REPOSITORY = Path(__file__).parents[3]
MODULE = REPOSITORY / "terraform" / "monitoring"
CATALOGUE = Path("backend/app/core/metrics/catalogue.json")
# `TERRAFORM=tofu` runs the same tests through OpenTofu, which looks for providers in a registry of its own.
PROGRAM = os.environ.get("TERRAFORM", "terraform")
ADDRESS = f"registry.{'opentofu.org' if PROGRAM.endswith('tofu') else 'terraform.io'}/hashicorp/google"
# What the stand-in answers as: the lowest version that the module accepts.
VERSION = "6.31.0"
_SECONDS = 60
_TESTS = REPOSITORY / "backend" / "tests"

# Every variable of the module that has no default, and routes.
INPUTS: dict[str, Any] = {
    "environment": "production",
    "host": "items-1234.europe-west1.run.app",
    "location": "europe-west1",
    "project": "my-project",
    "routes": {"default": {"default": ["projects/my-project/notificationChannels/1"]}},
    "runbook_base_url": "https://example.com/runbooks",
    "service": "items",
}


@dataclass(frozen=True)
class Workspace:
    """A folder in which Terraform runs, with its own settings, and nothing from the machine's."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [tool(PROGRAM), f"-chdir={self.folder}", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"terraform {' '.join(arguments)}\n{done.stderr or done.stdout}"
        return done.stdout

    def plan(self, **variables: Any) -> dict[str, Any]:
        """The plan as `terraform show -json` tells it."""
        self._write(variables)
        self.ok("plan", "-no-color", "-input=false", "-var-file=test.tfvars.json", "-out=plan.bin")
        plan: dict[str, Any] = json.loads(self.ok("show", "-json", "plan.bin"))
        return plan

    def apply(self, **variables: Any) -> dict[str, Any]:
        """Plan and apply; answers the plan."""
        plan = self.plan(**variables)
        self.ok("apply", "-no-color", "-input=false", "plan.bin")
        return plan

    def destroy(self, *more: str) -> None:
        self.ok("destroy", "-auto-approve", "-no-color", "-input=false", "-var-file=test.tfvars.json", *more)

    def refusal(self, **variables: Any) -> str:
        """Why Terraform refuses to plan: one line for each error."""
        self._write(variables)
        done = self.run("plan", "-json", "-input=false", "-var-file=test.tfvars.json")
        assert done.returncode != 0, f"terraform planned what it should refuse\n{done.stdout}"
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        errors = [line["diagnostic"] for line in lines if line.get("@level") == "error" and "diagnostic" in line]
        return "\n".join(f"{error['summary']}: {error['detail']}" for error in errors)

    def _write(self, variables: dict[str, Any]) -> None:
        (self.folder / "test.tfvars.json").write_text(json.dumps(variables))


def initialised(folder: Path, root: Path, line: str) -> Workspace:
    workspace = Workspace(folder, environment(root / "cli.tfrc", TF_REATTACH_PROVIDERS=line))
    workspace.ok("init", "-no-color", "-input=false")
    return workspace


def planned_bodies(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The REST body of each object that the plan creates, by its address in Terraform."""
    return {
        change["address"]: bodies.body_of(change["type"], change["change"]["after"])
        for change in plan["resource_changes"]
        if change["change"]["actions"] == ["create"]
    }


def provider_block(endpoint: str, project: str = "demo") -> str:
    """HCL that sends every product's calls to one emulator; the version in a base is the product's own."""
    versions = {
        "billing_budgets": "v1/",
        "cloud_run_v2": "v2/",
        "logging": "v2/",
        "monitoring": "",
        "pubsub": "v1/",
        "resource_manager": "v1/",
        "service_usage": "v1/",
    }
    endpoints = "\n".join(f'  {name}_custom_endpoint = "{endpoint}/{version}"' for name, version in versions.items())
    return f"""
terraform {{
  required_providers {{
    google = {{
      source = "hashicorp/google"
    }}
  }}
}}

provider "google" {{
  access_token = "no-secret"
  project      = "{project}"
{endpoints}
}}
"""


def actions(plan: dict[str, Any]) -> dict[str, list[str]]:
    """What a plan would do, by address; nothing for what stays."""
    return {
        change["address"]: change["change"]["actions"]
        for change in plan["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    }


def copy_of_module(root: Path) -> Path:
    """The module below `root`, with the one file outside of its folder that it reads."""
    module = root / "terraform" / "monitoring"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    (root / CATALOGUE).parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / CATALOGUE, root / CATALOGUE)
    return module


def environment(settings: Path, **more: str) -> dict[str, str]:
    """Terraform's environment: no settings of this machine's, no calls to its maker."""
    settings.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_"))}
    return {**kept, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **more}


@contextlib.contextmanager
def provider(version: str = VERSION, **variables: str) -> Iterator[str]:
    """A running stand-in provider of that version; the value of TF_REATTACH_PROVIDERS that leads to it."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "terraform.standin"],
        env={
            **os.environ,
            "PYTHONPATH": str(_TESTS),
            "CLOUDOPS_STANDIN_VERSION": version,
            "CLOUDOPS_STANDIN_ADDRESS": ADDRESS,
            **variables,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line, "the stand-in provider ended before it told its address"
        yield line
        # It serves until its input ends.
        process.stdin.close()
        process.wait(_SECONDS)


def mirror(root: Path) -> str:
    """A filesystem mirror that holds the stand-in provider; the text of the CLI configuration that names it."""
    answer = subprocess.run([tool(PROGRAM), "version", "-json"], capture_output=True, text=True, check=True)
    platform = json.loads(answer.stdout)["platform"]
    program = root / ADDRESS / VERSION / platform / f"terraform-provider-google_v{VERSION}"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\nexport CLOUDOPS_STANDIN_VERSION={VERSION} PYTHONPATH="{_TESTS}"\n'
        f'exec "{sys.executable}" -P -m terraform.standin\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{root}"\n  }}\n}}\n'
