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

# Run under the name that users import; its own process, since a process uses one of the two names only.
RUN = """
import asyncio, importlib.util, sys
from fastapi import FastAPI
import httpx
spec = importlib.util.spec_from_file_location("main", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import logging; logging.getLogger("httpx").setLevel("WARNING")
async def call():
    transport = httpx.ASGITransport(module.app, client=("203.0.113.7", 51234))
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "user-agent": "curl/8.14.1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://shop", headers=headers) as client:
        await client.get("/items/7")
asyncio.run(call())
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    environment = {
        "PATH": os.environ["PATH"],
        "K_SERVICE": "shop",
        "K_REVISION": "shop-00007-abc",
        "ENVIRONMENT": "production",
        "GOOGLE_CLOUD_PROJECT": "my-project",
        "GCE_METADATA_HOST": "127.0.0.1:1",
        "ENABLE_METRICS": "false",
    }
    command = [sys.executable, "-c", RUN, str(EXAMPLES / "first_service.py")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd="/")
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_the_first_service_prints_what_the_readme_shows(lines):
    called, access = lines
    assert called["message"] == "item read"
    access["time"] = "2026-11-20T09:30:00.123456789Z"
    access["logging.googleapis.com/insertId"] = "5f2c8a90d1e34b670000000001"
    access["time_to_first_byte"] = "0.001790432s"
    access["request_id"] = "0af7651916cd43dd8448eb211c80319c"
    access["logging.googleapis.com/spanId"] = "b7ad6b7169203331"
    access["httpRequest"]["latency"] = "0.001893211s"
    shown = json.dumps(access, indent=2) + "\n"
    page = EXAMPLES / "first_service.out.json"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        page.write_text(shown)
    assert page.read_text() == shown


def test_a_document_that_shows_an_example_shows_the_file():
    stale = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text()
        for path, shown in re.findall(r"<!-- (docs/examples/\S+) -->\n```\w+\n(.*?)```\n", text, flags=re.DOTALL):
            if shown != Path(ROOT / path).read_text():
                if os.environ.get("UPDATE_SNAPSHOTS") == "1":
                    document.write_text(document.read_text().replace(shown, Path(ROOT / path).read_text()))
                else:
                    stale.append(f"{document.relative_to(ROOT)} shows another {path}")
    assert stale == [], "run `make snapshots`"
