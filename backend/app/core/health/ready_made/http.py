"""Another service over HTTP, by the standard library alone and without following anybody."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from ..checks import Answer

_TIMEOUT_SECONDS: Final = 2.0
_READ_BYTES: Final = 65_536


def http_check(
    url: str, *, statuses: Collection[int] = (), method: str = "GET", timeout: float = _TIMEOUT_SECONDS
) -> Callable[[], Answer]:
    """A request to another service; redirects are answers, proxies of the environment are not used.

    Args:
        url: `http://` or `https://`; certificates are checked.
        statuses: What passes; empty: anything below 400.
        method: Of the request.
        timeout: Seconds for the connection and for each read.

    Raises:
        ValueError: It is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no http:// or https:// URL")
    host, port = parts.hostname, parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def ask() -> Answer:
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415  # only where such a check is used

        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = connect(host, port, timeout=timeout)
        try:
            connection.request(method, target, headers={"user-agent": "fastapi-cloudops", "connection": "close"})
            answer = connection.getresponse()
            answer.read(_READ_BYTES)
        finally:
            connection.close()
        good = answer.status in statuses if statuses else answer.status < HTTPStatus.BAD_REQUEST
        if good:
            return Answer(value=answer.status, unit="status")
        return Answer("unhealthy", f"answered {answer.status}", answer.status, "status")

    return ask
