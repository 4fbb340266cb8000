import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_dashboard_v1, monitoring_v3
from google.cloud.monitoring_dashboard_v1.services.dashboards_service.transports import DashboardsServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.protobuf import json_format

from app.emulator.clock import NANOS, ManualClock
from app.emulator.monitoring.resources import resource_types
from app.emulator.server import DataDirTaken, Emulator, PortTaken, ServeOptions
from support.emulator import RunningEmulator, running_emulator
from support.monitoring import COUNTER, GAUGE, START, count, create, latencies, moment, one

BACKEND = Path(__file__).parents[2]
SERVE = """
import asyncio, json, sys
from functools import partial
from pathlib import Path
from app.emulator.server import ServeOptions, serve
options = json.loads(sys.argv[1])
if options.get("data_dir"):
    options["data_dir"] = Path(options["data_dir"])
asyncio.run(serve(ServeOptions(grpc_port=0, http_port=0, **options), lambda told: print(json.dumps(told), flush=True)))
print("ended", flush=True)
"""


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(clock=ManualClock(START * NANOS)) as running:
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[monitoring_v3.MetricServiceClient]:
    with emulator.channel() as channel:
        yield monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))


def series(*wanted: dict[str, Any]) -> list[monitoring_v3.TimeSeries]:
    return [monitoring_v3.TimeSeries.from_json(json.dumps(one)) for one in wanted]


@contextlib.contextmanager
def served(**options: Any) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """An emulator in a process of its own, and its addresses."""
    command = [sys.executable, "-c", SERVE, json.dumps(options)]
    environment = os.environ | {"PYTHONPATH": str(BACKEND)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_googles_client_writes_and_reads(client: monitoring_v3.MetricServiceClient) -> None:
    client.create_time_series(name="projects/demo", time_series=series(one(1.5, 0), count(3, 0), latencies([1], 0)))
    found = list(
        client.list_time_series(
            name="projects/demo",
            filter=f'metric.type = "{GAUGE}"',
            interval=monitoring_v3.TimeInterval.from_json(json.dumps({"endTime": moment(0)})),
            view=monitoring_v3.ListTimeSeriesRequest.TimeSeriesView(0),
        )
    )
    assert [point.value.double_value for one in found for point in one.points] == [1.5]
    assert {descriptor.type for descriptor in client.list_metric_descriptors(name="projects/demo")} >= {GAUGE, COUNTER}


def test_googles_client_shows_which_points_were_not_written(client: monitoring_v3.MetricServiceClient) -> None:
    client.create_time_series(name="projects/demo", time_series=series(one(1.0, 0)))
    with pytest.raises(exceptions.InvalidArgument) as caught:
        client.create_time_series(name="projects/demo", time_series=series(one(1.0, 1), one(1.0, 0, labels={"a": "1"})))
    [detail] = caught.value.details
    summary = monitoring_v3.CreateTimeSeriesSummary.pb()()
    assert detail.Unpack(summary)
    assert (summary.total_point_count, summary.success_point_count) == (2, 1)
    assert [(error.status.code, error.point_count) for error in summary.errors] == [(9, 1)]


def test_two_hundred_refusals_reach_the_client(client: monitoring_v3.MetricServiceClient) -> None:
    wrong = series(*(one(1.0, 9999, metric=f"custom.googleapis.com/{'long' * 20}/{n}") for n in range(200)))
    with pytest.raises(exceptions.InvalidArgument, match="more reasons"):
        client.create_time_series(name="projects/demo", time_series=wrong)


class BothWires:
    """The same ListTimeSeries over REST and over gRPC."""

    def __init__(self, emulator: RunningEmulator, fields: dict[str, Any]) -> None:
        service = emulator.emulator.parts.metrics
        for at in (0, 60, 120):
            wanted = create(*(count(at + n, at, labels={"n": str(n)}) for n in range(3)))
            emulator.call(partial(service.create_time_series, wanted))
        interval = {"startTime": moment(-1), "endTime": moment(120)}
        self._asked = {"filter": f'metric.type = "{COUNTER}"', "interval": interval} | fields
        self._emulator = emulator

    def over_rest(self) -> httpx.Response:
        return httpx.get(f"{self._emulator.http}/v3/projects/demo/timeSeries", params=dict(_flat(self._asked)))

    def over_grpc(self) -> dict[str, Any]:
        request = json_format.ParseDict(
            {"name": "projects/demo"} | self._asked, monitoring_v3.ListTimeSeriesRequest.pb()()
        )
        with self._emulator.channel() as channel:
            call: Any = channel.unary_unary(
                "/google.monitoring.v3.MetricService/ListTimeSeries",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=monitoring_v3.ListTimeSeriesResponse.pb().FromString,
            )
            answer: dict[str, Any] = json_format.MessageToDict(call(request))
        return answer


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"view": "HEADERS"},
        {"pageSize": 2},
        {"aggregation": {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE", "groupByFields": []}},
    ],
    ids=str,
)
def test_both_wires_give_the_same_answer(emulator: RunningEmulator, fields: dict[str, Any]) -> None:
    wires = BothWires(emulator, fields)
    answer = wires.over_rest()
    assert answer.status_code == 200
    assert answer.json() == wires.over_grpc()
    assert answer.json()["timeSeries"]


@pytest.mark.parametrize(
    "fields",
    [
        {"aggregation": {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}},
        {"filter": 'metric.type = "custom.googleapis.com/nothing"'},
        {"filter": "metric.type ="},
        {"pageToken": "x"},
    ],
    ids=str,
)
def test_both_wires_refuse_with_the_same_words(emulator: RunningEmulator, fields: dict[str, Any]) -> None:
    wires = BothWires(emulator, fields)
    with pytest.raises(grpc.RpcError) as caught:
        wires.over_grpc()
    told = wires.over_rest().json()["error"]
    assert (told["status"], told["message"]) == (caught.value.code().name, caught.value.details())


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_a_dashboard_posted_over_rest_is_read_over_grpc(emulator: RunningEmulator) -> None:
    body = {"displayName": "Service", "gridLayout": {"columns": "2"}, "apiSource": "console"}
    posted = httpx.post(f"{emulator.http}/v1/projects/demo/dashboards", json=body).json()
    assert posted["apiSource"] == "console"
    assert httpx.get(f"{emulator.http}/v1/{posted['name']}").json() == posted
    with emulator.channel() as channel:
        client = monitoring_dashboard_v1.DashboardsServiceClient(
            transport=DashboardsServiceGrpcTransport(channel=channel)
        )
        assert client.get_dashboard(request={"name": posted["name"]}).grid_layout.columns == 2
        assert client.get_dashboard(request={"name": posted["name"]}).etag == posted["etag"]


def test_googles_client_comes_in_unmodified_over_tls() -> None:
    code = """
import sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import monitoring_v3
client = monitoring_v3.MetricServiceClient(
    credentials=AnonymousCredentials(), client_options={"api_endpoint": sys.argv[1]}
)
print(len(list(client.list_monitored_resource_descriptors(name="projects/demo"))))
"""
    with running_emulator(grpc_tls_port=0) as running:
        addresses = running.emulator.addresses
        environment = os.environ | {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": addresses["certificate"]}
        port = addresses["grpc_tls"].rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            told = subprocess.run(
                [sys.executable, "-c", code, f"{host}:{port}"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (told.returncode, told.stdout.strip()) == (0, str(len(resource_types()))), told.stderr
    assert not Path(addresses["certificate"]).exists()


@pytest.mark.parametrize(
    ("option", "flag"),
    [("grpc_port", "--grpc-port"), ("http_port", "--http-port"), ("grpc_tls_port", "--grpc-tls-port")],
)
def test_a_taken_port_is_named_with_the_way_out(option: str, flag: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken) as caught, running_emulator(clock=None, switches=None, **{option: port}):
            pass
    assert str(caught.value) == (
        f"Port {port} is taken. Choose another one with {flag} PORT, or let the system choose: {flag} 0"
    )


@pytest.mark.parametrize("option", ["grpc_port", "http_port"])
def test_two_emulators_never_share_a_port(emulator: RunningEmulator, option: str) -> None:
    port: dict[str, Any] = {option: int(emulator.emulator.addresses[option.removesuffix("_port")].rpartition(":")[2])}
    with pytest.raises(PortTaken), running_emulator(**port):
        pass


def test_two_emulators_never_share_a_data_directory(tmp_path: Path) -> None:
    with running_emulator(data_dir=tmp_path), pytest.raises(DataDirTaken, match="Another emulator uses"):
        Emulator(ServeOptions(data_dir=tmp_path))
    with running_emulator(data_dir=tmp_path):
        pass


def test_every_part_answers_on_the_http_port(emulator: RunningEmulator) -> None:
    emulator.call(partial(emulator.emulator.parts.metrics.create_time_series, create(one(1.5, 0))))
    prometheus = f"{emulator.http}/v1/projects/demo/location/global/prometheus/api/v1/query"
    query = {"query": "custom_googleapis_com:queue_depth", "time": str(START)}
    assert httpx.get(prometheus, params=query).json()["data"]["result"][0]["value"][1] == "1.5"
    assert httpx.get(f"{emulator.http}/v3/projects/demo/alertPolicies").json() == {}
    assert httpx.get(f"{emulator.http}/v3/projects/demo/alerts").status_code == 200
    assert httpx.get(emulator.http).headers["content-type"].startswith("text/html")
    entries = httpx.post(f"{emulator.http}/v2/entries:list", json={"resourceNames": ["projects/demo"]})
    assert entries.json() == {}


def test_a_port_is_free_again_after_the_end() -> None:
    with running_emulator() as first:
        ports: dict[str, Any] = {
            "grpc_port": int(first.grpc.rpartition(":")[2]),
            "http_port": int(first.http.rpartition(":")[2]),
        }
        httpx.get(first.http)
    with running_emulator(**ports) as second:
        assert (second.grpc, second.http) == (first.grpc, first.http)


def test_an_emulator_starts_and_ends_quickly_enough_for_every_test() -> None:
    began = time.monotonic()
    with running_emulator():
        pass
    assert time.monotonic() - began < 2.0


async def test_addresses_are_told_once_everything_listens() -> None:
    emulator = Emulator(ServeOptions(grpc_port=0, http_port=0, project="my-project"))
    await emulator.start()
    try:
        assert set(emulator.addresses) == {"project", "grpc", "http"}
        assert emulator.addresses["project"] == "my-project"
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{emulator.addresses['http']}/v3/projects/my-project/metricDescriptors")
        assert answer.json() == {}
    finally:
        await emulator.stop()


def test_acknowledged_points_survive_kill_9(tmp_path: Path) -> None:
    now = int(time.time()) - START
    with served(data_dir=str(tmp_path)) as (process, addresses), grpc.insecure_channel(addresses["grpc"]) as channel:
        client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
        for at in range(now - 600, now, 6):
            client.create_time_series(name="projects/demo", time_series=series(one(float(at), at)))
        process.kill()
    parameters = {
        "filter": f'metric.type = "{GAUGE}"',
        "interval.startTime": moment(now - 601),
        "interval.endTime": moment(now),
    }
    with served(data_dir=str(tmp_path)) as (_, addresses):
        answer = httpx.get(f"{addresses['http']}/v3/projects/demo/timeSeries", params=parameters).json()
    [found] = answer["timeSeries"]
    assert [point["value"]["doubleValue"] for point in reversed(found["points"])] == list(range(now - 600, now, 6))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with served() as (process, addresses), httpx.Client() as open_connection:
        open_connection.get(addresses["http"])
        process.send_signal(number)
        out, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert out == "ended\n"


async def test_clients_in_the_same_process_work_on_their_own_loop(emulator: RunningEmulator) -> None:
    async with grpc.aio.insecure_channel(emulator.grpc) as channel:
        call: Any = channel.unary_unary("/google.monitoring.v3.MetricService/CreateTimeSeries")
        await asyncio.gather(*(call(create(one(1.0, 0, labels={"n": str(n)})).SerializeToString()) for n in range(50)))
    assert len(emulator.call(lambda: emulator.emulator.parts.store.series(GAUGE))) == 50
