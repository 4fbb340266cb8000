"""The loop around the exporter: connections, backing off, telling, and the last seconds of a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc import status_pb2

from app.core import Settings
from app.core.lifecycle import Worker
from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.exporting import ExportLoop
from app.core.metrics.pace import Pace
from app.core.metrics.refusals import Refused
from app.core.metrics.transport import read_status
from app.core.runtime import Runtime
from support.provenance import known_from
from support.servers import TESTS
from support.servers import serving as uvicorn
from support.strict_backend import StrictBackend, serving
from support.waiting import wait_until

HERE = Runtime("other", "shop", "global", "", "host", "")


@pytest.fixture(autouse=True)
def _slots_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def counter(store):
    return MetricsClient(store).counter("cloudops_guard_trips_total", {"metric": "x"})


def _settings(address: str, **more: Any) -> Settings:
    return Settings.load(service_name="items", environment="test", cloudops_emulator_host=address, **more)


def _worker(store: Store, address: str, **more: Any) -> Worker:
    worker = Worker(store, interval=0.3, gap=0.05)
    worker.start(_settings(address, **more), lambda runtime: None)
    return worker


def test_flush_writes_what_was_counted_before_it(store, counter):
    backend = StrictBackend(gap=0.0)
    with serving(backend) as address:
        worker = Worker(store, interval=3600, gap=0.05)
        worker.start(_settings(address), lambda runtime: None)
        counter.add(7)
        assert worker.flush(20)
        assert backend.total("cloudops_guard_trips_total") == 7
        worker.stop()


def test_flush_says_when_nobody_answers(store, counter):
    worker = _worker(store, "127.0.0.1:9")
    counter.add()
    assert not worker.flush(5)
    worker.stop()


class Connection:
    """Answers from a list; None when it is used up."""

    def __init__(self, answers: list[Refused | None]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.closed = False

    def write(self, request: bytes, timeout: float) -> Refused | None:
        self.requests.append(request)
        return self.answers.pop(0) if self.answers else None

    def close(self) -> None:
        self.closed = True


class Hands:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time_ns(self) -> int:
        return round(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Desk:
    """A loop in the test's own thread, with its connections."""

    def __init__(
        self,
        store: Store,
        answers: list[Refused | None] | None = None,
        locate: Callable[[], Runtime] = lambda: HERE,
        **settings: Any,
    ) -> None:
        self.clock = Hands()
        self.connections: list[Connection] = []
        self.answers = answers or []
        self.pace = Pace(self.clock, 60, lambda: 1.0)
        self.loop = ExportLoop(
            store,
            self.clock,
            Settings.load(service_name="items", **settings),
            refresh=lambda: None,
            locate=locate,
            gap=5,
            connect=self.connect,
        )
        self.loop._prepare()

    def connect(self, settings: Settings) -> Connection:
        self.connections.append(Connection(self.answers))
        return self.connections[-1]

    def turn(self) -> None:
        self.clock.now += 60
        self.loop._turn(self.pace)


def test_a_process_that_never_knew_its_project_says_so_once_and_nothing_at_its_end(store, counter, capfd):
    desk = Desk(store, locate=lambda: replace(HERE, project=""))
    counter.add(3)
    desk.turn()
    desk.pace.stop(over=True)
    desk.loop._finish(desk.pace)
    assert desk.connections == []
    [line] = capfd.readouterr().err.splitlines()
    assert "no project" in line


def test_what_the_process_itself_does_after_the_final_write_is_neither_written_again_nor_lost(store, counter, capfd):
    desk = Desk(store)
    cpu = MetricsClient(store).counter("process_cpu_seconds_total")
    desk.loop._refresh = cpu.add  # as the process does with each export
    counter.add(3)
    cpu.add(1)
    desk.turn()
    [connection] = desk.connections
    desk.pace._sleep = desk.clock.sleep  # type: ignore[method-assign]  # nothing wakes it here
    counter.add(1)
    desk.clock.now += 2
    desk.pace.stop(over=True)
    before = len(connection.requests)
    final = connection.write
    lag = MetricsClient(store).histogram("event_loop_lag_seconds")

    def late(request: bytes, timeout: float) -> Refused | None:
        lag.observe(0.2)  # the loop is not gone yet
        return final(request, timeout)

    connection.write = late  # type: ignore[method-assign]  # as above
    desk.loop._finish(desk.pace)
    assert len(connection.requests) == before + 1
    assert "telemetry was lost" not in capfd.readouterr().err


def test_a_broken_connection_is_made_anew_and_the_request_sent_again(store, counter):
    desk = Desk(store, [Refused("UNAVAILABLE", "connection reset")])
    counter.add(3)
    desk.turn()
    assert len(desk.connections) == 2
    assert desk.connections[0].closed
    assert desk.connections[1].requests[0] == desk.connections[0].requests[0]


def test_one_export_reconnects_once(store, counter):
    desk = Desk(store, [Refused("UNAVAILABLE", "down")] * 10)
    counter.add(3)
    desk.turn()
    assert len(desk.connections) == 2
    assert sum(len(connection.requests) for connection in desk.connections) == 2


def test_after_a_freeze_in_the_middle_of_a_call_it_is_sent_again_at_once(store, counter):
    desk = Desk(store)
    counter.add(3)

    class Frozen(Connection):
        def write(self, request: bytes, timeout: float) -> Refused | None:
            desk.clock.now += 3600
            return Refused("DEADLINE_EXCEEDED", "Deadline Exceeded")

    desk.loop._connection = Frozen([])
    desk.turn()
    [connection] = desk.connections
    assert connection.requests


def test_quota_backs_off_and_what_the_back_end_asks_for_is_kept(store, counter):
    desk = Desk(store, [Refused("RESOURCE_EXHAUSTED", "Quota exceeded", retry_after=200)])
    desk.turn()
    assert desk.pace.due - desk.clock.now == 200
    desk.turn()
    assert desk.pace.due - desk.clock.now == 60


def test_a_slow_back_end_cannot_keep_an_export_busy_for_ever(store):
    client = MetricsClient(store)
    for number in range(4000):
        client.gauge("health_check_status", {"check": f"c{number}"}).set(1)
    desk = Desk(store)

    class Slow(Connection):
        def write(self, request: bytes, timeout: float) -> Refused | None:
            self.requests.append(request)
            desk.clock.now += 4.9
            return None

    slow = desk.loop._connection = Slow([])
    desk.turn()
    assert len(slow.requests) <= 8


def test_everything_that_went_wrong_is_told_in_one_line_a_minute(store, counter, capfd):
    desk = Desk(store, [Refused("INTERNAL", "oops")] * 100)
    for _ in range(3):
        desk.turn()
        desk.clock.now -= 45  # four a minute
        desk.loop._turn(desk.pace)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert 1 <= len(lines) <= 2
    assert lines[0]["refused"] == {"INTERNAL": 1} or "INTERNAL" in lines[0]["refused"]


def test_a_series_that_is_set_aside_is_named_with_its_labels_and_the_answer(store, capfd):
    MetricsClient(store).gauge("health_check_status", {"check": "db"}).set(1)
    desk = Desk(store)
    backend = StrictBackend(now=desk.clock.time_ns)
    backend.poison = lambda series: "Not this one." if "check" in series.metric.labels else None

    class Strict(Connection):
        def write(self, request: bytes, timeout: float) -> Refused | None:
            status = backend.write(request)
            if status is None:
                return None
            return Refused("INVALID_ARGUMENT", status.message, True, read_status(status.SerializeToString())[0] or {})

    desk.loop._connection = Strict([])
    for _ in range(4):
        desk.turn()
    named = [
        one
        for line in capfd.readouterr().err.splitlines()
        for one in json.loads(line).get("set_aside", ())
        if one["metric"] == "health_check_status"
    ]
    assert [(one["metric"], one["labels"]) for one in named] == [("health_check_status", {"check": "db"})]
    assert "Not this one." in named[0]["answer"]
    [series] = [one for one in store.series if one.values[:1] == ("poisoned",)]
    assert series.cell == [1]


def test_the_exporter_tells_its_series_samples_duration_and_success(store, counter):
    backend = StrictBackend(gap=0.0)
    with serving(backend) as address:
        worker = _worker(store, address)
        wait_until(lambda: backend.total("cloudops_samples_per_hour") > 0, what="samples an hour")
        assert backend.total("cloudops_series") >= 1
        assert backend.total("cloudops_export_duration_seconds") >= 1
        assert backend.total("cloudops_overhead_seconds_total") > 0
        assert abs(backend.total("cloudops_last_export_success_timestamp_seconds") - time.time()) < 60
        worker.stop()


def test_costs_are_the_rate_times_the_price(store, counter):
    backend = StrictBackend(gap=0.0)
    prices = {"metrics": 2.0, "traces": 3.0, "logs": 5.0}
    with serving(backend) as address:
        worker = Worker(store, interval=0.3, gap=0.05)
        total = [0.0]
        worker.price("logs", lambda: total[0])
        worker.start(_settings(address, enable_cost_tracking=True, cost_prices=prices), lambda runtime: None)
        wait_until(lambda: backend.of("cloudops_cost_per_hour"), what="the first figures")
        total[0] = 1000.0
        wait_until(lambda: backend.total("cloudops_cost_per_hour", signal="logs") > 0, what="the price of logs")
        wait_until(lambda: backend.total("cloudops_cost_per_hour", signal="metrics") > 0, what="the price of samples")
        assert backend.total("cloudops_cost_per_hour", signal="traces") == 0
        worker.stop()


def _terminated(tmp_path: Path, gap: float) -> tuple[StrictBackend, str, float]:
    """A service that exported a moment before SIGTERM and was used since, beneath a back end with this gap."""
    backend = StrictBackend(gap=5.0)  # the service's own gap, until it has exported
    with serving(backend) as address:
        environment = {
            "TEST_EXPORT_INTERVAL": "10",
            "TEST_GAP": "5",
            "CLOUDOPS_EMULATOR_HOST": address,
            "TRACES_BACKEND": "none",  # the back end here takes metrics alone
        }
        with uvicorn(tmp_path, environment) as server, httpx.Client(base_url=server.url) as client:
            client.get("/items/1")
            endpoint = "/items/{item_id}"
            wait_until(lambda: backend.total("http_request_total", endpoint=endpoint) == 1, 40, "the first export")
            backend.gap = gap
            for number in range(20):
                client.get(f"/items/{number}")
            began = time.monotonic()
            server.terminate()
            took = time.monotonic() - began
            return backend, server.output.read_text(), took


@known_from(issue="https://github.com/open-telemetry/opentelemetry-go/issues/6677")
def test_with_a_gap_of_5_seconds_the_final_write_loses_nothing(tmp_path):
    backend, output, took = _terminated(tmp_path, 5.0)
    assert backend.total("http_request_total", endpoint="/items/{item_id}") == 21
    assert "telemetry was lost" not in output
    assert took < 10, "Cloud Run kills after ten seconds"


@known_from(issue="https://github.com/open-telemetry/opentelemetry-operations-java/issues/339")
def test_with_a_gap_of_10_seconds_what_is_lost_is_bounded_and_named(tmp_path):
    backend, output, took = _terminated(tmp_path, 10.0)
    assert took < 10, "Cloud Run kills after ten seconds"
    assert any("more frequently" in why for why in backend.refusals), "it was tried"
    [line] = [json.loads(line) for line in output.splitlines() if "telemetry was lost" in line]
    assert "http_request_total" in line["metrics"]
    assert backend.total("http_request_total", endpoint="/items/{item_id}") == 1


_FROZEN = """
import sys, time, threading
from app.core import Settings
from app.core.lifecycle import Worker
from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store

store = Store()
counter = MetricsClient(store).counter("cloudops_guard_trips_total", {"metric": "x"})
worker = Worker(store, interval=0.5, gap=0.05)
worker.start(Settings.load(service_name="items", environment="test"), lambda found: None)
counter.add(1)
for line in sys.stdin:
    counter.add(1)
    worker.nudge()
    print("ok", flush=True)
worker.stop_now()
"""


def test_a_process_that_was_stopped_for_a_while_exports_once_and_all_of_it(tmp_path):
    backend = StrictBackend(gap=0.0)
    with (
        serving(backend) as address,
        subprocess.Popen(
            [sys.executable, "-c", _FROZEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(TESTS.parent),
                "TMPDIR": str(tmp_path),
                "CLOUDOPS_EMULATOR_HOST": address,
            },
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        wait_until(lambda: backend.total("cloudops_guard_trips_total") == 1, 30, "the first export")
        process.send_signal(signal.SIGSTOP)
        calls = len(backend.calls)
        began = time.monotonic()
        threading.Event().wait(3.0)  # how long it is frozen: six intervals
        assert len(backend.calls) <= calls + 1
        frozen = time.monotonic() - began
        process.send_signal(signal.SIGCONT)
        process.stdin.write("request\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ok\n"
        wait_until(lambda: backend.total("cloudops_guard_trips_total") == 2, 30, "the export after the thaw")
        process.stdin.close()
        process.wait(30)
    ends = sorted(point.end for points in backend.of("cloudops_guard_trips_total").values() for point in points)
    assert frozen >= 3
    pairs = [later - earlier for earlier, later in pairwise(ends)]
    assert max(pairs) > 2.0e9, "nothing was written while it was frozen"
    after = pairs[pairs.index(max(pairs)) + 1 :]
    assert not after or after[0] > 0.2e9, "no storm after the thaw"


def test_a_back_end_that_speaks_no_grpc_costs_a_line_and_nothing_else(store, counter, capfd):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        for _ in range(2000):
                            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n" * 100)
                    except OSError:
                        continue

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        worker = _worker(store, f"127.0.0.1:{listener.getsockname()[1]}")
        counter.add()
        assert not worker.flush(15)
        worker.stop()
        listener.close()
    assert "not accepted" in capfd.readouterr().err


def test_a_status_of_the_back_end_that_is_garbage_is_only_a_refusal(store, counter):
    backend = StrictBackend(gap=0.0)
    backend.answers = [status_pb2.Status(code=3, message="\x00" * 7000) for _ in range(3)]
    with serving(backend) as address:
        worker = _worker(store, address)
        counter.add(2)
        wait_until(lambda: backend.total("cloudops_guard_trips_total") == 2, 30, "the export after the garbage")
        worker.stop()
