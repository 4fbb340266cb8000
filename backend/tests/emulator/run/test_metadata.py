"""The metadata server, asked by plain HTTP and by Google's own library."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from app.emulator.run.metadata import Instance, MetadataServer
from support.provenance import known_from, our_choice

CONTRACT = "https://docs.cloud.google.com/run/docs/container-contract"


@pytest.fixture(scope="module")
def server() -> Iterator[MetadataServer]:
    server = MetadataServer(Instance("demo", 123456789012, "europe-west1", "00abc"))
    yield server
    server.close()


def get(server, path, flavor="Google"):
    request = urllib.request.Request(f"http://{server.address}{path}")
    if flavor:
        request.add_header("Metadata-Flavor", flavor)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


@known_from(docs=CONTRACT)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("project/project-id", "demo"),
        ("project/numeric-project-id", "123456789012"),
        ("instance/id", "00abc"),
        ("instance/region", "projects/123456789012/regions/europe-west1"),
        ("instance/zone", "projects/123456789012/zones/europe-west1-1"),
        ("instance/service-accounts/default/email", "123456789012-compute@developer.gserviceaccount.com"),
        ("instance/service-accounts/default/scopes", "https://www.googleapis.com/auth/cloud-platform\n"),
    ],
)
def test_a_value_is_given_as_text(server, path, expected):
    status, headers, body = get(server, f"/computeMetadata/v1/{path}")
    assert (status, body) == (200, expected)
    assert headers["Metadata-Flavor"] == "Google"


@known_from(docs="https://docs.cloud.google.com/compute/docs/metadata/querying-metadata")
def test_a_request_without_the_header_is_refused(server):
    for flavor in ("", "Other"):
        status, headers, _ = get(server, "/computeMetadata/v1/project/project-id", flavor)
        assert (status, headers["Metadata-Flavor"]) == (403, "Google")


@known_from(docs="https://docs.cloud.google.com/compute/docs/metadata/querying-metadata")
def test_directories_are_listed_and_read_as_a_whole(server):
    assert get(server, "/computeMetadata/v1/project/")[2] == "attributes/\nnumeric-project-id\nproject-id\n"
    whole = get(server, "/computeMetadata/v1/instance/service-accounts/default/?recursive=true")
    assert json.loads(whole[2])["email"].endswith("gserviceaccount.com")
    assert whole[1]["Content-Type"] == "application/json"
    assert "serviceAccounts" in json.loads(get(server, "/computeMetadata/v1/instance?recursive=true")[2])


QUERYING = "https://docs.cloud.google.com/compute/docs/metadata/querying-metadata"


@known_from(docs=QUERYING)
def test_a_request_that_came_through_a_proxy_is_refused(server):
    request = urllib.request.Request(f"http://{server.address}/computeMetadata/v1/project/project-id")
    request.add_header("Metadata-Flavor", "Google")
    request.add_header("X-Forwarded-For", "192.0.2.1")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value:
        assert caught.value.code == 403


@known_from(docs=QUERYING)
def test_a_format_can_be_asked(server):
    assert get(server, "/computeMetadata/v1/project/project-id?alt=json")[2] == '"demo"'
    whole = get(server, "/computeMetadata/v1/project/?recursive=true&alt=text")
    assert whole[2] == "numericProjectId 123456789012\nprojectId demo\n"


@known_from(docs=QUERYING)
def test_waiting_for_a_change_ends_in_time_and_at_once_for_an_old_etag(server):
    path = "/computeMetadata/v1/project/project-id"
    etag = get(server, path)[1]["ETag"]
    assert get(server, f"{path}?wait_for_change=true&timeout_sec=0")[2] == "demo"
    assert get(server, f"{path}?wait_for_change=true&last_etag={etag}&timeout_sec=1")[1]["ETag"] == etag
    assert get(server, f"{path}?wait_for_change=true&last_etag=old&timeout_sec=3600")[2] == "demo"


@our_choice("a client that waits forever must not keep the server from ending")
def test_a_waiting_client_does_not_keep_the_server_open():
    server = MetadataServer(Instance("demo", 123456789012, "europe-west1", "00abc"))
    client = http.client.HTTPConnection(server.address, timeout=10)
    with contextlib.closing(client):
        for path in ("", "?wait_for_change=true"):
            client.request(
                "GET", f"/computeMetadata/v1/project/project-id{path}", headers={"Metadata-Flavor": "Google"}
            )
            if path:
                server.close()
            assert client.getresponse().read() == b"demo"


def test_the_root_answers_a_detection_and_unknown_paths_are_not_found(server):
    status, headers, _ = get(server, "/")
    assert (status, headers["Metadata-Flavor"]) == (200, "Google")
    assert get(server, "/computeMetadata/v1/instance/nothing")[0] == 404
    assert get(server, "/elsewhere")[0] == 404
    assert get(server, "/computeMetadata/v1/instance/service-accounts/default/identity")[0] == 400


@known_from(docs="https://googleapis.dev/python/google-auth/latest/reference/google.auth.compute_engine.html")
def test_google_s_library_finds_project_token_and_identity_there(server):
    program = """
import json
import google.auth
from google.auth import compute_engine
from google.auth.compute_engine import _metadata
from google.auth.transport.requests import Request

request = Request()
assert _metadata.ping(request)
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
assert isinstance(credentials, compute_engine.Credentials), credentials
credentials.refresh(request)
identity = compute_engine.IDTokenCredentials(request, "https://items.example", use_metadata_identity_endpoint=True)
identity.refresh(request)
told = [project, credentials.service_account_email, credentials.token, credentials.valid, identity.valid]
told.append(credentials.universe_domain)
print(json.dumps(told))
"""
    environment = {
        "PATH": os.environ["PATH"],
        "CLOUDSDK_CONFIG": "/nonexistent",  # no credentials of whoever runs the test
        **server.environment(),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    account = "123456789012-compute@developer.gserviceaccount.com"
    assert json.loads(done.stdout) == ["demo", account, "cloudops-emulator", True, True, "googleapis.com"]
