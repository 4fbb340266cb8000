"""`make terraform-live`, with the stand-in and the emulator in place of the provider and Google."""

import os
import subprocess
import sys

import httpx

from support.emulator import RunningEmulator
from support.terraform import REPOSITORY, provider

SCRIPT = REPOSITORY / "backend" / "tools" / "terraform_live.py"
# A version that every module accepts.
VERSION = "7.32.0"


def test_it_tests_every_module_and_leaves_the_project_as_it_was(emulator: RunningEmulator) -> None:
    endpoints = {
        "GOOGLE_LOGGING_CUSTOM_ENDPOINT": f"{emulator.http}/v2/",
        "GOOGLE_MONITORING_CUSTOM_ENDPOINT": f"{emulator.http}/",
    }
    # The provider reads its endpoints from its own environment: so this one is started for this test.
    with provider(VERSION, **endpoints) as line:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "demo"],
            env={**os.environ, "TF_REATTACH_PROVIDERS": line, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count("0 failed.") == len((".", "project", "channels", "queries"))
    assert "The second plan is empty." in done.stdout
    assert "Apply complete!" in done.stdout
    assert httpx.get(f"{emulator.http}/v3/projects/demo/alertPolicies").json().get("alertPolicies", []) == []
