"""The examples of the logging guide run as they stand there, and print what stands beside them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest
from google.protobuf.json_format import MessageToDict

from support.emulator import running_emulator
from tools.reference_pages import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "logging"
GUIDE = ROOT / "docs" / "guides" / "logging.md"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
ENVIRONMENT = {
    "SERVICE_NAME": "shop",
    "ENVIRONMENT": "production",
    "TRACES_BACKEND": "none",  # which traces are sampled differs from run to run
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "ENABLE_METRICS": "false",
    "LOG_FORMAT": "text",
    "HOSTNAME": "vm",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
}
OWN = {
    "auditing": {"LOG_FORMAT": "json"},
    "sampling": {"LOG_LEVEL": "DEBUG", "LOG_SAMPLE_RATES": '{"DEBUG": 0, "route:/ping": 0}'},
    "debugging": {
        "DEBUG_HEADER_KEY": "a-secret-key",
        "ADMIN_TOKEN": "a-secret-token",
        "ACCESS_LOG": "off",
        "LOG_SAMPLE_RATES": "{}",
    },
}
# What differs from run to run, as it is shown.
SHOWN = (
    (r"\d\d:\d\d:\d\d\.\d{3}", "09:30:00.123"),
    (r'"time":"[^"]+"', '"time":"2026-11-20T09:30:00.123456789Z"'),
    (r'insertId":"[0-9a-f]+', 'insertId":"5f2c8a90d1e34b670000000000'),
    (r"\b\d+(\.\d+)? m?s\b", "1.89 ms"),
    (r"request_id=[0-9a-f]{8}…", "request_id=0af76519…"),
    (r"(4bf92f3577b34da6a3ce929d0e0e4736-)[0-9a-f]{16}", r"\1b7ad6b7169203331"),
    (r'"worker":"\d+"', '"worker":"0"'),
    (r'(File "|"file":")/[^"]*/', r"\1"),
    (r"\.\.\. \d+ frames of", "... 26 frames of"),
    (r" background_seconds=[0-9.]+", ""),
)


def run(example: Path, **more: str) -> str:
    environment = {"PATH": os.environ["PATH"], **ENVIRONMENT, **OWN.get(example.stem, {}), **more}
    answer = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    shown = "".join(
        line for line in answer.stdout.splitlines(keepends=True) if not line.endswith((" [httpx]\n", " [asyncio]\n"))
    )
    for pattern, replacement in SHOWN:
        shown = re.sub(pattern, replacement, shown)
    return shown


def _check(page: Path, shown: str) -> None:
    if UPDATE:
        page.write_text(shown)
    assert page.read_text() == shown


@pytest.mark.parametrize(
    "example", sorted(set(EXAMPLES.glob("*.py")) - {EXAMPLES / "api.py"}), ids=lambda example: example.stem
)
def test_an_example_prints_what_the_guide_shows(example):
    shown = run(example)
    assert "hunter2" not in shown
    _check(example.with_suffix(".out.txt"), shown)


def test_the_example_of_the_api_arrives_in_the_emulator():
    with running_emulator() as emulator:
        assert (
            run(
                EXAMPLES / "api.py",
                LOG_DESTINATION="api",
                CLOUDOPS_EMULATOR_HOST=emulator.grpc,
                GOOGLE_CLOUD_PROJECT="demo",
            )
            == ""
        )
        request = ListLogEntriesRequest.pb()(
            resource_names=["projects/demo"], filter='jsonPayload.disk="full" labels.service="shop"'
        )
        [entry] = emulator.call(lambda: emulator.emulator.parts.logging.list_log_entries(request)).entries
    stored = MessageToDict(entry)
    told = {name: stored[name] for name in ("logName", "resource", "severity", "jsonPayload")}
    _check(EXAMPLES / "api.out.txt", json.dumps(told, indent=2, sort_keys=True) + "\n")


def test_each_example_stands_in_the_guide_beside_its_output():
    guide = GUIDE.read_text()
    for example in EXAMPLES.glob("*.py"):
        for path in (example, example.with_suffix(".out.txt")):
            assert f"<!-- {path.relative_to(ROOT)} -->" in guide


def test_the_prices_of_the_two_access_logs_are_computed_as_the_guide_says():
    text = GUIDE.read_text()
    requests = 100 * 60 * 60 * 24 * 30
    free_gib, price = 50, 0.50
    for name, kib in (("Cloud Run's", 1.0), ("ours", 1.0), ("both", 2.0)):
        gib = requests * kib / 1024**2
        row = f"| {name} | {requests / 1e6:.0f} million | {kib:g} KiB | {gib:.0f} | ${(gib - free_gib) * price:.0f} |"
        assert row in text, row
