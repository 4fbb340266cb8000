"""The way to a back end, chosen by `METRICS_BACKEND`: the connection, and how series are written over it."""

from typing import TYPE_CHECKING, Protocol

from .encoding import CloudEncoding, Encoding
from .refusals import Refused
from .target import Target

if TYPE_CHECKING:
    from ..settings import Settings


class Connection(Protocol):
    """One connection; used by one thread."""

    def write(self, request: bytes, timeout: float) -> Refused | None:
        """Send one serialised request; None when all of it was taken.

        Args:
            request: From an `Encoding`.
            timeout: Seconds it may take.
        """

    def close(self) -> None:
        """Give everything back."""


def encoding(settings: "Settings", target: Target) -> Encoding:
    if settings.metrics_backend == "otlp":
        from .otlp import OtlpEncoding  # noqa: PLC0415  # for those who use it

        return OtlpEncoding(target)
    return CloudEncoding(target)


def connect(settings: "Settings") -> Connection:
    """Connect to the back end of these settings.

    Slow: loads gRPC and Google's client, and looks for credentials. Called in the exporter's thread only.

    Raises:
        google.auth.exceptions.GoogleAuthError: There are no credentials, and the back end wants some.
    """
    if settings.metrics_backend == "otlp":
        from .otlp_transport import connect_otlp  # noqa: PLC0415  # for those who use it

        return connect_otlp(settings.otlp_metrics_endpoint, settings.cloudops_emulator_host)
    from .transport import CloudConnection  # noqa: PLC0415  # slow to load, and only the exporter's thread needs it

    return CloudConnection(settings.cloudops_emulator_host)
