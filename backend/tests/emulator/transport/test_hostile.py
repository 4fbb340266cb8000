"""Clients that send too much, too deep or too slowly."""

import gzip
import json
import socket
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest

from app.emulator.transport import json_wire
from app.emulator.transport.limits import MAX_BODY_BYTES
from support.emulator import RunningEmulator, running_emulator
from support.monitoring import create, one
from support.provenance import our_choice

CREATE = "/google.monitoring.v3.MetricService/CreateTimeSeries"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@our_choice("a small body must not unpack into all memory: 20 MiB on both wires, counted after decompression")
def test_a_compressed_bomb_is_refused_on_both_wires(emulator: RunningEmulator) -> None:
    bomb = gzip.compress(b'{"displayName": "' + b"x" * MAX_BODY_BYTES + b'"}')
    assert len(bomb) < MAX_BODY_BYTES // 100
    answer = httpx.post(
        f"{emulator.http}/v1/projects/demo/dashboards", content=bomb, headers={"Content-Encoding": "gzip"}
    )
    assert (answer.status_code, "exceeds the limit" in answer.text) == (400, True)
    request = create(one("x" * MAX_BODY_BYTES, 0)).SerializeToString()
    with grpc.insecure_channel(emulator.grpc) as channel:
        call = channel.unary_unary(CREATE, lambda message: message, lambda reply: reply)
        with pytest.raises(grpc.RpcError) as caught:
            call(request, compression=grpc.Compression.Gzip, timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@our_choice("a deep document must not exhaust the stack")
@pytest.mark.parametrize(
    "path", ["/v1/projects/demo/dashboards", "/v3/projects/demo/alertPolicies", "/v2/entries:write"]
)
@pytest.mark.parametrize("depth", [150, 1000, 100_000])
def test_a_deep_document_is_refused(emulator: RunningEmulator, path: str, depth: int) -> None:
    group = '{"collapsibleGroup":' * depth + "{}" + "}" * depth
    for body in ('{"displayName":' + "[" * depth + "]" * depth + "}", group):
        answer = httpx.post(f"{emulator.http}{path}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text[:200]
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


@our_choice("a filter or a query that is nested too deeply is refused, not answered with a bug")
@pytest.mark.parametrize("depth", [200, 900])
def test_a_deep_filter_and_a_deep_query_are_refused_or_answered(emulator: RunningEmulator, depth: int) -> None:
    deep = "(" * depth + 'metric.type="custom.googleapis.com/x"' + ")" * depth
    interval = {"interval.endTime": "2026-01-01T00:00:00Z"}
    answer = httpx.get(f"{emulator.http}/v3/projects/demo/timeSeries", params={"filter": deep, **interval})
    assert answer.status_code in {400, 404}, answer.text
    query = {"query": "(" * depth + "1" + ")" * depth}
    prometheus = f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query"
    assert httpx.post(prometheus, data=query).status_code in {200, 400}


@our_choice("who sends a body drop by drop is let go, and holds up nobody meanwhile")
def test_a_slow_client_is_let_go(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_wire, "MAX_BODY_SECONDS", 0.5)
    host, port = emulator.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = f"POST /v1/projects/demo/dashboards HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{"
        slow.sendall(head.encode())
        begun = time.monotonic()
        assert httpx.get(f"{emulator.http}/v3/projects/demo/metricDescriptors").status_code == 200
        answer = slow.recv(65_536).decode()
        assert time.monotonic() - begun > 0.3
    assert answer.startswith("HTTP/1.1 504")
    assert json.loads(answer.partition("\r\n\r\n")[2] or "{}").get("error", {}).get("status") in {
        "DEADLINE_EXCEEDED",
        None,
    }


@our_choice("pages of strangers must not reach an emulator on this machine")
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "null"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(emulator: RunningEmulator, headers: dict[str, str]) -> None:
    assert httpx.get(f"{emulator.http}/v3/projects/demo/metricDescriptors", headers=headers).status_code == 403
