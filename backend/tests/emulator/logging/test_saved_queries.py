"""Saved queries over REST: made, changed by mask, refused with a reason, kept over a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from

PLACE = "v2/projects/demo/locations/global/savedQueries"
QUERY: dict[str, Any] = {
    "displayName": "Warnings",
    "loggingQuery": {"filter": "severity>=WARNING"},
    "visibility": "SHARED",
}


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@known_from(docs="cloud.google.com/logging/docs/reference/v2/rest/v2/projects.locations.savedQueries")
def test_a_query_is_made_read_changed_by_mask_and_deleted(emulator: RunningEmulator) -> None:
    made = httpx.post(f"{emulator.http}/{PLACE}", params={"savedQueryId": "w"}, json=QUERY).raise_for_status().json()
    assert made["name"] == "projects/demo/locations/global/savedQueries/w"
    there = f"{emulator.http}/v2/{made['name']}"
    assert httpx.get(there).json() == made
    change = {**QUERY, "displayName": "Renamed", "description": "not in the mask"}
    changed = httpx.patch(there, params={"updateMask": "displayName"}, json=change).raise_for_status().json()
    assert (changed["displayName"], changed.get("description")) == ("Renamed", None)
    assert httpx.get(f"{emulator.http}/{PLACE}").json() == {"savedQueries": [changed]}
    assert httpx.delete(there).raise_for_status().json() == {}
    assert httpx.get(there).status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"displayName": ""}, "saved_query.displayName"),
        ({"visibility": "ALL"}, "must be PRIVATE or SHARED"),
        ({"loggingQuery": {"filter": "severity>=("}}, "filter"),
        ({"opsAnalyticsQuery": {"sqlQueryText": "SELECT 1"}}, "Exactly one of"),
        ({"colour": "red"}, "Unknown name"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused(change: dict[str, Any], reason: str, emulator: RunningEmulator) -> None:
    refused = httpx.post(f"{emulator.http}/{PLACE}", json=QUERY | change)
    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert reason in refused.json()["error"]["message"]


def test_queries_survive_a_restart(tmp_path: Path) -> None:
    with running_emulator(data_dir=tmp_path) as running:
        httpx.post(f"{running.http}/{PLACE}", params={"savedQueryId": "w"}, json=QUERY).raise_for_status()
    with running_emulator(data_dir=tmp_path) as running:
        (found,) = httpx.get(f"{running.http}/{PLACE}").json()["savedQueries"]
    assert found["displayName"] == "Warnings"
