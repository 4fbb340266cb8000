"""Keeps web pages of strangers away from an emulator that listens on this machine only."""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse
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


# Google's own sentence for a missing or wrong credential (cloud.google.com/apis/design/errors).
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_COOKIE = "cloudops_token"


def is_token(given: str, token: str) -> bool:
    """Whether an Authorization header carries the token; takes as long for a wrong one as for the right one."""
    scheme, _, credential = given.partition(" ")
    same = hmac.compare_digest(credential.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


class TokenGuard:
    """Refuses requests without the token.

    Programs send it as `Authorization: Bearer`; a person opens `/?token=...` once, and the browser keeps it as a cookie
    that pages of other sites cannot make it send.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if is_token(request.headers.get("authorization", ""), self._token) or self._is_ours(
            request.cookies.get(_COOKIE, "")
        ):
            await self.app(scope, receive, send)
        elif request.method == "GET" and self._is_ours(request.query_params.get("token", "")):
            answer = RedirectResponse(str(request.url.remove_query_params("token").replace(scheme="", netloc="")), 303)
            answer.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
            # The address with the token must not become the Referer of what the page loads.
            answer.headers["Referrer-Policy"] = "no-referrer"
            await answer(scope, receive, send)
        else:
            refusal = error_response(ApiError(Code.UNAUTHENTICATED, UNAUTHENTICATED))
            refusal.headers["WWW-Authenticate"] = "Bearer"
            await refusal(scope, receive, send)

    def _is_ours(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
