"""The examples of the tracing guide run as they stand there; the emulator has what stands beside them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.settings import Settings
from support.emulator import RunningEmulator, running_emulator
from support.tracing import Node, roots, spans_of
from tools.reference_pages import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "tracing"
GUIDE = ROOT / "docs" / "guides" / "tracing.md"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
# Beside the names of the conventions, what differs from place to place.
SHOWN = (
    "amount",
    "app.",
    "card",
    "cloudops.outcome",
    "cloudops.sampled_by",
    "error.type",
    "http.",
    "messaging.",
    "user.",
)


def run(emulator: RunningEmulator, example: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "CLOUDOPS_EMULATOR_HOST": emulator.grpc,
        "SERVICE_NAME": "shop",
        "ENVIRONMENT": "production",
        "ENABLE_METRICS": "false",
        "TRACE_SAMPLE_RATE": "0" if example.stem == "request" else "1",
        "HASH_KEY": "a-secret-key",
    }
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "4111" not in done.stdout + done.stderr


def lines(node: Node, depth: int = 0) -> list[str]:
    indent = "  " * depth
    failed = " (ERROR)" if node.failed else ""
    told = [f"{indent}{node.name} [{node.kind}]{failed}"]
    told += [f"{indent}    {key}: {value}" for key, value in sorted(node.labels.items()) if key.startswith(SHOWN)]
    for event in node.events:
        about = {key: value for key, value in event["labels"].items() if key != "exception.stacktrace"}
        told.append(
            f"{indent}    event {event['name']}: " + ", ".join(f"{key}={value}" for key, value in about.items())
        )
    told += [f"{indent}    link to {link['traceId'].lstrip('0')}" for link in node.links]
    for child in sorted(node.children, key=lambda one: one.start):
        told += lines(child, depth + 1)
    return told


def trees(emulator: RunningEmulator) -> str:
    answer: Any = httpx.get(f"{emulator.http}/emulator/v1/traces", timeout=20).json()
    found = [root for one in answer["traces"] for root in roots(spans_of(emulator, one["traceId"]))]
    told = ["\n".join(lines(root)) for root in sorted(found, key=lambda one: one.start)]
    return re.sub(r"user\.hash: h:[0-9a-f]+", "user.hash: h:1f0c9d2b7a3e5846", "\n\n".join(told)) + "\n"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda example: example.stem)
def test_an_example_leaves_the_spans_that_the_guide_shows(example):
    with running_emulator() as emulator:
        run(emulator, example)
        shown = trees(emulator)
    page = example.with_suffix(".out.txt")
    if UPDATE:
        page.write_text(shown)
    assert page.read_text() == shown


def test_each_example_stands_in_the_guide_beside_its_output():
    guide = GUIDE.read_text()
    for example in EXAMPLES.glob("*.py"):
        for path, kind in ((example, "python"), (example.with_suffix(".out.txt"), "")):
            block = f"<!-- {path.relative_to(ROOT)} -->\n```{kind}\n{path.read_text()}```\n"
            assert block in guide, path.name


def test_every_setting_of_tracing_stands_in_the_guide():
    names = {name for name in Settings.model_fields if "trac" in name or name == "server_span"} - {
        "enable_cost_tracking"
    }
    guide = GUIDE.read_text()
    assert sorted(name.upper() for name in names if name.upper() not in guide) == []
