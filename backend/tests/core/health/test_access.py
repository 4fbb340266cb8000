"""Who is told what `/health/detailed` knows."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import crypt, jwt

from app.core import Settings, SettingsError
from app.core.health.access import Access
from app.core.health.iap import ISSUER, Iap
from support.provenance import known_from
from support.service import Observed, observed

TOKEN = {"authorization": "Bearer s3cret"}
SECRET = "the-name-of-a-check"
AUDIENCE = "/projects/123/locations/europe-west1/services/shop"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer wrong",
        "Bearer s3cre",
        "Bearer s3crett",
        "Bearer ",
        "Bearer s3cret ",
        "Bearer  s3cret",
        "Basic s3cret",
        "s3cret",
        "Bearer s3cr\xe9t",
    ],
)
async def test_details_are_for_those_who_hold_the_token(given):
    with observed(health_token="s3cret") as service:
        service.observability.health.add(SECRET, lambda: True)
        async with service.client() as client:
            answer = await client.get("/health/detailed", headers={"authorization": given.encode("latin-1")})
            assert answer.json() == {"status": "pass"}
            told = (await client.get("/health/detailed", headers=TOKEN)).json()
        assert told["checks"][f"{SECRET}:responseTime"][0]["status"] == "pass"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"x-goog-iap-jwt-assertion": "a.b.c"}])
async def test_where_nobody_may_know_there_are_no_details(headers):
    with observed() as service:
        service.observability.health.add(SECRET, lambda: True)
        async with service.client() as client:
            assert (await client.get("/health/detailed", headers=headers)).json() == {"status": "pass"}


def _tricks() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, raw path with query, headers."""
    base = "/health/detailed"
    paths = [
        base,
        f"{base}/",
        f"/{base}",
        f"{base}//",
        f"{base}/.",
        f"{base}/..",
        f"{base}/../detailed",
        f"/x/..{base}",
    ]
    paths += [f"{base};jsessionid=1", f"{base}%3b", f"{base}%00", f"{base}%20", f"{base}.json", f"{base}%2ejson"]
    paths += ["/health%2fdetailed", "/health%252fdetailed", "/health\\detailed", "/health%5cdetailed"]
    paths += ["/Health/Detailed", "/HEALTH/DETAILED", "/health/DETAILED", "/health/./detailed", "/health//detailed"]
    paths += ["/health/%64etailed", "/%68ealth/detailed", "/health/detaile%64", "/health/%2e/detailed"]
    paths += ["/health/live/../detailed", "/health/ready/..;/detailed", "/health;/detailed", "/health/detailed%0a"]
    paths += ["/health/detailed%0d%0aAuthorization:%20Bearer%20s3cret", "/health/detailed%ff", "/health/d\u0435tailed"]
    paths += ["http://service/health/detailed", "//service/health/detailed", "/health/detailed#x", "*", ""]
    queries = ["token=s3cret", "access_token=s3cret", "details=always", "show-details=true", "format=json", "verbose"]
    queries += ["authorization=Bearer%20s3cret", "debug=1", "tag=database", "include=checks", "_method=GET", "&&&"]
    headers: list[dict[str, str]] = [
        {"x-original-url": base},
        {"x-rewrite-url": base},
        {"x-forwarded-prefix": base},
        {"x-http-method-override": "GET"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-for": "10.0.0.1, 127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"x-client-ip": "127.0.0.1"},
        {"true-client-ip": "10.0.0.1"},
        {"cf-connecting-ip": "10.0.0.1"},
        {"host": "localhost"},
        {"host": "127.0.0.1:8080"},
        {"x-goog-authenticated-user-email": "accounts.google.com:admin@example.com"},
        {"x-goog-authenticated-user-id": "accounts.google.com:1"},
        {"x-goog-iap-jwt-assertion": "eyJhbGciOiJub25lIn0.e30."},
        {"x-serverless-authorization": "Bearer s3cret"},
        {"proxy-authorization": "Bearer s3cret"},
        {"x-api-key": "s3cret"},
        {"cookie": "authorization=Bearer s3cret; token=s3cret"},
        {"user-agent": "GoogleHC/1.0"},
        {"user-agent": "kube-probe/1.33"},
        {"user-agent": "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)"},
        {"accept": "text/html"},
        {"accept": "application/json; details=always"},
        {"authorization": "Bearer"},
        {"authorization": "bearer:s3cret"},
        {"authorization": "Token s3cret"},
        {"authorization": 'Digest username="s3cret"'},
        {"authorization": "Bearer null"},
        {"authorization": "Bearer undefined"},
        {"authorization": "Bearer %733cret"},
        {"authorization": "Bearer s3cret, Bearer x"},
    ]
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND", "QUERY"]
    for path in paths:
        yield "GET", path, {}
        yield "GET", f"{path}?token=s3cret", {"x-original-url": base}
        yield "POST", path, {}
    for query in queries:
        yield "GET", f"{base}?{query}", {}
        yield "GET", f"/health?{query}", {}
    for method in methods:
        yield method, base, {}
        yield method, "/health", {"x-original-url": base}
    for header in headers:
        yield "GET", base, header
        yield "GET", "/health", header


async def _raw(service: Observed, method: str, target: str, headers: dict[str, str], client: str) -> bytes:
    """Through ASGI itself: HTTP clients would tidy the path up before the service sees it."""
    path, _, query = target.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (client, 50000),
        "server": ("service", 80),
    }
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b"") + repr(message.get("headers", "")).encode())

    await service.app(scope, receive, send)
    return b"".join(sent)


async def test_two_hundred_ways_around_tell_nothing_more():
    tricks = list(_tricks())
    assert len(tricks) >= 200
    with observed(
        health_token="s3cret", health_networks="10.0.0.0/8,127.0.0.1", health_iap_audience=AUDIENCE
    ) as service:
        service.observability.health.add(SECRET, lambda: True)
        iap = service.observability.health.access
        assert iap is not None
        assert iap.iap is not None
        iap.iap._fetch = dict
        for method, target, headers in tricks:
            told = await _raw(service, method, target, headers, "203.0.113.7")
            for word in (SECRET, "responseTime", "uptime", "memory", "instance", "errorRatio"):
                assert word.encode() not in told, (method, target, headers)
        assert SECRET.encode() in await _raw(service, "GET", "/health/detailed", TOKEN, "203.0.113.7"), (
            "the test can see"
        )


async def test_an_allowed_network_needs_no_token():
    with observed(health_networks="10.0.0.0/8,2001:db8::/32") as service:
        service.observability.health.add(SECRET, lambda: True)
        for client, may in {"10.1.2.3": True, "2001:db8::1": True, "::ffff:10.1.2.3": True, "11.0.0.1": False}.items():
            assert (SECRET.encode() in await _raw(service, "GET", "/health/detailed", {}, client)) is may
        passed_on = {"x-forwarded-for": "10.1.2.3"}
        assert SECRET.encode() not in await _raw(service, "GET", "/health/detailed", passed_on, "10.1.2.3"), (
            "the peer is somebody's proxy"
        )
        assert SECRET.encode() not in await _raw(service, "GET", "/health/detailed", {}, "")


async def test_behind_a_trusted_proxy_the_client_counts():
    with observed(health_networks="192.0.2.0/24", trusted_proxies="cloud_run") as service:
        service.observability.health.add(SECRET, lambda: True)
        for header, may in {"192.0.2.9": True, "192.0.2.9, 203.0.113.1": False, "203.0.113.1, 192.0.2.9": True}.items():
            told = await _raw(service, "GET", "/health/detailed", {"x-forwarded-for": header}, "169.254.8.129")
            assert (SECRET.encode() in told) is may


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "cloud_run", "2", "nonsense", "10.0.0.1/8", "unix"])
def test_a_network_that_is_none_or_means_everybody_is_refused(networks):
    with pytest.raises(SettingsError, match="HEALTH_NETWORKS"):
        Settings.load(health_networks=networks)


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


def _iap(key: ec.EllipticCurvePrivateKey) -> Iap:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Iap(AUDIENCE, lambda: {"k1": public.decode()})


def _token(key: ec.EllipticCurvePrivateKey, key_id: str = "k1", **claims: Any) -> bytes:
    now = int(time.time())
    payload = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, "sub": "accounts.google.com:1", **claims}
    return bytes(jwt.encode(crypt.EsSigner(key, key_id), payload))


@known_from(docs="https://cloud.google.com/iap/docs/signed-headers-howto")
async def test_what_iap_has_signed_for_this_service_opens_the_details(key):
    access = Access(iap=_iap(key))
    assert await access.admits({"headers": [(b"x-goog-iap-jwt-assertion", _token(key))]})


WRONG: dict[str, dict[str, Any]] = {
    "for another service": {"aud": "/projects/123/locations/europe-west1/services/other"},
    "by another issuer": {"iss": "https://accounts.google.com"},
    "expired": {"iat": int(time.time()) - 4000, "exp": int(time.time()) - 3000},
    "not yet good": {"iat": int(time.time()) + 3000, "exp": int(time.time()) + 4000},
    "with a key nobody knows": {"key_id": "k2"},
}


@pytest.mark.parametrize("kind", WRONG)
async def test_what_iap_has_not_signed_for_this_service_opens_nothing(kind, key):
    assert not await _iap(key).admits(_token(key, **WRONG[kind]))


async def test_a_forged_token_opens_nothing(key):
    iap = _iap(key)
    other = ec.generate_private_key(ec.SECP256R1())
    header, payload, signature = _token(key).split(b".")
    forged = [
        _token(other),
        b"",
        b"a.b.c",
        b".".join([header, payload, b""]),
        b".".join([b"eyJhbGciOiJub25lIiwia2lkIjoiazEifQ", payload, b""]),
        b".".join([header, payload + b"x", signature]),
        _token(key) + b"x" * 9000,
        b"\xff\xfe",
    ]
    for token in forged:
        assert not await iap.admits(token), token[:80]
    twice = [(b"x-goog-iap-jwt-assertion", _token(key)), (b"X-Goog-IAP-JWT-Assertion", _token(key))]
    assert not await Access(iap=iap).admits({"headers": twice})


async def test_strangers_tokens_make_it_ask_for_keys_once_a_minute(key):
    now = 1000.0
    asked: list[float] = []

    def no_keys() -> dict[str, str]:
        asked.append(now)
        return {}

    iap = Iap(AUDIENCE, no_keys, lambda: now)
    for _ in range(20):
        await iap.admits(_token(key))
    now += 61
    await asyncio.gather(*(iap.admits(_token(key)) for _ in range(5)))
    assert asked == [1000.0, 1061.0]


async def test_without_keys_nobody_comes_in_and_it_is_told(key, internal_failures):
    def unreachable() -> dict[str, str]:
        raise OSError("no network")

    assert not await Iap(AUDIENCE, unreachable).admits(_token(key))
    assert [where for where, _ in internal_failures] == ["IAP's keys"]
    internal_failures.clear()
