"""The gRPC wire: every method of the table, answered by a service object or UNIMPLEMENTED by name."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import status_pb2

from ..clock import SystemClock
from ..faults.plan import Faults
from ..status import ApiError, unimplemented
from .failures import internal_error
from .limits import MAX_BODY_BYTES
from .methods import Method, Services, methods

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_OPTIONS = (
    # Two servers could otherwise share one port, and a taken port would go unnoticed.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_BODY_BYTES),
    ("grpc.max_send_message_length", -1),
)
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def make_server(services: Services, faults: Faults | None = None) -> grpc.aio.Server:
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_Handlers(services, faults or Faults(SystemClock())),))
    return server


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, services: Services, faults: Faults) -> None:
        self._handlers = {method.path: _handler(method, services.get(method.service), faults) for method in methods()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        path = handler_call_details.method
        return self._handlers.get(path) or grpc.stream_stream_rpc_method_handler(_refuse(path.lstrip("/")))


def _handler(method: Method, service: object | None, faults: Faults) -> "grpc.RpcMethodHandler[Any, Any]":
    call = getattr(service, method.attribute, None)
    if call is None:
        return grpc.stream_stream_rpc_method_handler(_refuse(method.full_name))
    if method.client_streams or method.server_streams:
        return grpc.stream_stream_rpc_method_handler(
            _stream(method, call, faults), method.request.FromString, _serialize
        )
    return grpc.unary_unary_rpc_method_handler(_unary(method, call, faults), method.request.FromString, _serialize)


def _serialize(reply: Message) -> bytes:
    return reply.SerializeToString()


def _unary(
    method: Method, call: Callable[[Any], Message], faults: Faults
) -> Callable[[Message, Context], Awaitable[Message]]:
    async def answer(request: Message, context: Context) -> Message:
        try:
            reply: Message = await faults.around(method.full_name, call, request)
        except ApiError as error:
            await _abort(context, error)
        except Exception:  # noqa: BLE001  # a bug of ours must reach the client as INTERNAL, and stderr with its traceback
            await _abort(context, internal_error(method.full_name))
        return reply

    return answer


def _stream(
    method: Method, call: Callable[[AsyncIterator[Any]], AsyncIterator[Message]], faults: Faults
) -> Callable[[AsyncIterator[Any], Context], AsyncIterator[Message]]:
    async def answer(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Message]:
        try:
            await faults.before(method.full_name)
            async for reply in call(requests):
                yield reply
        except ApiError as error:
            await _abort(context, error)
        except Exception:  # noqa: BLE001  # as in _unary
            await _abort(context, internal_error(method.full_name))

    return answer


def _refuse(full_name: str) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    async def answer(_requests: AsyncIterator[bytes], context: Context) -> None:
        await _abort(context, unimplemented(full_name.replace("/", ".")))

    return answer


async def _abort(context: Context, error: ApiError) -> NoReturn:
    await context.abort(_CODES[int(error.code)], error.message, _trailer(error))
    raise AssertionError("abort raises")


def _trailer(error: ApiError) -> tuple[tuple[str, bytes], ...]:
    """Google's clients read the details of an error from this trailer."""
    if not error.details:
        return ()
    status = status_pb2.Status(code=int(error.code), message=error.message)
    for detail in error.details:
        status.details.add().Pack(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)
