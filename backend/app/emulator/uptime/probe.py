"""One uptime check, made once (google/monitoring/v3/uptime.proto, HttpCheck and TcpCheck)."""

import asyncio
import contextlib
import datetime as dt
import ssl
import time
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
from cryptography import x509

from ..alerting.limits import seconds
from ..clock import NANOS
from ..status import Code
from .content import matches
from .identity import token
from .messages import Raw, UptimeCheckConfig
from .targets import Targets

# "Only the first 4 MB of the content will be examined" (uptime.proto, ContentMatcher).
_MOST_READ = 4 * 2**20
# "All URL redirects are followed" (cloud.google.com/monitoring/uptime-checks); how many is ours.
_MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}
_GONE_ON_REDIRECT = {"authorization", "cookie"}
# What Google's checkers call themselves (cloud.google.com/monitoring/uptime-checks, "identify uptime-check traffic").
_USER_AGENT = "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)"
_CLASSES = UptimeCheckConfig.HttpCheck.ResponseStatusCode.StatusClass
_ANY = _CLASSES.Value("STATUS_CLASS_ANY")
_HTTPS_PORT, _HTTP_PORT = 443, 80


class Outcome(NamedTuple):
    passed: bool
    latency_ms: float
    code: Code | None = None
    """Why it failed; None when it passed."""
    why: str = ""
    status: int | None = None
    content_mismatch: bool | None = None
    """None where no content was looked at."""
    certificate_days: float | None = None


class _Failed(Exception):  # noqa: N818  # the check did not pass: no error of ours
    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


async def probe(config: Raw, host: str, targets: Targets, project_number: int, now: int) -> Outcome:
    """Make a check against a host.

    Raises:
        NotAllowedError: The host must not be called, so nothing is known about it.
    """
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(seconds(config.timeout)):
            if config.HasField("tcp_check"):
                await _connect(host, config.tcp_check.port, targets)
                return Outcome(passed=True, latency_ms=_since(begun))
            return await _http(config, host, targets, project_number=project_number, now=now, begun=begun)
    except TimeoutError:
        why = f"no answer within {seconds(config.timeout):g} s"
        return Outcome(passed=False, latency_ms=_since(begun), code=Code.DEADLINE_EXCEEDED, why=why)
    except _Failed as failed:
        return Outcome(passed=False, latency_ms=_since(begun), code=failed.code, why=failed.why)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        why = f"{type(error).__name__}: {error}".removesuffix(": ")
        return Outcome(passed=False, latency_ms=_since(begun), code=Code.UNAVAILABLE, why=why)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


async def _connect(host: str, port: int, targets: Targets) -> None:
    place = await targets.find(host, port)
    _, writer = await asyncio.open_connection(place.address, place.port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class _Answer(NamedTuple):
    status: int
    body: str
    certificate_days: float | None


async def _http(config: Raw, host: str, targets: Targets, *, project_number: int, now: int, begun: float) -> Outcome:
    check = config.http_check
    scheme = "https" if check.use_ssl else "http"
    usual = _HTTPS_PORT if check.use_ssl else _HTTP_PORT
    port = check.port or usual
    shown = _in_url(host)
    url = f"{scheme}://{shown}" + ("" if port == usual else f":{port}") + check.path
    headers = _headers(check, f"{scheme}://{shown}", project_number, now)
    auth = None
    if check.auth_info.username or check.auth_info.password:
        auth = httpx.BasicAuth(check.auth_info.username, check.auth_info.password)
    answer = await _follow(check, url, headers, auth, targets, wants_body=bool(config.content_matchers), now=now)
    latency = _since(begun)
    mismatch: bool | None = None
    if config.content_matchers:
        # "Currently, only the first entry in the content_matchers list is supported" (uptime.proto).
        mismatch = not matches(config.content_matchers[0], answer.body)
    code, why = None, ""
    if not accepted(check, answer.status):
        code, why = Code.FAILED_PRECONDITION, f"answered {answer.status}"
    elif mismatch:
        code, why = Code.FAILED_PRECONDITION, "the content does not match"
    return Outcome(code is None, latency, code, why, answer.status, mismatch, answer.certificate_days)


def accepted(check: Raw, status: int) -> bool:
    """Whether a status passes: 200 to 299 unless the check names others (uptime.proto)."""
    wanted = check.accepted_response_status_codes
    if not wanted:
        return 200 <= status < 300  # noqa: PLR2004  # success
    return any(
        one.status_value == status
        if one.WhichOneof("status_code") == "status_value"
        else one.status_class in {_ANY, status // 100 * 100}
        for one in wanted
    )


def _headers(check: Raw, audience: str, project_number: int, now: int) -> dict[str, str]:
    headers = {"User-Agent": _USER_AGENT, "Connection": "close"}
    headers |= {"Host" if key.lower() == "host" else key: text for key, text in check.headers.items()}
    kinds = UptimeCheckConfig.HttpCheck.ContentType
    if check.content_type == kinds.URL_ENCODED:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif check.content_type == kinds.USER_PROVIDED:
        headers["Content-Type"] = check.custom_content_type
    if check.HasField("service_agent_authentication"):
        headers["Authorization"] = f"Bearer {token(audience, project_number, now)}"
    return headers


async def _follow(
    check: Raw,
    url: str,
    headers: dict[str, str],
    auth: httpx.BasicAuth | None,
    targets: Targets,
    *,
    wants_body: bool,
    now: int,
) -> _Answer:
    """Send the request, and follow redirects: each address is judged before it is called."""
    post = UptimeCheckConfig.HttpCheck.RequestMethod.POST
    method, content = ("POST", check.body) if check.request_method == post else ("GET", b"")
    first = urlsplit(url).netloc
    # trust_env: a proxy in the environment would be asked in our place. verify: "validate_ssl ... only applies to
    # monitored resources of type uptime_url" (uptime.proto); off, any certificate will do.
    verify: ssl.SSLContext | bool = ssl.create_default_context() if check.validate_ssl else False
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, verify=verify, timeout=None) as client:  # noqa: S113  # the caller holds the time
        for _ in range(_MOST_REDIRECTS + 1):
            parts = urlsplit(url)
            host = parts.hostname or ""
            place = await targets.find(host, parts.port or (_HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT))
            request = client.build_request(
                method,
                httpx.URL(url).copy_with(
                    scheme="http" if place.plain else parts.scheme, host=_in_url(place.address), port=place.port
                ),
                headers={"Host": parts.netloc.rpartition("@")[2], **headers},
                content=content or None,
                extensions={"sni_hostname": host},
            )
            response = await client.send(request, auth=auth, stream=True)
            try:
                there = response.headers.get("location")
                if response.status_code in _REDIRECTS and there and not accepted_as_is(check, response.status_code):
                    url = urljoin(url, there)
                    if urlsplit(url).scheme not in {"http", "https"}:
                        raise _Failed(Code.FAILED_PRECONDITION, "redirected to what is neither http nor https")
                    if response.status_code == 303 or (method == "POST" and response.status_code in {301, 302}):  # noqa: PLR2004  # See Other
                        method, content = "GET", b""
                    headers.pop("Host", None)
                    if urlsplit(url).netloc != first:
                        headers = {key: text for key, text in headers.items() if key.lower() not in _GONE_ON_REDIRECT}
                        auth = None
                    continue
                days = _certificate_days(response, now)
                return _Answer(response.status_code, await _text(response) if wants_body else "", days)
            finally:
                await response.aclose()
    raise _Failed(Code.FAILED_PRECONDITION, f"more than {_MOST_REDIRECTS} redirects")


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def accepted_as_is(check: Raw, status: int) -> bool:
    """Whether a redirect is itself what the check wants to see."""
    return bool(check.accepted_response_status_codes) and accepted(check, status)


async def _text(response: httpx.Response) -> str:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        parts.append(part[: _MOST_READ - size])
        size += len(parts[-1])
        if size >= _MOST_READ:
            break
    return b"".join(parts).decode(response.encoding or "utf-8", "replace")


def _certificate_days(response: httpx.Response, now: int) -> float | None:
    """Days until the server's certificate ends; None without TLS."""
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    if tls is None:
        return None
    certificate = tls.getpeercert(binary_form=True)
    if not certificate:
        return None
    ends = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    return (ends - dt.datetime.fromtimestamp(now / NANOS, dt.UTC)).total_seconds() / 86_400
