"""requirements-service.txt: what the image of the reference service installs, and nothing besides."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import httpx
import pytest
from packaging.markers import Marker

from support.servers import free_port
from support.waiting import wait_until

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements-service.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\$", re.MULTILINE)


def _pins(lock: Path) -> dict[tuple[str, str], str]:
    """(name, version) -> the marker, or nothing; versions may differ from one Python to the next."""
    return {(name, version): marker for name, version, marker in _PIN.findall(lock.read_text())}


def _hashes(lock: Path) -> dict[str, set[str]]:
    parts = re.split(r"^(?=[A-Za-z0-9._-]+==)", lock.read_text(), flags=re.MULTILINE)[1:]
    return {part.split()[0]: set(re.findall(r"sha256:\w+", part)) for part in parts}


def test_the_image_has_the_versions_that_the_tests_ran_with():
    everything, service = _hashes(ROOT / "requirements.txt"), _hashes(LOCK)
    assert len(service) > 40
    assert {name: everything.get(name) for name in service} == service
    tested = _pins(ROOT / "requirements-dev.txt")
    assert set(_pins(LOCK)) <= set(tested)


def test_the_image_has_all_that_the_service_asks_for_and_none_of_the_emulator():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["traces"],
        *project["dependency-groups"]["service"],
    ]
    names = {name for name, _ in _pins(LOCK)}
    assert {re.split(r"[\[><=]", one)[0] for one in asked} <= names
    assert not names & {
        "google-cloud-logging",
        "lark",
        "numpy",
        "promql-parser",
        "rich",
        "typer",
        "setuptools",
        "zizmor",
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to the packages of the lock alone."""
    folder = tmp_path_factory.mktemp("site")
    for (name, _), marker in _pins(LOCK).items():
        if not marker or Marker(marker).evaluate():
            _link(distribution(name), folder)
    return folder


def _link(package: Distribution, folder: Path) -> None:
    for file in package.files or []:
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(Path(str(file.locate())))


def _without(site: Path, *words: str, cwd: Path, **variables: str) -> list[str]:
    """A command of a Python that sees this folder and the standard library (-S: no site-packages)."""
    return [
        "env",
        *(f"{name}={value}" for name, value in variables.items()),
        f"PYTHONPATH={site}:{cwd}",
        sys.executable,
        "-S",
        *words,
    ]


def test_the_service_serves_with_what_the_image_installs(site, tmp_path):
    shutil.copytree(
        ROOT / "backend" / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", "emulator", "cli")
    )
    port = free_port()
    variables = {
        "ENVIRONMENT": "production",
        "AUTH_SIGNING_KEY": "k" * 32,
        "GOOGLE_CLOUD_PROJECT": "p",
        "GCE_METADATA_HOST": "127.0.0.1:1",
        "METRICS_BACKEND": "none",
        "TRACE_SAMPLE_RATE": "1",
        "PASSWORD_MEMORY_KIB": "64",
    }
    command = _without(site, "-m", "uvicorn", "app.main:app", "--port", str(port), cwd=tmp_path, **variables)
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until(lambda: _up(client) or server.poll() is not None, 30, "the server's start")
            assert server.poll() is None, log.read_text()
            account = {"email": "ada@example.com", "password": "correct horse battery"}
            assert client.post("/api/v1/auth/register", json=account).status_code == 202
            assert client.post("/api/v1/auth/login", json=account).status_code == 200
    finally:
        server.terminate()
        server.wait(30)
    told = log.read_text()
    assert '"route":"/api/v1/auth/login"' in told
    assert "pip install" not in told, "nothing that it would like to have is missing"
    assert '"logging.googleapis.com/trace_sampled":true' in told


@pytest.mark.parametrize("driver", ["asyncpg", "redis.asyncio", "sqlalchemy.ext.asyncio"])
def test_the_drivers_of_its_databases_are_there(driver, site, tmp_path):
    subprocess.run(_without(site, "-c", f"import {driver}", cwd=tmp_path), check=True)


def test_a_package_that_is_not_in_the_lock_is_not_seen(site, tmp_path):
    answer = subprocess.run(
        _without(site, "-c", "import numpy", cwd=tmp_path), check=False, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in answer.stderr


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False
