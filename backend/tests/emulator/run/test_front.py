"""The front of `cloudops run`, before a real server: what passes, what it adds, what it writes."""

import contextlib
import hashlib
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.sync.client import connect

from support.cloudops import BACKEND, EmulatorProcess, emulator_process, started
from support.provenance import known_from, our_choice
from support.waiting import wait_until

if TYPE_CHECKING:
    import subprocess

CONTRACT = "https://docs.cloud.google.com/run/docs/container-contract"
LEADS = re.compile(r"(http://\S+) leads to PORT (\d+)")
# uvicorn drains, and then ends by the SIGTERM it got (encode/uvicorn#1600); its supervisor of workers ends with 0.
ENDED = 128 + signal.SIGTERM
PATH = f"{BACKEND}{os.pathsep}{BACKEND / 'tests'}"


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process() as emulator:
        yield emulator


@dataclass
class Run:
    process: "subprocess.Popen[str]"
    url: str = ""
    told: list[str] = field(default_factory=list)
    ready: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def listen(self) -> str:
        """Wait until the (next) instance listens; the front's address."""
        self.url = self.ready.get(timeout=30)
        return self.url

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@contextlib.contextmanager
def running(emulator: EmulatorProcess, service: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Run]:
    """The app beneath `cloudops run`, on free ports."""
    command = command or (sys.executable, "-m", "support.front_app")
    arguments = ["run", "--port", "0", "--service", service, *options, "--", *command]
    with started(*arguments, **{**emulator.variables, "PYTHONPATH": PATH}) as process:
        run = Run(process)

        def read() -> None:
            assert process.stderr is not None
            with contextlib.suppress(ValueError):  # closed at the end of the test
                for line in process.stderr:
                    run.told.append(line)
                    if match := LEADS.search(line):
                        run.ready.put(match[1])

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield run
        finally:
            if process.poll() is None:
                process.kill()
            thread.join(20)


@pytest.fixture(scope="module")
def served(emulator: EmulatorProcess) -> Iterator[Run]:
    with running(emulator, "served") as run:
        run.listen()
        yield run


def headers_at(url: str, **sent: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    names = {name.replace("_", "-"): value for name, value in sent.items()}
    for name, value in httpx.get(url, headers=names).raise_for_status().json()["headers"]:
        found.setdefault(name, []).append(value)
    return found


@known_from(docs="https://docs.cloud.google.com/trace/docs/trace-context")
def test_a_request_gets_a_trace_and_the_clients_address(served):
    found = headers_at(served.url)
    [parent], [cloud] = found["traceparent"], found["x-cloud-trace-context"]
    match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])", parent)
    assert match is not None
    assert cloud == f"{match[1]}/{int(match[2], 16)};o={match[3]}"
    assert found["x-forwarded-for"] == ["127.0.0.1"]
    assert found["x-forwarded-proto"] == ["http"]


@known_from(docs="https://docs.cloud.google.com/trace/docs/trace-context")
def test_the_callers_trace_and_forwarded_addresses_are_carried_on(served):
    trace = "0af7651916cd43dd8448eb211c80319c"
    found = headers_at(served.url, traceparent=f"00-{trace}-b7ad6b7169203331-00", X_Forwarded_For="203.0.113.7")
    assert found["traceparent"][0].startswith(f"00-{trace}-")
    assert found["traceparent"][0].endswith("-00")
    assert "b7ad6b7169203331" not in found["traceparent"][0], "the front is a span of its own"
    assert found["x-forwarded-for"] == ["203.0.113.7, 127.0.0.1"]
    assert found["x-cloud-trace-context"][0].startswith(trace)


def test_a_foreign_trace_header_that_is_none_starts_a_new_trace(served):
    found = headers_at(served.url, traceparent="00-00000000000000000000000000000000-b7ad6b7169203331-01")
    assert not found["traceparent"][0].startswith("00-000000")


def test_large_bodies_pass_unharmed_both_ways(served):
    body = os.urandom(30 * 2**20)
    for sent in ({"content": body}, {"content": (body[at : at + 2**20] for at in range(0, len(body), 2**20))}):
        told = httpx.post(f"{served.url}/upload", timeout=60, **sent).raise_for_status().json()
        assert told == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    answer = httpx.get(f"{served.url}/download", timeout=60)
    assert (
        hashlib.sha256(answer.content).digest()
        == hashlib.sha256(b"".join(bytes([number % 256]) * 65_536 for number in range(320))).digest()
    )


@known_from(docs="https://docs.cloud.google.com/run/quotas")
def test_a_body_beyond_32_mib_is_refused(served):
    with socket.create_connection(served.url.removeprefix("http://").split(":")) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 33554433\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_head_has_the_headers_and_no_body(served):
    answer = httpx.head(served.url)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


def test_one_connection_carries_many_requests(served):
    with httpx.Client() as client:
        for _ in range(5):
            assert client.get(served.url).status_code == 200


def test_a_stream_arrives_piece_by_piece_and_a_disconnect_reaches_the_app(served):
    before = httpx.get(f"{served.url}/seen").json()["disconnected"]
    with httpx.stream("GET", f"{served.url}/stream", timeout=20) as answer:
        assert next(answer.iter_bytes()) == b"data: first\n\n"
    wait_until(
        lambda: httpx.get(f"{served.url}/seen").json()["disconnected"] == before + 1, seconds=20, what="the disconnect"
    )


def test_a_client_that_leaves_before_the_answer_is_seen_to_leave(served):
    host, _, port = served.url.removeprefix("http://").partition(":")
    before = httpx.get(f"{served.url}/seen").json()["disconnected"]
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(10)
    wait_until(
        lambda: httpx.get(f"{served.url}/seen").json()["disconnected"] == before + 1, seconds=20, what="the disconnect"
    )


def test_websockets_pass(served):
    with connect(served.url.replace("http", "ws"), open_timeout=20) as websocket:
        for word in ("a", "b" * 100_000):
            websocket.send(word)
            assert websocket.recv(timeout=20) == word.upper()


@our_choice("what could be read in two ways is refused, not passed on")
@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_an_ambiguous_message_is_refused(served, request_):
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request_)
        client.settimeout(20)
        status = int(client.recv(100).split()[1])
    assert status in {400, 501}


def request_log(emulator: EmulatorProcess, service: str, query: str = "") -> list[dict[str, Any]]:
    return emulator.entries(
        f'resource.labels.service_name="{service}" AND log_id("run.googleapis.com/requests") {query}'
    )


@known_from(docs="https://docs.cloud.google.com/run/docs/logging")
def test_every_request_is_in_the_request_log(emulator):
    with running(emulator, "logged") as run:
        run.listen()
        answer = httpx.get(f"{run.url}/?q=1", headers={"User-Agent": "tester", "Referer": "http://here/"})
        httpx.get(f"{run.url}/fail")
        trace = next(value for name, value in answer.json()["headers"] if name == "traceparent").split("-")[1]
        assert run.end() == ENDED
    found = request_log(emulator, "logged")
    assert [entry["httpRequest"]["status"] for entry in found] == [200, 503]
    assert [entry["severity"] for entry in found] == ["INFO", "ERROR"]
    first = found[0]
    request = first["httpRequest"]
    assert request["requestMethod"] == "GET"
    assert request["requestUrl"] == f"{run.url}/?q=1"
    assert request["userAgent"] == "tester"
    assert request["referer"] == "http://here/"
    assert request["remoteIp"] == "127.0.0.1"
    assert request["protocol"] == "HTTP/1.1"
    assert request["responseSize"] == str(len(answer.content))
    assert float(request["latency"].rstrip("s")) > 0
    assert first["trace"] == f"projects/demo/traces/{trace}"
    assert first["resource"]["type"] == "cloud_run_revision"
    assert first["labels"]["instanceId"]
    assert "jsonPayload" not in first
    assert "textPayload" not in first
    assert any("2 requests, 2 in the request log" in line for line in run.told)


def points(emulator: EmulatorProcess, metric: str, service: str) -> list[dict[str, Any]]:
    parameters = {
        "filter": f'metric.type = "run.googleapis.com/{metric}" AND resource.labels.service_name = "{service}"',
        "interval.startTime": "2020-01-01T00:00:00Z",
        "interval.endTime": "2100-01-01T00:00:00Z",
    }
    answer = httpx.get(f"{emulator.addresses['http']}/v3/projects/demo/timeSeries", params=parameters)
    found: list[dict[str, Any]] = answer.raise_for_status().json().get("timeSeries", [])
    return found


@known_from(docs="https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-run")
def test_the_platforms_metrics_are_written_as_the_platform_does(emulator):
    with running(emulator, "measured") as run:
        run.listen()
        for path in ("", "", "fail"):
            httpx.get(f"{run.url}/{path}")
        assert run.end() == ENDED
    counts = {one["metric"]["labels"]["response_code"]: one for one in points(emulator, "request_count", "measured")}
    assert {code: one["points"][0]["value"] for code, one in counts.items()} == {
        "200": {"int64Value": "2"},
        "503": {"int64Value": "1"},
    }
    assert counts["503"]["metric"]["labels"]["response_code_class"] == "5xx"
    assert {(one["metricKind"], one["valueType"], one["unit"]) for one in counts.values()} == {("DELTA", "INT64", "1")}
    assert counts["200"]["resource"] == {
        "type": "cloud_run_revision",
        "labels": {
            "project_id": "demo",
            "service_name": "measured",
            "revision_name": "measured-00001-dev",
            "location": "us-central1",
            "configuration_name": "measured",
        },
    }
    latencies = points(emulator, "request_latencies", "measured")
    assert {one["points"][0]["value"]["distributionValue"]["count"] for one in latencies} == {"1", "2"}
    assert {(one["metricKind"], one["valueType"], one["unit"]) for one in latencies} == {
        ("DELTA", "DISTRIBUTION", "ms")
    }
    states = {
        one["metric"]["labels"]["state"]: int(one["points"][0]["value"]["int64Value"])
        for one in points(emulator, "container/instance_count", "measured")
    }
    assert set(states) == {"active", "idle"}
    [startup] = points(emulator, "container/startup_latencies", "measured")
    assert startup["points"][0]["value"]["distributionValue"]["count"] == "1"
    assert startup["unit"] == "ms"
    [billable] = points(emulator, "container/billable_instance_time", "measured")
    assert billable["points"][0]["value"]["doubleValue"] > 0
    assert (billable["metricKind"], billable["unit"]) == ("DELTA", "s")


@known_from(docs="https://docs.cloud.google.com/run/docs/about-instance-autoscaling")
def test_what_finds_no_place_waits_its_turn(emulator):
    with running(emulator, "crowded", "--concurrency", "1") as run, ThreadPoolExecutor(4) as pool:
        run.listen()
        answers = list(pool.map(lambda _: httpx.get(f"{run.url}/slow?0.1", timeout=30), range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4


@known_from(docs="https://docs.cloud.google.com/run/docs/troubleshooting")
def test_a_request_beyond_its_time_is_answered_504(emulator):
    with running(emulator, "late", "--timeout", "500ms") as run:
        run.listen()
        answer = httpx.get(f"{run.url}/slow?3", timeout=30)
        assert (answer.status_code, answer.text) == (504, "upstream request timeout")
        assert httpx.get(run.url).status_code == 200
        assert run.end() == ENDED
    [entry] = request_log(emulator, "late", "httpRequest.status=504")
    assert "maximum request timeout" in entry["textPayload"]


@known_from(docs="https://docs.cloud.google.com/run/docs/troubleshooting")
def test_an_instance_that_dies_in_a_request_is_a_503_and_comes_back_with_restart(emulator):
    with running(emulator, "reborn", "--restart") as run:
        run.listen()
        first = httpx.get(run.url).json()["pid"]
        answer = httpx.get(f"{run.url}/crash", timeout=30)
        assert answer.status_code == 503
        run.listen()
        assert httpx.get(run.url, timeout=30).json()["pid"] != first
        assert run.end() == ENDED
    assert any("the command ended with 7; it starts again in 1 s" in line for line in run.told)
    instances = {entry["labels"]["instanceId"] for entry in request_log(emulator, "reborn")}
    assert len(instances) == 2
    [entry] = request_log(emulator, "reborn", "httpRequest.status=503")
    assert "malformed or connection to the instance had an error" in entry["textPayload"]


@known_from(docs="https://docs.cloud.google.com/run/docs/configuring/billing-settings")
def test_with_cpu_throttling_nothing_runs_between_requests(emulator):
    with running(emulator, "throttled", "--cpu-throttling") as run:
        run.listen()
        seen = httpx.get(f"{run.url}/seen", timeout=30).json()
        pid = int(httpx.get(run.url, timeout=30).json()["pid"])
        wait_until(lambda: _state(pid) == "T", seconds=20, what="the stop of the instance")
        time.sleep(1)  # the time in which 20 ticks would come
        later = httpx.get(f"{run.url}/seen", timeout=30).json()
        assert later["now"] - seen["now"] >= 1
        assert later["ticks"] - seen["ticks"] < 10
        assert run.end() == ENDED, "a stopped instance hears SIGTERM too"


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  # one read
        return stat.read().rpartition(")")[2].split()[0]


@known_from(docs=CONTRACT)
def test_several_workers_serve_and_all_end(emulator):
    command = (sys.executable, "-m", "support.front_app", "2")
    with running(emulator, "workers", command=command) as run:
        run.listen()
        pids: set[int] = set()

        def both() -> bool:
            pids.add(httpx.get(run.url, timeout=30).json()["pid"])
            return len(pids) == 2

        wait_until(both, seconds=30, what="an answer of each worker")
        assert run.end() == 0
    wait_until(lambda: not any(_runs(pid) for pid in pids), seconds=20, what="the end of both workers")


def _runs(pid: int) -> bool:
    try:
        return _state(pid) != "Z"
    except FileNotFoundError:
        return False


@known_from(docs="https://docs.cloud.google.com/run/docs/troubleshooting#container-failed-to-start")
def test_a_command_that_never_listens_is_ended_with_the_reason(emulator):
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    with running(emulator, "deaf", "--startup-timeout", "1s", command=command) as run:
        assert run.process.wait(30) == 128 + signal.SIGKILL
    assert any("failed to start and listen on the port" in line for line in run.told)


def test_requests_in_flight_are_finished_after_sigterm(emulator):
    with running(emulator, "graceful") as run, ThreadPoolExecutor(1) as pool:
        run.listen()
        answer = pool.submit(httpx.get, f"{run.url}/slow?1.5", timeout=30)
        time.sleep(0.5)  # so that the request is in flight; when it is not yet, the test shows less and passes
        assert run.end() == ENDED
        assert answer.result().text == "slow"


def test_without_a_front_the_command_is_alone(emulator):
    command = (sys.executable, "-c", "import time; print('ran')")
    with running(emulator, "alone", "--no-front", command=command) as run:
        assert run.process.wait(30) == 0
    assert not any("requests" in line for line in run.told)
