"""The examples of docs/guides/dependencies.md: each runs as a service, and what it filled stands beside it."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import yaml

from app.core.settings import Settings
from support.databases import postgresql, redis_server
from tools.reference_pages import ROOT

FOLDER = ROOT / "docs" / "examples" / "dependencies"
GUIDE = ROOT / "docs" / "guides" / "dependencies.md"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"

# One request while the service runs, then what Prometheus would read, without what differs from run to run.
RUN = """
import importlib.util, re, sys
from starlette.testclient import TestClient
from fastapi_cloudops.core.metrics.cells import process_store
from fastapi_cloudops.core.metrics.exposition import render
from fastapi_cloudops.core.metrics.sources import refreshers
spec = importlib.util.spec_from_file_location("main", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with TestClient(module.app) as client:
    client.get("/").raise_for_status()
    refreshers(process_store)()
    page = render(process_store.peek(), open_metrics=False).decode()
kept = [line for line in page.splitlines() if not re.match("#|cloudops_", line)]
print(*[line for line in kept if "order_" in line or not re.match("[a-z_]+_(bucket|sum)[{ ]", line)], sep="\\n")
"""


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture(scope="module")
def prices() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    with redis_server() as port:
        yield port


def _printed(name: str, **environment: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", RUN, str(FOLDER / f"{name}.py")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
        cwd="/",
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip() + "\n"


def _compare(name: str, printed: str) -> None:
    page = FOLDER / f"{name}.out.txt"
    if UPDATE:
        page.write_text(printed)
    assert page.read_text() == printed


def test_a_sqlalchemy_engine(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    _compare("sqlalchemy_engine", _printed("sqlalchemy_engine", DATABASE_URL=url))


def test_postgresql_pools(database):
    _compare("postgresql_pools", _printed("postgresql_pools", POSTGRESQL_URL=database))


def test_a_redis_client(redis_port):
    _compare("redis_client", _printed("redis_client", REDIS_URL=f"redis://127.0.0.1:{redis_port}"))


def test_an_httpx_client(prices):
    _compare("httpx_client", _printed("httpx_client", PRICES_URL=prices))


def test_a_queue_and_a_cache():
    _compare("queue_and_cache", _printed("queue_and_cache"))


def test_opentelemetry_meters():
    _compare("opentelemetry_meters", _printed("opentelemetry_meters"))


def test_the_pod_monitoring_matches_the_route_that_the_guide_switches_on():
    guide = GUIDE.read_text()
    monitoring = yaml.safe_load((FOLDER / "pod_monitoring.yaml").read_text())
    [endpoint] = monitoring["spec"]["endpoints"]
    assert f"METRICS_ROUTE={endpoint['path']}" in guide
    assert Settings.load(metrics_route=endpoint["path"]).metrics_route == "/metrics"


def test_the_guide_shows_every_example_with_its_output():
    guide = GUIDE.read_text()
    for file in sorted(FOLDER.glob("*.*")):
        assert f"<!-- docs/examples/dependencies/{file.name} -->" in guide, file.name
