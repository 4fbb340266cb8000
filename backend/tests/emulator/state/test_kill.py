"""kill -9 under concurrent writers of every service: what was acknowledged is there."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from support.cloudops import EmulatorProcess, emulator_process
from support.provenance import our_choice
from support.waiting import wait_until

Write = Callable[[httpx.Client, int], None]
CONDITION = {
    "displayName": "never",
    "conditionPrometheusQueryLanguage": {"query": "vector(0) > 1", "duration": "0s", "evaluationInterval": "30s"},
}
POST: dict[str, tuple[str, Callable[[int], Any]]] = {
    "alertPolicies": (
        "/v3/projects/demo/alertPolicies",
        lambda number: {"displayName": f"p{number}", "combiner": "OR", "conditions": [CONDITION]},
    ),
    "notificationChannels": (
        "/v3/projects/demo/notificationChannels",
        lambda number: {
            "type": "webhook_tokenauth",
            "displayName": f"c{number}",
            "labels": {"url": f"http://127.0.0.1:9/{number}"},
        },
    ),
    "dashboards": (
        "/v1/projects/demo/dashboards",
        lambda number: {"displayName": f"d{number}", "gridLayout": {"columns": "2"}},
    ),
    "metrics": (
        "/v2/projects/demo/metrics",
        lambda number: {"name": f"m{number}", "filter": "severity>=ERROR"},
    ),
    "sinks": (
        "/v2/projects/demo/sinks",
        lambda number: {"name": f"s{number}", "destination": f"storage.googleapis.com/bucket-{number}"},
    ),
}


def entry(client: httpx.Client, number: int) -> None:
    body = {
        "logName": "projects/demo/logs/app",
        "resource": {"type": "global"},
        "entries": [{"textPayload": f"e{number}", "insertId": f"{number:09d}"}],
    }
    client.post("/v2/entries:write", json=body).raise_for_status()


def point(client: httpx.Client, number: int) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    series = {
        "metric": {"type": "custom.googleapis.com/depth", "labels": {"queue": str(number)}},
        "resource": {"type": "global"},
        "points": [{"interval": {"endTime": now}, "value": {"doubleValue": number}}],
    }
    client.post("/v3/projects/demo/timeSeries", json={"timeSeries": [series]}).raise_for_status()


def poster(path: str, body: Callable[[int], Any]) -> Write:
    def write(client: httpx.Client, number: int) -> None:
        client.post(path, json=body(number)).raise_for_status()

    return write


WRITERS: dict[str, Write] = {"entries": entry, "points": point} | {
    name: poster(path, body) for name, (path, body) in POST.items()
}


def listed(emulator: EmulatorProcess, path: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = httpx.get(f"{emulator.addresses['http']}{path}", params={"pageSize": 200, "pageToken": token})
        page = answer.raise_for_status().json()
        found += page.get(key, [])
        token = page.get("nextPageToken", "")
        if not token:
            return found


@our_choice("an acknowledged write survives kill -9, whoever else was writing")
def test_what_any_service_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: dict[str, list[int]] = {name: [] for name in WRITERS}
    ending = threading.Event()
    with emulator_process("--data-dir", str(tmp_path)) as first:

        def write(name: str) -> None:
            with httpx.Client(base_url=first.addresses["http"], timeout=30) as client:
                number = 0
                while not ending.is_set():
                    try:
                        WRITERS[name](client, number)
                    except httpx.TransportError:
                        return
                    acknowledged[name].append(number)
                    number += 1

        threads = [threading.Thread(target=write, args=[name]) for name in WRITERS]
        for thread in threads:
            thread.start()
        wait_until(
            lambda: all(len(numbers) > 15 for numbers in acknowledged.values()), seconds=30, what="writes of each kind"
        )
        first.stop(signal.SIGKILL)
        ending.set()
        for thread in threads:
            thread.join(30)
    with emulator_process("--data-dir", str(tmp_path)) as second:
        texts = {one["textPayload"] for one in second.entries()}
        assert {f"e{number}" for number in acknowledged["entries"]} <= texts
        answer = httpx.get(
            f"{second.addresses['http']}/v3/projects/demo/timeSeries",
            params={
                "filter": 'metric.type = "custom.googleapis.com/depth"',
                "interval.startTime": "2020-01-01T00:00:00Z",
                "interval.endTime": "2100-01-01T00:00:00Z",
                "pageSize": 100_000,
            },
        )
        series = answer.raise_for_status().json()["timeSeries"]
        values = {one["metric"]["labels"]["queue"]: one["points"][0]["value"]["doubleValue"] for one in series}
        assert {str(number) for number in acknowledged["points"]} <= values.keys()
        assert all(float(queue) == value for queue, value in values.items())
        for name, (path, body) in POST.items():
            field = "displayName" if "displayName" in body(0) else "name"
            found = [one[field] for one in listed(second, path, name)]
            wanted = {body(number)[field] for number in acknowledged[name]}
            assert wanted <= set(found), name
            assert len(found) == len(set(found)), name
