"""FastAPI's own telemetry, and OpenTelemetry's instrumentation of it, beside ours: never two SERVER spans."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fastapi
import pytest

from support.probe_native import PATHS

TESTS = Path(__file__).parents[2]
#: The first version that has telemetry of its own.
NATIVE = (0, 142)
#: One for each path, and one for a websocket.
REQUESTS = len(PATHS) + 1


def version() -> tuple[int, ...]:
    return tuple(int(part) for part in fastapi.__version__.split(".")[:2])


def measure(how: str) -> dict[str, list[str]]:
    """In a process of its own: global providers can be set once."""
    done = subprocess.run(
        [sys.executable, "-m", "support.probe_native", *how.split()],
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_an_observed_app_has_no_native_server_span_and_no_native_metric():
    assert measure("ours") == {"spans": [], "metrics": []}


@pytest.mark.skipif(version() < NATIVE, reason="this FastAPI has no telemetry of its own")
def test_a_bare_app_has_them():
    """Otherwise the test above would prove nothing."""
    found = measure("bare")
    assert len(found["spans"]) == REQUESTS
    assert "http.server.request.duration" in found["metrics"]


@pytest.mark.parametrize("order", ["first", "last"])
def test_contribs_instrumentation_gives_one_server_span_a_request(order):
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    assert len(measure(f"contrib {order}")["spans"]) == REQUESTS
