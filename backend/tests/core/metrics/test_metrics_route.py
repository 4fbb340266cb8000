"""`METRICS_ROUTE` and the process's metrics, switched on by `instrument()`."""

import subprocess

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from app.core.metrics.cells import process_store
from support.servers import serving
from support.service import observed
from support.tools import tool


def _samples(page: str) -> dict[str, float]:
    return {sample.name: sample.value for one in text_string_to_metric_families(page) for sample in one.samples}


async def test_the_setting_adds_a_route_that_is_not_told_itself():
    with observed(FastAPI(), metrics_route="/metrics") as service:
        async with service.client() as client:
            for _ in range(2):
                page = (await client.get("/metrics")).text
            assert (await client.get("/other")).status_code == 404
        samples = _samples(page)
        assert samples["cold_starts_total"] == 1
        assert samples["process_resident_memory_bytes"] > 10**6
        assert samples["service_info"] == 1
        assert not any(name.startswith("http_request_total") for name in samples)
        assert [entry["httpRequest"]["status"] for entry in service.access] == [404]


async def test_without_the_setting_there_is_no_route():
    with observed(FastAPI()) as service:
        async with service.client() as client:
            assert (await client.get("/metrics")).status_code == 404


async def test_without_metrics_the_process_is_not_watched():
    before = process_store.series  # what other tests of this process have left
    with observed(FastAPI(), enable_metrics=False) as service:
        async with service.client() as client:
            await client.get("/")
        assert service.observability.system is None
    made = [series for series in process_store.series if series not in before]
    assert "cold_starts_total" not in {series.metric.name for series in made}


def test_a_real_service_is_read_by_promtool(tmp_path):
    promtool = tool("promtool")
    deployed = {"SERVICE_VERSION": "1.2", "COMMIT_SHA": "abc"}
    environment = {"METRICS_ROUTE": "/metrics", "METRICS_BACKEND": "none", **deployed}
    with serving(tmp_path, environment) as server:
        for number in range(3):
            httpx.get(f"{server.url}/items/{number}")
        page = httpx.get(f"{server.url}/metrics").text
        answer = subprocess.run([promtool, "check", "metrics"], input=page, text=True, capture_output=True, check=False)
        assert (answer.returncode, answer.stderr) == (0, "")
        samples = _samples(page)
        assert samples["http_request_total"] == 3
        assert samples["cold_start_duration_seconds"] > 0
        assert samples["event_loop_lag_seconds_count"] >= 0
        assert 'service_info{commit="abc",version="1.2"} 1' in page
        server.terminate()
        assert "not exported" not in server.output.read_text()
