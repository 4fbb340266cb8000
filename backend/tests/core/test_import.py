"""What importing the library does to a process that imports FastAPI anyway: as little as can be."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BACKEND = Path(__file__).parents[2]

# Events of docs.python.org/3/library/audit_events.html, from the moment FastAPI has been imported.
# What structlog loads where it is installed, for terminals and threads of another kind; this environment has it, and
# services seldom have.
ABSENT = ["greenlet", "rich", "better_exceptions", "colorama"]

_WATCH = """
import sys, json, threading
import fastapi, fastapi.routing
for absent in sys.argv[1:]:
    sys.modules[absent] = None
before = set(sys.modules)
events = []
def hear(name, arguments):
    if name == "open" and isinstance(arguments[0], str):
        events.append([name, arguments[0], str(arguments[1])])
    elif name.startswith(("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "_thread.",
                          "os.mkdir", "os.remove", "os.rename", "tempfile.", "urllib.", "signal.")):
        events.append([name, "", ""])
sys.addaudithook(hear)
import app.core, app.core.health, app.core.metrics, app.core.logging
report = {
    "events": events[:],
    "threads": [one.name for one in threading.enumerate()],
    "modules": sorted(name for name in set(sys.modules) - before if sys.modules[name] is not None),
}
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    command = [sys.executable, "-c", _WATCH, *ABSENT]
    # Without byte code to write: only reading is looked at.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_starts_no_thread_socket_or_process_and_takes_no_signal(imported):
    assert imported["threads"] == ["MainThread"]
    assert [event for event in imported["events"] if event[0] != "open"] == []


def test_it_opens_no_file_but_code_and_its_own_data(imported):
    opened = {Path(path) for name, path, _ in imported["events"] if name == "open"}
    data = {path for path in opened if path.suffix not in {".py", ".pyc", ".so"}}
    own = {path for path in data if path.is_relative_to(BACKEND / "app")}
    # Entry points of plugins, which pydantic looks for, and the notes of the environment itself.
    foreign = {path for path in data - own if path.name not in {"entry_points.txt", "pyvenv.cfg", "METADATA"}}
    assert foreign == set()
    assert all(mode in {"r", "rb", "None"} for name, _, mode in imported["events"] if name == "open")


# What comes with the library, and nothing that only its exporter's thread needs.
ALLOWED = {"app", "structlog", "orjson", "pydantic", "pydantic_settings", "dotenv", "typing_inspection"}
LATE = (
    "google",
    "grpc",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "requests",
    "httpx",
    "sqlalchemy",
    "redis",
    "asyncpg",
    "psycopg",
    "cryptography",
    "numpy",
    "yaml",
    "rich",
)


def test_on_top_of_fastapi_it_loads_a_handful_of_packages(imported):
    packages = {name.partition(".")[0] for name in imported["modules"]}
    foreign = {name for name in packages if name not in sys.stdlib_module_names} - ALLOWED
    assert foreign == set(), "each of them costs every start of every service"


def test_what_only_the_exporters_thread_needs_is_not_loaded(imported):
    assert [name for name in imported["modules"] if name.startswith(LATE)] == []


_INSTRUMENTED = """
import sys, json
for absent in sys.argv[1:]:
    sys.modules[absent] = None
from fastapi import FastAPI
from app.core import Settings, instrument, health
from app.core.health.ready_made import redis_check, sqlalchemy_check, http_check, certificate_check, telemetry_check
app = FastAPI()
audience = "/projects/1/global/backendServices/2"
instrument(app, Settings.load(service_name="items", health_token="x", health_iap_audience=audience))
health.add("prices", http_check("https://prices.example.com/"))
health.add("certificate", certificate_check("prices.example.com"))
import threading
modules = sorted(name for name, module in sys.modules.items() if module is not None)
print(json.dumps({"modules": modules, "threads": threading.active_count()}))
"""


def test_instrumenting_an_app_and_registering_checks_loads_none_of_it_either():
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(BACKEND)}
    command = [sys.executable, "-c", _INSTRUMENTED, *ABSENT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    found = json.loads(done.stdout)
    assert [name for name in found["modules"] if name.startswith(LATE)] == []
    assert found["threads"] == 1
