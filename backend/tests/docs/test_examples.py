"""Examples in the documents are files that run; their output stands beside them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.reference_pages import ROOT

EXAMPLES = ROOT / "docs" / "examples"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"

# Run under the name that users import; its own process, since a process uses one of the two names only.
RUN = """
import asyncio, importlib.util, logging, sys
import httpx
spec = importlib.util.spec_from_file_location("main", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
logging.getLogger("httpx").setLevel("WARNING")
async def call():
    transport = httpx.ASGITransport(module.app, client=("203.0.113.7", 51234), raise_app_exceptions=False)
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "user-agent": "curl/8.14.1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
        await client.get("/items/7")
asyncio.run(call())
"""
ENVIRONMENT = {
    "K_SERVICE": "shop",
    "K_REVISION": "shop-00007-abc",
    "ENVIRONMENT": "production",
    "TRACES_BACKEND": "none",  # which traces are sampled differs from run to run
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "GCE_METADATA_HOST": "127.0.0.1:1",
    "ENABLE_METRICS": "false",
}
# What differs from run to run, as it is shown.
SHOWN = {
    "time": "2026-11-20T09:30:00.123456789Z",
    "request_id": "0af7651916cd43dd8448eb211c80319c",
    "logging.googleapis.com/spanId": "b7ad6b7169203331",
    "time_to_first_byte": "0.001790432s",
}


def _shown(entry: dict[str, Any], number: int) -> dict[str, Any]:
    entry |= {name: value for name, value in SHOWN.items() if name in entry}
    entry["logging.googleapis.com/insertId"] = f"5f2c8a90d1e34b67000000000{number}"
    entry.pop("background_seconds", None)  # of a busy machine
    labels = entry["logging.googleapis.com/labels"]
    assert labels["worker"].isdecimal()
    labels["worker"] = "0"
    if "httpRequest" in entry:
        entry["httpRequest"]["latency"] = "0.001893211s"
    if "logging.googleapis.com/sourceLocation" in entry:
        place = entry["logging.googleapis.com/sourceLocation"]
        place["file"] = Path(place["file"]).name
    if "stack_trace" in entry:
        first, *_, last_place, line, last = entry["stack_trace"].rstrip().split("\n")
        entry["stack_trace"] = "\n".join([first, "  ...", re.sub(r'"/.*/', '"', last_place), line, last])
    return entry


def _entries(example: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", RUN, str(example)]
    environment = {"PATH": os.environ["PATH"], **ENVIRONMENT}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd="/")
    return [_shown(json.loads(line), number) for number, line in enumerate(answer.stdout.splitlines())]


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("*.out.json")), ids=lambda page: page.name)
def test_an_example_prints_what_its_page_shows(page):
    entries = _entries(page.with_name(page.name.removesuffix(".out.json") + ".py"))
    # The first page a reader sees shows one entry, the others all of them.
    shown = "".join(json.dumps(entry, indent=2) + "\n" for entry in entries[-1 if "first" in page.name else 0 :])
    if UPDATE:
        page.write_text(shown)
    assert page.read_text() == shown


def test_a_document_that_shows_an_example_shows_the_file():
    stale = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text()
        for path, shown in re.findall(r"<!-- (docs/examples/\S+) -->\n```\w+\n(.*?)```\n", text, flags=re.DOTALL):
            if shown != Path(ROOT / path).read_text():
                if UPDATE:
                    document.write_text(document.read_text().replace(shown, Path(ROOT / path).read_text()))
                else:
                    stale.append(f"{document.relative_to(ROOT)} shows another {path}")
    assert stale == [], "run `make snapshots`"
