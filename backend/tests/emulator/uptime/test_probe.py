"""What an uptime check calls, and what it makes of the answer."""

import asyncio
import base64
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from app.emulator.clock import NANOS
from app.emulator.project import Context
from app.emulator.status import Code
from app.emulator.tls import make_certificate
from app.emulator.uptime.identity import KEY_ID
from app.emulator.uptime.messages import UptimeCheckConfig
from app.emulator.uptime.probe import Outcome, probe
from app.emulator.uptime.rules import check_uptime, fill_defaults
from app.emulator.uptime.targets import NotAllowedError, Place, Targets, parse_place
from support.provenance import known_from, our_choice
from support.uptime import Reply, Site, site

UPTIME = "google/monitoring/v3/uptime.proto"
HOST = "shop.example.com"
NOW = 1_760_000_000 * NANOS


@pytest.fixture
def shop() -> Iterator[Site]:
    with site() as running:
        yield running


def config(**fields: Any) -> Any:
    resource = {"type": "uptime_url", "labels": {"host": HOST}}
    written = {"displayName": "Shop", "monitoredResource": resource, "httpCheck": {}, "timeout": "10s"} | fields
    parsed = json_format.ParseDict({k: v for k, v in written.items() if v is not None}, UptimeCheckConfig())
    check_uptime(parsed)
    fill_defaults(parsed, "demo")
    return parsed


async def probed(running: Site, *, host: str = HOST, targets: Targets | None = None, **fields: Any) -> Outcome:
    mapped = targets or Targets({HOST: Place("127.0.0.1", running.port)})
    return await probe(config(**fields), host, mapped, Context().project_number, NOW)


@known_from(proto=UPTIME)
async def test_a_host_that_is_mapped_to_this_machine_is_asked_under_its_own_name(shop: Site) -> None:
    outcome = await probed(shop, httpCheck={"path": "/health?deep=1", "port": 8443})
    assert (outcome.passed, outcome.status, outcome.code) == (True, 200, None)
    (seen,) = shop.seen
    assert (seen.method, seen.path, seen.headers["host"]) == ("GET", "/health?deep=1", f"{HOST}:8443")
    assert "UptimeChecks" in seen.headers["user-agent"]


@known_from(proto=UPTIME)
@pytest.mark.parametrize(
    ("accepted", "status", "passes"),
    [
        ([], 204, True),
        ([], 404, False),
        ([{"statusValue": 404}], 404, True),
        ([{"statusValue": 404}], 200, False),
        ([{"statusClass": "STATUS_CLASS_4XX"}, {"statusValue": 200}], 418, True),
        ([{"statusClass": "STATUS_CLASS_ANY"}], 503, True),
        ([{"statusClass": "STATUS_CLASS_3XX"}], 302, True),
    ],
)
async def test_a_check_passes_with_the_statuses_it_accepts(
    shop: Site, accepted: list[dict[str, Any]], status: int, *, passes: bool
) -> None:
    shop.answer = lambda _: Reply(status, b"", {"Location": "/elsewhere"} if status == 302 else {})
    outcome = await probed(shop, httpCheck={"acceptedResponseStatusCodes": accepted})
    assert (outcome.passed, outcome.status) == (passes, status)


@known_from(proto=UPTIME)
@pytest.mark.parametrize(
    ("matcher", "passes"),
    [
        ({"content": "well"}, True),
        ({"content": "ill"}, False),
        ({"content": "ill", "matcher": "NOT_CONTAINS_STRING"}, True),
        ({"content": "well", "matcher": "NOT_CONTAINS_STRING"}, False),
        ({"content": 'status": "w.+l"', "matcher": "MATCHES_REGEX"}, True),
        ({"content": "^well", "matcher": "MATCHES_REGEX"}, False),
        ({"content": "^well", "matcher": "NOT_MATCHES_REGEX"}, True),
        ({"content": "", "matcher": "CONTAINS_STRING"}, True),
        ({"content": "well", "matcher": "MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "$.status"}}, True),
        ({"content": "3", "matcher": "MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "$.checks[1].ms"}}, True),
        ({"content": "9", "matcher": "MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "$.checks[1].ms"}}, False),
        ({"content": "9", "matcher": "NOT_MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "$..ms"}}, True),
        (
            {
                "content": "^we",
                "matcher": "MATCHES_JSON_PATH",
                "jsonPathMatcher": {"jsonPath": "$['status']", "jsonMatcher": "REGEX_MATCH"},
            },
            True,
        ),
        ({"content": "x", "matcher": "MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "$.none"}}, False),
    ],
)
async def test_the_content_decides_too(shop: Site, matcher: dict[str, Any], *, passes: bool) -> None:
    shop.answer = lambda _: Reply(200, b'{"status": "well", "checks": [{"ms": 1}, {"ms": 3}]}')
    outcome = await probed(shop, contentMatchers=[matcher])
    assert (outcome.passed, outcome.content_mismatch) == (passes, not passes)


@known_from(proto=UPTIME)
async def test_headers_body_and_basic_authentication_are_sent(shop: Site) -> None:
    body = base64.b64encode(b"a=1").decode()
    check = {
        "requestMethod": "POST", "contentType": "URL_ENCODED", "body": body, "headers": {"X-Key": "k"},
        "authInfo": {"username": "ann", "password": "secret"},
    }  # fmt: skip
    assert (await probed(shop, httpCheck=check)).passed
    (seen,) = shop.seen
    assert (seen.method, seen.body, seen.headers["x-key"]) == ("POST", b"a=1", "k")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"ann:secret"


@known_from(proto=UPTIME)
async def test_the_service_agent_shows_a_token_for_the_host_that_names_itself_a_fake(shop: Site) -> None:
    agent = {"type": "OIDC_TOKEN"}
    assert (await probed(shop, httpCheck={"serviceAgentAuthentication": agent, "useSsl": False})).passed
    header, claims, signature = shop.seen[0].headers["authorization"].removeprefix("Bearer ").split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    assert decoded[0] == {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
    assert decoded[1]["aud"] == f"http://{HOST}"
    assert decoded[1]["email"].endswith("@gcp-sa-monitoring-notification.iam.gserviceaccount.com")
    assert decoded[1]["iat"] == NOW // NANOS
    assert signature


@known_from(docs="https://cloud.google.com/monitoring/uptime-checks/introduction")
async def test_redirects_are_followed_and_what_they_lead_to_counts(shop: Site) -> None:
    shop.answer = lambda seen: Reply(302, b"", {"Location": "/new"}) if seen.path == "/" else Reply(503)
    outcome = await probed(shop)
    assert (outcome.passed, outcome.status) == (False, 503)
    assert [seen.path for seen in shop.seen] == ["/", "/new"]


@our_choice("a redirect must not lead a check beyond this machine")
async def test_a_redirect_to_a_stranger_is_not_followed(shop: Site) -> None:
    shop.answer = lambda _: Reply(302, b"", {"Location": "http://192.0.2.1/secret"})
    with pytest.raises(NotAllowedError, match=r"192\.0\.2\.1"):
        await probed(shop)


@our_choice("a redirect to another host must not be given the secrets of the first")
async def test_credentials_stay_with_their_host(shop: Site) -> None:
    with site() as other:
        shop.answer = lambda _: Reply(302, b"", {"Location": f"http://127.0.0.1:{other.port}/there"})
        check = {"authInfo": {"username": "u", "password": "p"}}
        assert (await probed(shop, httpCheck=check)).passed
        assert "authorization" in shop.seen[0].headers
        assert "authorization" not in other.seen[0].headers
        assert other.seen[0].headers["host"] == f"127.0.0.1:{other.port}"


@our_choice("endless redirects end")
async def test_redirects_in_a_circle_fail_the_check(shop: Site) -> None:
    shop.answer = lambda _: Reply(302, b"", {"Location": "/"})
    outcome = await probed(shop)
    assert (outcome.passed, outcome.why) == (False, "more than 10 redirects")


@our_choice("a redirect that leaves HTTP reads files or worse")
async def test_a_redirect_to_another_scheme_fails_the_check(shop: Site) -> None:
    shop.answer = lambda _: Reply(302, b"", {"Location": "file:///etc/passwd"})
    assert "neither http nor https" in (await probed(shop)).why


@known_from(proto=UPTIME)
async def test_a_service_that_does_not_answer_in_time_fails_the_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        targets = Targets({HOST: Place("127.0.0.1", silent.getsockname()[1])})
        outcome = await probe(config(timeout="1s"), HOST, targets, 1, NOW)
    assert (outcome.passed, outcome.code, outcome.why) == (False, Code.DEADLINE_EXCEEDED, "no answer within 1 s")
    assert outcome.latency_ms >= 1000


@known_from(proto=UPTIME)
async def test_a_service_that_is_down_fails_the_check(shop: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = await probed(shop, targets=Targets({HOST: Place("127.0.0.1", port)}))
    assert (outcome.passed, outcome.code) == (False, Code.UNAVAILABLE)


@known_from(proto=UPTIME)
async def test_a_tcp_check_connects(shop: Site) -> None:
    targets = Targets({HOST: Place("127.0.0.1", shop.port)})
    assert (await probe(config(httpCheck=None, tcpCheck={"port": 5432}), HOST, targets, 1, NOW)).passed
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = Targets({HOST: Place("127.0.0.1", port)})
    assert not (await probe(config(httpCheck=None, tcpCheck={"port": 5432}), HOST, gone, 1, NOW)).passed


@known_from(proto=UPTIME)
async def test_https_tells_how_long_the_certificate_lasts_and_validates_it_when_asked(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "key.pem").write_bytes(certificate.key)
    context.load_cert_chain(certificate.path, tmp_path / "key.pem")
    with site(context) as secure:
        targets = Targets({HOST: Place("127.0.0.1", secure.port)})
        outcome = await probe(config(httpCheck={"useSsl": True}), HOST, targets, 1, time.time_ns())
        assert outcome.passed
        assert outcome.certificate_days is not None
        assert 29 < outcome.certificate_days < 31
        strict = await probe(config(httpCheck={"useSsl": True, "validateSsl": True}), HOST, targets, 1, NOW)
        assert (strict.passed, strict.code) == (False, Code.UNAVAILABLE)
        assert "CERTIFICATE_VERIFY_FAILED" in strict.why


@our_choice("on Cloud Run the front end ends TLS, and no service on a laptop has a certificate")
async def test_a_host_can_be_mapped_to_a_place_without_tls(shop: Site) -> None:
    host, place = parse_place(f"{HOST}=http://127.0.0.1:{shop.port}")
    outcome = await probed(shop, targets=Targets({host: place}), httpCheck={"useSsl": True, "path": "/health"})
    assert (outcome.passed, outcome.certificate_days) == (True, None)
    assert [(seen.path, seen.headers["host"]) for seen in shop.seen] == [("/health", HOST)]


@known_from(proto=UPTIME)
async def test_only_the_first_4_mb_of_the_content_count(shop: Site) -> None:
    shop.answer = lambda _: Reply(200, b" " * (4 * 2**20) + b"needle")
    assert not (await probed(shop, contentMatchers=[{"content": "needle"}])).passed


@our_choice("a policy file must not make a laptop call strangers")
@pytest.mark.parametrize(
    "host", ["192.0.2.1", "169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "0.0.0.0"]
)  # the address a check would call
async def test_what_is_not_this_machine_is_not_called(shop: Site, host: str) -> None:
    with pytest.raises(NotAllowedError, match="--allow-targets"):
        await probed(shop, host=host, targets=Targets())


@our_choice("who starts the emulator opens it, by name, pattern or network")
async def test_named_targets_are_allowed_and_link_local_ones_only_by_number() -> None:
    async def find(host: str, *allowed: str) -> Place:
        return await Targets(allowed=allowed).find(host, 80)

    assert await find("192.0.2.1", "192.0.2.0/24") == Place("192.0.2.1", 80)
    assert await find("192.0.2.1", "*") == Place("192.0.2.1", 80)
    with pytest.raises(NotAllowedError):
        await find("192.0.2.1", "198.51.100.0/24", "*.example.com")
    with pytest.raises(NotAllowedError):
        await find("169.254.169.254", "*")
    assert await find("169.254.169.254", "169.254.169.254/32") == Place("169.254.169.254", 80)


@our_choice("a name that changes its address between the judgement and the call must lead nowhere else")
async def test_the_address_that_was_judged_is_the_one_that_is_called(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    addresses = iter(["127.0.0.1", "192.0.2.1"])

    async def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    outcome = await probed(shop, host="rebinding.example", targets=Targets(), httpCheck={"port": shop.port})
    assert (outcome.passed, asked) == (True, ["rebinding.example"])
