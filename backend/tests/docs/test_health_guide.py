"""The snippets of docs/guides/health.md and shutdown.md are files, and agree with the defaults."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core import Settings
from app.core.ending import LONGEST_ON_CLOUD_RUN
from app.core.health import Paths
from app.core.health.ready_made import __all__ as ready_made
from support.tools import tool
from tools.reference_pages import ROOT

GUIDES = [ROOT / "docs" / "guides" / name for name in ("health.md", "shutdown.md")]
EXAMPLES = ROOT / "docs" / "examples" / "health"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
BLOCK = re.compile(r"(<!-- (docs/examples/health/\S+) -->\n```\w+\n).*?(```\n)", flags=re.DOTALL)
ROLES = {"startup": "startup", "liveness": "live", "readiness": "ready"}

Probe = tuple[str, int, int, int]


def test_the_guides_show_every_example():
    shown = set()
    for guide in GUIDES:
        text = guide.read_text()
        wanted = BLOCK.sub(lambda block: f"{block[1]}{(ROOT / block[2]).read_text()}{block[3]}", text)
        if UPDATE:
            guide.write_text(wanted)
        assert guide.read_text() == wanted, "the guide shows other examples: run `make snapshots`"
        shown |= {Path(block[1]).name for block in BLOCK.findall(text)}
    assert shown == {path.name for path in EXAMPLES.iterdir() if path.is_file()}


def _yaml_probes(name: str) -> tuple[dict[str, Probe], dict[str, Any]]:
    document = yaml.safe_load((EXAMPLES / name).read_text())
    pod = document["spec"]["template"]["spec"]
    [container] = pod["containers"]
    probes = {}
    for kind in ROLES:
        probe = container[f"{kind}Probe"]
        probes[kind] = (
            probe["httpGet"]["path"],
            probe["periodSeconds"],
            probe["timeoutSeconds"],
            probe["failureThreshold"],
        )
    return probes, pod


def _hcl_probes(name: str) -> dict[str, Probe]:
    text = (EXAMPLES / name).read_text()
    probes = {}
    for kind, body in re.findall(r"(\w+)_probe \{(.*?failure_threshold = \d+)", text, flags=re.DOTALL):
        path = re.search(r'path = "(.*)"', body)
        numbers = dict(re.findall(r"(\w+)\s+= (\d+)", body))
        assert path is not None
        period, timeout = int(numbers["period_seconds"]), int(numbers["timeout_seconds"])
        probes[kind] = (path[1], period, timeout, int(numbers["failure_threshold"]))
    return probes


def _agree(probes: dict[str, Probe]) -> None:
    settings = Settings.load()
    paths = dict(Paths.named(settings.health_prefix, settings.health_names).of_roles())
    for kind, (path, period, timeout, failures) in probes.items():
        assert path == paths[ROLES[kind]]  # type: ignore[index]  # a role
        assert settings.health_check_timeout < timeout <= period, kind
        assert period * failures <= 240, "cloud.google.com/run/docs/configuring/healthchecks"


@pytest.mark.parametrize("name", ["cloud_run.yaml", "gke.yaml"])
def test_the_probes_in_yaml_agree_with_the_defaults(name):
    probes, _ = _yaml_probes(name)
    _agree(probes)


def test_the_probes_in_terraform_are_those_in_yaml(tmp_path):
    probes = _hcl_probes("cloud_run.tf")
    assert set(probes) == {"startup", "liveness"}
    _agree(probes)
    assert probes.items() <= _yaml_probes("cloud_run.yaml")[0].items()
    subprocess.run([tool("terraform"), "fmt", "-check", str(EXAMPLES / "cloud_run.tf")], check=True, cwd=tmp_path)


def test_on_gke_drain_and_final_write_fit_into_the_grace_period():
    probes, pod = _yaml_probes("gke.yaml")
    [drain] = [float(one["value"]) for one in pod["containers"][0]["env"] if one["name"] == "DRAIN_SECONDS"]
    Settings.load(drain_seconds=drain)
    _, period, _, failures = probes["readiness"]
    assert drain > period * failures + Settings.load().health_check_timeout, "readiness is seen to fail before"
    assert pod["terminationGracePeriodSeconds"] >= drain + 12
    assert f"is cut to {LONGEST_ON_CLOUD_RUN:g} s there" in (ROOT / "docs" / "guides" / "shutdown.md").read_text()


def test_every_ready_made_check_is_in_the_guide():
    text = GUIDES[0].read_text()
    assert [name for name in ready_made if f"`{name}(" not in text] == []
    assert f"| ready-made checks | {len(ready_made)} |" in text


# Run under the name that users import; its own process, since a process uses one of the two names only.
RUN = """
import asyncio, importlib.util, sys
import httpx
spec = importlib.util.spec_from_file_location("main", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
async def call():
    transport = httpx.ASGITransport(module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for path in ("/health/live", "/health/detailed"):
            answer = await client.get(path, headers={"authorization": "Bearer s3cret"})
            print(answer.status_code, answer.json().get("checks", {}).keys(), file=sys.stderr)
asyncio.run(call())
"""


@pytest.mark.parametrize("name", ["checks.py", "streams.py"])
def test_an_example_runs(name, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db",
        "HEALTH_TOKEN": "s3cret",
        "ENABLE_METRICS": "false",
        "ENABLE_TRACING": "false",
    }
    command = [sys.executable, "-c", RUN, str(EXAMPLES / name)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("200 dict_keys") == 2, answer.stderr
    assert ("database:responseTime" in answer.stderr) is (name == "checks.py")
