"""Spans on disk while they wait."""

from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.core import guard
from app.core.redaction import Redaction
from app.core.tracing.encoding import Encoded, Encoding, pack, unpack
from support.emulator import running_emulator
from support.servers import free_port
from support.tracing import roots, spans_of, traced
from support.waiting import wait_until


def _app():
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("too few left")

    return app


@pytest.fixture
def told(monkeypatch):
    messages = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: messages.append(message))
    return messages


async def test_spans_that_a_process_could_not_send_are_sent_by_the_next_with_their_own_resource(tmp_path, told):
    port = free_port()
    with running_emulator() as another:
        pass  # only for its shape: nothing listens at the address that is given
    settings: dict[str, Any] = {"spool_directory": str(tmp_path / "spool"), "google_cloud_project": "demo"}
    away = {**settings, "service_version": "v1", "cloudops_emulator_host": f"127.0.0.1:{port}"}
    with traced(another, _app(), **away) as one:
        async with one.client() as client:
            await client.get("/items/7")
            await client.get("/broken")
        ids = [entry["logging.googleapis.com/trace"].rpartition("/")[2] for entry in one.service.access]
        spool = one.traces._exporter._spool
        assert spool is not None
        wait_until(lambda: spool.live == 2, what="both on disk")
    assert one.dropped() == {}
    assert not [message for message in told if "was lost" in message]
    with (
        running_emulator(grpc_port=port) as emulator,
        traced(emulator, _app(), service_version="v2", **settings) as two,
    ):
        wait_until(lambda: two.traces.sent == 2, 20)
        for trace_id, name in zip(ids, ["GET /items/{item_id}", "GET /broken"], strict=True):
            [root] = roots(spans_of(emulator, trace_id))
            assert root.name == name
            assert root.labels["service.version"] == "v1"
    assert list((tmp_path / "spool").glob("*.spool")) == []


async def test_what_is_sent_is_on_disk_no_more_and_nothing_is_sent_twice(tmp_path):
    with running_emulator() as emulator:
        settings = {"spool_directory": str(tmp_path / "spool")}
        for _ in range(2):
            with traced(emulator, _app(), **settings) as one:
                async with one.client() as client:
                    for number in range(20):
                        await client.get(f"/items/{number}")
                assert one.traces.flush(20)
                assert one.traces.sent == 20
            assert list((tmp_path / "spool").glob("*.spool")) == []


def test_what_is_packed_is_unpacked():
    spans = [
        Encoded({"service.name": "items"}, ("scope", "1"), b"one\n"),
        Encoded({"service.name": "items"}, ("", ""), b""),
    ]
    assert unpack(pack(spans, error=True)) == (spans, True)


def test_spans_of_several_processes_go_in_one_request_each_beneath_its_own_resource():
    ours = Encoded({"service.version": "v2"}, ("scope", "1"), b"")
    left = Encoded({"service.version": "v1"}, ("scope", "1"), b"")
    request = ExportTraceServiceRequest.FromString(Encoding(Redaction()).request({}, [left, ours, left]))
    found = {
        one.resource.attributes[0].value.string_value: sum(len(scope.spans) for scope in one.scope_spans)
        for one in request.resource_spans
    }
    assert found == {"v1": 2, "v2": 1}
