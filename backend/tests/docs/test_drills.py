"""The commands of docs/drills.md, run in their order against one emulator."""

import os
import re
import subprocess

import pytest

from support.cloudops import command, emulator_process, environment
from tools.reference_pages import ROOT

PAGE = (ROOT / "docs" / "drills.md").read_text()
DRILLS = re.findall(r"<!-- drill: (.+?) -->\n```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def played() -> dict[str, list[tuple[str, int, str]]]:
    """By drill, each command with its exit code and all it printed."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    with emulator_process("--evaluate-every", "2s") as emulator:
        path = os.pathsep.join([str(os.path.dirname(command()[0])), os.environ["PATH"]])  # noqa: PTH120  # a text, for PATH
        for name, block in DRILLS:
            for line in block.splitlines():
                answer = subprocess.run(
                    ["bash", "-c", line],
                    cwd=ROOT,
                    env=environment(**emulator.variables, PATH=path),
                    capture_output=True,
                    text=True,
                    timeout=240,
                    check=False,
                )
                found.setdefault(name, []).append((line, answer.returncode, answer.stdout + answer.stderr))
    return found


@pytest.mark.parametrize("name", [name for name, _ in DRILLS])
def test_each_command_of_a_drill_works(name, played):
    for line, code, printed in played[name]:
        assert code == 0, f"{line}\n{printed}"


def test_the_doctor_finds_the_policies_that_were_applied(played):
    printed = played["before"][-1][2]
    assert "ok       policies" in printed
    assert "ok       channels" in printed


def test_the_pager_opens_an_incident_and_takes_it_away(played):
    [(_, _, printed)] = played["the pager"]
    assert "projects/demo/" in printed


def test_the_scripts_of_the_drills_have_cases(played):
    for name in ("bad release", "passwords", "nobody answers"):
        assert all(re.search(r"[1-9]\d* passed", printed) for _, _, printed in played[name])


def test_the_page_has_all_its_drills():
    assert [name for name, _ in DRILLS] == [
        "before",
        "bad release",
        "passwords",
        "nobody answers",
        "the pager",
        "planned work",
    ]
