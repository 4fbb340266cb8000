import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import logging_v2, monitoring_v3
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2AsyncClient
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcAsyncIOTransport
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcAsyncIOTransport
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from app.emulator.status import ApiError, Code
from app.emulator.transport.grpc_server import make_server

TailLogEntriesResponse = logging_v2.types.TailLogEntriesResponse.pb()


class Metrics:
    def create_time_series(self, request: Any) -> empty_pb2.Empty:
        if request.name == "projects/bug":
            raise KeyError("a bug of ours")
        detail = error_details_pb2.ErrorInfo(reason="TOO_OLD", domain="monitoring.googleapis.com")
        raise ApiError(Code.FAILED_PRECONDITION, f"no: {request.name}", detail)


class Logs:
    async def tail_log_entries(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield TailLogEntriesResponse(entries=[{"text_payload": name} for name in request.resource_names])


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[grpc.aio.Channel]:
    services = {"google.monitoring.v3.MetricService": Metrics(), "google.logging.v2.LoggingServiceV2": Logs()}
    server = make_server(services)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def _bytes_call(channel: grpc.aio.Channel, path: str) -> Any:
    return channel.unary_unary(path)


@contextlib.contextmanager
def refused(error: type[Exception]) -> Iterator[Any]:
    with pytest.raises(error) as caught:
        yield caught


async def test_a_method_that_the_service_lacks_is_named() -> None:
    async with serving() as channel:
        client = monitoring_v3.MetricServiceAsyncClient(transport=MetricServiceGrpcAsyncIOTransport(channel=channel))
        with refused(exceptions.MethodNotImplemented) as caught:
            await client.get_metric_descriptor(name="projects/demo/metricDescriptors/x", retry=None)
    assert "google.monitoring.v3.MetricService.GetMetricDescriptor" in caught.value.message


@pytest.mark.parametrize(
    "path", ["/google.monitoring.v3.GroupService/ListGroups", "/google.pubsub.v1.Publisher/Publish"]
)
async def test_a_service_that_is_missing_is_named(path: str) -> None:
    async with serving() as channel:
        with refused(grpc.aio.AioRpcError) as caught:
            await _bytes_call(channel, path)(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert path.strip("/").replace("/", ".") in caught.value.details()


async def test_an_error_carries_its_details_where_googles_clients_look() -> None:
    async with serving() as channel:
        client = monitoring_v3.MetricServiceAsyncClient(transport=MetricServiceGrpcAsyncIOTransport(channel=channel))
        with refused(exceptions.FailedPrecondition) as caught:
            await client.create_time_series(name="projects/x", time_series=[])
    assert caught.value.message == "no: projects/x"
    assert caught.value.reason == "TOO_OLD"
    status = rpc_status.from_call(caught.value.errors[0])
    assert status is not None
    assert status.code == Code.FAILED_PRECONDITION


async def test_a_bug_is_internal_and_leaves_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as channel:
        client = monitoring_v3.MetricServiceAsyncClient(transport=MetricServiceGrpcAsyncIOTransport(channel=channel))
        with refused(exceptions.InternalServerError) as caught:
            await client.create_time_series(name="projects/bug", time_series=[])
    assert "google.monitoring.v3.MetricService.CreateTimeSeries" in caught.value.message
    assert "KeyError: 'a bug of ours'" in capsys.readouterr().err


async def test_streams_run_in_both_directions() -> None:
    async def ask() -> AsyncIterator[logging_v2.types.TailLogEntriesRequest]:
        for name in ("projects/a", "projects/b"):
            yield logging_v2.types.TailLogEntriesRequest(resource_names=[name])

    async with serving() as channel:
        client = LoggingServiceV2AsyncClient(transport=LoggingServiceV2GrpcAsyncIOTransport(channel=channel))
        stream = await client.tail_log_entries(requests=ask())
        assert [reply.entries[0].text_payload async for reply in stream] == ["projects/a", "projects/b"]


async def test_a_request_above_20_mib_is_refused() -> None:
    async with serving() as channel:
        call = _bytes_call(channel, "/google.monitoring.v3.MetricService/CreateTimeSeries")
        with refused(grpc.aio.AioRpcError) as caught:
            await call(b"\x1a\x80\x80\x80\x0a" + b"x" * (20 * 2**20), compression=grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
