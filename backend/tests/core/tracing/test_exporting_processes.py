"""Spans of processes that fork, end, are told to end, or have a provider of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.emulator import RunningEmulator, running_emulator
from support.servers import TESTS, serving
from support.tracing import SECONDS, roots, spans_of


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as one:
        yield one


def _script(text: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
            "TMPDIR": str(tmp_path),
            "ENABLE_METRICS": "false",
            "TRACE_SAMPLE_RATE": "1",
            **environment,
        },
    )


_ASK = """
import asyncio, os, sys, threading
import httpx
from fastapi import FastAPI
from app.core import instrument

app = FastAPI()

@app.get("/work")
async def work():
    return None

@app.get("/child")
async def child():
    return None

def ask(path, trace_id):
    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            await client.get(path, headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    asyncio.run(run())
"""


def test_a_worker_that_is_forked_before_anything_started_sends_its_spans(emulator, tmp_path):
    ids = ["4bf92f3577b34da6a3ce929d0e0e5101", "4bf92f3577b34da6a3ce929d0e0e5102"]
    script = f"""{_ASK}
telemetry = instrument(app)
assert not [one for one in threading.enumerate() if one.name.startswith("fastapi-cloudops")]
assert "opentelemetry.sdk.trace" not in sys.modules
children = []
for trace_id in {ids!r}:
    child = os.fork()
    if not child:
        ask("/work", trace_id)
        assert telemetry.traces.flush(20)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
"""
    done = _script(script, tmp_path, CLOUDOPS_EMULATOR_HOST=emulator.grpc)
    assert done.returncode == 0, done.stderr
    assert [[span.name for span in spans_of(emulator, trace_id)] for trace_id in ids] == [["GET /work"]] * 2


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_a_child_of_a_process_that_has_exported_sends_over_http_and_tells_over_grpc(emulator, tmp_path, wire):
    mother, child = (f"4bf92f3577b34da6a3ce929d0e0e52{number}{'1' if wire == 'grpc' else '2'}" for number in (1, 2))
    script = f"""{_ASK}
telemetry = instrument(app)
ask("/work", "{mother}")
assert telemetry.traces.flush(20)
child = os.fork()
if not child:
    ask("/child", "{child}")
    telemetry.traces.flush(20)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
telemetry.traces.close()
"""
    environment = {"CLOUDOPS_EMULATOR_HOST": emulator.grpc}
    if wire == "http":
        environment = {"OTLP_TRACES_ENDPOINT": emulator.http, "GOOGLE_CLOUD_PROJECT": "demo"}
    done = _script(script, tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert [span.name for span in spans_of(emulator, mother)] == ["GET /work"]
    assert [span.name for span in spans_of(emulator, child)] == (["GET /child"] if wire == "http" else [])
    assert ("after_fork" in done.stderr) is (wire == "grpc")


def test_a_process_that_ends_without_a_lifespan_sends_what_it_has(emulator, tmp_path):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e5301"
    done = _script(
        f'{_ASK}\ninstrument(app)\nask("/work", "{trace_id}")', tmp_path, CLOUDOPS_EMULATOR_HOST=emulator.grpc
    )
    assert done.returncode == 0, done.stderr
    assert [span.name for span in spans_of(emulator, trace_id)] == ["GET /work"]


def test_a_provider_of_the_services_own_goes_on_as_it_is(emulator, tmp_path):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e5501"
    script = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

theirs, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
{_ASK}
telemetry = instrument(app)

@app.get("/traced")
def traced():
    trace.get_tracer("shop").start_span("look up").end()

telemetry.traces.start()
assert telemetry.traces.ready.wait(20)
ask("/traced", "{trace_id}")
assert trace.get_tracer_provider() is provider
assert [span.name for span in theirs.get_finished_spans()] == ["look up"]
"""
    done = _script(script, tmp_path, CLOUDOPS_EMULATOR_HOST=emulator.grpc)
    assert done.returncode == 0, done.stderr
    [root] = roots(spans_of(emulator, trace_id))
    assert root.tree() == {"GET /traced": ["look up"]}


def test_sigterm_beneath_a_real_server_sends_every_span(emulator, tmp_path):
    environment = {"CLOUDOPS_EMULATOR_HOST": emulator.grpc, "TRACE_SAMPLE_RATE": "1", "ENABLE_METRICS": "false"}
    ids = [f"4bf92f3577b34da6a3ce929d0e{number:06x}" for number in range(0x540000, 0x540000 + 60)]
    with serving(tmp_path, environment) as server:
        with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
            for trace_id in ids:
                headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
                assert client.get("/items/7", headers=headers).status_code == 200
        server.terminate()
        assert "telemetry was lost" not in server.output.read_text()
    assert [trace_id for trace_id in ids if len(spans_of(emulator, trace_id)) != 1] == []
