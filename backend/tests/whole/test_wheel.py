"""The wheel, as a stranger installs it: beside an app that has a package named `app` of its own."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.emulator.project import Switches
from support.emulator import running_emulator
from support.waiting import wait_until

ROOT = Path(__file__).parents[3]

FOREIGN_APP = """
from fastapi import FastAPI
from fastapi_cloudops import instrument
from app.greeting import greet

api = FastAPI()

@api.get("/hello/{name}")
async def hello(name: str) -> str:
    return greet(name)

instrument(api)
"""

SERVE = """
import sys, threading, time, urllib.request
import uvicorn
server = uvicorn.Server(uvicorn.Config("app.main:api", port=0, log_config=None))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
for _ in range(3):
    urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/ada").read()
import app, fastapi_cloudops
assert "fastapi_cloudops" not in app.__file__ and app.core is None
server.should_exit = True
deadline = time.monotonic() + 20
while any(thread.name == "fastapi-cloudops" for thread in threading.enumerate()) and time.monotonic() < deadline:
    time.sleep(0.05)
"""


def _run(*command: object, **options: Any) -> str:
    words = [str(word) for word in command]
    answer = subprocess.run(words, check=False, capture_output=True, text=True, **options)
    assert answer.returncode == 0, f"{command}\n{answer.stdout}\n{answer.stderr}"
    return str(answer.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From an export of the tree: building in place would leave its traces here.
    source = folder / "source"
    listed = _run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    [built] = folder.glob("*.whl")
    return built


def test_the_list_of_packages_is_the_list_of_folders():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    app = ROOT / "backend" / "app"
    folders = {file.parent.relative_to(app) for file in app.rglob("*.py")}
    found = {".".join(("fastapi_cloudops", *folder.parts)) for folder in folders}
    service = {name for name in found if name.startswith(("fastapi_cloudops.api", "fastapi_cloudops.middleware"))}
    assert listed == found - service | {f"fastapi_cloudops.monitoring_data{part}" for part in ("", ".runbooks")}


def test_the_wheel_holds_the_library_its_data_and_no_reference_service(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for wanted in (
        "fastapi_cloudops/py.typed",
        "fastapi_cloudops/core/metrics/catalogue.json",
        "fastapi_cloudops/emulator/console/static/vendor/uPlot.iife.min.js",
        "fastapi_cloudops/emulator/console/templates/page.html",
        "fastapi_cloudops/monitoring_data/policies/high_error_rate.yaml.tftpl",
        "fastapi_cloudops/monitoring_data/runbooks/high_error_rate.md",
    ):
        assert wanted in names
    foreign = [name for name in names if not name.startswith(("fastapi_cloudops/", "fastapi_cloudops-"))]
    service = [
        name
        for name in names
        if name.startswith(tuple(f"fastapi_cloudops/{one}" for one in ("api", "main", "middleware")))
    ]
    assert (foreign, service) == ([], [])
    app = ROOT / "backend" / "app"
    data = {file.relative_to(app).as_posix() for file in app.rglob("*") if file.suffix in {".json", ".js", ".css"}}
    assert {f"fastapi_cloudops/{name}" for name in data} <= names


def test_a_foreign_app_that_adopts_the_wheel_sees_its_metric(wheel, tmp_path):
    environment = tmp_path / "venv"
    _run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    install = ("-m", "uv", "pip", "install", "--python", python, "--constraint", ROOT / "requirements.txt")
    _run(sys.executable, *install, wheel, "uvicorn")
    package = tmp_path / "app"
    package.mkdir()
    (package / "__init__.py").write_text("core = None\n")
    (package / "greeting.py").write_text('def greet(name: str) -> str:\n    return f"Hello {name}"\n')
    (package / "main.py").write_text(FOREIGN_APP)
    with running_emulator(switches=Switches(minimum_gap_seconds=0.0)) as emulator:
        variables = {"CLOUDOPS_EMULATOR_HOST": emulator.grpc, "SERVICE_NAME": "greeter", "PYTHONPATH": str(tmp_path)}
        output = _run(python, "-c", SERVE, cwd=tmp_path, env={**variables, "TMPDIR": str(tmp_path)})
        assert output.count('"route":"/hello/{name}"') == 3

        def counted() -> float:
            url = f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query"
            query = 'sum(http_request_total{job="greeter",endpoint="/hello/{name}"})'
            result = httpx.get(url, params={"query": query}).json()["data"]["result"]
            return float(result[0]["value"][1]) if result else 0.0

        wait_until(lambda: counted() == 3, what="three requests in the emulator")
        variables = {"CLOUDOPS_EMULATOR_HOST": emulator.grpc, "CLOUDOPS_EMULATOR_HTTP": emulator.http}
        doctor = _cloudops(environment, "doctor", "--service", "greeter", "--json", **variables)
    checks = {check["name"]: check["status"] for check in json.loads(doctor.stdout)["checks"]}
    assert doctor.returncode == 1, doctor.stderr
    assert (checks["emulator"], checks["metrics"], checks["policies"]) == ("ok", "ok", "finding")
    # The packages of the emulator are not here: every other verb says what brings them.
    for arguments in (["up"], ["test", "alerts"], ["--help"], ["doctor-who"]):
        told = _cloudops(environment, *arguments)
        assert (told.returncode, "pip install 'fastapi-cloudops[emulator]'" in told.stderr) == (2, True), arguments


def _cloudops(environment: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [str(environment / "bin" / "cloudops"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables, timeout=120)
