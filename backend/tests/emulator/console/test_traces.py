"""The page of traces in a real browser, over spans that came in through the API."""

import json
import time
from typing import Any

import httpx
import pytest

from support.browser import Browser, Tab
from support.console import foreign, rfc3339, write_entries
from support.emulator import RunningEmulator, running_emulator
from support.provenance import our_choice

TRACE = "0123456789abcdef0123456789abcdef"


def write_spans(emulator: RunningEmulator, *spans: dict[str, Any], trace_id: str = TRACE) -> None:
    now = time.time()
    wanted = []
    for number, span in enumerate(spans, start=1):
        parent = span.get("parent")
        wanted.append(
            {
                "name": f"projects/demo/traces/{trace_id}/spans/{number:016x}",
                "spanId": f"{number:016x}",
                "displayName": {"value": span["name"]},
                "startTime": rfc3339(now - 2 + number * 0.1),
                "endTime": rfc3339(now - 1),
                **({"parentSpanId": f"{parent:016x}"} if parent else {}),
                **{key: value for key, value in span.items() if key not in {"name", "parent"}},
            }
        )
    answer = httpx.post(f"{emulator.http}/v2/projects/demo/traces:batchWrite", json={"spans": wanted})
    assert answer.status_code == 200, answer.text


def open_traces(tab: Tab, emulator: RunningEmulator, settings: str = "") -> None:
    tab.open(f"{emulator.http}/traces#{settings}")
    tab.until("Number(document.documentElement?.dataset.polls) > 0", "the first poll")


def test_without_traces_the_page_says_where_they_come_from(tab: Tab, emulator: RunningEmulator):
    open_traces(tab, emulator)
    assert "Spans that arrive by OTLP or Cloud Trace's API appear here" in tab.text("#list")
    assert tab.failures == []


def test_a_chosen_trace_is_drawn_as_a_tree_with_its_log_entries(tab: Tab, emulator: RunningEmulator):
    failed = {"status": {"code": 2, "message": "timeout"}}
    write_spans(
        emulator, {"name": "GET /items"}, {"name": "SELECT", "parent": 1, **failed}, {"name": "render", "parent": 1}
    )
    entry = {"textPayload": "slow query", "trace": f"projects/demo/traces/{TRACE}", "severity": "WARNING"}
    write_entries(emulator, entry, {"textPayload": "of nobody"})
    open_traces(tab, emulator)
    assert "GET /items" in tab.text("#list")
    tab.run("document.querySelector('.found button').click()")
    tab.until("document.querySelectorAll('.span').length === 3", "the tree")
    names = tab.run("[...document.querySelectorAll('.span .what')].map((one) => one.textContent)")
    assert names == ["GET /items", "SELECT", "render"]
    assert "slow query" in tab.text("#trace")
    assert "of nobody" not in tab.text("#trace")
    tab.run("document.querySelectorAll('.span')[1].click()")
    assert "Failed: timeout" in tab.text(".span-details")
    assert f"trace={TRACE}" in tab.run("location.hash")
    assert tab.failures == []
    assert foreign(tab, emulator) == []


def test_a_filter_chooses_and_a_wrong_one_is_explained(tab: Tab, emulator: RunningEmulator):
    write_spans(emulator, {"name": "GET /items"})
    write_spans(emulator, {"name": "POST /orders"}, trace_id="f" * 32)
    open_traces(tab, emulator, "filter=POST")
    assert "POST /orders" in tab.text("#list")
    assert "GET /items" not in tab.text("#list")
    tab.run("document.querySelector('#list input').value = 'latency:soon'")
    tab.run("document.querySelector('#list form').requestSubmit()")
    tab.until("!document.querySelector('#list .problem').hidden", "the complaint")
    assert "write 24ms" in tab.text("#list .problem")


@our_choice("names and labels of spans are written by strangers: they are text, whatever they hold")
def test_hostile_names_stay_text(tab: Tab, emulator: RunningEmulator):
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    labels = {"attributeMap": {hostile: {"stringValue": {"value": hostile}}}}
    write_spans(emulator, {"name": hostile, "attributes": labels})
    open_traces(tab, emulator, f"trace={TRACE}")
    tab.until("document.querySelectorAll('.span').length === 1", "the tree")
    tab.run("document.querySelector('.span').click()")
    assert hostile in tab.text(".span-details dd")
    assert tab.run("document.querySelectorAll('#trace img, #trace script, #list img').length") == 0
    assert tab.dialogs == []


def test_an_unknown_trace_is_told(tab: Tab, emulator: RunningEmulator):
    open_traces(tab, emulator, f"trace={'a' * 32}")
    assert "there is no trace" in tab.text("#trace")


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ({"a": "", "b": "a", "c": "b", "d": "a"}, [["a", 0], ["b", 1], ["c", 2], ["d", 1]]),
        ({"a": "missing", "b": "a"}, [["a", 0], ["b", 1]]),
        ({"a": "a"}, [["a", 0]]),
        ({"a": "b", "b": "a"}, [["a", 0], ["b", 1]]),
        ({"x": "", "a": "b", "b": "a"}, [["x", 0], ["a", 0], ["b", 1]]),
    ],
    ids=["a tree", "a missing parent", "its own parent", "a circle", "a circle beside a tree"],
)
def test_spans_are_put_in_a_tree(browser: Browser, parents: dict[str, str], expected: list[Any]):
    spans = [{"spanId": span, "parentSpanId": parent} for span, parent in parents.items()]
    with running_emulator() as emulator, browser.tab() as tab:
        tab.open(f"{emulator.http}/traces")
        tab.until("Number(document.documentElement?.dataset.polls) > 0", "the first poll")
        script = f"module.inTree({json.dumps(spans)}).map(([span, depth]) => [span.spanId, depth])"
        assert tab.run(f"import('/console/static/js/tree.js').then((module) => {script})") == expected
