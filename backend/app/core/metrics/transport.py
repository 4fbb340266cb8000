"""The way to Cloud Monitoring, or to the emulator: one connection, requests as bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

_METHOD = "/google.monitoring.v3.MetricService/CreateTimeSeries"
_DETAILS = "grpc-status-details-bin"
# gRPC's own limit of two minutes between attempts would hold metrics back long after an outage.
_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 10_000))


@dataclass(frozen=True)
class Refused:
    """Part or all of a write was not accepted.

    `points` is how many were refused by code; `written` how many were accepted all the same.
    """

    code: str
    message: str
    written: int = 0
    points: dict[str, int] = field(default_factory=dict)


Write = Callable[[bytes, float], Refused | None]


def connect(emulator_host: str) -> tuple[Write, Callable[[], None]]:
    """A function that writes one serialised CreateTimeSeriesRequest, and one that closes the connection.

    Slow: loads gRPC and Google's client, and looks for credentials. Called in the exporter's thread only.

    Raises:
        google.auth.exceptions.GoogleAuthError: There are no credentials and no emulator.
    """
    from google.cloud.monitoring_v3.services.metric_service import MetricServiceClient  # noqa: PLC0415  # see docstring
    from google.cloud.monitoring_v3.services.metric_service.transports import (  # noqa: PLC0415  # see docstring
        MetricServiceGrpcTransport,
    )

    if emulator_host:
        # A channel made by hand: with `api_endpoint` alone the client insists on TLS.
        channel = grpc.insecure_channel(emulator_host, options=_OPTIONS)
    else:
        channel = MetricServiceGrpcTransport.create_channel(MetricServiceClient.DEFAULT_ENDPOINT, options=_OPTIONS)
    transport: Any = MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel)).transport
    call = transport.grpc_channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)

    def write(request: bytes, timeout: float) -> Refused | None:
        try:
            call(request, timeout=timeout, metadata=(("x-goog-request-params", _routing(request)),))
        except grpc.RpcError as error:
            return _read_refusal(error)
        return None

    return write, transport.close


def _routing(request: bytes) -> str:
    # Field 3 (name) is written first: tag, length, then `projects/<id>`; Google routes by it.
    return f"name={request[2 : 2 + request[1]].decode()}"


def _read_refusal(error: Any) -> Refused:
    """What CreateTimeSeriesSummary tells of a partial write (google/monitoring/v3/metric_service.proto)."""
    from google.cloud.monitoring_v3 import CreateTimeSeriesSummary  # noqa: PLC0415  # loaded by `connect`
    from google.rpc import status_pb2  # noqa: PLC0415  # loaded by `connect`

    code = error.code().name
    summary_class = CreateTimeSeriesSummary.pb()
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS:
            continue
        for detail in status_pb2.Status.FromString(value).details:
            summary = summary_class()
            if detail.Unpack(summary):
                points = {
                    grpc_code_name(part.status.code): part.point_count for part in summary.errors if part.point_count
                }
                return Refused(code, error.details() or "", summary.success_point_count, points)
    return Refused(code, error.details() or "")


def grpc_code_name(number: int) -> str:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return str(code.name)
    return str(number)
