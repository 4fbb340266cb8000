"""OTLP over gRPC or HTTP, to Google, an emulator or any collector.

Google's credentials go to Google's own address over TLS, and to no other; redirects are not followed.
"""

import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import grpc

from .otlp import read_answer
from .refusals import Refused
from .transport import OPTIONS, read_refusal, read_status
from .wire import fields

if TYPE_CHECKING:
    from .connection import Connection

GOOGLE: Final = "telemetry.googleapis.com"
_METHOD: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_PATH: Final = "/v1/metrics"
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_MAX_ANSWER: Final = 64 * 1024
_CODES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def connect_otlp(endpoint: str, emulator_host: str, *, method: str = _METHOD, path: str = _PATH) -> "Connection":
    """A connection to an endpoint such as `grpc://collector:4317` or `http://collector:4318`.

    An empty one is the emulator if there is one, else Google. `method` and `path` are those of the signal; the answers
    of all have one shape.

    Raises:
        google.auth.exceptions.GoogleAuthError: Google is to be reached, and there are no credentials.
    """
    parts = urlsplit(endpoint or (f"grpc://{emulator_host}" if emulator_host else f"grpcs://{GOOGLE}:443"))
    if parts.scheme in {"grpc", "grpcs"}:
        return _Grpc(parts.hostname or "", parts.port or 4317, method, tls=parts.scheme == "grpcs")
    tls = parts.scheme == "https"
    path = parts.path if parts.path not in {"", "/"} else path
    return _Http(parts.hostname or "", parts.port or (443 if tls else 4318), path, tls=tls)


def _credentials() -> tuple[Any, Any]:
    """Google's credentials of this place, and what refreshes them."""
    from google.auth import default  # noqa: PLC0415  # only where Google is the back end
    from google.auth.transport.requests import Request  # noqa: PLC0415  # as above

    return default(scopes=_SCOPES)[0], Request()


class _Grpc:
    def __init__(self, host: str, port: int, method: str, *, tls: bool) -> None:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not tls:
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        elif host == GOOGLE:
            from google.auth.transport import grpc as google_grpc  # noqa: PLC0415  # only where Google is the back end

            authorized: Any = google_grpc.secure_authorized_channel
            self._channel = authorized(*_credentials(), address, options=OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), options=OPTIONS)
        self._call: Any = self._channel.unary_unary(method, request_serializer=None, response_deserializer=None)

    def write(self, request: bytes, timeout: float) -> Refused | None:
        try:
            answer = self._call(request, timeout=timeout)
        except grpc.RpcError as error:
            return read_refusal(error)
        return _read(answer)

    def close(self) -> None:
        self._channel.close()


class _Http:
    def __init__(self, host: str, port: int, path: str, *, tls: bool) -> None:
        self._connection = (HTTPSConnection if tls else HTTPConnection)(host, port)
        self._url = f"https://{host}{path}"
        self._path = path
        self._credentials = _credentials() if tls and host == GOOGLE else None

    def write(self, request: bytes, timeout: float) -> Refused | None:
        headers = {"content-type": "application/x-protobuf", "user-agent": "fastapi-cloudops"}
        connection = self._connection
        expired = threading.Event()
        # Timeouts of sockets begin anew with every byte that drips in; this one does not.
        watch = threading.Timer(timeout, self._break, (expired,))
        watch.daemon = True
        watch.start()
        try:
            if self._credentials is not None:
                credentials, refresh = self._credentials
                credentials.before_request(refresh, "POST", self._url, headers)
            connection.timeout = timeout
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request("POST", self._path, request, headers)
            answer = connection.getresponse()
            body = answer.read(_MAX_ANSWER + 1)
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()
            late = expired.is_set() or isinstance(error, TimeoutError)
            why = f"{type(error).__name__}: {error}"[:1000]
            return Refused("DEADLINE_EXCEEDED" if late else "UNAVAILABLE", why)
        finally:
            watch.cancel()
        if expired.is_set():
            self._connection.close()
            return Refused("DEADLINE_EXCEEDED", f"no whole answer within {timeout:g} s")
        if len(body) > _MAX_ANSWER:
            self._connection.close()
            return Refused("UNKNOWN", f"the answer is longer than {_MAX_ANSWER} bytes")
        return _read(body) if answer.status == 200 else _refusal(answer, body)  # noqa: PLR2004  # OK

    def close(self) -> None:
        self._connection.close()

    def _break(self, expired: threading.Event) -> None:
        """End a read in the other thread."""
        expired.set()
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


def _read(answer: bytes) -> Refused | None:
    try:
        return read_answer(answer)
    except ValueError:
        return Refused("UNKNOWN", "the answer is no ExportMetricsServiceResponse")


def _refusal(answer: HTTPResponse, body: bytes) -> Refused:
    if 300 <= answer.status < 400:  # noqa: PLR2004  # a redirect
        return Refused("UNKNOWN", f"redirected ({answer.status}); redirects are not followed")
    sentence, retry_after = _sentence(body), 0.0
    points: dict[str, int] | None = None
    with suppress(ValueError):
        points, retry_after = read_status(body)
    with suppress(ValueError):
        retry_after = float(answer.getheader("retry-after", "") or retry_after)
    code = _CODES.get(answer.status, "UNKNOWN")
    return Refused(code, sentence or f"HTTP {answer.status}", points is not None, points or {}, max(0.0, retry_after))


def _sentence(body: bytes) -> str:
    """The message of a google.rpc.Status, or of Google's JSON frame as it stands."""
    try:
        texts = [value for number, value in fields(body) if number == 2 and isinstance(value, bytes)]  # noqa: PLR2004  # message
    except ValueError:
        texts = [body]
    return texts[0].decode(errors="replace")[:8192] if texts else ""
