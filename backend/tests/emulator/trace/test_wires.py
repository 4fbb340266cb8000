"""Google's own clients against Cloud Trace's emulator, both wires; the journal; the console's routes."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import trace_v1, trace_v2
from google.cloud.trace_v1.services.trace_service.transports import (
    TraceServiceGrpcTransport as GrpcV1,
)
from google.cloud.trace_v1.services.trace_service.transports import (
    TraceServiceRestTransport as RestV1,
)
from google.cloud.trace_v2.services.trace_service.transports import (
    TraceServiceGrpcTransport as GrpcV2,
)
from google.cloud.trace_v2.services.trace_service.transports import (
    TraceServiceRestTransport as RestV2,
)
from google.protobuf import timestamp_pb2

from app.emulator.project import Switches
from support.emulator import RunningEmulator, running_emulator
from support.processes import emulator_process
from support.provenance import known_from, our_choice

TRACE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


def stamp(seconds: float) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


def span(number: int, name: str, trace_id: str = TRACE) -> trace_v2.Span:
    now = time.time()
    return trace_v2.Span(
        name=f"projects/demo/traces/{trace_id}/spans/{number:016x}",
        span_id=f"{number:016x}",
        display_name={"value": name},
        start_time=stamp(now - 1),
        end_time=stamp(now),
    )


def rest_clients(http: str) -> tuple[trace_v1.TraceServiceClient, trace_v2.TraceServiceClient]:
    host, nobody = http.removeprefix("http://"), AnonymousCredentials()
    return (
        trace_v1.TraceServiceClient(transport=RestV1(host=host, credentials=nobody, url_scheme="http")),
        trace_v2.TraceServiceClient(transport=RestV2(host=host, credentials=nobody, url_scheme="http")),
    )


@pytest.mark.parametrize("wire", ["grpc", "rest"])
@known_from(proto="google/devtools/cloudtrace/v2/tracing.proto")
def test_googles_clients_write_list_and_read(emulator: RunningEmulator, wire: str) -> None:
    if wire == "grpc":
        with emulator.channel() as channel:
            _exercise(
                trace_v1.TraceServiceClient(transport=GrpcV1(channel=channel)),
                trace_v2.TraceServiceClient(transport=GrpcV2(channel=channel)),
            )
    else:
        _exercise(*rest_clients(emulator.http))


def _exercise(old: trace_v1.TraceServiceClient, new: trace_v2.TraceServiceClient) -> None:
    new.batch_write_spans(name="projects/demo", spans=[span(1, "GET /a"), span(2, "GET /b")])
    created = new.create_span(request=span(3, "GET /c"))
    assert created.display_name.value == "GET /c"
    patched = trace_v1.Trace(
        project_id="demo", trace_id="f" * 32, spans=[{"span_id": 7, "name": "POST", "start_time": stamp(time.time())}]
    )
    old.patch_traces(project_id="demo", traces=trace_v1.Traces(traces=[patched]))
    request = trace_v1.ListTracesRequest(project_id="demo", view=trace_v1.ListTracesRequest.ViewType.COMPLETE)
    assert {one.trace_id: len(one.spans) for one in old.list_traces(request=request)} == {TRACE: 3, "f" * 32: 1}
    assert [one.name for one in old.get_trace(project_id="demo", trace_id="f" * 32).spans] == ["POST"]
    with pytest.raises(exceptions.NotFound):
        old.get_trace(project_id="demo", trace_id="e" * 32)
    with pytest.raises(exceptions.BadRequest):  # InvalidArgument over gRPC
        new.create_span(request=trace_v2.Span(name="projects/demo/traces/1/spans/2"))


def test_the_console_s_routes_tell_a_list_and_a_tree(emulator: RunningEmulator) -> None:
    _, new = rest_clients(emulator.http)
    child = span(2, "SELECT")
    child.parent_span_id = f"{1:016x}"
    child.status = {"code": 2, "message": "timeout"}
    new.batch_write_spans(name="projects/demo", spans=[span(1, "GET /a"), child])
    [told] = httpx.get(f"{emulator.http}/emulator/v1/traces", params={"filter": "GET"}).json()["traces"]
    assert (told["name"], told["spans"], told["errors"]) == ("GET /a", 2, 1)
    tree = httpx.get(f"{emulator.http}/emulator/v1/traces/{TRACE}").json()
    parents = {one["spanId"]: one["parentSpanId"] for one in tree["spanList"]}
    assert parents == {f"{1:016x}": "", f"{2:016x}": f"{1:016x}"}
    assert {"code": 2, "message": "timeout"} in [one["status"] for one in tree["spanList"]]
    assert httpx.get(f"{emulator.http}/emulator/v1/traces/{'a' * 32}").status_code == 404
    assert httpx.get(f"{emulator.http}/emulator/v1/traces/nothing").status_code == 400
    assert httpx.get(f"{emulator.http}/emulator/v1/traces", params={"limit": "many"}).status_code == 400


@our_choice("the file must not grow for ever: records of spans that nobody can read any more are dropped")
def test_records_of_spans_that_gave_way_leave_the_journal(tmp_path: Path) -> None:
    switches = Switches(trace_spans_kept=10)
    with running_emulator(data_dir=tmp_path, switches=switches) as running:
        _, client = rest_clients(running.http)
        for number in range(1, 41):
            client.create_span(request=span(number, f"span {number}", f"{number:032x}"))
        running.call(running.emulator.parts.sweep)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        [(records,)] = journal.execute("SELECT count(*) FROM record WHERE kind = 'trace.spans'")
    assert 10 <= records < 40
    with running_emulator(data_dir=tmp_path, switches=switches) as running:
        answer = httpx.get(f"{running.http}/v1/projects/demo/traces?pageSize=100").json()
    assert {one["traceId"] for one in answer["traces"]} == {f"{number:032x}" for number in range(31, 41)}


def test_acknowledged_spans_survive_kill_9(tmp_path: Path) -> None:
    with emulator_process(data_dir=str(tmp_path)) as (process, addresses):
        _, client = rest_clients(addresses["http"])
        for number in range(1, 51):
            client.create_span(request=span(number, f"span {number}"))
        body = {
            "traces": [{"traceId": TRACE, "projectId": "demo", "spans": [{"spanId": "7", "labels": {"late": "1"}}]}]
        }
        assert httpx.patch(f"{addresses['http']}/v1/projects/demo/traces", json=body).status_code == 200
        process.kill()
    with emulator_process(data_dir=str(tmp_path)) as (_, addresses):
        found = httpx.get(f"{addresses['http']}/v1/projects/demo/traces/{TRACE}").json()
    assert sorted(int(one["spanId"]) for one in found["spans"]) == list(range(1, 51))
    assert [one["labels"] for one in found["spans"] if one["spanId"] == "7"] == [{"late": "1"}]
