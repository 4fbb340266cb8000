"""Forks, real ones: before the exporter started, after it, and while other threads count."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.gunicorn import gunicorn
from support.servers import TESTS
from support.strict_backend import StrictBackend, serving
from support.waiting import wait_until

_PRELUDE = """
import json, os, sys, threading, time
from app.core import Settings
from app.core.lifecycle import process_worker as worker
from app.core.metrics import metrics_client
from app.core.metrics.cells import process_store

counter = metrics_client.counter("cloudops_guard_trips_total", {"metric": "x"})
settings = Settings.load(service_name="items", environment="test")
worker._interval, worker._gap = 0.2, 0.05
tell = lambda **fields: print(json.dumps(fields), flush=True)
def flush():
    began = time.monotonic()
    done = worker.flush(5)
    return done, time.monotonic() - began
"""


def _run(script: str, tmp_path: Path, **environment: str) -> tuple[list[dict[str, Any]], str]:
    """What a script told, and what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "TMPDIR": str(tmp_path), **environment},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def backend():
    return StrictBackend(gap=0.0)


def test_a_child_of_an_exporting_process_never_exports_and_never_waits(tmp_path, backend):
    script = """
worker.start(settings, lambda found: None)
counter.add(3)
assert worker.flush(20)
child = os.fork()
if child == 0:
    counter.add(5)
    done, took = flush()
    tell(child=done, quick=took < 1)
    worker.nudge()
    worker.start(settings, lambda found: None)
    worker.stop_now()
    sys.exit(0)  # with everything that an interpreter does at its end
_, status = os.waitpid(child, 0)
counter.add(4)
worker.stop_now()
tell(status=status)
"""
    with serving(backend) as address:
        told, errors = _run(script, tmp_path, CLOUDOPS_EMULATOR_HOST=address)
    assert told == [{"child": False, "quick": True}, {"status": 0}]
    assert backend.total("cloudops_guard_trips_total") == 7, "the child's counts are not the parent's"
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("reason") == "after_fork"]
    assert line["dropped"] == 5


def test_no_child_hangs_although_other_threads_count_while_it_is_made(tmp_path, backend):
    script = """
worker.start(settings, lambda found: None)
over = threading.Event()
def count():
    while not over.is_set():
        counter.add()
        worker.nudge()
threads = [threading.Thread(target=count) for _ in range(3)]
for thread in threads: thread.start()
statuses = []
for number in range(25):
    child = os.fork()
    if child == 0:
        counter.add()
        flush()
        worker.stop_now()
        sys.exit(0) if number % 2 else os._exit(0)
    deadline = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline: time.sleep(0.01)
    statuses.append(done)
over.set()
for thread in threads: thread.join()
worker.stop_now()
tell(hung=sum(pid == 0 for pid, _ in statuses), failed=sum(status != 0 for _, status in statuses))
"""
    with serving(backend) as address:
        told, _ = _run(script, tmp_path, CLOUDOPS_EMULATOR_HOST=address)
    assert told[0] == {"hung": 0, "failed": 0}


def test_what_a_preloading_parent_counted_is_dropped_and_told_by_one_child(tmp_path, backend):
    script = """
counter.add(10)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        counter.add(number + 1)
        worker.start(settings, lambda found: None)
        assert worker.flush(20)
        worker.stop_now()
        os._exit(0)
    children.append(child)
    counter.add(1 if number == 0 else 0)
tell(statuses=[os.waitpid(child, 0)[1] for child in children])
"""
    with serving(backend) as address:
        told, errors = _run(script, tmp_path, CLOUDOPS_EMULATOR_HOST=address)
    assert told == [{"statuses": [0, 0, 0]}]
    assert backend.total("cloudops_guard_trips_total") == 1 + 2 + 3
    assert backend.total("cloudops_dropped_total", reason="before_fork") == 11
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert sorted(line["dropped"] for line in lines if line.get("reason") == "before_fork") == [1, 10]


def test_a_child_that_does_not_count_says_nothing(tmp_path, backend):
    script = """
worker.start(settings, lambda found: None)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
worker.stop_now()
"""
    with serving(backend) as address:
        _, errors = _run(script, tmp_path, CLOUDOPS_EMULATOR_HOST=address)
    assert "after_fork" not in errors


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["gunicorn", "gunicorn --preload"])
def test_workers_of_gunicorn_count_each_request_once(tmp_path, backend, options):
    with serving(backend) as address:
        with gunicorn(tmp_path, {"CLOUDOPS_EMULATOR_HOST": address}, *options) as server:
            for number in range(120):
                assert httpx.get(f"{server.url}/items/{number}").status_code == 200
            endpoint = "/items/{item_id}"
            wait_until(lambda: backend.total("http_request_total", endpoint=endpoint) == 120, 30, "120 requests")
            began = time.monotonic()
            server.terminate()
            assert time.monotonic() - began < 12
        assert backend.total("http_request_total", endpoint="/items/{item_id}") == 120
        instances = {dict(key[3])["instance"] for key in backend.of("http_request_total")}
        assert len({instance.rpartition("-")[2] for instance in instances}) == len(instances), "a slot each"
        assert [why for why in backend.refusals if "older end" not in why] == []


def test_entries_of_a_child_do_not_carry_its_parents_worker_label(tmp_path, backend):
    script = """
import asyncio
from fastapi import FastAPI
from app.core import get_logger, instrument
observability = instrument(FastAPI(), settings)
log = get_logger("fork")
async def main():
    await observability.start_and_locate()
    worker.wait_located(10)
asyncio.run(main())
log.warning("parent")
sys.stdout.flush()
child = os.fork()
if child == 0:
    log.warning("child")
    os._exit(0)
os.waitpid(child, 0)
worker.stop_now()
"""
    with serving(backend) as address:
        told, _ = _run(script, tmp_path, CLOUDOPS_EMULATOR_HOST=address, TRACES_BACKEND="none")
    labels = {line["message"]: line["logging.googleapis.com/labels"] for line in told if line.get("logger") == "fork"}
    assert labels["parent"]["worker"] == "0"
    assert "worker" not in labels["child"]
