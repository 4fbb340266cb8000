"""`cloudops test` as a process: what it prints, how it ends; and every example of its guide."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.cli.test import _stamps
from support.cloudops import cloudops, environment, started
from support.provenance import our_choice

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples" / "alerts"
GUIDE = ROOT / "docs" / "guides" / "testing-alerts.md"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
FIRST = "slow_checkout.test.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, to change them."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "alerts"))


def blunt(folder: Path) -> None:
    """Make the policy of the first example one that does not fire."""
    policy = folder / "slow_checkout.yaml"
    policy.write_text(policy.read_text().replace(" > 1\n", " > 10\n"))


def test_a_script_in_a_folder_that_is_no_yaml_is_told_and_not_skipped(folder):
    (folder / "broken.test.yaml").write_text("tests:\n  - name: [unclosed\n")
    done = cloudops("test", str(folder))
    assert done.returncode == 2
    assert "broken.test.yaml" in done.stdout + done.stderr


def test_every_example_of_the_guide_passes():
    done = cloudops("test", str(EXAMPLES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.parametrize("name", ["pass", "fail", "explain"])
def test_the_guide_shows_what_the_command_prints(name, folder):
    page = EXAMPLES / f"{name}.out.txt"
    first, *_ = page.read_text().splitlines()
    arguments = first.removeprefix("$ cloudops ").split()
    if name == "fail":
        blunt(folder)
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed = re.sub(r"\d+\.\d\d s", "0.05 s", f"{first}\n{done.stdout}")
    if UPDATE:
        page.write_text(printed)
    assert page.read_text() == printed
    assert done.returncode == (1 if name == "fail" else 0)


def test_the_python_examples_of_the_guide_pass(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir"]
    done = subprocess.run(
        [*command, str(EXAMPLES), str(EXAMPLES)], capture_output=True, text=True, timeout=60, check=False,
        env=environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_guide_names_every_field_of_a_script():
    from app.emulator.alerttest import script  # noqa: PLC0415  # its private tables, for this comparison only

    text = GUIDE.read_text()
    for field in (script._SERIES | script._EXPECT) - {"policy"}:
        assert f"`{field}" in text, field


def test_a_failing_test_ends_with_1_and_shows_expected_got_and_what_was_seen(folder):
    blunt(folder)
    done = cloudops("test", str(folder / FIRST))
    assert done.returncode == 1
    assert "at 20m  Checkout is slow: state\n            expected  open\n            got       none\n" in done.stdout
    assert re.search(r"it saw    [\d.]+ not > 10  in  histogram_quantile", done.stdout)
    assert "1 passed, 1 failed" in done.stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("tests:", "test:"), "test is no field of the file"),
        (("policy: slow_checkout", "policy: slow_chekout"), "did you mean slow_checkout?"),
        (("policies: [slow_checkout.yaml]", "policies: [gone.yaml]"), "gone.yaml: no such file"),
        (("{{count:60 p50:2", "{{count:60 p50x2"), "cannot be read"),
        (("state: pending", "state: ponding"), "state is one of none, pending, open, closed, not ponding"),
        (("at: 12m", "at: 12 minutes"), "12 minutes is not a duration"),
        (("    series:", "    serie:"), "serie is no field of a test; there are expect"),
        (("- name:", "-name:"), "not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_ends_with_2_and_says_why(change, told, folder):
    script = folder / FIRST
    text = script.read_text()
    assert change[0] in text
    script.write_text(text.replace(*change))
    done = cloudops("test", str(script))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["nowhere"], ["."], [str(EXAMPLES / FIRST), "-k", "no such name"]])
def test_nothing_to_run_is_an_error(arguments, tmp_path):
    if arguments == ["."]:
        arguments = [str(tmp_path)]
    done = cloudops("test", *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_junit_holds_passes_failures_and_unusable_files(folder, tmp_path):
    blunt(folder)
    (folder / "broken.test.yaml").write_text("tests: []\n")
    out = tmp_path / "out.xml"
    done = cloudops("test", str(folder), "--junit", str(out))
    assert done.returncode == 2
    suites = {Path(suite.attrib["name"]).name: suite for suite in ET.fromstring(out.read_text())}
    assert suites[FIRST].attrib["failures"] == "1"
    failure = suites[FIRST].find("testcase/failure")
    assert failure is not None
    assert "expected pending, got none" in failure.attrib["message"]
    assert "it saw" in str(failure.text)
    assert suites["broken.test.yaml"].find("testcase/error") is not None
    assert suites["platform.test.yaml"].attrib["failures"] == "0"


def test_policies_and_variables_of_the_command_line_go_before_those_of_the_file(folder):
    template = folder / "mine.yaml.tftpl"
    text = (folder / "slow_checkout.yaml").read_text().replace(" > 1\n", " > ${limit}\n")
    template.write_text(text.replace("${metric.label.value}", "$${metric.label.value}"))
    script = folder / FIRST
    script.write_text(script.read_text().replace("policy: slow_checkout", "policy: mine"))
    run = ("test", str(script), "--policies", str(template), "-k", "database")
    assert cloudops(*run, "--var", "limit=1").returncode == 0
    assert cloudops(*run, "--var", "limit=10").returncode == 1
    without = cloudops(*run)
    assert without.returncode == 2
    assert "limit" in without.stderr


@our_choice("the whole of the project's own policies, without an option")
def test_without_a_policy_the_projects_own_are_tested():
    done = cloudops("test", str(ROOT / "backend" / "tests" / "policies"), "-k", "burst")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_watch_runs_again_when_a_policy_changes(folder):
    with started("test", str(folder / FIRST), "--watch", "-k", "database") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert "1 passed" in " ".join(_until(lines, "Waiting for a change"))
        blunt(folder)
        assert "1 failed" in " ".join(_until(lines, "Waiting for a change"))


def _until(lines, last):
    seen = []
    for line in lines:
        seen.append(line)
        if line.startswith(last):
            return seen
    raise AssertionError(f"the output ended before {last!r}: {seen}")


def test_stamps_see_new_changed_and_removed_files(tmp_path):
    first = _stamps({tmp_path})
    file = tmp_path / "a"
    file.touch()
    second = _stamps({tmp_path, file})
    os.utime(file, ns=(time.time_ns(), time.time_ns() + 10**9))
    third = _stamps({tmp_path, file})
    file.unlink()
    assert len({str(one) for one in (first, second, third, _stamps({tmp_path, file}))}) == 4
