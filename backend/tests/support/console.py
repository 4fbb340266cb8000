"""What tests of the console page put into an emulator, all of it through its public REST API."""

import time
from typing import Any

import httpx

from support.browser import Tab
from support.emulator import RunningEmulator

TYPE = "prometheus.googleapis.com/http_request_total/counter"
_TARGET = {
    "project_id": "demo",
    "location": "europe-west1",
    "cluster": "__run__",
    "namespace": "production",
    "job": "items",
    "instance": "i-1",
}


def rfc3339(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def post(emulator: RunningEmulator, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{emulator.http}{path}", json=body, timeout=10)
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


def write_counter(emulator: RunningEmulator, labels: dict[str, str], values: list[float], apart: int = 10) -> None:
    """A counter's totals, `apart` seconds apart, the last one a moment ago."""
    now = time.time() - 1
    start = now - apart * len(values)
    for index, value in enumerate(values, start=1):
        series = {
            "metric": {"type": TYPE, "labels": labels},
            "resource": {"type": "prometheus_target", "labels": _TARGET},
            "metricKind": "CUMULATIVE",
            "valueType": "DOUBLE",
            "points": [
                {
                    "interval": {"startTime": rfc3339(start), "endTime": rfc3339(start + apart * index)},
                    "value": {"doubleValue": value},
                }
            ],
        }
        post(emulator, "/v3/projects/demo/timeSeries", {"timeSeries": [series]})


def write_entries(emulator: RunningEmulator, *entries: dict[str, Any]) -> None:
    common = {"logName": "projects/demo/logs/run.googleapis.com%2Fstdout", "resource": {"type": "global"}}
    stamped = [{"timestamp": rfc3339(time.time()), **entry} for entry in entries]
    post(emulator, "/v2/entries:write", {**common, "entries": stamped})


def add_dashboard(emulator: RunningEmulator, title: str, *widgets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Widgets in one column of tiles, 24 wide and 12 high, two a row."""
    tiles = [
        {"xPos": index % 2 * 24, "yPos": index // 2 * 12, "width": 24, "height": 12, "widget": widget}
        for index, widget in enumerate(widgets)
    ]
    body = {"displayName": title, "mosaicLayout": {"columns": 48, "tiles": tiles}, **more}
    return post(emulator, "/v1/projects/demo/dashboards", body)


def chart(title: str, query: str, unit: str = "", **more: Any) -> dict[str, Any]:
    data_set = {"timeSeriesQuery": {"prometheusQuery": query, "unitOverride": unit}, "plotType": "LINE", **more}
    return {"title": title, "xyChart": {"dataSets": [data_set]}}


def add_policy(emulator: RunningEmulator, title: str, query: str, **more: Any) -> dict[str, Any]:
    condition = {"query": query, "duration": "0s", "evaluationInterval": "30s", "disableMetricValidation": True}
    body = {
        "displayName": title,
        "combiner": "OR",
        "severity": "CRITICAL",
        "conditions": [{"displayName": f"{title}, the condition", "conditionPrometheusQueryLanguage": condition}],
        **more,
    }
    return post(emulator, "/v3/projects/demo/alertPolicies", body)


def open_page(tab: Tab, emulator: RunningEmulator, settings: str = "refresh=2s&range=5m") -> None:
    """Open the page and wait for its first poll."""
    tab.open(f"{emulator.http}/#{settings}")
    tab.until("Number(document.documentElement?.dataset.polls) > 0", "the first poll")


def next_poll(tab: Tab) -> None:
    polls = tab.run("Number(document.documentElement.dataset.polls)")
    tab.until(f"Number(document.documentElement.dataset.polls) > {polls + 1}", "two more polls")


def foreign(tab: Tab, emulator: RunningEmulator) -> list[str]:
    """What the page asked for that is not this emulator's."""
    return [url for url in tab.requests if not url.startswith((f"{emulator.http}/", "about:"))]
