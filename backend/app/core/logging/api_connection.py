"""The way to Cloud Logging, or to the emulator: one connection, requests as bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

_METHOD: Final = "/google.logging.v2.LoggingServiceV2/WriteLogEntries"
_DETAILS: Final = "grpc-status-details-bin"
# gRPC's own limit of two minutes between attempts would hold entries back long after an outage.
_OPTIONS: Final = (("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 10_000))
_EMULATED_PROJECT: Final = "demo"

#: Passing conditions. An entry that arrived although its answer did not is no duplicate: it has its insertId.
RETRYABLE: Final = frozenset(
    {
        "ABORTED",
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",  # the next call carries a new token
        "UNAVAILABLE",
        "UNKNOWN",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a write failed: all of it, or only the entries listed by their index."""

    code: str
    message: str
    entries: dict[int, str] = field(default_factory=dict)
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Connection:
    """`write` sends one serialised WriteLogEntriesRequest within a number of seconds."""

    project: str
    write: Callable[[bytes, float], Failure | None]
    close: Callable[[], None]


def connect(project: str, emulator_host: str) -> Connection:
    """Connect; slow, since it loads gRPC and Google's client and looks for credentials.

    Args:
        project: Whose log it is; empty: the project of the credentials.
        emulator_host: `host:port`; empty: Google Cloud.

    Raises:
        google.auth.exceptions.GoogleAuthError: There are no credentials and no emulator.
        ValueError: There is no project.
    """
    import google.auth  # noqa: PLC0415  # see docstring
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client  # noqa: PLC0415
    from google.cloud.logging_v2.services.logging_service_v2.transports import (  # noqa: PLC0415
        LoggingServiceV2GrpcTransport,
    )

    if emulator_host:
        # A channel made by hand: with `api_endpoint` alone the client insists on TLS.
        channel = grpc.insecure_channel(emulator_host, options=_OPTIONS)
        project = project or _EMULATED_PROJECT
    else:
        credentials, found = google.auth.default(scopes=LoggingServiceV2GrpcTransport.AUTH_SCOPES)
        project = project or found or ""
        if not project:
            raise ValueError("no project: set GOOGLE_CLOUD_PROJECT")
        channel = LoggingServiceV2GrpcTransport.create_channel(
            LoggingServiceV2Client.DEFAULT_ENDPOINT, credentials=credentials, options=_OPTIONS
        )
    transport: Any = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel)).transport
    return over(transport.grpc_channel, project)


def over(channel: grpc.Channel, project: str) -> Connection:
    """A connection over a channel that is there already."""
    call: Any = channel.unary_unary(_METHOD, request_serializer=None, response_deserializer=None)

    def write(request: bytes, timeout: float) -> Failure | None:
        try:
            call(request, timeout=timeout)
        except grpc.RpcError as error:
            return read_failure(error)
        return None

    return Connection(project, write, channel.close)


def read_failure(error: Any) -> Failure:
    """The status of a failed call, and which entries it blames (google/logging/v2/logging.proto, partial_success)."""
    from google.cloud.logging_v2.types import WriteLogEntriesPartialErrors  # noqa: PLC0415  # loaded with the client
    from google.rpc.error_details_pb2 import RetryInfo  # noqa: PLC0415  # as above
    from google.rpc.status_pb2 import Status  # noqa: PLC0415  # as above

    code, message = error.code().name, error.details() or ""
    entries: dict[int, str] = {}
    retry_after = 0.0
    raw = next((value for key, value in error.trailing_metadata() or () if key == _DETAILS), b"")
    for detail in Status.FromString(raw).details:
        if detail.type_url.endswith("google.logging.v2.WriteLogEntriesPartialErrors"):
            errors = WriteLogEntriesPartialErrors.pb().FromString(detail.value).log_entry_errors
            entries = {index: _name(status.code) for index, status in errors.items()}
        elif detail.type_url.endswith("google.rpc.RetryInfo"):
            delay = RetryInfo.FromString(detail.value).retry_delay
            retry_after = delay.seconds + delay.nanos / 1e9
    return Failure(code, message, entries, retry_after)


def _name(number: int) -> str:
    return next((str(code.name) for code in grpc.StatusCode if code.value[0] == number), str(number))
