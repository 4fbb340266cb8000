"""What every workflow keeps to, beside what zizmor and actionlint see (`make lint`)."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.reference_pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def _jobs(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text)["jobs"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.name)
def test_actions_are_pinned_by_commit_and_say_their_version(workflow: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", workflow.read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one[0]) or "# v" not in one[1]] == []


def test_an_action_has_one_commit_in_all_workflows() -> None:
    used = {one for workflow in WORKFLOWS for one in re.findall(r"uses: (\S+)", workflow.read_text())}
    assert len(used) == len({one.partition("@")[0] for one in used})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.name)
def test_nothing_is_allowed_that_a_job_does_not_ask_for(workflow: Path) -> None:
    text = workflow.read_text()
    assert yaml.safe_load(text)["permissions"] == {}
    for name, job in _jobs(text).items():
        assert "permissions" in job, name
        assert job["timeout-minutes"] <= 60, name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.name)
def test_what_others_type_never_becomes_a_part_of_a_script(workflow: Path) -> None:
    scripts = [step["run"] for job in _jobs(workflow.read_text()).values() for step in job["steps"] if "run" in step]
    assert [one for one in scripts if "${{" in one] == []


def test_only_the_job_that_publishes_has_an_identity_and_runs_none_of_the_code() -> None:
    jobs = _jobs((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]
    publish = jobs["publish"]
    assert (publish["needs"], publish["environment"]) == ("build", "pypi")
    scripts = "\n".join(step.get("run", "") for step in publish["steps"])
    assert "make " not in scripts
    assert "secrets." not in str(jobs)


def test_the_gate_runs_on_every_python_that_is_promised():
    promised = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    for name, job in (("monitoring-tests", "check"), ("compatibility", "python")):
        jobs = _jobs((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
        assert set(promised) <= set(jobs[job]["strategy"]["matrix"]["python"]), name


def test_what_a_linter_needs_is_pinned_with_hashes_and_names_no_registry():
    lock = json.loads((ROOT / "backend" / "tools" / "node" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert [name for name, one in packages.items() if "sha512-" not in one["integrity"] or "resolved" in one] == []


def test_the_first_release_would_find_its_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    tags = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())[True]["push"]["tags"]
    [pattern] = tags
    assert re.fullmatch(pattern.replace(".", r"\.").replace("*", ".*"), f"v{version}")
