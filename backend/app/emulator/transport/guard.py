"""Keeps web pages of strangers away from an emulator that listens on this machine only."""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..status import ApiError, Code
from .json_wire import error_response


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port) means this machine only."""
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LoopbackGuard:
    """Refuses requests whose Host or Origin is not this machine.

    A page of another site can make a browser send requests to 127.0.0.1, and can point its own name at 127.0.0.1 (DNS
    rebinding): the first shows a foreign Origin, the second a foreign Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Request(scope).headers
        for header, value in (("Host", f"//{headers.get('host', '')}"), ("Origin", headers.get("origin"))):
            if value is not None and not is_loopback(_host_of(value)):
                shown = value.removeprefix("//")
                error = ApiError(
                    Code.PERMISSION_DENIED,
                    f'{header} "{shown}" is not this machine, and the emulator listens on this machine only.',
                )
                await error_response(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
