"""`cloudops logs` and `cloudops query` against a running emulator."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from support.cloudops import EmulatorProcess, cloudops, emulator_process, started

NOBODY = {"CLOUDOPS_EMULATOR_HTTP": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process() as emulator:
        write(
            emulator,
            {"severity": "INFO", "textPayload": "first"},
            {"severity": "ERROR", "jsonPayload": {"message": "second \x1b[2J\nline", "n": 2}},
            {"httpRequest": {"requestMethod": "GET", "requestUrl": "/x", "status": 503}, "jsonPayload": {"a": 1}},
            log="shown",
        )
        yield emulator


def write(emulator, *entries, log="app"):
    body = {
        "logName": f"projects/demo/logs/{log}",
        "resource": {"type": "global"},
        "entries": [{"jsonPayload": {}, **entry} if "textPayload" not in entry else entry for entry in entries],
    }
    httpx.post(f"{emulator.addresses['http']}/v2/entries:write", json=body, timeout=30).raise_for_status()


def test_entries_are_shown_oldest_first_with_control_characters_escaped(emulator):
    done = cloudops("logs", 'log_id("shown")', **emulator.variables)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    first, second, continued, third = done.stdout.splitlines()
    assert first.endswith("INFO     first")
    assert second.endswith(r"ERROR    second \x1b[2J")
    assert continued == "    line"
    assert third.endswith("GET /x 503")


def test_json_gives_the_entries_as_the_api_has_them(emulator):
    newest = cloudops("logs", 'log_id("shown")', "--limit", "2", "--format", "json", **emulator.variables)
    entries = [json.loads(line) for line in newest.stdout.splitlines()]
    assert [entry["jsonPayload"].get("n") for entry in entries] == [None, 2.0]
    oldest = cloudops(
        "logs", 'log_id("shown")', "--limit", "1", "--order", "asc", "--format", "json", **emulator.variables
    )
    assert json.loads(oldest.stdout)["textPayload"] == "first"


def test_a_filter_that_cannot_be_read_is_told_with_its_place(emulator):
    done = cloudops("logs", "severity>= >", **emulator.variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 1, column 12" in done.stderr


def test_no_match_is_no_error(emulator):
    done = cloudops("logs", "nothing-like-this", **emulator.variables)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no entries match" in done.stderr


def test_follow_shows_what_arrives_once(emulator):
    write(emulator, {"textPayload": "before"}, log="followed")
    with started("logs", 'log_id("followed")', "--follow", "--format", "json", **emulator.variables) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())["textPayload"]]
        for number in range(3):
            # Older timestamps too: what counts is when it was received.
            write(
                emulator, {"textPayload": f"{number}", "timestamp": f"{time.gmtime().tm_year}-01-01T00:00:00Z"}, log="x"
            )
            write(emulator, {"textPayload": f"after {number}"}, log="followed")
            seen.append(json.loads(process.stdout.readline())["textPayload"])
        process.send_signal(2)
        rest, _ = process.communicate(timeout=30)
    assert seen == ["before", "after 0", "after 1", "after 2"]
    assert rest == ""
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["logs"], ["query", "up"]])
def test_no_emulator_is_said_so_with_the_way_to_start_one(arguments):
    done = cloudops(*arguments, **NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No emulator answers at http://127.0.0.1:9. Start one with: cloudops up" in done.stderr
    assert "CLOUDOPS_EMULATOR_HTTP" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def metrics(emulator: EmulatorProcess) -> EmulatorProcess:
    """Two gauges with a value of now."""
    now = time.time()
    series = [
        {
            "metric": {"type": "custom.googleapis.com/depth", "labels": {"queue": queue}},
            "resource": {"type": "global"},
            "points": [{"interval": {"endTime": _stamp(now)}, "value": {"doubleValue": value}}],
        }
        for queue, value in (("a", 3), ("b", 4.5))
    ]
    answer = httpx.post(
        f"{emulator.addresses['http']}/v3/projects/demo/timeSeries", json={"timeSeries": series}, timeout=30
    )
    answer.raise_for_status()
    return emulator


def _stamp(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def test_a_query_is_answered_as_a_table(metrics):
    done = cloudops("query", "custom_googleapis_com:depth", **metrics.variables)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "queue" in line]
    assert sorted(row[-1] for row in rows) == ["3", "4.5"]


def test_a_range_is_told_in_five_figures(metrics):
    done = cloudops("query", "sum(custom_googleapis_com:depth)", "--last", "2m", "--step", "10s", **metrics.variables)
    assert done.returncode == 0, done.stderr
    assert "7.5" in done.stdout
    assert "points" in done.stdout


def test_a_query_is_answered_as_the_prometheus_api_does(metrics):
    done = cloudops("query", "1 + 1", "--format", "json", "--at", "2026-11-20T12:00:00Z", **metrics.variables)
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["data"]["result"]) == ("success", [1795176000, "2"])


def test_a_wrong_query_is_told(metrics):
    done = cloudops("query", "sum(", **metrics.variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cloudops: ")
    assert cloudops("query", "up", "--at", "noon", **metrics.variables).returncode == 2
