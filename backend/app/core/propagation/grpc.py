"""Ids for calls over one gRPC channel.

A channel leads to the one target that it was opened for, and calls are not redirected: whoever puts an interceptor on a
channel has named the host.
"""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, Final

import grpc
import grpc.aio

from .. import guard
from .headers import outgoing_headers

_FIELDS: Final = ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")


# Typed as Any: gRPC's stubs describe call details as an abstract class that nothing implements.
class _Details(namedtuple("_Details", _FIELDS), grpc.ClientCallDetails):  # type: ignore[misc]  # noqa: PYI024  # a named tuple whose class is ours
    pass


def _missing(metadata: Any) -> list[tuple[str, str]]:
    """Our headers but those that the call sets itself."""
    given = {name for name, _ in metadata or ()}
    return [(name, value) for name, value in outgoing_headers().items() if name not in given]


def _with_ids(details: Any) -> Any:
    try:
        ours = _missing(details.metadata)
        if not ours:
            return details
        values = {name: getattr(details, name, None) for name in _FIELDS}
        return _Details(**{**values, "metadata": [*(details.metadata or ()), *ours]})
    except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
        guard.caught("propagation", error)
        return details


def _with_ids_aio(details: Any) -> Any:
    try:
        ours = _missing(details.metadata)
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *ours)
        return details._replace(metadata=metadata) if ours else details
    except Exception as error:  # noqa: BLE001  # telemetry never fails the caller
        guard.caught("propagation", error)
        return details


class _Interceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_ids(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_ids(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with_ids(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with_ids(client_call_details), request_iterator)


# One class each: an aio channel sorts an interceptor into the first kind that it is an instance of.
class _AioUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_ids_aio(client_call_details), request)


class _AioUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_ids_aio(client_call_details), request)


class _AioStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_with_ids_aio(client_call_details), request_iterator)


class _AioStreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_with_ids_aio(client_call_details), request_iterator)


def grpc_interceptor() -> Any:
    """Makes all calls of a channel carry the current ids: `grpc.intercept_channel(channel, <it>)`."""
    return _Interceptor()


def grpc_aio_interceptors() -> Sequence[grpc.aio.ClientInterceptor]:
    """The same for asyncio: `grpc.aio.secure_channel(target, credentials, interceptors=<them>)`."""
    return [_AioUnaryUnary(), _AioUnaryStream(), _AioStreamUnary(), _AioStreamStream()]
