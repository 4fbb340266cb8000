"""docs/guides/getting-started.md, followed to the fired alert: its commands, on free ports."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.cloudops import EmulatorProcess, cloudops, command, emulator_process, started
from support.servers import free_port
from support.waiting import wait_until
from tools.reference_pages import ROOT

GUIDE = (ROOT / "docs" / "guides" / "getting-started.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "adoption"


def line(beginning: str) -> list[str]:
    """The words after `cloudops` of the guide's command that begins so."""
    [found] = [one for one in re.findall(r"^cloudops (.+)$", GUIDE, re.MULTILINE) if one.startswith(beginning)]
    return [word.strip("'\"") for word in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", found)]


@dataclass
class Round:
    emulator: EmulatorProcess
    front: str

    def run(self, beginning: str) -> tuple[int, str]:
        answer = cloudops(*line(beginning), **self.emulator.variables)
        return answer.returncode, answer.stdout + answer.stderr

    def order(self, item: int) -> int:
        return httpx.post(f"{self.front}/orders/{item}", timeout=30).status_code

    def alerts(self) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.emulator.addresses['http']}/v3/projects/demo/alerts", timeout=30)
        return list(answer.raise_for_status().json().get("alerts", []))


@pytest.fixture(scope="module")
def first_round() -> Iterator[Round]:
    service, front = str(free_port()), str(free_port())
    with emulator_process(*line("up")[1:], "--uptime-target", f"localhost=http://127.0.0.1:{front}") as emulator:
        words = line("run --service shop")
        assert words[-1] == "8080"
        words[-1] = service
        end = words.index("--")
        words[end:end] = ["--port", service, "--listen", front]
        path = os.pathsep.join([str(Path(command()[0]).parent), os.environ["PATH"]])  # uvicorn is beside it
        with started(*words, **emulator.variables, PATH=path, PYTHONPATH=f"{ROOT / 'backend'}:{EXAMPLE}"):
            one = Round(emulator, f"http://127.0.0.1:{front}")

            def up() -> bool:
                try:
                    return httpx.get(f"{one.front}/health/live", timeout=5).status_code == 200
                except httpx.HTTPError:
                    return False

            wait_until(up, seconds=60, what="the service of the guide")
            yield one


def test_what_is_applied_beside_it_comes_on_top(first_round):
    code, printed = first_round.run("apply")
    assert code == 0
    assert [row for row in printed.splitlines() if row.startswith("created")] == [
        row for row in printed.splitlines() if "queue" in row.lower()
    ]


def test_the_uptime_check_finds_the_service(first_round):
    def passed() -> bool:
        query = 'min(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource="uptime_url"})'
        answer = cloudops("query", query, **first_round.emulator.variables)
        return answer.returncode == 0 and answer.stdout.rstrip().endswith("1")

    wait_until(passed, seconds=90, what="a check that passed")


def test_what_the_guide_promises_arrives(first_round):
    assert [first_round.order(item) for item in (7, 7, 7, 0)] == [200, 200, 200, 500]
    wait_until(lambda: "ZeroDivisionError" in first_round.run("logs")[1], seconds=30, what="the error in the log")

    def counted() -> bool:
        code, printed = first_round.run("query")
        return code == 0 and "server_error" in printed

    wait_until(counted, seconds=60, what="metrics")

    def well() -> bool:
        answer = cloudops(*line("doctor --service"), "--json", **first_round.emulator.variables)
        found = {one["name"]: one["status"] for one in json.loads(answer.stdout)["checks"]}
        return {found[name] for name in ("logs", "metrics", "traces", "policies", "dashboards", "uptime checks")} == {
            "ok"
        }

    wait_until(well, seconds=60, what="the doctor's word")


def test_the_alert_of_the_guide_fires(first_round):
    for number in range(1, 61):
        first_round.order(number % 2)
    names = lambda: [one.get("policy", {}).get("displayName", "") for one in first_round.alerts()]  # noqa: E731  # a word
    wait_until(
        lambda: any("error rate" in name.lower() or "unavailable" in name.lower() for name in names()),
        seconds=120,
        what="the incident",
    )
