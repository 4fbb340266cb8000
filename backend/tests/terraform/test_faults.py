"""When the API says no: what is tried again, what is told, and that the next apply finishes the work."""

import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml

from support.emulator import RunningEmulator
from support.provenance import known_from
from support.terraform import Workspace, actions
from terraform.standin.rest import Api, Refused

POLICIES = "google.monitoring.v3.AlertPolicyService.CreateAlertPolicy"
CHANNELS = "google.monitoring.v3.NotificationChannelService.CreateNotificationChannel"
ROOT = """
module "monitoring" {
  source = "../terraform/monitoring"

  channels         = { mail = { email = "on-call@example.com" } }
  dashboards       = []
  directories      = ["${path.module}/own"]
  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  log_metrics      = ["-all", "payments"]
  policies         = []
  project          = "demo"
  routes           = { default = { default = ["mail"] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
  slos             = []
  uptime_checks    = { enabled = false }
}
"""


@pytest.fixture
def live(live_in: Callable[..., Workspace]) -> Workspace:
    """A policy with a threshold on a log-based metric of the same apply."""
    workspace = live_in(ROOT)
    condition = {
        "displayName": "c",
        "conditionThreshold": {
            "filter": 'metric.type="logging.googleapis.com/user/payments" resource.type="cloud_run_revision"',
            "comparison": "COMPARISON_GT",
            "thresholdValue": 5,
            "duration": "0s",
            "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_DELTA"}],
        },
    }
    own: dict[str, Any] = {
        "policies": {
            "displayName": "Payments fail",
            "combiner": "OR",
            "conditions": [condition],
            "userLabels": {"priority": "p1", "team": "web"},
        },
        "log_metrics": {
            "name": "payments",
            "filter": 'jsonPayload.event="payment_failed"',
            "metricDescriptor": {"metricKind": "DELTA", "valueType": "INT64"},
        },
    }
    for kind, document in own.items():
        (workspace.folder / "own" / kind).mkdir(parents=True)
        (workspace.folder / "own" / kind / "payments.yaml").write_text(yaml.safe_dump(document))
    return workspace


def inject(emulator: RunningEmulator, **fault: Any) -> None:
    httpx.post(f"{emulator.http}/control/faults", json=fault).raise_for_status()


def test_a_policy_on_a_log_metric_is_made_after_it(live: Workspace) -> None:
    live.apply()
    assert actions(live.plan()) == {}


@known_from(issue="hashicorp/terraform-provider-google#11102")
def test_a_metric_that_is_not_visible_yet_fails_the_apply_in_the_apis_words_and_the_next_one_ends_it(
    live: Workspace,
) -> None:
    file = live.folder / "own" / "policies" / "payments.yaml"
    policy = yaml.safe_load(file.read_text())
    right = file.read_text()
    policy["conditions"][0]["conditionThreshold"]["filter"] = (
        'metric.type="logging.googleapis.com/user/not_yet" resource.type="cloud_run_revision"'
    )
    file.write_text(yaml.safe_dump(policy))
    live.plan()
    done = live.run("apply", "-no-color", "-input=false", "plan.bin")
    assert done.returncode != 0
    assert "Error 404: Cannot find metric(s) that match type" in " ".join(done.stderr.split())
    file.write_text(right)
    assert list(actions(live.apply()).values()) == [["create"]]
    assert actions(live.plan()) == {}


@known_from(docs="hashicorp/google: 429 and 503 are tried again, but 429 of alert policies is fatal")
@pytest.mark.parametrize(
    ("method", "kind", "ends_well"),
    [
        (CHANNELS, "quota", True),
        (CHANNELS, "unavailable", True),
        (POLICIES, "unavailable", True),
        (POLICIES, "quota", False),
    ],
)
def test_a_quota_or_an_outage_in_between(
    method: str, kind: str, ends_well: bool, live: Workspace, emulator: RunningEmulator
) -> None:
    inject(emulator, method=method, kind=kind, count=2)
    live.plan()
    done = live.run("apply", "-no-color", "-input=false", "plan.bin")
    assert (done.returncode == 0) == ends_well, done.stderr
    if not ends_well:
        assert "Error 429" in done.stderr
        httpx.delete(f"{emulator.http}/control/faults").raise_for_status()
        live.apply()
    assert actions(live.plan()) == {}


def test_a_channel_in_use_elsewhere_is_not_deleted(live: Workspace, emulator: RunningEmulator) -> None:
    """Somebody's policy made by hand names our channel: the API refuses, and Terraform says so."""
    live.apply()
    listed = httpx.get(f"{emulator.http}/v3/projects/demo/notificationChannels").raise_for_status().json()
    (channel,) = listed["notificationChannels"]
    condition = {"displayName": "c", "conditionPrometheusQueryLanguage": {"query": "vector(1)"}}
    policy = {"displayName": "theirs", "combiner": "OR", "conditions": [condition]}
    policy["notificationChannels"] = [channel["name"]]
    made = httpx.post(f"{emulator.http}/v3/projects/demo/alertPolicies", json=policy).raise_for_status().json()
    (live.folder / "test.tfvars.json").write_text("{}")
    done = live.run("destroy", "-auto-approve", "-no-color", "-input=false")
    assert done.returncode != 0
    assert "still being referenced" in " ".join(done.stderr.split())
    httpx.delete(f"{emulator.http}/v3/{made['name']}").raise_for_status()
    live.destroy()


@known_from(
    docs="hashicorp/google: Monitoring's 409 is tried again when it speaks of concurrent edits, and not otherwise"
)
@pytest.mark.parametrize(
    ("message", "ends_well"),
    [("Too many concurrent edits to the project configuration.", True), ("Requested entity already exists", False)],
)
def test_a_conflict_is_tried_again_when_somebody_else_edits(message: str, ends_well: bool) -> None:
    answers = [(409, {"error": {"message": message}}), (200, {"name": "projects/p/alertPolicies/1"})]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        api = Api(endpoints={"monitoring": f"http://127.0.0.1:{server.server_port}/"})
        try:
            if ends_well:
                assert api.call("POST", "v3/projects/p/alertPolicies", {})["name"] == "projects/p/alertPolicies/1"
            else:
                with pytest.raises(Refused, match="already exists"):
                    api.call("POST", "v3/projects/p/alertPolicies", {})
        finally:
            server.shutdown()
            thread.join()
