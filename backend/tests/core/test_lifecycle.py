import json
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import httpx
import pytest

from app.core import HealthRegistry, Observability, Settings, guard
from app.core.lifecycle import Worker
from app.core.logging.destination import standard_output
from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.emulator.project import Switches
from support.emulator import running_emulator
from support.gunicorn import gunicorn
from support.provenance import known_from
from support.servers import serving
from support.service import observed
from support.strict_backend import StrictBackend
from support.strict_backend import serving as strict
from support.waiting import wait_until

TOTAL = "prometheus.googleapis.com/http_request_total/counter"
ERRORS = "prometheus.googleapis.com/cloudops_internal_errors_total/counter"
DROPPED = "prometheus.googleapis.com/cloudops_dropped_total/counter"
QUICK = Switches(minimum_gap_seconds=0.0)


def _total(emulator, metric_type: str = TOTAL, **labels: str) -> float:
    """The newest values of all series of a type, added up."""

    def read() -> float:
        total = 0.0
        for series in emulator.emulator.parts.store.series(metric_type):
            if labels.items() <= {**series.metric_labels, **series.resource_labels}.items():
                points = series.window(0, time.time_ns() + 10**10)
                total += float(points.values[-1]) if len(points.values) else 0.0
        return total

    return float(emulator.call(read))


def _settings(emulator, **more) -> Settings:
    return Settings.load(service_name="items", environment="test", cloudops_emulator_host=emulator.grpc, **more)


def test_what_is_counted_arrives_and_the_rest_at_the_end():
    store = Store()
    counter = MetricsClient(store).counter("cloudops_internal_errors_total")
    with running_emulator(switches=QUICK) as emulator:
        worker = Worker(store, interval=0.2, gap=0.05)
        worker.start(_settings(emulator), lambda runtime: None)
        counter.add(3)
        wait_until(lambda: _total(emulator, ERRORS) == 3, what="the first export")
        counter.add(4)
        worker.stop()
        assert _total(emulator, ERRORS) == 7


def test_totals_equal_the_ledger_after_the_emulator_was_gone():
    store = Store()
    counter = MetricsClient(store).counter("cloudops_internal_errors_total")
    with running_emulator(switches=QUICK) as emulator:
        port = int(emulator.grpc.rpartition(":")[2])
        worker = Worker(store, interval=0.2, gap=0.05)
        worker.start(_settings(emulator), lambda runtime: None)
        counter.add(5)
        wait_until(lambda: _total(emulator, ERRORS) == 5, what="the first export")
    counter.add(20)
    failures = MetricsClient(store).counter("cloudops_export_failures_total", {"code": "UNAVAILABLE"})
    wait_until(lambda: failures._cell[0] >= 2, what="two failed exports")
    with running_emulator(switches=QUICK, grpc_port=port) as emulator:
        wait_until(lambda: _total(emulator, ERRORS) == 25, seconds=30, what="the export after the outage")
        worker.stop()


def test_an_app_without_credentials_network_or_emulator_serves_and_warns_once(tmp_path):
    environment = {"GOOGLE_CLOUD_PROJECT": "shop", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nothing.json")}
    with serving(tmp_path, environment) as server:
        for number in range(20):
            assert httpx.get(f"{server.url}/items/{number}").status_code == 200
        wait_until(lambda: "not exported" in server.output.read_text(), 30, "the warning")
        server.terminate()
        lines = [json.loads(line) for line in server.output.read_text().splitlines()]
    warnings = [line for line in lines if "not exported" in line["message"]]
    assert len(warnings) == 1
    assert "DefaultCredentialsError" in warnings[0]["message"]
    assert sum("httpRequest" in line and line.get("route") == "/items/{item_id}" for line in lines) == 20


@known_from(issue="https://github.com/open-telemetry/opentelemetry-go/issues/6677")
def test_with_the_apis_own_gap_a_terminated_service_loses_no_request(tmp_path):
    with running_emulator() as emulator:
        environment = {"TEST_EXPORT_INTERVAL": "60", "TEST_GAP": "5", "CLOUDOPS_EMULATOR_HOST": emulator.grpc}
        with serving(tmp_path, environment) as server, httpx.Client(base_url=server.url) as client:
            for number in range(200):
                client.get(f"/items/{number}")
            start = time.monotonic()
            server.terminate()
            assert time.monotonic() - start < 10, "Cloud Run kills after ten seconds"
        assert _total(emulator, endpoint="/items/{item_id}") == 200


def test_four_workers_write_series_of_their_own_and_lose_nothing(tmp_path):
    with running_emulator(switches=QUICK) as emulator:
        with serving(tmp_path, {"CLOUDOPS_EMULATOR_HOST": emulator.grpc}, workers=4) as server:
            for number in range(200):
                httpx.get(f"{server.url}/items/{number}")
            wait_until(lambda: _total(emulator, endpoint="/items/{item_id}") == 200, 20, "200 requests in the emulator")
            server.terminate()
        assert _total(emulator, endpoint="/items/{item_id}") == 200
        assert _total(emulator, DROPPED, reason="refused") == 0


def test_a_restarted_service_continues_its_series(tmp_path):
    with running_emulator(switches=QUICK) as emulator:
        for _ in range(2):
            with serving(tmp_path, {"CLOUDOPS_EMULATOR_HOST": emulator.grpc}) as server:
                httpx.get(f"{server.url}/items/1")
                server.terminate()

        def instances() -> set[str]:
            return {series.resource_labels["instance"] for series in emulator.emulator.parts.store.series(TOTAL)}

        assert len(emulator.call(instances)) == 1


async def test_the_export_runs_although_the_server_has_no_lifespan():
    with running_emulator(switches=QUICK) as emulator:
        with observed(cloudops_emulator_host=emulator.grpc) as service:
            service.observability.worker._interval = 0.2
            service.observability.worker._gap = 0.05
            async with service.client() as client:
                await client.get("/nothing")
            assert service.observability.started
        assert _total(emulator, endpoint="_unmatched") == 1


async def test_failures_and_bytes_of_the_library_itself_are_metrics(monkeypatch):
    monkeypatch.setattr(guard, "failures", Counter({"response": 2}))
    with running_emulator(switches=QUICK) as emulator, TemporaryFile() as output:
        destination = standard_output("json", descriptor=output.fileno())
        destination.write(b"x" * 699 + b"\n")
        worker = Worker(Store(), interval=0.2, gap=0.05)
        settings = _settings(emulator, enable_cost_tracking=True)
        lines: list[bytes] = []
        observability = Observability(settings, worker=worker, write=lines.append, health_checks=HealthRegistry())
        observability._publish(destination)
        observability.start()
        try:
            wait_until(lambda: _total(emulator, ERRORS) == 2, what="internal errors")
            assert _total(emulator, "prometheus.googleapis.com/cloudops_log_bytes_total/counter") == 700
        finally:
            await observability.stop()


def test_nothing_starts_when_an_app_is_only_made():
    worker = Worker(Store())
    with observed() as service:
        assert worker._thread is None
        assert not service.observability.started


@pytest.mark.parametrize("domain", ["custom", "workload"])
def test_other_domains_are_taken_by_the_back_end_too(domain):
    store = Store()
    MetricsClient(store).counter("cloudops_internal_errors_total").add(2)
    with running_emulator(switches=QUICK) as emulator:
        worker = Worker(store, interval=0.2, gap=0.05)
        worker.start(_settings(emulator, metrics_domain=domain), lambda runtime: None)
        kind = f"{domain}.googleapis.com/cloudops/cloudops_internal_errors_total"
        wait_until(lambda: _total(emulator, kind) == 2, what="the export")
        worker.stop()


def test_costs_are_counted_when_asked_for():
    store = Store()
    MetricsClient(store).counter("cloudops_internal_errors_total").add(2)
    with running_emulator(switches=QUICK) as emulator:
        worker = Worker(store, interval=0.2, gap=0.05)
        worker.start(_settings(emulator, enable_cost_tracking=True), lambda runtime: None)
        written = "prometheus.googleapis.com/cloudops_samples_written_total/counter"
        wait_until(lambda: _total(emulator, written) > 1, what="samples counted")
        worker.stop()


@pytest.fixture(autouse=True)
def _slots_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_the_final_write_does_not_wait_for_a_response_that_never_ends(tmp_path, server):
    backend = StrictBackend(gap=0.0)
    with strict(backend) as address:
        environment = {"TEST_EXPORT_INTERVAL": "3600", "CLOUDOPS_EMULATOR_HOST": address}
        app = "support.stream_app:app"
        start = serving if server == "uvicorn" else partial(gunicorn, workers=1)
        with start(tmp_path, environment, app=app) as service, httpx.Client(base_url=service.url) as client:
            for number in range(10):
                client.get(f"/items/{number}")
            with client.stream("GET", "/ticks") as response:
                chunks = response.iter_raw()  # kept: without it the stream would be closed
                next(chunks)
                service.process.send_signal(signal.SIGTERM)
                endpoint = "/items/{item_id}"
                wait_until(lambda: backend.total("http_request_total", endpoint=endpoint) == 10, 30, "the final write")
