"""gRPC to Cloud Monitoring, or to the emulator: one connection, requests as bytes."""

from typing import Any, Final

import grpc

from . import wire
from .refusals import INTRODUCTION, Refused

_METHOD: Final = "/google.monitoring.v3.MetricService/CreateTimeSeries"
_DETAILS: Final = "grpc-status-details-bin"
_MAX_ANSWER: Final = 64 * 1024
_MAX_MESSAGE: Final = 8192
#: Whoever answers gets this much of our memory, and no more of our time than the call's deadline.
OPTIONS: Final = (
    # gRPC's own limit of two minutes between attempts would hold metrics back long after an outage.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    ("grpc.max_receive_message_length", _MAX_ANSWER),
    ("grpc.absolute_max_metadata_size", _MAX_ANSWER),
)


class CloudConnection:
    """Writes serialised CreateTimeSeriesRequests.

    Credentials travel over TLS to Google's own address alone; an emulator gets none.
    """

    def __init__(self, emulator_host: str) -> None:
        from google.cloud.monitoring_v3.services.metric_service import (  # noqa: PLC0415  # slow to load
            MetricServiceClient,
        )
        from google.cloud.monitoring_v3.services.metric_service.transports import (  # noqa: PLC0415  # as above
            MetricServiceGrpcTransport,
        )

        if emulator_host:
            # A channel made by hand: with `api_endpoint` alone the client insists on TLS.
            self._channel = grpc.insecure_channel(emulator_host, options=OPTIONS)
        else:
            self._channel = MetricServiceGrpcTransport.create_channel(
                MetricServiceClient.DEFAULT_ENDPOINT, options=OPTIONS
            )
        self._call: Any = self._channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)

    def write(self, request: bytes, timeout: float) -> Refused | None:
        try:
            self._call(request, timeout=timeout, metadata=(("x-goog-request-params", _routing(request)),))
        except grpc.RpcError as error:
            return read_refusal(error)
        return None

    def close(self) -> None:
        self._channel.close()


def _routing(request: bytes) -> str:
    # Field 3 (name) is written first: tag, length, then `projects/<id>`; Google routes by it.
    return f"name={request[2 : 2 + request[1]].decode()}"


def read_refusal(error: Any) -> Refused:
    """What an error tells: CreateTimeSeriesSummary of a partial write (metric_service.proto), RetryInfo."""
    code = error.code().name
    text = (error.details() or "")[:_MAX_MESSAGE]
    points: dict[str, int] = {}
    partial, retry_after = text.startswith(INTRODUCTION), 0.0
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                summary, retry_after = read_status(value)
            except ValueError:
                continue  # no message: whoever sent this is not Google
            if summary is not None:
                points, partial = summary, True
    return Refused(code, text, partial, points, retry_after)


def read_status(body: bytes) -> tuple[dict[str, int] | None, float]:
    """Refused points by code, and the seconds to wait, of a serialised google.rpc.Status.

    Field numbers: google/rpc/status.proto, error_details.proto; google/monitoring/v3/metric_service.proto. Read by
    hand, so that this does not depend on which classes happen to be loaded.

    Raises:
        ValueError: It is none.
    """
    points: dict[str, int] | None = None
    retry_after = 0.0
    for number, detail in wire.fields(body):
        if number != 3 or not isinstance(detail, bytes):  # noqa: PLR2004  # google.rpc.Status.details
            continue
        packed = dict(wire.fields(detail))
        kind, value = packed.get(1, b""), packed.get(2, b"")
        if not isinstance(kind, bytes) or not isinstance(value, bytes):
            raise ValueError("no google.protobuf.Any")  # noqa: TRY004  # the bytes are wrong, not a type of ours
        if kind.endswith(b"/google.monitoring.v3.CreateTimeSeriesSummary"):
            points = _summary(value)
        elif kind.endswith(b"/google.rpc.RetryInfo"):
            for _, delay in wire.fields(value):
                seconds = dict(wire.fields(delay)).get(1, 0) if isinstance(delay, bytes) else 0
                retry_after = float(seconds) if isinstance(seconds, int) else 0.0
    return points, retry_after


def _summary(body: bytes) -> dict[str, int]:
    points: dict[str, int] = {}
    for number, error in wire.fields(body):
        if number == 3 and isinstance(error, bytes):  # noqa: PLR2004  # CreateTimeSeriesSummary.errors
            fields = dict(wire.fields(error))
            status, count = fields.get(1, b""), fields.get(2, 0)
            code = dict(wire.fields(status)).get(1, 0) if isinstance(status, bytes) else 0
            if isinstance(code, int) and isinstance(count, int):
                name = code_name(code)
                points[name] = points.get(name, 0) + count
    return {code: count for code, count in points.items() if count}


def code_name(number: int) -> str:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return str(code.name)
    return "UNKNOWN"
