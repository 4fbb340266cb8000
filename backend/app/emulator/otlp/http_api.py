"""OTLP/HTTP: POST /v1/traces, /v1/metrics and /v1/logs, as protobuf or JSON (opentelemetry.io/docs/specs/otlp)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..faults.plan import Faults
from ..status import ApiError, invalid
from ..transport.caller import HEADER, quota_project
from ..transport.failures import internal_error
from ..transport.json_wire import error_response, json_response, read_body
from .json_format import parse_into

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_UNSUPPORTED_MEDIA_TYPE = 415
_SIGNALS: dict[str, tuple[str, type[Message]]] = {
    "/v1/logs": ("opentelemetry.proto.collector.logs.v1.LogsService", ExportLogsServiceRequest),
    "/v1/metrics": ("opentelemetry.proto.collector.metrics.v1.MetricsService", ExportMetricsServiceRequest),
    "/v1/traces": ("opentelemetry.proto.collector.trace.v1.TraceService", ExportTraceServiceRequest),
}


def routes(services: dict[str, Any], faults: Faults) -> "list[BaseRoute]":
    return [
        Route(path, _answer(f"{service}.Export", services[service].export, kind, faults), methods=["POST"])
        for path, (service, kind) in _SIGNALS.items()
    ]


def _answer(name: str, call: Callable[[Any], Message], kind: type[Message], faults: Faults) -> Callable[..., Any]:
    async def answer(request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in {_PROTOBUF, _JSON}:
            return Response(f"Send {_PROTOBUF} or {_JSON}.\n", _UNSUPPORTED_MEDIA_TYPE, media_type="text/plain")
        quota_project.set(request.headers.get(HEADER, ""))
        try:
            reply = await faults.around(name, call, _read(kind(), await read_body(request), media_type))
        except ApiError as error:
            return _refusal(error, media_type)
        except Exception:  # noqa: BLE001  # a bug of ours must reach the client as INTERNAL, and stderr with its traceback
            return _refusal(internal_error(name), media_type)
        if media_type == _JSON:
            return json_response(json_format.MessageToDict(reply))
        return Response(reply.SerializeToString(), media_type=_PROTOBUF)

    return answer


def _read(message: Message, body: bytes, media_type: str) -> Message:
    if media_type == _JSON:
        try:
            parse_into(message, orjson.loads(body))
        except orjson.JSONDecodeError as error:
            raise invalid(f"Invalid JSON payload received. {str(error).capitalize()}.") from error
        return message
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise invalid(f"The body is no {message.DESCRIPTOR.full_name}: {error}.") from error
    return message


def _refusal(error: ApiError, media_type: str) -> Response:
    """A google.rpc.Status in the encoding of the request, as the specification asks; JSON in Google's own frame."""
    if media_type == _JSON:
        return error_response(error)
    status = status_pb2.Status(code=int(error.code), message=error.message)
    for detail in error.details:
        status.details.add().Pack(detail)
    return Response(status.SerializeToString(), error.code.http, media_type=_PROTOBUF)
