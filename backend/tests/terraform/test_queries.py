"""`queries/`: what the main module says of saved queries, as the provider would send it; and links that open them."""

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.emulator.definitions import data_root, render, template_values
from app.emulator.definitions.document import parse
from support.emulator import RunningEmulator
from support.terraform import Workspace, actions, planned_bodies

LOWEST = "7.32.0"
ROOT = """
variable "platform" {
  type    = string
  default = "cloud_run"
}

module "monitoring" {
  source = "../terraform/monitoring"

  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  platform         = var.platform
  project          = "demo"
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}

module "queries" {
  source = "../terraform/monitoring/queries"

  project       = "demo"
  saved_queries = module.monitoring.saved_queries
}

output "links" {
  value = { for key, query in module.monitoring.saved_queries : key => query.link }
}
"""


@pytest.mark.parametrize("platform", ["cloud_run", "gke"])
def test_each_file_is_a_query_of_the_project_and_a_link_that_opens_it(
    platform: str, live_in: Callable[..., Workspace]
) -> None:
    plan = live_in(ROOT, LOWEST).plan(platform=platform)
    bodies = {at: body for at, body in planned_bodies(plan).items() if "google_logging_saved_query" in at}
    links = plan["planned_values"]["outputs"]["links"]["value"]
    values = template_values(
        service="items", environment="production", project="demo", location="europe-west1", host="items.example.com"
    )
    files = [
        file
        for file in (data_root() / "saved_queries").rglob("*.tftpl")
        if file.parent.name in {"saved_queries", platform}
    ]
    assert files
    assert len(bodies) == len(files)
    for file in files:
        key = file.name.partition(".")[0]
        written = parse(render(file.read_text(), values), file.name).data
        assert bodies[f'module.queries.google_logging_saved_query.queries["{key}"]'] == written
        address = urllib.parse.urlsplit(links[key])
        assert urllib.parse.unquote(address.path) == f"/logs/query;query={written['loggingQuery']['filter']}"
        assert address.query == "project=demo"
    made = [one["change"]["after"] for one in plan["resource_changes"] if one["type"] == "google_logging_saved_query"]
    assert all(one["name"].startswith("items-production-") and one["parent"] == "projects/demo" for one in made)
    assert len({one["name"] for one in made}) == len(made)


def test_a_query_may_say_what_a_line_shows(live_in: Callable[..., Workspace]) -> None:
    query = {
        "displayName": "Payments",
        "loggingQuery": {
            "filter": 'jsonPayload.event="paid"',
            "summaryFieldStart": 20,
            "summaryFields": [{"field": "jsonPayload.method"}],
        },
        "visibility": "PRIVATE",
    }
    given = {"payments": {"id": "items-payments", "query": query}}
    hcl = f"""
module "queries" {{
  source        = "../terraform/monitoring/queries"
  project       = "demo"
  saved_queries = {json.dumps(given)}
}}
"""
    assert list(planned_bodies(live_in(hcl, LOWEST).plan()).values()) == [query]


def test_queries_are_applied_changed_in_place_and_gone_again(
    live_in: Callable[..., Workspace], emulator: RunningEmulator
) -> None:
    def held() -> list[dict[str, Any]]:
        answer = httpx.get(f"{emulator.http}/v2/projects/demo/locations/global/savedQueries").raise_for_status().json()
        found: list[dict[str, Any]] = answer.get("savedQueries", [])
        return found

    live = live_in(ROOT, LOWEST)
    live.apply()
    made = {one["name"]: one for one in held()}
    assert made
    assert actions(live.plan()) == {}
    live.apply(platform="gke")
    moved = {one["name"]: one for one in held()}
    assert moved.keys() == made.keys()
    changed = {name.rpartition("/")[2] for name in made if moved[name]["loggingQuery"] != made[name]["loggingQuery"]}
    assert changed == {"items-production-platform-errors", "items-production-platform-events"}
    live.destroy()
    assert held() == []
