"""Rate limits, as one plain ASGI layer.

Headers are those of datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` says what holds,
`RateLimit` what is left. Who is refused is told when to come back (`Retry-After`), in a body of RFC 9457's form.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core import get_logger, metrics_client, shed
from ..core.client_address import TrustedProxies, client_address
from .limiter import Limiter, Verdict
from .policies import EXEMPT, Policies, Policy

if TYPE_CHECKING:
    import re

log = get_logger("limits")
_hits = metrics_client.counter("rate_limit_hits_total")
_exceeded = metrics_client.counter("rate_limit_exceeded_total")
_latency = metrics_client.histogram("rate_limit_middleware_latency_ms")
# A host has a whole network of these: RFC 6177 gives end sites at least a /64.
_IPV6_PREFIX: Final = 64
_BEARER: Final = b"bearer "


class Templates:
    """Route templates by path: routing comes after this layer, and a limit is for a route, not for a path."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for template in sorted(templates):
            if "{" in template:
                self._patterns.append((compile_path(template)[0], template))
            else:
                self._exact.add(template)

    def of(self, path: str) -> str:
        """Empty where no route has such a path."""
        if path in self._exact:
            return path
        return next((template for pattern, template in self._patterns if pattern.match(path)), "")


class RateLimits:
    """Refuses what exceeds the limits.

    Args:
        app: What is limited.
        policies: Limits by route.
        templates: Called with the first request, when all routes are there.
        user_of: The user whom a valid access token is for; empty for any other.
        trusted_proxies: Whom to believe about addresses.
    """

    def __init__(
        self,
        app: ASGIApp,
        policies: Policies,
        templates: Callable[[], Iterable[str]],
        user_of: Callable[[Any, str], str],
        trusted_proxies: TrustedProxies,
    ) -> None:
        self._app = app
        self._policies = policies
        self._all_templates = templates
        self._templates: Templates | None = None
        self._user_of = user_of
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(EXEMPT):
            await self._app(scope, receive, send)
            return
        if self._templates is None:
            self._templates = Templates(self._all_templates())
        template = self._templates.of(scope["path"])
        address = client_address(scope, self._trusted)
        policy = self._policies.of(scope["method"], template)
        limiter: Limiter = scope["app"].state.parts.limiter
        with _latency.labels(endpoint=template).time():
            verdict = await limiter.check(policy, self._subject(scope, policy, address))
        _hits.labels(endpoint=template, ip_address=address).add()
        headers = _headers(policy, verdict)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if verdict.allowed:
            await self._app(scope, receive, send_with_headers)
            return
        _exceeded.labels(endpoint=template, ip_address=address).add()
        shed(template)
        log.info("a rate limit was exceeded", policy=policy.name, endpoint=template)
        await _refusal(policy, verdict, scope)(scope, receive, send_with_headers)

    def _subject(self, scope: Scope, policy: Policy, address: str) -> str:
        if policy.by == "user":
            for name, value in scope["headers"]:
                if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
                    user = self._user_of(scope["app"].state.parts, value[len(_BEARER) :].decode("latin-1"))
                    if user:
                        return f"user:{user}"
        return f"address:{subject_of(address)}"


def subject_of(address: str) -> str:
    """What limits count a client as: an IPv6 client has a network full of addresses, and is one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))


def _name(policy: Policy, position: int) -> str:
    return policy.name if position == 0 else f"{policy.name}-{position + 1}"


def _headers(policy: Policy, verdict: Verdict) -> dict[str, str]:
    names = {limit: _name(policy, position) for position, limit in enumerate(policy.limits)}
    return {
        "ratelimit-policy": ", ".join(
            f'"{names[limit]}";q={limit.amount};w={limit.get_expiry()}' for limit in policy.limits
        ),
        "ratelimit": ", ".join(
            f'"{names[one.limit]}";r={one.remaining};t={one.reset_seconds}' for one in verdict.standings
        ),
    }


def _refusal(policy: Policy, verdict: Verdict, scope: Scope) -> JSONResponse:
    tightest = verdict.standings[-1]
    seconds = tightest.reset_seconds
    quota, window = tightest.limit.amount, tightest.limit.get_expiry()
    body = {
        "type": "about:blank",
        "title": "Too many requests",
        "status": 429,
        "detail": f"No more than {quota} requests in {window} s are answered here ({scope['method']} {scope['path']});"
        f" the next one in {seconds} s.",
        "policy": policy.name,
        "quota": quota,
        "window_seconds": window,
        "retry_after_seconds": seconds,
    }
    return JSONResponse(body, 429, {"retry-after": str(seconds)}, "application/problem+json")
