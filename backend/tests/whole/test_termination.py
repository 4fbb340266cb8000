"""The end of a service beneath the servers that people use: what is told, what is written, and what is lost."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from websockets.sync.client import connect

from support.arrived import access_entries, counted_requests, spans
from support.asgi_servers import asgi_server
from support.emulator import running_emulator
from support.provenance import known_from
from support.servers import Server, serving
from support.strict_backend import StrictBackend
from support.strict_backend import serving as strict
from support.waiting import wait_until

ITEM = "/items/{item_id}"
NO_TRACES = {"ENABLE_TRACING": "false"}


def _items(backend: StrictBackend) -> float:
    return backend.total("http_request_total", endpoint=ITEM)


def _ask(url: str, times: int) -> None:
    with httpx.Client(base_url=url) as client:
        for number in range(times):
            assert client.get(f"/items/{number}").status_code == 200


def _lines(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.output.read_text().splitlines() if line.startswith("{")]


# uvicorn with 1 and 4 workers: core/test_lifecycle.py.
@pytest.mark.parametrize(
    "name",
    [
        "uvicorn with reload",
        "gunicorn",
        "gunicorn with preload",
        "hypercorn",
        "granian",
    ],
)
def test_of_200_requests_before_sigterm_200_are_counted_and_logged(tmp_path, name):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {**NO_TRACES, "TEST_EXPORT_INTERVAL": "3600", "CLOUDOPS_EMULATOR_HOST": address}
        with asgi_server(name, tmp_path, environment) as server:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda _: _ask(server.url, 50), range(4)))
            began = time.monotonic()
            server.terminate()
            assert time.monotonic() - began < 10, "Cloud Run kills after ten seconds"
            assert _items(backend) == 200
            assert sum(line.get("route") == ITEM for line in _lines(server)) == 200
            assert not any("was lost" in str(line["message"]) for line in _lines(server))


@known_from(issue="https://github.com/encode/uvicorn/issues/853")
@pytest.mark.parametrize("name", ["uvicorn without lifespan", "granian"])
def test_the_final_write_waits_for_no_stream_and_no_lifespan(tmp_path, name):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {**NO_TRACES, "TEST_EXPORT_INTERVAL": "3600", "CLOUDOPS_EMULATOR_HOST": address}
        with asgi_server(name, tmp_path, environment) as server, httpx.Client(base_url=server.url) as client:
            _ask(server.url, 10)
            with client.stream("GET", "/for-ever") as response:
                chunks = response.iter_raw()  # kept: without it the stream would be closed
                next(chunks)
                os.killpg(server.process.pid, signal.SIGTERM)
                wait_until(lambda: _items(backend) == 10, 9, "the final write")


def test_a_drain_is_seen_by_probes_streams_and_sockets_and_nothing_is_lost(tmp_path):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {
            **NO_TRACES,
            "TEST_EXPORT_INTERVAL": "3600",
            "CLOUDOPS_EMULATOR_HOST": address,
            "DRAIN_SECONDS": "2",
        }
        with serving(tmp_path, environment, app="support.ending_app:app") as server, ThreadPoolExecutor(3) as pool:
            _ask(server.url, 10)
            assert httpx.get(f"{server.url}/health/ready").status_code == 200
            with (
                httpx.Client(base_url=server.url, timeout=20) as client,
                client.stream("GET", "/told") as stream,
                connect(f"{server.url.replace('http', 'ws')}/socket") as websocket,
            ):
                told = stream.iter_lines()
                assert next(told) == "data: begun"
                assert websocket.recv(10) == "begun"
                slow = pool.submit(httpx.get, f"{server.url}/slow", timeout=20)
                wait_until(lambda: _in_flight(server) >= 2, what="the slow request")
                server.process.send_signal(signal.SIGTERM)
                ready = f"{server.url}/health/ready"
                wait_until(lambda: httpx.get(ready).status_code == 503, 2, "readiness that drains, for new connections")
                assert httpx.get(f"{server.url}/health/live").status_code == 200
                _ask(server.url, 5)
                assert [line for line in told if line] == ["data: draining"]
                assert websocket.recv(10) == "draining"
                assert slow.result(10).json() == {"slow": True}
            assert server.process.wait(15) in {0, -signal.SIGTERM}
            assert _items(backend) == 15
            assert backend.total("http_request_total", endpoint="/slow") == 1


@pytest.mark.parametrize("name", ["granian", "granian on asyncio", "hypercorn without workers", "gunicorn"])
def test_a_drain_delays_other_servers_too(tmp_path, name):
    environment = {**NO_TRACES, "METRICS_BACKEND": "none", "DRAIN_SECONDS": "2"}
    with asgi_server(name, tmp_path, environment) as server:
        ready = f"{server.url}/health/ready"
        wait_until(lambda: httpx.get(ready).status_code == 200)
        time.sleep(1.0)  # servers run their loop twice: the signal comes while they serve
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(ready).status_code == 503, 1.5, "readiness that drains")
        _ask(server.url, 5)
        server.process.wait(10)
        assert 2 <= time.monotonic() - began < 8


def _in_flight(server: Server) -> int:
    headers = {"authorization": "Bearer s3cret"}
    told = httpx.get(f"{server.url}/health/detailed", headers=headers).json()
    return int(told["checks"]["requests:inFlight"][0]["observedValue"]) if "checks" in told else 2


def test_logs_and_spans_are_out_within_3_s_and_counters_within_9_although_an_export_was_just_before(tmp_path):
    with running_emulator() as emulator:  # which refuses two points within 5 s, as the API does
        environment = {
            "TEST_EXPORT_INTERVAL": "10",
            "TEST_GAP": "5",
            "CLOUDOPS_EMULATOR_HOST": emulator.grpc,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "LOG_DESTINATION": "api",
            "TRACE_SAMPLE_RATE": "1.0",
        }
        with serving(tmp_path, environment) as server:
            _ask(server.url, 50)
            wait_until(lambda: counted_requests(emulator) == 50, 30, "an export")
            _ask(server.url, 150)
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            wait_until(lambda: sum(map(len, access_entries(emulator).values())) == 200, 3, "the entries")
            wait_until(lambda: len(spans(emulator)) == 200, began + 3 - time.monotonic(), "the spans")
            wait_until(lambda: counted_requests(emulator) == 200, began + 9 - time.monotonic(), "the counters")
            server.process.wait(began + 10 - time.monotonic())


@contextmanager
def _black_hole() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_beside_a_dead_back_end_the_limits_hold_and_one_line_says_what_was_lost(tmp_path):
    with _black_hole() as address:
        environment = {
            "TEST_EXPORT_INTERVAL": "3600",
            "TEST_GAP": "5",
            "CLOUDOPS_EMULATOR_HOST": address,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "LOG_DESTINATION": "api",
            "TRACE_SAMPLE_RATE": "1.0",
        }
        with serving(tmp_path, environment) as server:
            _ask(server.url, 20)
            began = time.monotonic()
            server.terminate()
            assert time.monotonic() - began < 10, "Cloud Run kills after ten seconds"
            lost = [line for line in _lines(server) if "was lost" in str(line["message"])]
    assert len(lost) == 1
    told = lost[0]["lost"]
    assert isinstance(told, dict)
    assert set(told) >= {"logs", "metrics"}
    assert "http_request_total" in str(lost[0]["metrics"])


def test_beside_a_dead_back_end_and_an_open_stream_the_line_comes_before_the_platform_kills(tmp_path):
    with _black_hole() as address:
        environment = {
            **NO_TRACES,
            "TEST_EXPORT_INTERVAL": "3600",
            "CLOUDOPS_EMULATOR_HOST": address,
            "GOOGLE_CLOUD_PROJECT": "demo",
            "LOG_DESTINATION": "api",
        }
        with serving(tmp_path, environment, app="support.ending_app:app") as server, httpx.Client() as client:
            _ask(server.url, 20)
            with client.stream("GET", f"{server.url}/for-ever", timeout=20) as response:
                chunks = response.iter_raw()  # kept: without it the stream would be closed
                next(chunks)
                server.process.send_signal(signal.SIGTERM)
                wait_until(lambda: "was lost" in server.output.read_text(), 20, "the last word")
                [lost] = [line for line in _lines(server) if "was lost" in str(line["message"])]
    assert set(lost["lost"]) == {"logs", "metrics"}  # type: ignore[call-overload]  # a dict


def test_sigkill_loses_no_line_and_at_most_what_was_counted_since_the_last_export(tmp_path):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {**NO_TRACES, "TEST_EXPORT_INTERVAL": "0.2", "CLOUDOPS_EMULATOR_HOST": address}
        with serving(tmp_path, environment) as server:
            _ask(server.url, 30)
            wait_until(lambda: _items(backend) == 30, what="an export")
            _ask(server.url, 7)
            server.process.kill()
            server.process.wait(10)
            # A request's line follows its last byte: the kill may come between the two of the last one.
            assert sum(line.get("route") == ITEM for line in _lines(server)) in {36, 37}
    assert 30 <= _items(backend) <= 37


def test_a_process_that_was_frozen_goes_on_with_exact_totals_and_no_burst(tmp_path):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {**NO_TRACES, "TEST_EXPORT_INTERVAL": "0.2", "CLOUDOPS_EMULATOR_HOST": address}
        with serving(tmp_path, environment) as server:
            _ask(server.url, 20)
            wait_until(lambda: _items(backend) == 20, what="an export")
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(2.5)  # the freeze itself, of a dozen intervals
            frozen = len(backend.calls)
            server.process.send_signal(signal.SIGCONT)
            thawed = time.monotonic()
            _ask(server.url, 5)
            wait_until(lambda: _items(backend) == 25, what="the export after the thaw")
            # One call for each interval since, and one more; a burst would make up for a dozen.
            assert len(backend.calls) - frozen <= (time.monotonic() - thawed) / 0.2 + 4
            assert httpx.get(f"{server.url}/health/ready").status_code == 200
            server.terminate()
            latencies = [line["httpRequest"]["latency"] for line in _lines(server) if "httpRequest" in line]  # type: ignore[index]  # an object
        assert backend.refusals == []
        assert len(latencies) == 25
        assert not any(latency.startswith("-") for latency in latencies)
