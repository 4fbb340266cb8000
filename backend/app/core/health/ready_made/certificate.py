"""Certificates: how long they are good for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..checks import Answer

if TYPE_CHECKING:
    from ssl import SSLContext

_DAY: Final = 86_400.0
_TIMEOUT_SECONDS: Final = 2.0


def certificate_check(  # each is a choice of its own, by name
    host: str,
    port: int = 443,
    *,
    degraded_days: float = 21.0,
    unhealthy_days: float = 3.0,
    context: "SSLContext | None" = None,
    timeout: float = _TIMEOUT_SECONDS,
    now: Callable[[], float] = time.time,
) -> Callable[[], Answer]:
    """The certificate that a server shows, which has to be valid for its name; register it with `good_for=3600`.

    Args:
        host: Its name.
        port: Of TLS.
        degraded_days: With fewer days left, somebody should look.
        unhealthy_days: With fewer days left, it is as good as expired.
        context: Whom to trust; the system's authorities when None.
        timeout: Seconds for the connection.
        now: Wall time in seconds.
    """

    def ask() -> Answer:
        import socket  # noqa: PLC0415  # only where such a check is used
        import ssl  # noqa: PLC0415  # as above

        trusted = context or ssl.create_default_context()
        with (
            socket.create_connection((host, port), timeout) as connection,
            trusted.wrap_socket(connection, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert()
        if not shown:
            return Answer("unhealthy", "the server's certificate is not checked by this context")
        return _judged(ssl.cert_time_to_seconds(str(shown["notAfter"])) - now(), degraded_days, unhealthy_days)

    return ask


def certificate_file_check(
    path: str | Path,
    *,
    degraded_days: float = 21.0,
    unhealthy_days: float = 3.0,
    now: Callable[[], float] = time.time,
) -> Callable[[], Answer]:
    """The certificates of a PEM file, of which the first to expire counts; needs the package `cryptography`."""

    def ask() -> Answer:
        from cryptography import x509  # noqa: PLC0415  # only where such a check is used

        chain = x509.load_pem_x509_certificates(Path(path).read_bytes())
        first = min(one.not_valid_after_utc.timestamp() for one in chain)
        return _judged(first - now(), degraded_days, unhealthy_days)

    return ask


def _judged(left: float, degraded_days: float, unhealthy_days: float) -> Answer:
    days = round(left / _DAY, 2)
    if left <= unhealthy_days * _DAY:
        return Answer("unhealthy", f"{days:g} days left" if left > 0 else "expired", days, "days")
    return (
        Answer("degraded", f"{days:g} days left", days, "days")
        if left <= degraded_days * _DAY
        else Answer(value=days, unit="days")
    )
