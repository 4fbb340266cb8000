from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from app.core.propagation import headers as outgoing
from app.core.propagation import outgoing_headers, request_context
from app.core.propagation.grpc import grpc_aio_interceptors, grpc_interceptor

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
ID = "x-request-id"
JOB = request_context(request_id="req-1")


class _Service(grpc.GenericRpcHandler):
    """Answers every kind of call, and keeps the metadata it came with."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def service(self, handler_call_details: Any) -> Any:
        self.seen.append(dict(handler_call_details.invocation_metadata))
        kind = handler_call_details.method.rpartition("/")[2]

        def one(_request: object, _context: object) -> bytes:
            return b"answer"

        def many(_request: object, _context: object) -> Iterator[bytes]:
            yield b"answer"

        def drain(requests: Iterator[bytes], _context: object) -> bytes:
            return b"".join(requests)

        def drain_many(requests: Iterator[bytes], _context: object) -> Iterator[bytes]:
            yield from requests

        behaviour: Any = dict(zip(KINDS, (one, many, drain, drain_many), strict=True))[kind]
        return getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)


@pytest.fixture
def service() -> Iterator[_Service]:
    service = _Service()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    service.target = f"127.0.0.1:{port}"  # type: ignore[attr-defined]  # of this test
    yield service
    server.stop(0).wait()


def _call(channel: Any, kind: str, **options: Any) -> None:
    method = getattr(channel, kind)(f"/shop.Items/{kind}")
    request = b"request" if kind.startswith("unary") else iter([b"request"])
    answer = method(request, timeout=10, **options)
    if kind.endswith("stream"):
        assert list(answer) != []


async def _call_aio(channel: Any, kind: str, **options: Any) -> None:
    method = getattr(channel, kind)(f"/shop.Items/{kind}")
    request = b"request" if kind.startswith("unary") else iter([b"request"])
    answer = method(request, timeout=10, **options)
    if kind.endswith("stream"):
        assert [message async for message in answer] != []
    else:
        await answer


@pytest.fixture
def channel(service):
    with grpc.insecure_channel(service.target) as channel:
        yield grpc.intercept_channel(channel, grpc_interceptor())


@pytest.fixture
async def aio_channel(service):
    async with grpc.aio.insecure_channel(service.target, interceptors=grpc_aio_interceptors()) as channel:
        yield channel


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_call_carries_the_ids(service, channel, kind):
    with JOB:
        _call(channel, kind)
        assert outgoing_headers().items() <= service.seen[0].items()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_asynchronous_call_carries_the_ids(service, aio_channel, kind):
    with JOB:
        await _call_aio(aio_channel, kind)
        assert outgoing_headers().items() <= service.seen[0].items()


async def test_outside_of_a_request_nothing_is_sent(service, channel, aio_channel):
    _call(channel, "unary_unary")
    await _call_aio(aio_channel, "unary_unary")
    assert [seen.get(ID) for seen in service.seen] == [None, None]


@pytest.mark.parametrize(
    "metadata", [(("tenant", "blue"), (ID, "of-the-caller")), [("tenant", "blue"), (ID, "of-the-caller")]]
)
async def test_metadata_of_the_caller_is_kept_and_goes_first(service, channel, aio_channel, metadata):
    with JOB:
        _call(channel, "unary_unary", metadata=metadata)
        await _call_aio(aio_channel, "unary_unary", metadata=metadata)
        for seen in service.seen:
            assert (seen["tenant"], seen[ID]) == ("blue", "of-the-caller")
            assert seen["traceparent"] == outgoing_headers()["traceparent"]


async def test_asynchronous_metadata_is_kept_in_its_own_form(service, aio_channel):
    with JOB:
        await _call_aio(aio_channel, "unary_unary", metadata=grpc.aio.Metadata(("tenant", "blue")))
        assert (service.seen[0]["tenant"], service.seen[0][ID]) == ("blue", "req-1")


def test_options_of_a_call_pass_through(service, channel):
    with JOB:
        method = channel.unary_unary("/shop.Items/unary_unary")
        with pytest.raises(grpc.RpcError) as failure:
            method(b"request", timeout=-1)
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        answer, call = method.with_call(b"request", timeout=10, compression=grpc.Compression.Gzip, wait_for_ready=True)
        assert (answer, call.code()) == (b"answer", grpc.StatusCode.OK)


async def test_a_failure_of_ours_does_not_fail_the_call(service, channel, aio_channel, monkeypatch, internal_failures):
    with JOB:

        def broken(_context: object) -> str:
            raise RuntimeError("planted")

        monkeypatch.setattr(outgoing, "traceparent", broken)
        _call(channel, "unary_unary")
        await _call_aio(aio_channel, "unary_unary")
        assert [where for where, _ in internal_failures] == ["propagation", "propagation"]
        internal_failures.clear()
