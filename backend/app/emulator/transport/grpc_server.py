"""The gRPC wire: every method of the table, answered by a service object or UNIMPLEMENTED by name."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import status_pb2

from ..clock import SystemClock
from ..faults.plan import Faults
from ..status import ApiError, Code, unimplemented
from .caller import HEADER, quota_project
from .failures import internal_error
from .guard import UNAUTHENTICATED, is_token
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


def make_server(services: Services, faults: Faults | None = None, *, token: str | None = None) -> grpc.aio.Server:
    """With a token, calls must carry it as `authorization: Bearer <token>`."""
    server = grpc.aio.server(options=_OPTIONS, interceptors=[] if token is None else [_Token(token)])
    server.add_generic_rpc_handlers((_Handlers(services, faults or Faults(SystemClock())),))
    return server


class _Token(grpc.aio.ServerInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        given = next((text for key, text in handler_call_details.invocation_metadata if key == "authorization"), "")
        if isinstance(given, str) and is_token(given, self._token):
            return await continuation(handler_call_details)
        error = ApiError(Code.UNAUTHENTICATED, UNAUTHENTICATED)
        return grpc.stream_stream_rpc_method_handler(_refuse_with(error))


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
    # OTLP has no field for the project; reading metadata costs the other calls time.
    asks_caller = method.service.startswith("opentelemetry.")

    async def answer(request: Message, context: Context) -> Message:
        if asks_caller:
            quota_project.set(_metadata(context, HEADER))
        try:
            reply: Message = await faults.around(method.full_name, call, request)
        except ApiError as error:
            await _abort(context, error)
        except Exception:  # noqa: BLE001  # a bug of ours must reach the client as INTERNAL, and stderr with its traceback
            await _abort(context, internal_error(method.full_name))
        return reply

    return answer


def _metadata(context: Context, key: str) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == key:
            return value if isinstance(value, str) else value.decode(errors="replace")
    return ""


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
    return _refuse_with(unimplemented(full_name.replace("/", ".")))


def _refuse_with(error: ApiError) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    async def answer(_requests: AsyncIterator[bytes], context: Context) -> None:
        await _abort(context, error)

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
