"""An emulator with a token asks for it on both wires."""

from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from app.emulator.transport.guard import is_token
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice

TOKEN = "a-long-enough-token"
ERRORS = "https://cloud.google.com/apis/design/errors"
REFUSED = "Request had invalid authentication credentials."


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(token=TOKEN) as running:
        yield running


@known_from(docs=ERRORS)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "cloudops_token=x"}],
)
@pytest.mark.parametrize(
    "path", ["/v3/projects/demo/metricDescriptors", "/", "/control/clock", "/v3/projects/demo/alerts"]
)
def test_rest_without_the_token_is_401(emulator: RunningEmulator, path: str, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{emulator.http}{path}", headers=headers)
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["status"], error["message"].startswith(REFUSED)) == ("UNAUTHENTICATED", True)


@our_choice("the token is sent as Google's access tokens are")
def test_rest_with_the_token_is_answered(emulator: RunningEmulator) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{emulator.http}/v3/projects/demo/metricDescriptors", headers=headers).status_code == 200


@our_choice("a browser cannot be told a header: it is given a cookie once, and the address loses the token")
def test_a_browser_trades_the_token_for_a_cookie(emulator: RunningEmulator) -> None:
    with httpx.Client(base_url=emulator.http) as browser:
        first = browser.get("/", params={"token": TOKEN, "tab": "logs"})
        assert (first.status_code, first.headers["location"]) == (303, "/?tab=logs")
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/").status_code == 200
        assert browser.get("/", params={"token": "wrong"}).status_code == 200
    assert httpx.get(f"{emulator.http}/", params={"token": "wrong"}).status_code == 401


@known_from(docs=ERRORS)
def test_grpc_without_the_token_is_unauthenticated_and_with_it_answered(emulator: RunningEmulator) -> None:
    with grpc.insecure_channel(emulator.grpc) as channel:
        client = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            with pytest.raises(exceptions.Unauthenticated, match=REFUSED):
                list(client.list_metric_descriptors(name="projects/demo", metadata=metadata))
        right = (("authorization", f"Bearer {TOKEN}"),)
        assert list(client.list_metric_descriptors(name="projects/demo", metadata=right)) == []


@our_choice("nothing but the whole token opens it")
def test_a_part_of_the_token_is_not_the_token() -> None:
    assert is_token(f"bearer {TOKEN}", TOKEN)
    assert not any(is_token(given, TOKEN) for given in ("", "Bearer", "Bearer ", TOKEN, f"Bearer {TOKEN}x", "Bearer ü"))
