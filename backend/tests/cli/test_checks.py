"""`cloudops lint`, `simulate` and `parity` as processes: what they print, how they end; examples of their guides."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.emulator.project import Switches
from support.cloudops import cloudops, environment, started
from support.emulator import running_emulator
from support.waiting import wait_until

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"


def shown(page: Path, *more: str) -> None:
    """The page holds what its first line prints."""
    first, *_ = page.read_text().splitlines()
    arguments = first.removeprefix("$ cloudops ").split()
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments, *more],
        cwd=page.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = f"{first}\n" + re.sub(r"\d+\.\d\d s\b", "0.05 s", done.stdout)
    assert done.returncode in {0, 1}, done.stderr
    if UPDATE:
        page.write_text(text)
    assert page.read_text() == text, done.stderr


@pytest.mark.parametrize("page", ["lint/lint", "lint/prices", "simulate/simulate", "simulate/shop", "parity/dry_run"])
def test_a_guide_shows_what_the_command_prints(page: str) -> None:
    shown(EXAMPLES / f"{page}.out.txt")


def test_the_guide_shows_a_difference_from_the_real_api() -> None:
    with running_emulator(project="my-test", switches=Switches(minimum_gap_seconds=0.0)) as other:
        shown(EXAMPLES / "parity" / "differs.out.txt", "--endpoint", other.http)


def test_lint_ends_with_1_for_an_error_and_tells_json() -> None:
    done = cloudops("lint", str(EXAMPLES / "lint" / "orders_fail.yaml"), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["counts"]["error"] >= 1
    assert {"file", "line", "column", "field", "level", "rule", "message"} <= told["findings"][0].keys()
    (price,) = told["policies"].values()
    assert price["metricReferences"] == 2


def test_lint_ends_with_0_without_an_error_and_with_1_when_strict() -> None:
    policy = str(EXAMPLES / "simulate" / "many_errors.yaml")
    assert cloudops("lint", policy).returncode == 0
    assert cloudops("lint", policy, "--strict").returncode == 1


def test_lint_ends_with_2_when_it_is_called_wrongly() -> None:
    done = cloudops("lint", "/nowhere")
    assert done.returncode == 2
    assert "no such file or folder" in done.stderr


def test_simulate_tells_json_and_fails_on_two_pages() -> None:
    folder = EXAMPLES / "simulate"
    policies = [str(folder / name) for name in ("errors.yaml", "many_errors.yaml")]
    done = cloudops("simulate", *policies, "--chaos", str(folder / "accidents.yaml"), "--days", "1", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    cases = {one["name"]: one for one in told["cases"]}
    assert cases["week"]["passed"]
    assert cases["a bad release"]["pages"] == 2
    assert cases["a slow leak of errors"]["passed"]
    relaxed = cloudops(
        "simulate", *policies, "--chaos", str(folder / "accidents.yaml"), "-k", "release", "--page", "p0"
    )
    assert relaxed.returncode == 0, relaxed.stdout


def test_simulate_ends_with_2_when_a_file_cannot_be_used(tmp_path: Path) -> None:
    world = tmp_path / "service.yaml"
    world.write_text("knobs: {}\nserie: []\n")
    done = cloudops("simulate", str(EXAMPLES / "simulate" / "errors.yaml"), "--world", str(world))
    assert done.returncode == 2
    assert "serie is no field of a service" in done.stderr
    assert cloudops("simulate", "-k", "no such case").returncode == 2


def test_an_expected_policy_that_is_not_loaded_fails_when_strict() -> None:
    folder = EXAMPLES / "simulate"
    arguments = ["simulate", str(folder / "many_errors.yaml"), "--chaos", str(folder / "accidents.yaml"), "-k", "leak"]
    assert cloudops(*arguments).returncode == 0
    assert cloudops(*arguments, "--strict").returncode == 1


def test_policies_can_come_from_the_emulator_that_runs(tmp_path: Path) -> None:
    folder = EXAMPLES / "simulate"
    with running_emulator() as emulator:
        variables = {"CLOUDOPS_EMULATOR_HOST": emulator.grpc, "CLOUDOPS_EMULATOR_HTTP": emulator.http}
        empty = cloudops("simulate", "emulator", "--days", "0.1", "-k", "week", **variables)
        assert empty.returncode == 2
        assert "no alert policy" in empty.stderr
        assert cloudops("apply", str(folder / "errors.yaml"), **variables).returncode == 0
        done = cloudops("simulate", "emulator", "--days", "0.1", "-k", "week", **variables)
        assert done.returncode == 0, done.stderr
        assert "1 policy, 1 case: 1 as expected" in done.stdout
        tests = EXAMPLES / "alerts" / "slow_checkout.test.yaml"
        missing = cloudops("test", str(tests), "--policies", "emulator", **variables)
        assert missing.returncode == 2
        assert "there is no policy slow_checkout" in missing.stderr
        assert cloudops("apply", str(EXAMPLES / "alerts" / "slow_checkout.yaml"), **variables).returncode == 0
        # A policy of the API has a display name and no file.
        renamed = tmp_path / "checkout.test.yaml"
        renamed.write_text(tests.read_text().replace("policy: slow_checkout", "policy: Checkout is slow"))
        found = cloudops("test", str(renamed), "--policies", "emulator", **variables)
        assert found.returncode == 0, found.stdout + found.stderr


def test_parity_asks_before_it_writes() -> None:
    done = cloudops("parity", "--project", "my-test", "--endpoint", "http://127.0.0.1:9", "--wire", "rest")
    assert done.returncode != 0
    assert "calls to my-test" in done.stderr
    assert "monitoring.timeSeries.create" in done.stderr


def test_parity_records_answers_and_cleans_up(tmp_path: Path) -> None:
    with running_emulator(project="my-test") as other:
        endpoints = ["--endpoint", other.http, "--grpc-endpoint", other.grpc]
        folder = tmp_path / "answers"
        done = cloudops("parity", "--project", "my-test", "--yes", "--json", "--record", str(folder), *endpoints)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["differences"] == []
        assert told["calls"] == len(list(folder.glob("*.json")))
        parts = other.emulator.parts
        assert [one.type for one in parts.store.descriptors() if "cloudops_parity" in one.type] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_parity_cleans_up_when_it_is_stopped(number: signal.Signals) -> None:
    with running_emulator(project="my-test") as other:
        store = other.emulator.parts.store

        def written() -> list[str]:
            return other.call(lambda: [one.type for one in store.descriptors() if "cloudops_parity" in one.type])

        arguments = ["parity", "--project", "my-test", "--yes", "--endpoint", other.http, "--wire", "rest"]
        # Every call takes its time, so that the signal comes between two of them.
        slow = {"method": "*.CreateTimeSeries", "kind": "slow", "delay_seconds": 0.2}
        httpx.post(f"{other.http}/control/faults", json=slow, timeout=10)
        with started(*arguments) as process:
            wait_until(lambda: bool(written()), 30, "the first write")
            process.send_signal(number)
            assert process.wait(60) == 1
        assert written() == []
