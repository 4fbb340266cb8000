"""`project/`: what is there once for a project, and stays when the module goes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.api.metric_pb2 import MetricDescriptor
from google.cloud.logging_v2.types import LogBucket
from google.protobuf import json_format

from support.emulator import RunningEmulator
from support.provenance import known_from, our_choice
from support.terraform import MODULE, Workspace, actions, planned_bodies

LOWEST = "7.32.0"
EVERYTHING = """
variable "ci" {
  type    = map(set(string))
  default = { "serviceAccount:ci@demo.iam.gserviceaccount.com" = ["monitoring", "logs"] }
}

module "project" {
  source = "../terraform/monitoring/project"

  apis           = ["cloudtrace.googleapis.com", "monitoring.googleapis.com"]
  budget = {
    amount          = 100
    billing_account = "012345-6789AB-CDEF01"
    channels        = ["projects/demo/notificationChannels/1"]
    currency        = "EUR"
  }
  catalogues     = ["${path.module}/own.json"]
  ci             = var.ci
  descriptors    = { namespaces = ["shop"] }
  log_buckets    = { archive = { retention_days = 400 } }
  project        = "demo"
  project_number = "123"
}
"""
OWN = '{"metrics": {"own_total": {"kind": "counter", "unit": "1", "description": "Ours.", "labels": {"who": {}}}}}'


def test_it_is_valid_for_the_lowest_provider_that_it_accepts(live_in: Callable[..., Workspace]) -> None:
    live_in('module "project" {\n  source  = "../terraform/monitoring/project"\n  project = "demo"\n}\n', LOWEST)


def test_the_provider_before_it_does_not_know_what_it_needs(live_in: Callable[..., Workspace]) -> None:
    live = live_in(EVERYTHING, "7.31.0")
    (live.folder / "own.json").write_text(OWN)
    assert 'An argument named "deletion_policy" is not expected here' in " ".join(live.refusal().split())


@pytest.fixture
def live(live_in: Callable[..., Workspace]) -> Workspace:
    workspace = live_in(EVERYTHING, LOWEST)
    (workspace.folder / "own.json").write_text(OWN)
    return workspace


def test_it_is_applied_and_a_second_plan_is_empty(live: Workspace, emulator: RunningEmulator) -> None:
    bodies = planned_bodies(live.apply())
    assert actions(live.plan()) == {}
    descriptors = {one["type"]: one for at, one in bodies.items() if ".google_monitoring_metric_descriptor." in at}
    for body in descriptors.values():
        json_format.ParseDict(body, MetricDescriptor())
    assert descriptors["custom.googleapis.com/shop/own_total"] == {
        "description": "Ours.",
        "displayName": "own_total",
        "labels": [{"key": "who", "valueType": "STRING"}],
        "metricKind": "CUMULATIVE",
        "type": "custom.googleapis.com/shop/own_total",
        "unit": "1",
        "valueType": "DOUBLE",
    }
    assert descriptors["custom.googleapis.com/shop/http_request_duration_seconds"]["valueType"] == "DISTRIBUTION"
    assert descriptors["custom.googleapis.com/shop/http_requests_in_flight"]["metricKind"] == "GAUGE"
    answer = httpx.get(f"{emulator.http}/v1/billingAccounts/012345-6789AB-CDEF01/budgets").raise_for_status().json()
    (budget,) = answer["budgets"]
    assert budget["amount"] == {"specifiedAmount": {"currencyCode": "EUR", "units": "100"}}
    assert budget["budgetFilter"]["projects"] == ["projects/123"]
    assert [one["thresholdPercent"] for one in budget["thresholdRules"]] == [0.5, 0.9, 1, 1]
    assert budget["notificationsRule"]["monitoringNotificationChannels"] == ["projects/demo/notificationChannels/1"]
    # Nothing in the state differs for whoever gets one right fewer, but that right.
    plan = live.plan(ci={"serviceAccount:ci@demo.iam.gserviceaccount.com": ["monitoring"]})
    assert list(actions(plan).values()) == [["delete"]]


@known_from(proto="google/cloud/billing/budgets/v1/budget_model.proto, google/logging/v2/logging_config.proto")
def test_a_budget_and_a_log_bucket_are_googles_own_messages(live: Workspace) -> None:
    bodies = planned_bodies(live.plan())
    bucket = bodies['module.project.google_logging_project_bucket_config.buckets["archive"]']
    json_format.ParseDict(bucket, LogBucket.pb(LogBucket()))
    budgets = pytest.importorskip("google.cloud.billing.budgets_v1", reason="google-cloud-billing-budgets is missing")
    message = json_format.ParseDict(
        bodies["module.project.google_billing_budget.project[0]"], budgets.Budget.pb(budgets.Budget())
    )
    assert message.amount.specified_amount.units == 100
    assert [rule.threshold_percent for rule in message.threshold_rules] == [0.5, 0.9, 1, 1]
    assert [rule.spend_basis for rule in message.threshold_rules][-1] == budgets.ThresholdRule.Basis.FORECASTED_SPEND
    assert list(message.budget_filter.projects) == ["projects/123"]


@our_choice("descriptors carry all points of their metric, log buckets all entries: who removes a module means neither")
def test_when_it_goes_what_holds_data_stays(live: Workspace, emulator: RunningEmulator) -> None:
    live.apply()
    live.destroy()

    def answered(path: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{emulator.http}/{path}").raise_for_status().json()
        return found

    bucket = answered("v2/projects/demo/locations/global/buckets/archive")
    assert bucket["lifecycleState"] == "ACTIVE"
    assert answered("v3/projects/demo/metricDescriptors/custom.googleapis.com/shop/own_total")["type"]
    services = answered("v1/projects/demo/services?filter=state:ENABLED&pageSize=200")["services"]
    assert any(one["name"].endswith("/cloudtrace.googleapis.com") for one in services)
    assert "budgets" not in answered("v1/billingAccounts/012345-6789AB-CDEF01/budgets")
    # What stayed is taken over again.
    live.apply()
    assert actions(live.plan()) == {}


def test_nothing_but_apis_is_there_unless_asked_for(live_in: Callable[..., Workspace]) -> None:
    hcl = 'module "project" {\n  source  = "../terraform/monitoring/project"\n  project = "demo"\n}\n'
    changes = actions(live_in(hcl, LOWEST).plan())
    assert {at.split(".")[2] for at in changes} == {"google_project_service"}


REFUSED: list[tuple[str, str, str]] = [
    ("apis", '["monitoring"]', "apis: write names of APIs"),
    ("budget", '{ amount = 5, billing_account = "1" }', "budget: write billing_account as"),
    ("budget", '{ amount = 0.5, billing_account = "012345-6789AB-CDEF01" }', "budget: write amount as a whole number"),
    ("budget", '{ amout = 5, billing_account = "012345-6789AB-CDEF01" }', "budget: unknown amout; it takes alerts"),
    ("budget", '{ amount = "a lot", billing_account = "012345-6789AB-CDEF01" }', "budget: write amount as a whole"),
    (
        "budget",
        '{ amount = 5, billing_account = "012345-6789AB-CDEF01", currency = "Euro" }',
        "budget: write currency as",
    ),
    ("catalogues", '["nothing.json"]', "catalogues: write paths of JSON files"),
    ("ci", '{ "ci@example.com" = ["logs"] }', "ci: write members with their kind"),
    ("ci", '{ "user:ci@example.com" = ["everything"] }', "ci: write sets of"),
    ("descriptors", '{ domain = "prometheus" }', "descriptors: write domain as"),
    ("descriptors", '{ namespace = "shop" }', "descriptors: unknown namespace; it takes domain and namespaces"),
    ("descriptors", '{ namespaces = ["my-shop"] }', "descriptors: write namespaces of letters"),
    ("log_buckets", "{ archive = { retention = 400 } }", "log_buckets: unknown retention; a bucket takes"),
    ("log_buckets", '{ archive = { locked = "forever" } }', "log_buckets: write locked as true or false"),
    ("log_buckets", "{ archive = { retention_days = 0 } }", "log_buckets: write retention_days"),
    ("log_buckets", '{ "a b" = {} }', "log_buckets: write ids of letters"),
    ("project_number", '"demo"', "project_number: write the project's number"),
]


def test_every_variable_refuses_what_it_cannot_use(live_in: Callable[..., Workspace]) -> None:
    live = live_in("", LOWEST)
    calls = [
        f'module "m{n}" {{\n  source = "../terraform/monitoring/project"\n  project = "demo"\n  {name} = {value}\n}}\n'
        for n, (name, value, _) in enumerate(REFUSED)
    ]
    wrong = 'module "wrong" {\n  source = "../terraform/monitoring/project"\n  project = "123456"\n}\n'
    (live.folder / "refused.tf").write_text("\n".join([*calls, wrong]))
    live.ok("init", "-no-color", "-input=false")
    refusal = live.refusal()
    for *_, message in [*REFUSED, ("project", "", "project: write the project's id, neither its number")]:
        assert message in refusal
    budget = '{ amount = 5, billing_account = "012345-6789AB-CDEF01" }'
    (live.folder / "refused.tf").write_text(
        f'module "m0" {{\n  source = "../terraform/monitoring/project"\n  project = "demo"\n  budget = {budget}\n}}\n'
    )
    assert "budget: write project_number too" in live.refusal()
    declared = {
        line.split('"')[1]
        for line in (MODULE / "project" / "variables.tf").read_text().splitlines()
        if line.startswith("variable ")
    }
    assert declared == {name for name, *_ in REFUSED} | {"project"}
