"""Roles follow what is switched on: each feature gives its own, and nothing gives another."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from support.provenance import known_from
from support.terraform import INPUTS, Workspace, actions

# feature -> (roles, APIs), as the documents of each API tell them.
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "errors": ({"roles/errorreporting.writer"}, {"clouderrorreporting.googleapis.com"}),
    "logs": ({"roles/logging.logWriter"}, {"logging.googleapis.com"}),
    "metrics": ({"roles/monitoring.metricWriter"}, {"monitoring.googleapis.com"}),
    "telemetry": (
        {"roles/telemetry.tracesWriter", "roles/serviceusage.serviceUsageConsumer"},
        {"telemetry.googleapis.com", "cloudtrace.googleapis.com"},
    ),
    "traces": ({"roles/cloudtrace.agent"}, {"cloudtrace.googleapis.com"}),
}
ALWAYS = {"monitoring.googleapis.com", "logging.googleapis.com"}
ACCOUNT = "items@my-project.iam.gserviceaccount.com"
AGENT = "serviceAccount:service-123@gcp-sa-monitoring-notification.iam.gserviceaccount.com"


def planned(workspace: Workspace, **variables: Any) -> tuple[set[tuple[str, str, str]], set[str]]:
    """(where, role, member) of each grant, and the APIs."""
    plan = workspace.plan(**{**INPUTS, "dashboards": [], "policies": [], "slos": [], **variables})
    grants = set()
    for one in plan["resource_changes"]:
        after = one["change"]["after"]
        if one["type"].endswith("_iam_member"):
            where = f"{after.get('topic') or after.get('name') or after['project']}"
            grants.add((where, after["role"], after["member"]))
    return grants, set(plan["output_changes"]["apis"]["after"])


@known_from(docs="cloud.google.com/logging, /monitoring, /trace and /error-reporting docs/access-control")
@pytest.mark.parametrize("features", [set(), *({one} for one in TABLE), *map(set, combinations(TABLE, 4)), set(TABLE)])
def test_a_service_gets_the_roles_of_its_features_and_no_other(features: set[str], unchanged: Workspace) -> None:
    grants, apis = planned(unchanged, iam={"features": sorted(features), "service_account": ACCOUNT})
    roles = {role for one in features for role in TABLE[one][0]}
    assert grants == {("my-project", role, f"serviceAccount:{ACCOUNT}") for role in roles}
    assert apis == ALWAYS | {api for one in features for api in TABLE[one][1]}


def test_without_an_account_nobody_gets_a_role(unchanged: Workspace) -> None:
    assert planned(unchanged, iam={"features": sorted(TABLE)}) == (set(), ALWAYS)


@known_from(docs="cloud.google.com/monitoring/uptime-checks: checks of private Cloud Run services")
def test_monitoring_may_call_a_private_service_and_publish_to_topics_of_channels(unchanged: Workspace) -> None:
    private = {"project_number": "123", "uptime_checks": {"access": "private"}}
    assert planned(unchanged, **private) == ({("items", "roles/run.invoker", AGENT)}, ALWAYS | {"run.googleapis.com"})
    topic = {"pubsub": "projects/other/topics/tickets"}
    grants, apis = planned(unchanged, channels={"one": topic}, project_number="123")
    assert grants == {("tickets", "roles/pubsub.publisher", AGENT)}
    assert apis == ALWAYS | {"pubsub.googleapis.com"}
    assert planned(unchanged, channels={"one": {**topic, "grant_publisher": False}})[0] == set()
    assert planned(unchanged, platform="gke", uptime_checks={"access": "private"})[0] == set()


SHARED = """
variable "services" {
  type = map(string)
}

module "monitoring" {
  source   = "../terraform/monitoring"
  for_each = var.services

  dashboards       = []
  environment      = "production"
  host             = "${each.key}.example.com"
  iam              = { features = ["metrics"], service_account = each.value == "" ? null : each.value }
  location         = "europe-west1"
  log_metrics      = []
  policies         = []
  project          = "demo"
  runbook_base_url = "https://example.com/runbooks"
  service          = each.key
  slos             = []
}
"""


def test_of_services_that_share_an_account_one_alone_may_grant_its_roles(live_in: Callable[..., Workspace]) -> None:
    """What the README says of both: who grants twice loses the role with the first that goes."""
    account = "shared@demo.iam.gserviceaccount.com"
    live = live_in(SHARED)
    live.apply(services={"items": account, "orders": account})
    left = {"orders": account}
    live.apply(services=left)
    assert [change for at, change in actions(live.plan(services=left)).items() if "iam_member" in at] == [["create"]]
    live.apply(services={"orders": account, "items": ""})
    live.apply(services=left)
    assert actions(live.plan(services=left)) == {}
