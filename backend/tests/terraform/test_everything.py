"""Everything that can be switched on, at once: applied, planned again, in Google's own messages, and gone again."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from google.cloud.logging_v2.types import LogBucket, LogExclusion, LogMetric, LogSink
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import (
    AlertPolicy,
    NotificationChannel,
    Service,
    ServiceLevelObjective,
    UptimeCheckConfig,
)
from google.protobuf import json_format
from google.pubsub_v1.types import Topic

from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from
from support.terraform import VERSION, Workspace, actions, copy_of_module, environment, planned_bodies, provider_block

MESSAGES: dict[str, Any] = {
    "google_logging_metric": LogMetric,
    "google_logging_project_bucket_config": LogBucket,
    "google_logging_project_exclusion": LogExclusion,
    "google_logging_project_sink": LogSink,
    "google_monitoring_alert_policy": AlertPolicy,
    "google_monitoring_custom_service": Service,
    "google_monitoring_dashboard": Dashboard,
    "google_monitoring_notification_channel": NotificationChannel,
    "google_monitoring_slo": ServiceLevelObjective,
    "google_monitoring_uptime_check_config": UptimeCheckConfig,
    "google_pubsub_topic": Topic,
}
SETTINGS: dict[str, Any] = {
    "channels": {
        "chat": {"google_chat": "spaces/AAAA"},
        "mail": {"email": "on-call@example.com"},
        "phone": {"sms": "+491701234567"},
        "topic": {"pubsub": "projects/demo/topics/tickets"},
    },
    "directories": ["${path.module}/own"],
    "environment": "production",
    "host": "items.example.com",
    "iam": {
        "features": ["errors", "logs", "metrics", "telemetry", "traces"],
        "service_account": "items@demo.iam.gserviceaccount.com",
    },
    "location": "europe-west1",
    "logs": {
        "archive": {"destination": "logging.googleapis.com/projects/demo/locations/global/buckets/_Default"},
        "bucket": {"retention_days": 90},
        "debug_kept": 0.1,
        "requests_below_400": False,
    },
    "policies": ["all"],
    "project": "demo",
    "project_number": "123",
    "regions": ["europe-west1", "us-central1"],
    "routes": {"p1": {"default": ["phone", "topic"]}, "default": {"default": ["mail", "chat"]}},
    "runbook_base_url": "https://example.com/runbooks",
    "service": "items",
    "uptime_checks": {"access": "private", "period": "300s", "regions": ["EUROPE", "USA"]},
}
RATIO = {
    "goodServiceFilter": 'metric.type="run.googleapis.com/request_count" resource.type="cloud_run_revision" '
    'metric.labels.response_code_class="2xx"',
    "totalServiceFilter": 'metric.type="run.googleapis.com/request_count" resource.type="cloud_run_revision"',
}
CUT = {
    "distributionFilter": 'metric.type="run.googleapis.com/request_latencies" resource.type="cloud_run_revision"',
    "range": {"max": 500, "min": 1},
}
SERIES = 'metric.type="run.googleapis.com/container/cpu/allocation_time" resource.type="cloud_run_revision"'
SLOS: dict[str, dict[str, Any]] = {
    "cut": {"requestBased": {"distributionCut": CUT}},
    "ratio": {"requestBased": {"goodTotalRatio": RATIO}},
    "windows": {
        "windowsBased": {
            "goodTotalRatioThreshold": {"performance": {"goodTotalRatio": RATIO}, "threshold": 0.95},
            "windowPeriod": "300s",
        }
    },
    "windows_of_cuts": {
        "windowsBased": {
            "goodTotalRatioThreshold": {"performance": {"distributionCut": CUT}, "threshold": 0.5},
            "windowPeriod": "300s",
        }
    },
    "windows_of_means": {
        "windowsBased": {"metricMeanInRange": {"range": {"max": 5}, "timeSeries": SERIES}, "windowPeriod": "600s"}
    },
    "windows_of_sums": {
        "windowsBased": {"metricSumInRange": {"range": {"min": 2}, "timeSeries": SERIES}, "windowPeriod": "600s"}
    },
    "windows_that_are_good": {
        "windowsBased": {
            "goodBadMetricFilter": 'metric.type="monitoring.googleapis.com/uptime_check/check_passed" '
            'resource.type="uptime_url"',
            "windowPeriod": "300s",
        }
    },
}
LOG_METRICS: dict[str, dict[str, Any]] = {
    "counted": {
        "description": "Payments that failed.",
        "filter": 'jsonPayload.event="payment_failed"',
        "labelExtractors": {"method": "EXTRACT(jsonPayload.method)"},
        "metricDescriptor": {
            "displayName": "Failed payments",
            "labels": [{"description": "How it was paid.", "key": "method"}],
            "metricKind": "DELTA",
            "unit": "1",
            "valueType": "INT64",
        },
        "name": "items-production/payments-failed",
    },
    "measured": {
        "bucketOptions": {"explicitBuckets": {"bounds": [0.1, 1, 10]}},
        "filter": 'jsonPayload.event="paid"',
        "metricDescriptor": {"metricKind": "DELTA", "unit": "s", "valueType": "DISTRIBUTION"},
        "name": "items-production/payment-seconds",
        "valueExtractor": "EXTRACT(jsonPayload.seconds)",
    },
    "measured_in_steps": {
        "bucketOptions": {"exponentialBuckets": {"growthFactor": 2, "numFiniteBuckets": 8, "scale": 0.5}},
        "filter": 'jsonPayload.event="paid"',
        "metricDescriptor": {"metricKind": "DELTA", "valueType": "DISTRIBUTION"},
        "name": "items-production/payment-steps",
        "valueExtractor": "EXTRACT(jsonPayload.seconds)",
    },
    "plain": {"filter": 'severity="ERROR"', "name": "items-production/errors"},
    "switched_off": {
        "bucketOptions": {"linearBuckets": {"numFiniteBuckets": 4, "offset": 1, "width": 2}},
        "disabled": True,
        "filter": 'jsonPayload.event="paid"',
        "metricDescriptor": {"metricKind": "DELTA", "valueType": "DISTRIBUTION"},
        "name": "items-production/payment-lines",
        "valueExtractor": "EXTRACT(jsonPayload.seconds)",
    },
}


def slo(name: str) -> dict[str, Any]:
    return {
        "displayName": f"{name} of items-production",
        "goal": 0.995,
        "rollingPeriod": "2419200s",
        "serviceLevelIndicator": SLOS[name],
        "userLabels": {"team": "web"},
    }


def known(value: Any) -> Any:
    """Without the names of channels that the same plan makes."""
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items()}
    return [known(item) for item in value if item is not None] if isinstance(value, list) else value


def hcl(settings: dict[str, Any]) -> str:
    """JSON is HCL's expression syntax too; `:` and `=` both separate keys from values."""
    arguments = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in settings.items())
    return f"""
resource "google_pubsub_topic" "tickets" {{
  name = "tickets"
}}

module "monitoring" {{
  source     = "../terraform/monitoring"
  depends_on = [google_pubsub_topic.tickets]
{arguments}
}}
"""


def write_own(folder: Path) -> None:
    own = {
        "slos": {name: slo(name) for name in SLOS},
        "log_metrics": LOG_METRICS,
    }
    for kind, found in own.items():
        (folder / "own" / kind).mkdir(parents=True)
        for name, document in found.items():
            (folder / "own" / kind / f"{name}.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEmulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, running: RunningEmulator, provider_at: Callable[[str], str]
) -> Workspace:
    root = tmp_path_factory.mktemp("everything")
    copy_of_module(root)
    folder = root / "live"
    folder.mkdir()
    (folder / "main.tf").write_text(provider_block(running.http) + hcl(SETTINGS))
    write_own(folder)
    workspace = Workspace(folder, environment(root / "cli.tfrc", TF_REATTACH_PROVIDERS=provider_at(VERSION)))
    workspace.ok("init", "-no-color", "-input=false")
    return workspace


@pytest.fixture(scope="module")
def applied(live: Workspace) -> dict[str, Any]:
    return live.apply()


def test_every_request_body_is_googles_own_message(applied: dict[str, Any]) -> None:
    bodies = planned_bodies(applied)
    kinds = {address.removeprefix("module.monitoring.").split(".")[0] for address in bodies}
    roles = {kind for kind in kinds if kind.endswith("_iam_member")}
    assert kinds - roles == MESSAGES.keys()
    for address, body in bodies.items():
        kind = address.removeprefix("module.monitoring.").split(".")[0]
        if kind not in roles:
            json_format.ParseDict(known(body), MESSAGES[kind].pb(MESSAGES[kind]()))


def test_every_field_of_an_objective_and_of_a_log_metric_reaches_the_api(applied: dict[str, Any]) -> None:
    bodies = planned_bodies(applied)
    for name in SLOS:
        assert bodies[f'module.monitoring.google_monitoring_slo.slos["{name}"]'] == slo(name)
    for name, metric in LOG_METRICS.items():
        body = bodies[f'module.monitoring.google_logging_metric.log_metrics["{name}"]']
        # The provider fills in its defaults.
        for labels in body.get("metricDescriptor", {}).get("labels", []):
            assert labels.pop("valueType") == "STRING"
        if "unit" not in metric.get("metricDescriptor", {"unit": ""}):
            assert body["metricDescriptor"].pop("unit") == "1"
        assert body == metric


def test_a_second_plan_of_everything_is_empty(live: Workspace, applied: dict[str, Any]) -> None:
    assert len(actions(applied)) > len(SLOS) + len(LOG_METRICS)
    assert actions(live.plan()) == {}


def test_the_outputs_tell_what_was_made(live: Workspace, applied: dict[str, Any], running: RunningEmulator) -> None:
    del applied
    state = json.loads((live.folder / "terraform.tfstate").read_text())
    made = [one for one in state["resources"] if one.get("module") == "module.monitoring"]
    metrics = next(one for one in made if one["type"] == "google_logging_metric")["instances"]
    assert {one["attributes"]["name"] for one in metrics} >= {one["name"] for one in LOG_METRICS.values()}
    sinks = httpx.get(f"{running.http}/v2/projects/demo/sinks").raise_for_status().json()["sinks"]
    (logs,) = [one for one in sinks if one["name"] == "items-production-logs"]
    assert logs["destination"].endswith("/projects/demo/locations/global/buckets/items-production")
    assert {one["name"] for one in logs["exclusions"]} == {"debug", "requests"}


def test_an_entry_of_the_service_lies_in_its_own_bucket_alone(
    live: Workspace, applied: dict[str, Any], running: RunningEmulator
) -> None:
    del applied, live
    labels = {"service_name": "items", "location": "europe-west1"}
    resource = {"type": "cloud_run_revision", "labels": labels}
    other = {**resource, "labels": {**labels, "service_name": "orders"}}
    entries = [
        {"logName": "projects/demo/logs/app", "resource": one, "textPayload": text, "severity": "INFO"}
        for one, text in ((resource, "ours"), (other, "another's"))
    ]
    httpx.post(f"{running.http}/v2/entries:write", json={"entries": entries}).raise_for_status()

    def kept(bucket: str) -> set[str]:
        view = f"projects/demo/locations/global/buckets/{bucket}/views/_AllLogs"
        answer = httpx.post(
            f"{running.http}/v2/entries:list", json={"resourceNames": [view], "filter": 'log_id("app")'}
        ).raise_for_status()
        return {one["textPayload"] for one in answer.json().get("entries", [])}

    assert kept("items-production") == {"ours"}
    # The archive sink of this test leads to _Default: without it only the other service's entry would be there.
    assert kept("_Default") >= {"another's"}


BASIC: dict[str, dict[str, Any]] = {
    "answers": {"basicSli": {"availability": {}}},
    "fast_answers": {"basicSli": {"latency": {"threshold": "0.500s"}, "location": ["europe-west1"]}},
    "windows_of_answers": {
        "windowsBased": {
            "goodTotalRatioThreshold": {"basicSliPerformance": {"availability": {}}, "threshold": 0.99},
            "windowPeriod": "300s",
        }
    },
}


@known_from(proto="google/monitoring/v3/service.proto, BasicSli")
def test_a_service_that_monitoring_knows_takes_basic_indicators_too(
    live_in: Callable[..., Workspace], emulator: RunningEmulator
) -> None:
    service = {"displayName": "Items", "cloudRun": {"serviceName": "items", "location": "europe-west1"}}
    created = httpx.post(f"{emulator.http}/v3/projects/demo/services?serviceId=known", json=service).raise_for_status()
    settings = {
        "directories": ["${path.module}/own"],
        "environment": "production",
        "host": "items.example.com",
        "location": "europe-west1",
        "project": "demo",
        "runbook_base_url": "https://example.com/runbooks",
        "service": "items",
        "slo_service": created.json()["name"],
    }
    workspace = live_in(hcl(settings))
    (workspace.folder / "own" / "slos").mkdir(parents=True)
    for name, indicator in BASIC.items():
        document = {**slo("ratio"), "displayName": name, "serviceLevelIndicator": indicator}
        (workspace.folder / "own" / "slos" / f"{name}.yaml").write_text(yaml.safe_dump(document))
    bodies = planned_bodies(workspace.apply())
    for name, indicator in BASIC.items():
        body = bodies[f'module.monitoring.google_monitoring_slo.slos["{name}"]']
        assert body["serviceLevelIndicator"] == indicator
        json_format.ParseDict(body, ServiceLevelObjective.pb(ServiceLevelObjective()))
    assert not any("custom_service" in at for at in bodies)
    assert actions(workspace.plan()) == {}


@known_from(docs="cloud.google.com/logging/docs/buckets: a deleted bucket is kept for seven days")
def test_when_everything_goes_nothing_of_ours_is_left_but_the_bucket_for_seven_days(
    live_in: Callable[..., Workspace], emulator: RunningEmulator
) -> None:
    workspace = live_in(hcl(SETTINGS))
    write_own(workspace.folder)
    workspace.apply()
    workspace.destroy()
    for path, key in (
        ("v3/projects/demo/alertPolicies", "alertPolicies"),
        ("v3/projects/demo/services", "services"),
        ("v3/projects/demo/uptimeCheckConfigs", "uptimeCheckConfigs"),
        ("v2/projects/demo/metrics", "metrics"),
        ("v2/projects/demo/exclusions", "exclusions"),
    ):
        assert httpx.get(f"{emulator.http}/{path}").raise_for_status().json().get(key, []) == []
    policy = httpx.post(f"{emulator.http}/v1/projects/demo:getIamPolicy", json={}).raise_for_status().json()
    assert policy.get("bindings", []) == []
    bucket = f"{emulator.http}/v2/projects/demo/locations/global/buckets/items-production"
    assert httpx.get(bucket).raise_for_status().json()["lifecycleState"] == "DELETE_REQUESTED"
    httpx.post(f"{bucket}:undelete", json={}).raise_for_status()
    assert httpx.get(bucket).raise_for_status().json()["lifecycleState"] == "ACTIVE"
