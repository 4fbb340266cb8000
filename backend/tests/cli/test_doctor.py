"""`cloudops doctor` against an emulator in several broken states."""

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI

from app.doctor import Check, Subject, examine
from app.doctor.api import Api, RefusedError, UnreachableError
from app.doctor.credentials import LOGIN, identify
from app.doctor.shipped import data_root, shipped
from app.emulator import definitions
from app.emulator.clock import ManualClock
from app.emulator.project import Switches
from support.cloudops import cloudops
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from, our_choice
from support.tracing import traced
from support.waiting import wait_until

SUBJECT = Subject("demo", "items", "dev", google=False)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(switches=Switches(minimum_gap_seconds=0.0)) as running:
        yield running


def found(checks: list[Check], name: str) -> Check:
    [one] = [check for check in checks if check.name == name]
    return one


def statuses(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.status for check in checks}


def apply_everything(emulator: RunningEmulator) -> None:
    values = {"service": "items", "environment": "dev", "host": "localhost", "project": "demo", "policies": "default"}
    loaded = definitions.load(data_root(), values)
    with httpx.Client(timeout=60) as client:
        definitions.apply(loaded, emulator.http, "demo", channels={"me": "http://127.0.0.1:9/"}, client=client)


def send_everything(emulator: RunningEmulator) -> None:
    """What a service sends: by its own exporters, and its log lines as the agent would take them."""

    async def serve() -> list[dict[str, Any]]:
        with traced(emulator, FastAPI(), service_name="items", environment="dev", enable_metrics=True) as one:
            async with one.client() as client:
                await client.get("/nowhere")
            assert one.traces.flush(20)
            wait_until(lambda: one.service.observability.worker.flush(10), seconds=30, what="metrics")
            return [
                {
                    "logName": "projects/demo/logs/run.googleapis.com%2Fstdout",
                    "resource": {"type": "global"},
                    "labels": entry["logging.googleapis.com/labels"],
                    "jsonPayload": {"message": entry["message"]},
                }
                for entry in one.service.access
            ]

    entries = asyncio.run(serve())
    httpx.post(f"{emulator.http}/v2/entries:write", json={"entries": entries}).raise_for_status()


def test_an_empty_emulator_lacks_everything_and_each_finding_says_what_mends_it(emulator):
    checks = examine(SUBJECT, Api(emulator.http))
    assert statuses(checks) == {
        "project": "ok",
        "apis": "note",
        "permissions": "ok",
        "clock": "ok",
        "logs": "finding",
        "metrics": "finding",
        "traces": "finding",
        "policies": "finding",
        "dashboards": "finding",
        "uptime checks": "finding",
    }
    assert all(check.mend for check in checks if check.status == "finding")
    assert "high_error_rate" in found(checks, "policies").message


def test_a_service_whose_telemetry_arrived_and_whose_policies_are_there_is_well(emulator):
    apply_everything(emulator)
    send_everything(emulator)
    checks = examine(SUBJECT, Api(emulator.http))
    assert {check.status for check in checks} == {"ok", "note"}, checks
    assert found(checks, "metrics").message == "service_info of 1 processes"


def test_what_another_service_sent_is_not_ours(emulator):
    apply_everything(emulator)
    send_everything(emulator)
    checks = examine(Subject("demo", "orders", "dev", google=False), Api(emulator.http))
    assert {statuses(checks)[name] for name in ("logs", "metrics", "traces", "policies")} == {"finding"}
    checks = examine(Subject("demo", "items", "production", google=False), Api(emulator.http))
    assert {statuses(checks)[name] for name in ("logs", "metrics", "policies")} == {"finding"}


def test_what_arrived_long_ago_did_not_arrive_lately():
    clock = ManualClock(int(datetime.now(UTC).timestamp() * 1e9))
    with running_emulator(clock=clock, switches=Switches(minimum_gap_seconds=0.0)) as emulator:
        send_everything(emulator)
        emulator.call(lambda: clock.advance(25))  # what was sent meanwhile is of the past
        checks = examine(SUBJECT, Api(emulator.http))
        assert {statuses(checks)[name] for name in ("logs", "metrics", "traces")} == {"ok"}
        emulator.call(lambda: clock.advance(1200))
        checks = examine(SUBJECT, Api(emulator.http))
        assert {statuses(checks)[name] for name in ("logs", "metrics", "traces")} == {"finding"}


def test_a_clock_that_is_off_is_told_with_its_direction(emulator):
    checks = examine(SUBJECT, Api(emulator.http), now=lambda: datetime.now(UTC) - timedelta(minutes=10))
    clock = found(checks, "clock")
    assert clock.status == "finding"
    assert "s behind of" in clock.message


def test_policies_without_channels_are_a_finding(emulator):
    policy = {
        "displayName": "High error rate on items-dev",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": "up",
                "conditionPrometheusQueryLanguage": {"query": "up < 1", "disableMetricValidation": True},
            }
        ],
    }
    httpx.post(f"{emulator.http}/v3/projects/demo/alertPolicies", json=policy).raise_for_status()
    checks = examine(SUBJECT, Api(emulator.http))
    assert "1 of 1 policies tell nobody" in found(checks, "channels").message
    assert "high_error_rate," not in found(checks, "policies").message


def test_a_project_that_is_not_there_is_a_finding(emulator):
    checks = examine(Subject("other", "items", "dev", google=False), Api(emulator.http))
    assert found(checks, "project").status == "finding"
    assert found(checks, "policies" if "policies" in statuses(checks) else "deployed").status in {"unknown", "finding"}


@known_from(docs="https://cloud.google.com/service-usage/docs/reference/rest/v1/services/batchGet")
def test_in_a_real_project_apis_that_are_off_are_named_in_one_command(emulator):
    subject = Subject("demo", "items", "dev", google=True)
    checks = examine(subject, Api(emulator.http))
    apis = found(checks, "apis")
    assert apis.mend == (
        "gcloud services enable logging.googleapis.com monitoring.googleapis.com telemetry.googleapis.com"
        " cloudtrace.googleapis.com --project=demo"
    )
    names = ["logging", "monitoring", "telemetry", "cloudtrace"]
    body = {"serviceIds": [f"{name}.googleapis.com" for name in names]}
    httpx.post(f"{emulator.http}/v1/projects/demo/services:batchEnable", json=body).raise_for_status()
    assert found(examine(subject, Api(emulator.http)), "apis").status == "ok"


class Denying(Api):
    """The emulator lets everybody do everything; here one permission is missing, and another one is unknown."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.asked: list[list[str]] = []

    def post(self, host: str, path: str, body: Any) -> dict[str, Any]:
        if not path.endswith(":testIamPermissions"):
            return super().post(host, path, body)
        wanted = body["permissions"]
        self.asked.append(wanted)
        if "telemetry.traces.write" in wanted:
            raise RefusedError(400, "Permission telemetry.traces.write is not valid for this resource.")
        return {"permissions": [name for name in wanted if name != "monitoring.timeSeries.create"]}


@known_from(docs="https://cloud.google.com/resource-manager/reference/rest/v1/projects/testIamPermissions")
def test_a_missing_permission_is_told_with_the_role_that_has_it(emulator):
    checks = [one for one in examine(SUBJECT, Denying(emulator.http)) if one.name == "permissions"]
    assert {(one.status, one.message) for one in checks} == {
        ("finding", "monitoring.timeSeries.create is missing"),
        ("unknown", "telemetry.traces.write cannot be tested on a project"),
    }
    [missing] = [one for one in checks if one.mend]
    assert missing.mend.endswith("--role=roles/monitoring.metricWriter")


@our_choice("an API that fails hides no other answer")
def test_what_cannot_be_asked_is_unknown_and_the_rest_is_answered(emulator):
    fault = {"method": "*.ListAlertPolicies", "kind": "permission"}
    httpx.post(f"{emulator.http}/control/faults", json=fault).raise_for_status()
    checks = examine(SUBJECT, Api(emulator.http))
    assert found(checks, "deployed").status == "unknown"
    assert found(checks, "clock").status == "ok"


def test_something_that_is_no_emulator_is_said_to_be_none():
    with pytest.raises(UnreachableError, match="does not answer"):
        examine(SUBJECT, Api("http://127.0.0.1:9"))


def test_the_command_tells_json_and_ends_with_one_when_there_are_findings(emulator):
    variables = {"CLOUDOPS_EMULATOR_HTTP": emulator.http, "CLOUDOPS_EMULATOR_HOST": emulator.grpc}
    answer = cloudops("doctor", "--service", "items", "--environment", "dev", "--json", **variables)
    told = json.loads(answer.stdout)
    assert answer.returncode == 1, answer.stderr
    assert told["findings"] == sum(one["status"] == "finding" for one in told["checks"]) > 0
    assert told["checks"][0]["message"] == f"{emulator.grpc} takes connections"


def test_the_command_ends_with_zero_when_all_is_well(emulator):
    apply_everything(emulator)
    send_everything(emulator)
    variables = {"CLOUDOPS_EMULATOR_HTTP": emulator.http, "CLOUDOPS_EMULATOR_HOST": emulator.grpc}
    answer = cloudops("doctor", "--service", "items", "--environment", "dev", **variables)
    assert answer.returncode == 0, answer.stdout
    assert answer.stdout.endswith("0 findings\n")


def test_a_grpc_port_where_nobody_listens_is_a_finding(emulator):
    variables = {"CLOUDOPS_EMULATOR_HTTP": emulator.http, "CLOUDOPS_EMULATOR_HOST": "127.0.0.1:9"}
    answer = cloudops("doctor", **variables)
    assert "finding  emulator      CLOUDOPS_EMULATOR_HOST: nobody listens at 127.0.0.1:9" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--lately", "never"), "is no length of time"),
        (("--nonsense",), "unrecognized arguments"),
        ((), "start an emulator with: cloudops up"),
    ],
)
def test_wrong_calls_and_nobody_there_end_with_two(arguments, told):
    answer = cloudops("doctor", *arguments, CLOUDOPS_EMULATOR_HTTP="http://127.0.0.1:9")
    assert (answer.returncode, told in answer.stderr) == (2, True), answer.stderr


def test_without_credentials_the_login_is_the_finding(tmp_path):
    nowhere = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true"}
    answer = cloudops("doctor", "--google", "--project", "my-project", "--json", **nowhere)
    assert answer.returncode == 1, answer.stderr
    [check] = json.loads(answer.stdout)["checks"]
    assert (check["name"], check["status"]) == ("credentials", "finding")
    assert check["mend"] == "gcloud auth application-default login"


class _Sign(http.server.BaseHTTPRequestHandler):
    """Google's token endpoint: one that has an answer, and one that has not."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        refused = self.path == "/refused"
        told = {"error": "invalid_grant"} if refused else {"access_token": "a-token", "expires_in": 3600}
        body = json.dumps(told).encode()
        self.send_response(400 if refused else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture(scope="module")
def sign_in() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sign) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def _account(tmp_path: Path, token_uri: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "my-project",
        "client_email": "me@my-project.iam.gserviceaccount.com",
        "private_key": key.private_bytes(*form).decode(),
        "private_key_id": "1",
        "token_uri": token_uri,
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    return str(tmp_path / "account.json")


@known_from(docs="https://google.aip.dev/auth/4110")
def test_whose_credentials_these_are_is_told(tmp_path, sign_in, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", _account(tmp_path, f"{sign_in}/token"))
    who = identify()
    assert (who.check.status, who.project) == ("ok", "my-project")
    assert "me@my-project.iam.gserviceaccount.com" in who.check.message
    assert who.token is not None
    assert who.token() == "a-token"


def test_credentials_that_are_no_longer_taken_are_a_finding(tmp_path, sign_in, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", _account(tmp_path, f"{sign_in}/refused"))
    who = identify()
    assert (who.check.status, who.check.mend, who.token) == ("finding", LOGIN, None)


def test_the_names_of_what_belongs_to_a_service_are_those_that_are_applied():
    wanted = shipped(SUBJECT)
    values = {"service": "items", "environment": "dev", "host": "h", "project": "p", "policies": "default"}
    for platform in ("cloud_run", "gke"):
        loaded = definitions.load(data_root(), {**values, "platform": platform})
        titles = {one.display_name for one in loaded}
        missing = {
            title
            for part in (wanted.policies, wanted.dashboards, wanted.uptime_checks)
            for title in part.values()
            if title not in titles
        }
        assert missing == set(), platform


def test_it_works_without_the_packages_of_the_emulator():
    blocked = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'numpy', 'uvicorn', 'typer', 'httpx', 'yaml', 'lark', 'rich'}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "sys.argv = ['cloudops', 'doctor']\n"
        "from app.cli import main\n"
        "main()\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", blocked],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "CLOUDOPS_EMULATOR_HTTP": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (answer.returncode, "cloudops up" in answer.stderr) == (2, True), answer.stderr
