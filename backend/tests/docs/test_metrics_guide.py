"""The examples of docs/guides/metrics.md: each runs, and what it counted stands beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.metrics import metrics_client
from tools.reference_pages import ROOT

GUIDE = ROOT / "docs" / "guides" / "metrics.md"
EXAMPLES = ROOT / "docs" / "examples" / "metrics"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"

# Under the name that users import; its own process, since a process uses one of the two names only.
RUN = """
import runpy, sys
runpy.run_path(sys.argv[1])
from fastapi_cloudops.core.metrics.cells import process_store
lines = []
for series, cell in process_store.snapshot():
    if series.metric.name.startswith("cloudops_"):
        continue
    number = sum(cell[:-1]) if series.metric.kind == "histogram" else cell[0]
    labels = ",".join(f'{label}="{value}"' for label, value in zip(series.metric.labels, series.values))
    of = "_count" if series.metric.kind == "histogram" else ""
    lines.append((series.metric.name, -number, f"{series.metric.name}{of}{{{labels}}} {number:g}".replace("{}", "")))
lines.sort()
shown = [line for _name, _number, line in lines]
if len(shown) > 10:
    shown[4:] = [f"... {len(lines)} series, {-sum(number for _, number, _ in lines):g} in all"]
print("\\n".join(shown))
"""


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda example: example.name)
def test_an_example_counts_what_its_page_shows(example):
    environment = {"PATH": os.environ["PATH"], "HASH_KEY": "example"}
    command = [sys.executable, "-c", RUN, str(example)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd="/")
    page = example.with_suffix(".out.txt")
    if UPDATE:
        page.write_text(answer.stdout)
    assert page.read_text() == answer.stdout


def test_the_guide_shows_every_example_and_its_output():
    text = GUIDE.read_text()
    # After the examples have run, in whatever order: what they print is compared above.
    blocks = re.compile(r"(<!-- (docs/examples/metrics/\S+) -->\n```\w+\n).*?(```\n)", flags=re.DOTALL)
    shown = blocks.sub(lambda block: f"{block[1]}{(ROOT / block[2]).read_text()}{block[3]}", text)
    if UPDATE:
        GUIDE.write_text(shown)
    assert GUIDE.read_text() == shown, "the guide shows other examples: run `make snapshots`"
    assert {Path(path).name for _, path, _ in blocks.findall(text)} == {
        path.name for path in EXAMPLES.iterdir() if path.is_file()
    }


@pytest.mark.parametrize("call", sorted(set(re.findall(r"`metrics_client\.(\w+)", GUIDE.read_text()))))
def test_what_the_guide_calls_is_there(call):
    assert hasattr(metrics_client, call)
