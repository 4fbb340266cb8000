"""`cloudops apply`: all of it, or nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.cloudops import EmulatorProcess, cloudops, emulator_process

POLICY = """\
displayName: "Errors of ${service}-${environment}"
combiner: OR
severity: ERROR
conditions:
  - displayName: "Any server error"
    conditionPrometheusQueryLanguage:
      query: 'sum(increase(http_request_total{${scope},outcome="server_error"}[5m])) > 0'
      duration: "0s"
      evaluationInterval: "30s"
      disableMetricValidation: true
"""
VARIABLES = ["--var", "service=items", "--var", "environment=dev"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process() as emulator:
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "errors.yaml.tftpl").write_text(POLICY)
    return tmp_path


def policies(emulator):
    answer = httpx.get(f"{emulator.addresses['http']}/v3/projects/demo/alertPolicies", timeout=30)
    return [policy["displayName"] for policy in answer.json().get("alertPolicies", [])]


def test_files_are_rendered_and_created_and_the_second_time_unchanged(emulator, folder):
    first = cloudops("apply", str(folder), *VARIABLES, "--format", "json", **emulator.variables)
    assert first.returncode == 0, first.stderr
    assert [(row["kind"], row["action"], row["displayName"]) for row in json.loads(first.stdout)] == [
        ("policy", "created", "Errors of items-dev")
    ]
    assert policies(emulator).count("Errors of items-dev") == 1
    second = cloudops("apply", str(folder), *VARIABLES, **emulator.variables)
    assert second.stdout.split()[:2] == ["unchanged", "policy"]
    assert policies(emulator).count("Errors of items-dev") == 1


def test_values_come_from_a_file_too_and_var_wins(emulator, folder):
    (folder / "values.yaml").write_text('service: "file"\nenvironment: "file"\n')
    target = str(folder / "policies" / "errors.yaml.tftpl")
    arguments = [
        "--var-file",
        str(folder / "values.yaml"),
        "--var",
        "environment=dev",
        "--webhook",
        "demo=http://127.0.0.1:9/",
    ]
    done = cloudops("apply", target, *arguments, **emulator.variables)
    assert done.returncode == 0, done.stderr
    assert "Errors of file-dev" in policies(emulator)
    channels = httpx.get(f"{emulator.addresses['http']}/v3/projects/demo/notificationChannels", timeout=30).json()
    assert [channel["displayName"] for channel in channels["notificationChannels"]] == ["demo"]


def test_a_broken_file_is_told_with_its_line_and_nothing_is_loaded(emulator, folder):
    before = policies(emulator)
    (folder / "policies" / "a_good_one.yaml.tftpl").write_text(POLICY.replace("Errors of", "Other errors of"))
    (folder / "policies" / "broken.yaml.tftpl").write_text(POLICY.replace("combiner: OR", "combiner: MAYBE"))
    done = cloudops("apply", str(folder), *VARIABLES, **emulator.variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert "broken.yaml.tftpl:2: combiner" in done.stderr
    assert done.stderr.endswith("cloudops: Nothing was applied.\n")
    assert policies(emulator) == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--var", "service"], 2, "NAME=VALUE"),
        (["--var", "a=1", "--var", "a=2"], 2, "given twice"),
        (["--var-file", "/nonexistent.yaml"], 1, "cannot be read"),
        (["--format", "xml"], 2, "table or json"),
    ],
)
def test_a_wrong_option_is_told(emulator, folder, arguments, code, told):
    done = cloudops("apply", str(folder), *arguments, COLUMNS="200", **emulator.variables)
    assert done.returncode == code
    assert told in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://[broken"])
def test_no_emulator_is_said_so(folder, address):
    done = cloudops("apply", str(folder), *VARIABLES, CLOUDOPS_EMULATOR_HTTP=address)
    assert done.returncode == 1
    assert address in done.stderr
    assert "cloudops up" in done.stderr
    assert "Traceback" not in done.stderr
