"""The page in a real browser, over a real emulator, with data that came in through the API."""

import httpx
import pytest

from support.browser import Tab
from support.console import (
    TYPE,
    add_dashboard,
    add_policy,
    chart,
    foreign,
    next_poll,
    open_page,
    write_counter,
    write_entries,
)
from support.emulator import RunningEmulator
from support.provenance import our_choice

RATE = "sum by (outcome) (rate(http_request_total[2m]))"
NAMES = "[...document.querySelectorAll('.legend .name')].map((name) => name.textContent)"


def pixels(title: str) -> str:
    """How many points of a chart's canvas have a colour; axes and their texts are grey."""
    return f"""(() => {{
      const cards = [...document.querySelectorAll('.card')];
      const card = cards.find((one) => one.querySelector('h3')?.textContent === {title!r});
      const canvas = card?.querySelector('canvas');
      if (!canvas) return 0;
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let coloured = 0;
      for (let at = 0; at < data.length; at += 4) {{
        const [red, green, blue, opacity] = data.slice(at, at + 4);
        coloured += opacity > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
      }}
      return coloured;
    }})()"""


@our_choice("the command that fills the page is the next thing to do")
def test_without_a_dashboard_the_page_tells_the_next_command(tab: Tab, emulator: RunningEmulator):
    open_page(tab, emulator)
    assert "cloudops apply terraform/monitoring" in tab.text("#board")
    assert emulator.http.removeprefix("http://") in tab.text("#board")
    assert tab.failures == []


def test_a_loaded_dashboard_draws_what_was_written(tab: Tab, emulator: RunningEmulator):
    write_counter(emulator, {"outcome": "ok"}, [10.0 * number for number in range(1, 13)])
    write_counter(emulator, {"outcome": "server_error"}, [1.0 * number for number in range(1, 13)])
    add_dashboard(
        emulator,
        "Overview",
        chart("Request rate", RATE, unit="1/s", legendTemplate="${labels.outcome}"),
        {"title": "Now", "scorecard": {"timeSeriesQuery": {"prometheusQuery": "vector(42)"}, "sparkChartView": {}}},
        chart("Nothing", "no_such_metric"),
    )
    open_page(tab, emulator)
    assert tab.run(NAMES) == ["ok", "server_error"]
    values = tab.run("[...document.querySelectorAll('.legend .value')].map((value) => parseFloat(value.textContent))")
    assert values == pytest.approx([1.0, 0.1], rel=0.35)
    assert tab.run(pixels("Request rate")) > 100
    assert tab.run(pixels("Nothing")) == 0
    assert "42" in tab.text("[data-kind=scorecard]")
    assert "No data in this range" in tab.text("#board")
    assert tab.text("#dashboards") == "Overview"
    assert (tab.failures, foreign(tab, emulator)) == ([], [])


def test_a_filter_query_is_drawn_through_list_time_series(tab: Tab, emulator: RunningEmulator):
    for outcome in ("ok", "server_error"):
        write_counter(emulator, {"outcome": outcome}, [10.0 * number for number in range(1, 31)])
    metric = {"filter": f'metric.type="{TYPE}" resource.type="prometheus_target"'}
    aligned = {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"}
    both = {**metric, "aggregation": {**aligned, "crossSeriesReducer": "REDUCE_SUM"}}
    one = {**metric, "filter": f'{metric["filter"]} metric.labels.outcome="ok"', "aggregation": both["aggregation"]}
    widgets = [
        {
            "title": title,
            "xyChart": {"dataSets": [{"timeSeriesQuery": query, "plotType": "LINE", "legendTemplate": title}]},
        }
        for title, query in (
            ("rate", {"timeSeriesFilter": both}),
            ("share", {"timeSeriesFilterRatio": {"numerator": one, "denominator": both}}),
        )
    ]
    add_dashboard(emulator, "Filters", *widgets)
    open_page(tab, emulator)
    assert tab.run("document.querySelectorAll('.cover:not([hidden])').length") == 0
    assert tab.run(NAMES) == ["rate", "share"]
    values = tab.run("[...document.querySelectorAll('.legend .value')].map((value) => parseFloat(value.textContent))")
    assert values == pytest.approx([2.0, 0.5], rel=0.2)


def test_a_refused_query_covers_its_own_widget_only(tab: Tab, emulator: RunningEmulator):
    add_dashboard(emulator, "Two", chart("Broken", "sum("), chart("Whole", "vector(1)"))
    open_page(tab, emulator)
    cover = "card.querySelector('.cover:not([hidden])')?.dataset.level ?? ''"
    covers = tab.run(f"[...document.querySelectorAll('.card')].map((card) => {cover})")
    assert covers == ["bad", ""]


def test_a_widget_that_cannot_be_drawn_is_named(tab: Tab, emulator: RunningEmulator):
    mql = {"title": "Old", "xyChart": {"dataSets": [{"timeSeriesQuery": {"timeSeriesQueryLanguage": "fetch x"}}]}}
    add_dashboard(
        emulator, "Gaps", {"title": "Errors", "errorReportingPanel": {"projectNames": ["projects/demo"]}}, mql
    )
    open_page(tab, emulator)
    assert "errorReportingPanel cannot be drawn here yet" in tab.text("#board")
    assert "MQL" in tab.text("#board")


def test_a_change_of_the_dashboard_appears_and_a_poll_keeps_the_rest(tab: Tab, emulator: RunningEmulator):
    write_counter(emulator, {"outcome": "ok"}, [10.0, 20.0, 30.0])
    add_dashboard(emulator, "First", chart("Request rate", RATE))
    open_page(tab, emulator)
    place = "JSON.stringify(document.querySelector('.card canvas').getBoundingClientRect())"
    next_poll(tab)  # the legend, which takes its room, comes with the data
    tab.run("window.kept = document.querySelector('.card canvas')")
    before = tab.run(place)
    next_poll(tab)
    assert tab.run("document.querySelector('.card canvas') === window.kept")
    assert tab.run(place) == before
    add_dashboard(emulator, "Second", chart("Another", RATE))
    tab.until("document.querySelectorAll('#dashboards option').length === 2", "the second dashboard", seconds=30)


def test_the_reader_chooses_dashboard_and_range_and_a_reload_keeps_them(tab: Tab, emulator: RunningEmulator):
    add_dashboard(emulator, "First", chart("One", "vector(1)"))
    second = add_dashboard(emulator, "Second", chart("Two", "vector(2)"))
    open_page(tab, emulator)
    choose = f"list.value = {second['name']!r}; list.dispatchEvent(new Event('change'));"
    tab.run(f"(() => {{ const list = document.getElementById('dashboards'); {choose} }})()")
    tab.run("document.querySelector('#ranges input[value=\"6h\"]').click()")
    tab.until("document.querySelector('.card h3')?.textContent === 'Two'", "the second dashboard")
    tab.send("Page.reload")
    tab.until("document.querySelector('.card h3')?.textContent === 'Two'", "the second dashboard after a reload")
    assert tab.run("document.querySelector('#ranges input:checked').value") == "6h"


def test_a_log_entry_shows_its_severity_request_and_whole_json(tab: Tab, emulator: RunningEmulator):
    request = {"requestMethod": "GET", "requestUrl": "http://localhost/items/7?a=b", "status": 503, "latency": "0.125s"}
    write_entries(
        emulator,
        {
            "severity": "ERROR",
            "jsonPayload": {"message": "no answer from the store", "tries": 3},
            "httpRequest": request,
            "trace": "projects/demo/traces/0123456789abcdef0123456789abcdef",
        },
        {"severity": "INFO", "textPayload": "started"},
    )
    open_page(tab, emulator)
    line = "[...document.querySelectorAll('#logs .entry')].find((row) => row.textContent.includes('store'))"
    for part in ("ERROR", "GET", "503", "/items/7?a=b", "125 ms", "no answer from the store"):
        assert part in tab.run(f"{line}.innerText")
    tab.run(f"{line}.querySelector('button').click()")
    assert '"tries": 3' in tab.run(f"{line}.innerText")
    next_poll(tab)
    assert '"tries": 3' in tab.run(f"{line}.innerText"), "an unfolded entry folds at a poll"
    tab.run(f"[...{line}.querySelectorAll('button')].find((button) => button.textContent.includes('trace')).click()")
    tab.until("document.querySelectorAll('#logs .entry').length === 1", "the entries of the trace")


def test_a_filter_narrows_the_entries_and_its_mistakes_are_told(tab: Tab, emulator: RunningEmulator):
    write_entries(
        emulator, {"severity": "ERROR", "textPayload": "bad day"}, {"severity": "INFO", "textPayload": "good day"}
    )
    open_page(tab, emulator)
    submit = "document.querySelector('#logs form').requestSubmit()"
    tab.run(f"document.querySelector('#logs input').value = 'textPayload:\"good\"'; {submit}")
    tab.until("document.querySelectorAll('#logs .entry').length === 1", "one entry")
    assert "good day" in tab.text("#logs .entries")
    tab.run(f"document.querySelector('#logs input').value = 'severity>='; {submit}")
    tab.until("document.querySelector('#logs .problem').innerText", "the mistake")
    assert tab.run("document.querySelector('#logs input').getAttribute('aria-invalid')") == "true"


def test_an_incident_shows_from_its_opening_to_its_close(tab: Tab, emulator: RunningEmulator):
    link = {"displayName": "Runbook", "url": "https://example.com/runbooks/high"}
    policy = add_policy(emulator, "High", "vector(7) > 5", documentation={"content": "Read it.", "links": [link]})
    open_page(tab, emulator)
    tab.until("document.querySelector('#incidents [data-state=OPEN]')", "the open incident", seconds=40)
    card = tab.text("#incidents [data-state=OPEN]")
    for part in ("High", "CRITICAL", "open for", "Value 7"):
        assert part in card
    assert (
        tab.run("document.querySelector('#incidents [data-state=OPEN] a').href") == "https://example.com/runbooks/high"
    )
    assert tab.run("document.title").startswith("(1) ")
    assert "Nothing is wrong" not in tab.text("#incidents")
    tab.until("document.querySelector('#policies [data-level=bad]')?.innerText.includes('High')", "the policy's state")
    body = {**policy, "enabled": False}
    assert httpx.patch(f"{emulator.http}/v3/{policy['name']}", json=body, timeout=10).status_code == httpx.codes.OK
    tab.until("document.querySelector('#incidents [data-state=CLOSED]')", "the closed incident", seconds=40)
    assert "closed after" in tab.text("#incidents [data-state=CLOSED]")
    assert "Nothing is wrong" in tab.text("#incidents")
    assert tab.failures == []


def test_an_emulator_that_goes_away_is_told_quietly_and_found_again(tab: Tab, emulator: RunningEmulator):
    add_dashboard(emulator, "Overview", chart("One", "vector(1)"))
    open_page(tab, emulator)
    tab.send("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    tab.until("document.querySelector('#status').dataset.level === 'bad'", "the loss")
    assert "retrying" in tab.text("#status")
    assert tab.run("document.querySelector('.cover:not([hidden])')") is None, "what was drawn stays"
    tab.send("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    tab.until("document.querySelector('#status').dataset.level === 'good'", "the return")


def test_a_hidden_tab_asks_for_nothing(tab: Tab, emulator: RunningEmulator):
    open_page(tab, emulator)
    tab.run("Object.defineProperty(document, 'hidden', {get: () => window.away ?? false}); window.away = true")
    tab.run("document.dispatchEvent(new Event('visibilitychange'))")
    polls = tab.run("Number(document.documentElement.dataset.polls)")
    # Two polls would fit into this time; the one that was on its way may still end.
    tab.run("new Promise((done) => setTimeout(done, 4500))")
    assert tab.run("Number(document.documentElement.dataset.polls)") <= polls + 1
    tab.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    next_poll(tab)


def test_everything_can_be_reached_with_the_keyboard(tab: Tab, emulator: RunningEmulator):
    write_entries(emulator, {"severity": "INFO", "textPayload": "one"})
    write_counter(emulator, {"outcome": "ok"}, [10.0, 20.0, 30.0])
    add_dashboard(emulator, "Overview", chart("Request rate", RATE))
    open_page(tab, emulator)
    reached = set()
    for _ in range(40):
        tab.press("Tab")
        reached.add(
            tab.run(
                "(({tagName: tag, id, className, name}) => `${tag} ${id || name || className}`)(document.activeElement)"
            )
        )
    controls = {"SELECT dashboards", "INPUT range", "SELECT refresh"}
    assert reached >= controls | {"DIV canvas", "BUTTON key", "INPUT filter", "BUTTON line"}
