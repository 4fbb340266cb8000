"""Dockerfile, service.yaml and deploy.sh.

Docker and Cloud Run are not here: `make lint` reads the Dockerfile, and here its shape is tested and what its last line
runs; of the manifest the shape, and that the service answers its probes; of the script every step, against a `gcloud`
that notes what it is told and plays the answers.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.api.settings import ServiceSettings
from app.core import Settings
from support.reference_service import reference_service
from support.servers import free_port
from support.tools import tool
from support.waiting import wait_until

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DIGEST = "us-central1-docker.pkg.dev/p/services/items@sha256:" + "0" * 64
VALUES = {
    "PROJECT": "p",
    "REGION": "us-central1",
    "SERVICE": "items",
    "IMAGE": DIGEST,
    "REVISION": "items-new",
    "SERVING": "items-old",
    "ENVIRONMENT": "production",
    "CLOUDSQL_INSTANCE": "p:us-central1:items",
}


def _manifest(**values: str) -> dict[str, Any]:
    rendered = subprocess.run(
        [sys.executable, DEPLOY / "render.py", DEPLOY / "service.yaml"],
        env={**VALUES, **values},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "${" not in rendered
    manifest: dict[str, Any] = yaml.safe_load(rendered)
    return manifest


# service.yaml


def test_the_manifest_is_a_service_of_knative_with_one_container():
    manifest = _manifest()
    assert (manifest["apiVersion"], manifest["kind"]) == ("serving.knative.dev/v1", "Service")
    template = manifest["spec"]["template"]
    assert template["metadata"]["name"] == "items-new"
    [container] = template["spec"]["containers"]
    assert container["image"] == DIGEST
    annotations = {**manifest["metadata"]["annotations"], **template["metadata"]["annotations"]}
    assert all(isinstance(value, str) for value in annotations.values()), "annotations are text, or refused"
    assert all(isinstance(one.get("value", ""), str) for one in container["env"]), "so are variables"


def test_every_variable_of_the_manifest_is_a_setting():
    [container] = _manifest()["spec"]["template"]["spec"]["containers"]
    names = {one["name"].lower() for one in container["env"]}
    known = {*Settings.model_fields, *ServiceSettings.model_fields, "container_concurrency"}
    assert names <= known
    plain = {one["name"] for one in container["env"] if "value" in one}
    assert plain == {"ENVIRONMENT", "CONTAINER_CONCURRENCY", "TRUSTED_PROXIES"}, "everything else is a secret"
    values = {one["name"].lower(): one["value"] for one in container["env"] if "value" in one}
    Settings.load(trusted_proxies=values["trusted_proxies"])


async def test_the_service_answers_the_probes_of_the_manifest():
    spec = _manifest()["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/health/startup"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    async with reference_service() as service, service.client() as client:
        for probe in ("startupProbe", "livenessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == container["ports"][0]["containerPort"]
            assert (await client.get(asked["path"])).status_code == 200
            # cloud.google.com/run/docs/configuring/healthchecks: the timeout may not exceed the period
            assert container[probe]["timeoutSeconds"] <= container[probe]["periodSeconds"]


def test_a_new_revision_has_no_traffic_but_the_first_of_all_has_it():
    assert _manifest()["spec"]["traffic"] == [
        {"revisionName": "items-old", "percent": 100},
        {"revisionName": "items-new", "tag": "candidate", "percent": 0},
    ]
    assert _manifest(SERVING="")["spec"]["traffic"] == [
        {"revisionName": "items-new", "tag": "candidate", "percent": 100}
    ]
    assert _manifest(PREVIOUS="items-older")["spec"]["traffic"][1:] == [
        {"revisionName": "items-new", "tag": "candidate", "percent": 0},
        {"revisionName": "items-older", "tag": "previous", "percent": 0},
    ]
    without = _manifest(CLOUDSQL_INSTANCE="")["spec"]["template"]["metadata"]["annotations"]
    assert not [name for name in without if "cloudsql" in name]


# Dockerfile


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_is_built_in_two_stages_pinned_and_runs_as_nobody_in_particular():
    instructions = _instructions()
    stages = [rest for name, rest in instructions if name == "FROM"]
    assert len(stages) == 2
    assert any("--require-hashes" in rest and "requirements-service.txt" in rest for name, rest in instructions)
    last = instructions[max(place for place, (name, _) in enumerate(instructions) if name == "FROM") :]
    [user] = [rest for name, rest in last if name == "USER"]
    assert user == "10001:10001"
    assert last[-1][0] == "CMD"
    assert all(name != "RUN" or "pip" not in rest for name, rest in last), "nothing is installed in the last stage"
    copied = [rest.split()[-2] for name, rest in instructions if name == "COPY" and "--from" not in rest]
    assert all((ROOT / path).exists() for path in copied)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"!requirements-service.txt", "!backend/app"} <= set(ignored), "what is copied must not be ignored"


def test_what_the_image_runs_serves_without_emulator_and_cli_and_believes_no_forwarded_header(tmp_path):
    shutil.copytree(
        ROOT / "backend" / "app",
        tmp_path / "app",
        ignore=shutil.ignore_patterns("__pycache__", "emulator", "cli"),
    )
    command = json.loads(_instructions()[-1][1])
    assert command[:2] == ["sh", "-c"]
    port = free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "ENVIRONMENT": "production",
        "AUTH_SIGNING_KEY": "k" * 32,
        "METRICS_BACKEND": "none",
        "TRACES_BACKEND": "none",
        "LOGIN_ATTEMPTS_PER_ADDRESS": "2",
        "PASSWORD_MEMORY_KIB": "64",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until(lambda: _up(client) or server.poll() is not None, 30, "the server's start")
            assert server.poll() is None, log.read_text()
            codes = []
            for number in range(4):
                body = {"email": f"user-{number}@example.com", "password": "wrong"}
                headers = {"x-forwarded-for": f"192.0.2.{number}"}
                codes.append(client.post("/api/v1/auth/login", json=body, headers=headers).status_code)
            assert codes == [401, 401, 429, 429]
    finally:
        server.terminate()
        assert server.wait(30) in {0, -15}, "SIGTERM reaches the server"
    assert '"audit_event":"lockout_began"' in log.read_text()


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


# deploy.sh

GCLOUD = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["PLAY"])
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
told = " ".join(words)
if os.environ.get("REFUSE") and os.environ["REFUSE"] in told:
    sys.exit("refused")
state = folder / "traffic"
if told.startswith("run services replace"):
    import yaml
    manifest = yaml.safe_load(pathlib.Path(words[3]).read_text())
    state.write_text(json.dumps([{{**one, "url": os.environ["CANDIDATE"]}} for one in manifest["spec"]["traffic"]]))
elif "update-traffic" in told:
    shares = words[words.index("--to-revisions") + 1].split(",")
    before = json.loads(state.read_text()) if state.exists() else []
    tags = {{one["tag"]: one["revisionName"] for one in before if "tag" in one}}
    if "--update-tags" in words:
        tags.update([words[words.index("--update-tags") + 1].split("=")])
    state.write_text(json.dumps([
        *({{"revisionName": name, "percent": int(percent)}} for name, percent in (one.split("=") for one in shares)),
        *({{"revisionName": name, "tag": tag, "url": os.environ["CANDIDATE"]}} for tag, name in tags.items()),
    ]))
elif told.startswith("run services describe"):
    if not state.exists():
        sys.exit("there is no such service")
    print(json.dumps({{"status": {{"traffic": json.loads(state.read_text())}}}}))
elif told.startswith("run revisions list"):
    print("items-newest\\nitems-new\\nitems-old\\nitems-older")
elif told.startswith("auth print-access-token"):
    print("a-token")
"""


class Cloud:
    """A `gcloud` to be called, and over HTTP the candidate and Cloud Monitoring."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.healthy = True
        self.answers, self.failures = 100.0, 0.0
        self.refuse = ""
        program = folder / "gcloud"
        program.write_text(GCLOUD.format(python=sys.executable))
        program.chmod(0o755)
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if cloud.healthy else 503, b"{}")

            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["content-length"])).decode()
                authorised = self.headers["authorization"] == "Bearer a-token"
                number = cloud.failures if "5xx" in query else cloud.answers
                body = json.dumps({"data": {"result": [{"value": [0, str(number)]}]}})
                self._answer(200 if authorised else 401, body.encode())

            def _answer(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def serves(self, **shares: int) -> None:
        traffic = [{"revisionName": name.replace("_", "-"), "percent": share} for name, share in shares.items()]
        (self.folder / "traffic").write_text(json.dumps(traffic))

    @property
    def traffic(self) -> dict[str, int]:
        targets = json.loads((self.folder / "traffic").read_text())
        return {one["revisionName"]: one["percent"] for one in targets if one.get("percent")}

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def deploy(self, *words: str, **values: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **VALUES,
            "PATH": f"{self.folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PLAY": str(self.folder),
            "REFUSE": self.refuse,
            "CANDIDATE": self.url,
            "MONITORING_URL": self.url,
            "CANARY_SECONDS": "1",
            "CANARY_STEP": "1",
            "PROBE_RETRIES": "0",
            **values,
        }
        environment.pop("SERVING")
        return subprocess.run(
            [DEPLOY / "deploy.sh", *words], env=environment, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    tool("curl")
    made = Cloud(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_deployment_goes_through_every_step_and_ends_with_all_traffic(cloud):
    cloud.serves(items_old=100)
    done = cloud.deploy("all", "25")
    assert done.returncode == 0, done.stderr
    assert cloud.traffic == {"items-new": 100}
    moved = [call for call in cloud.calls if "update-traffic" in call]
    assert ["items-new=25,items-old=75" in moved[0], "items-new=100" in moved[1]] == [True, True]
    order = [call.split()[1] + " " + call.split()[2] for call in cloud.calls if call.startswith("run")]
    assert order.index("jobs deploy") < order.index("services replace") < order.index("services update-traffic")


def test_the_first_deployment_needs_nobody_before_it(cloud):
    done = cloud.deploy("all")
    assert done.returncode == 0, done.stderr
    assert cloud.traffic == {"items-new": 100}


def test_a_canary_with_errors_is_rolled_back(cloud):
    cloud.serves(items_old=100)
    cloud.failures = 5
    done = cloud.deploy("all")
    assert done.returncode == 1
    assert "too many errors: rolled back to items-old" in done.stderr
    assert cloud.traffic == {"items-old": 100}


@pytest.mark.parametrize("answers", [0.0, 19.0])
def test_a_canary_that_nobody_asked_is_not_believed(cloud, answers):
    cloud.serves(items_old=100)
    cloud.answers = answers
    done = cloud.deploy("canary")
    assert (done.returncode, cloud.traffic) == (1, {"items-old": 100})
    assert "too few requests to tell" in done.stderr


def test_a_canary_whose_answers_cannot_be_counted_is_rolled_back(cloud):
    cloud.serves(items_old=100)
    done = cloud.deploy("canary", MONITORING_URL="http://127.0.0.1:1")
    assert (done.returncode, cloud.traffic) == (1, {"items-old": 100})


def test_a_revision_that_is_not_ready_gets_no_traffic(cloud):
    cloud.serves(items_old=100)
    cloud.healthy = False
    done = cloud.deploy("release")
    assert done.returncode == 1
    assert cloud.traffic["items-old"] == 100
    assert not [call for call in cloud.calls if "update-traffic" in call]


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ("artifacts docker images", "there is no such image"),
        ("items-auth-signing-key", "the secret items-auth-signing-key has no version"),
        ("jobs deploy", "the migration failed; nothing was deployed"),
    ],
)
def test_what_is_missing_ends_a_deployment_before_it_changes_anything(cloud, refuse, said):
    cloud.serves(items_old=100)
    cloud.refuse = refuse
    done = cloud.deploy("all")
    assert done.returncode == 1
    assert said in done.stderr
    assert cloud.traffic == {"items-old": 100}


def test_a_tag_is_no_image(cloud):
    done = cloud.deploy("check", IMAGE="us-central1-docker.pkg.dev/p/services/items:latest")
    assert done.returncode == 1
    assert "IMAGE has to name a digest" in done.stderr


def test_a_rollback_goes_to_the_revision_before_the_one_that_serves(cloud):
    cloud.serves(items_new=100)
    done = cloud.deploy("rollback")
    assert done.returncode == 0
    assert "no revision has the tag previous" in done.stderr
    assert cloud.traffic == {"items-old": 100}


def test_a_rollback_goes_to_what_served_before_and_not_to_a_canary_that_failed_since(cloud):
    cloud.serves(items_older=100)
    cloud.failures = 5
    assert cloud.deploy("all", REVISION="items-old").returncode == 1
    cloud.failures = 0
    assert cloud.deploy("all").returncode == 0
    assert cloud.traffic == {"items-new": 100}
    done = cloud.deploy("rollback")
    assert "items-older serves again, instead of items-new" in done.stderr
    assert cloud.traffic == {"items-older": 100}


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_a_rollback_while_a_canary_is_watched_takes_its_traffic_away(cloud, percent):
    cloud.serves(items_old=100)
    assert cloud.deploy("release").returncode == 0
    assert cloud.deploy("canary", str(percent)).returncode == 0
    assert cloud.traffic == {"items-new": percent, "items-old": 100 - percent}
    assert cloud.deploy("rollback").returncode == 0
    assert cloud.traffic == {"items-old": 100}


def test_a_canary_that_failed_leaves_what_served_before_the_one_that_serves(cloud):
    cloud.serves(items_older=100)
    assert cloud.deploy("all", REVISION="items-old").returncode == 0
    cloud.failures = 5
    assert cloud.deploy("all").returncode == 1
    assert cloud.traffic == {"items-old": 100}
    assert cloud.deploy("rollback").returncode == 0
    assert cloud.traffic == {"items-older": 100}
    again = cloud.deploy("rollback")
    assert (again.returncode, cloud.traffic) == (1, {"items-older": 100})
    assert "items-older serves already" in again.stderr


def test_a_revision_without_traffic_leaves_a_rollback_of_the_one_that_serves_possible(cloud):
    cloud.serves(items_older=100)
    assert cloud.deploy("all", REVISION="items-old").returncode == 0
    assert cloud.deploy("release").returncode == 0
    assert cloud.deploy("rollback").returncode == 0
    assert cloud.traffic == {"items-older": 100}


def test_without_a_step_the_script_tells_its_steps(cloud):
    done = cloud.deploy()
    assert done.returncode == 2
    assert "deploy.sh canary" in done.stderr
    assert cloud.calls == []
