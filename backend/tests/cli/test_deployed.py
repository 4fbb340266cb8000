"""`cloudops adopt|export|diff|snooze|drill`, as processes of their own against an emulator that runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.emulator import definitions
from support.cloudops import cloudops
from support.emulator import RunningEmulator, running_emulator

DATA = definitions.data_root()
VALUES = {
    "environment": "production",
    "host": "items.example.com",
    "location": "europe-west1",
    "policies": "high_error_rate,service_down",
    "project": "demo",
    "runbook_base_url": "https://example.com/runbooks",
    "service": "items",
}
ARGUMENTS = [part for name, value in VALUES.items() for part in ("--var", f"{name}={value}")]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    del tmp_path_factory
    with running_emulator(evaluate_every=0.2) as running:
        yield running


@pytest.fixture
def project(emulator: RunningEmulator) -> Iterator[RunningEmulator]:
    """Two policies, an uptime check and the dashboards, as the files say, and a channel."""
    channels = {"on-call of items-production": "http://127.0.0.1:9/hook"}
    definitions.apply(definitions.load(DATA, VALUES), emulator.http, "demo", channels=channels)
    yield emulator
    for path, key in (
        ("v3/projects/demo/alertPolicies", "alertPolicies"),
        ("v1/projects/demo/dashboards", "dashboards"),
        ("v3/projects/demo/uptimeCheckConfigs", "uptimeCheckConfigs"),
        ("v3/projects/demo/notificationChannels", "notificationChannels"),
        ("v3/projects/demo/services", "services"),
    ):
        for one in listed(emulator, path, key):
            httpx.delete(f"{emulator.http}/{path.split('/')[0]}/{one['name']}").raise_for_status()
    for one in listed(emulator, "v2/projects/demo/metrics", "metrics"):
        httpx.delete(f"{emulator.http}/v2/projects/demo/metrics/{one['name']}").raise_for_status()


def listed(emulator: RunningEmulator, path: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{emulator.http}/{path}").raise_for_status().json().get(key, [])
    return found


def policy(emulator: RunningEmulator, words: str) -> dict[str, Any]:
    (found,) = [
        one
        for one in listed(emulator, "v3/projects/demo/alertPolicies", "alertPolicies")
        if words in one["displayName"] and not one["displayName"].startswith("DRILL")
    ]
    return found


def run(emulator: RunningEmulator, *arguments: str, code: int = 0) -> str:
    done = cloudops(*arguments, CLOUDOPS_EMULATOR_HTTP=emulator.http)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def test_what_was_applied_differs_in_nothing(project: RunningEmulator) -> None:
    assert run(project, "diff", str(DATA), *ARGUMENTS) == ""


def test_without_a_word_the_default_policies_are_compared_as_apply_makes_them(project: RunningEmulator) -> None:
    usual = [one for one in ARGUMENTS if not one.startswith("policies=")]
    usual = [one for at, one in enumerate(usual) if one != "--var" or usual[at + 1 : at + 2] != ["--var"]]
    told = json.loads(run(project, "diff", str(DATA), *usual, "--json", code=1))
    asked = {one.display_name for one in definitions.load(DATA, {**VALUES, "policies": "default"})}
    assert {one["display_name"] for one in told if one["kind"] == "policy"} <= asked


@pytest.mark.parametrize(
    ("path", "change", "line"),
    [
        ("v3/projects/demo/services/items-production/serviceLevelObjectives/items-production-latency", "goal", "goal"),
        ("v2/projects/demo/metrics/items-production-memory-kills", "description", "description"),
    ],
)
def test_objectives_and_log_based_metrics_are_compared_too(
    project: RunningEmulator, path: str, change: str, line: str
) -> None:
    there = httpx.get(f"{project.http}/{path}").raise_for_status().json()
    there[change] = 0.5 if change == "goal" else "Changed by hand."
    verb = "PATCH" if path.startswith("v3") else "PUT"
    httpx.request(verb, f"{project.http}/{path}", json=there).raise_for_status()
    (told,) = json.loads(run(project, "diff", str(DATA), *ARGUMENTS, "--json", code=1))
    changed = [one for one in told["text"].splitlines()[2:] if one.startswith(("-", "+"))]
    assert len(changed) == 2
    assert all(one[1:].startswith(line) for one in changed)


def test_a_change_by_hand_is_told_with_its_lines(project: RunningEmulator) -> None:
    changed = policy(project, "High error rate")
    condition = changed["conditions"][0]["conditionPrometheusQueryLanguage"]
    condition["duration"] = "600s"
    httpx.patch(f"{project.http}/v3/{changed['name']}", json=changed).raise_for_status()
    gone = policy(project, "Service down")
    httpx.delete(f"{project.http}/v3/{gone['name']}").raise_for_status()
    extra = {**changed, "displayName": "Made by hand on items-production"}
    extra = {key: value for key, value in extra.items() if key not in {"name", "creationRecord", "mutationRecord"}}
    extra["conditions"] = [{key: value for key, value in extra["conditions"][0].items() if key != "name"}]
    httpx.post(f"{project.http}/v3/projects/demo/alertPolicies", json=extra).raise_for_status()
    told = json.loads(run(project, "diff", str(DATA), *ARGUMENTS, "--json", code=1))
    assert {(one["what"], one["display_name"]) for one in told} == {
        ("changed", changed["displayName"]),
        ("missing", gone["displayName"]),
        ("unknown", "Made by hand on items-production"),
    }
    (text,) = [one["text"] for one in told if one["text"]]
    assert [line for line in text.splitlines()[2:] if line.startswith(("-", "+"))] == [
        '-      duration: "600s"',
        '+      duration: "0s"',
    ]


def test_what_is_exported_is_read_back_as_the_same_objects(project: RunningEmulator, tmp_path: Path) -> None:
    written = run(project, "export", str(tmp_path)).splitlines()
    assert len(written) == len(definitions.load(DATA, VALUES))
    names = {one.display_name for one in definitions.load(tmp_path)}
    assert names == {one.display_name for one in definitions.load(DATA, VALUES)}
    assert run(project, "diff", str(tmp_path)) == ""
    # Written again it is the same, to the byte.
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    run(project, "export", str(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_exported_objectives_are_applied_to_those_they_came_from(project: RunningEmulator, tmp_path: Path) -> None:
    """Their ids come from the names of their files; under any other name they would be made a second time."""
    run(project, "export", str(tmp_path))
    told = run(project, "apply", str(tmp_path), *ARGUMENTS[:2], "--var", "service=items")
    assert [line.split()[0] for line in told.splitlines() if " slo " in line] == ["unchanged"] * 2
    assert {file.name for file in (tmp_path / "slos").iterdir()} == {"availability.yaml", "latency.yaml"}


def test_an_objective_with_an_id_of_its_own_is_exported_by_its_name(project: RunningEmulator, tmp_path: Path) -> None:
    service = "v3/projects/demo/services/items-production/serviceLevelObjectives"
    found = listed(project, service, "serviceLevelObjectives")[0]
    made = {key: value for key, value in found.items() if key != "name"} | {"displayName": "Made by hand"}
    for one in ("Qx7-_a", "items-production-Qx7"):
        query = {"serviceLevelObjectiveId": one}
        httpx.post(f"{project.http}/{service}", params=query, json=made).raise_for_status()
    run(project, "export", str(tmp_path), "--containing", "Made by hand")
    assert {file.name for file in (tmp_path / "slos").iterdir()} == {"made_by_hand.yaml", "made_by_hand_2.yaml"}


def test_an_exported_policy_names_no_channel_and_its_uptime_check_by_its_file(
    project: RunningEmulator, tmp_path: Path
) -> None:
    (check,) = listed(project, "v3/projects/demo/uptimeCheckConfigs", "uptimeCheckConfigs")
    query = (
        f'min(monitoring_googleapis_com:uptime_check_check_passed{{check_id="{check["name"].rpartition("/")[2]}"}}) < 1'
    )
    asked = {"displayName": "c", "conditionPrometheusQueryLanguage": {"query": query, "disableMetricValidation": True}}
    made = {"displayName": "Made by hand", "combiner": "OR", "conditions": [asked]}
    channel = policy(project, "Service down")["notificationChannels"]
    made |= {"notificationChannels": channel}
    httpx.post(f"{project.http}/v3/projects/demo/alertPolicies", json=made).raise_for_status()
    done = cloudops("export", str(tmp_path), CLOUDOPS_EMULATOR_HTTP=project.http)
    assert (
        "made_by_hand.yaml: the Terraform module wants userLabels.priority (p1 to p4) and userLabels.team"
        in done.stderr
    )
    text = (tmp_path / "policies" / "made_by_hand.yaml").read_text()
    assert "@uptime:public_address_of_items_production" in text
    assert text.startswith(f"# Told: {channel[0]}\n")
    assert "notificationChannels" not in yaml.safe_load(text)


def test_import_blocks_lead_to_the_modules_addresses(project: RunningEmulator) -> None:
    blocks = run(project, "adopt", str(DATA), *ARGUMENTS, "--module", "module.watch")
    high = policy(project, "High error rate")["name"]
    address = 'module.watch.google_monitoring_alert_policy.policies["high_error_rate"]'
    assert f'import {{\n  to = {address}\n  id = "{high}"\n}}' in blocks
    assert 'module.watch.google_monitoring_notification_channel.channels["on-call"]' in blocks
    assert 'module.watch.google_monitoring_uptime_check_config.uptime_checks["public"]' in blocks
    assert 'module.watch.google_monitoring_slo.slos["availability"]' in blocks
    assert "to = module.watch.google_monitoring_custom_service.service[0]" in blocks
    metric = 'module.watch.google_logging_metric.log_metrics["memory_kills"]'
    assert f'to = {metric}\n  id = "demo items-production-memory-kills"' in blocks


def test_an_objective_of_another_id_is_told_and_not_imported(project: RunningEmulator) -> None:
    """Terraform would delete it and make its own: the id is a part of its name."""
    service = f"{project.http}/v3/projects/demo/services/items-production/serviceLevelObjectives"
    (availability,) = [
        one
        for one in httpx.get(service).raise_for_status().json()["serviceLevelObjectives"]
        if one["displayName"].startswith("Availability")
    ]
    httpx.delete(f"{project.http}/v3/{availability['name']}").raise_for_status()
    body = {key: value for key, value in availability.items() if key != "name"}
    made = httpx.post(service, params={"serviceLevelObjectiveId": "by-hand"}, json=body).raise_for_status().json()
    blocks = run(project, "adopt", str(DATA), *ARGUMENTS)
    assert 'google_monitoring_slo.slos["availability"]' not in blocks
    assert f"# {made['name']} is" in blocks
    assert "items-production-availability: delete it, or leave out the file." in blocks


def test_what_no_file_describes_is_listed_and_not_imported(project: RunningEmulator) -> None:
    narrow = [one if one != f"policies={VALUES['policies']}" else "policies=service_down" for one in ARGUMENTS]
    blocks = run(project, "adopt", str(DATA), *narrow)
    assert f'# No file describes the policy "{policy(project, "High error rate")["displayName"]}"' in blocks


def test_a_snooze_says_who_is_silent_how_long_and_why(project: RunningEmulator) -> None:
    told = run(project, "snooze", "high_error_rate", "Service down", "--for", "2h", "--because", "the database moves")
    (snoozed,) = listed(project, "v3/projects/demo/snoozes", "snoozes")
    assert snoozed["displayName"] == "the database moves"
    assert set(snoozed["criteria"]["policies"]) == {
        policy(project, words)["name"] for words in ("High error rate", "Service down")
    }
    assert snoozed["name"] in told
    refused = run(project, "snooze", "high_eror_rate", "--for", "2h", "--because", "x", code=1)
    assert "did you mean high_error_rate?" in refused


def test_a_drill_tells_the_policys_own_channels_and_leaves_nothing(project: RunningEmulator) -> None:
    incident = run(project, "drill", "high_error_rate", "--wait", "60s").strip()
    (alert,) = [one for one in listed(project, "v3/projects/demo/alerts", "alerts") if one["name"] == incident]
    assert alert["policy"]["displayName"].startswith("DRILL: High error rate")
    assert alert["policy"]["userLabels"]["drill"] == "true"
    names = [one["displayName"] for one in listed(project, "v3/projects/demo/alertPolicies", "alertPolicies")]
    assert not [name for name in names if name.startswith("DRILL")]
    told = httpx.get(f"{project.http}/emulator/v1/notifications").raise_for_status().json()["notifications"]
    (channel,) = policy(project, "High error rate")["notificationChannels"]
    assert channel in {one["channel"] for one in told}


def test_an_emulator_that_does_not_answer_is_told(tmp_path: Path) -> None:
    done = cloudops("export", str(tmp_path), CLOUDOPS_EMULATOR_HTTP="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 does not answer" in done.stderr
