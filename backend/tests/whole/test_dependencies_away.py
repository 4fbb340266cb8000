"""PostgreSQL and Redis stop and start again under load beneath the reference service: what it says, what arrives."""

import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app.emulator.project import Switches
from support.databases import Stoppable, stoppable_postgresql, stoppable_redis
from support.emulator import RunningEmulator, running_emulator
from support.servers import TESTS, serving
from support.waiting import wait_until

QUICK = Switches(minimum_gap_seconds=0.0)
API = "/api/v1"
CONTENT = f"{API}/content"
PASSWORD = "correct horse battery"


class Load:
    """Requests that need the database, and how they were answered."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(url, headers), daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self, url: str, headers: dict[str, str]) -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            while not self._stop.wait(0.03):
                status = client.get(CONTENT).status_code
                with self._lock:
                    self.statuses[status] += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def _counted(emulator: RunningEmulator) -> dict[int, int]:
    url = f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query"
    query = f'sum by (status_code) (http_request_total{{endpoint="{CONTENT}"}})'
    result = httpx.get(url, params={"query": query}).json()["data"]["result"]
    return {int(one["metric"]["status_code"]): int(float(one["value"][1])) for one in result}


def _checks(url: str) -> dict[str, str]:
    """Status by check."""
    answer = httpx.get(f"{url}/health/detailed", headers={"authorization": "Bearer s3cret"}, timeout=10).json()
    return {
        name.removesuffix(":responseTime"): found[0]["status"]
        for name, found in answer["checks"].items()
        if "status" in found[0]
    }


def _migrated(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "app.api.database.migrate"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), **environment},
    )


def _status(url: str, path: str) -> int:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}{path}", timeout=10).status_code
    return 0


def _signed_in(url: str) -> dict[str, str]:
    with httpx.Client(base_url=url, timeout=20) as client:
        account: dict[str, Any] = {"email": "ada@example.com", "password": PASSWORD}
        assert client.post(f"{API}/auth/register", json=account).status_code == 202
        answer = client.post(f"{API}/auth/login", json=account)
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize("away", ["postgresql", "redis"])
def test_health_turns_requests_are_told_and_all_recovers(tmp_path, away):
    with (
        running_emulator(switches=QUICK) as emulator,
        stoppable_postgresql() as postgresql,
        stoppable_redis() as redis,
    ):
        stopped: Stoppable = postgresql if away == "postgresql" else redis
        environment = {
            "CLOUDOPS_EMULATOR_HOST": emulator.grpc,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "SERVICE_NAME": "items",
            "DATABASE_URL": postgresql.url,
            "DATABASE_TIMEOUT": "1",
            "REDIS_URL": redis.url,
            "RATE_LIMITING": "false",
            "PASSWORD_MEMORY_KIB": "64",
            "LOG_DESTINATION": "api",
            "METRICS_EXPORT_INTERVAL": "10",
            "HEALTH_TOKEN": "s3cret",
            "HEALTH_CHECK_INTERVAL": "1",
            "HEALTH_CHECK_RETRY_INTERVAL": "0.5",
            "HEALTH_CHECK_EXPIRY": "3",
        }
        _migrated(environment)
        with serving(tmp_path, environment, app="app.main:app") as server:
            wait_until(lambda: _status(server.url, "/health/ready") == 200, 20, "readiness")
            load = Load(server.url, _signed_in(server.url))
            wait_until(lambda: load.statuses[200] > 20, 20, "load")
            stopped.stop()
            if away == "postgresql":
                wait_until(lambda: _status(server.url, "/health/ready") == 503, 15, "readiness without a database")
                wait_until(lambda: sum(load.statuses[one] for one in (500, 503)) > 5, 20, "requests that fail")
                assert _checks(server.url)["database"] == "fail"
            else:
                wait_until(lambda: _checks(server.url)["redis"] != "pass", 15, "the check of Redis")
                assert _status(server.url, "/health/ready") == 200, "Redis is not critical"
                good = load.statuses[200]
                wait_until(lambda: load.statuses[200] > good + 20, 20, "requests that go on")
            assert _status(server.url, "/health/live") == 200
            stopped.start()
            wait_until(lambda: _status(server.url, "/health/ready") == 200, 20, "readiness again")
            wait_until(lambda: set(_checks(server.url).values()) <= {"pass"}, 20, "every check")
            good = load.statuses[200]
            wait_until(lambda: load.statuses[200] > good + 20, 20, "requests that are answered again")
            load.stop()
            server.terminate()
            output = server.output.read_text()
        assert _counted(emulator) == dict(load.statuses)
        if away == "redis":
            assert set(load.statuses) == {200}
        assert "was lost" not in output
