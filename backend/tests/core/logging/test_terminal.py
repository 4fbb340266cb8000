import json
import re
import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.logging.terminal import Terminal, escaped, human, render_terminal, wants_colour
from support.provenance import known_from, our_choice

ID = "5f0c2a3e9d1b4f60a7c8e1d2b3a4f5c6"
CONSTANTS = {
    "logging.googleapis.com/labels": {"service": "items"},
    "logging.googleapis.com/insertId": "0123",
    "serviceContext": {"service": "items"},
    "logging.googleapis.com/trace": f"projects/demo/traces/{ID}",
    "logging.googleapis.com/spanId": "0" * 16,
    "logging.googleapis.com/trace_sampled": True,
    "logging.googleapis.com/sourceLocation": {"file": "/app/shop/orders.py", "line": "42", "function": "place"},
}
COLOURS = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _call(severity="INFO", message="order placed", **fields):
    head = {"severity": severity, "message": message, "time": "2026-11-20T12:00:01.250999999Z"}
    return {**head, "logger": "shop.orders", **fields, "request_id": ID, **CONSTANTS}


def _access(status, latency, method="GET", path="/items/42", **fields):
    request = {
        "requestMethod": method,
        "requestUrl": path,
        "status": status,
        "latency": latency,
        "protocol": "HTTP/1.1",
    }
    return _call(
        message=f"{method} /items/{{item_id}} {status}",
        httpRequest=request,
        **{"route": "/items/{item_id}", "outcome": "ok", **fields},
    )


def test_a_log_call_is_one_line_with_the_time_here():
    assert render_terminal(
        _call(order_id=4217, customer="Ada L.", total=19.5, gift=True, items=["a"]), colour=False
    ) == (
        '13:00:01.250 INFO     order placed  order_id=4217 customer="Ada L." total=19.5 gift=true items=["a"]'
        " request_id=5f0c2a3e… [shop.orders]"
    )


def test_an_access_entry_is_told_as_a_request():
    line = render_terminal(_access(200, "0.003120000s"), colour=False)
    assert line == "13:00:01.250 INFO     GET    /items/42 200 3.1 ms  route=/items/{item_id} request_id=5f0c2a3e…"


def test_what_says_nothing_new_is_left_out():
    line = render_terminal(_access(200, "0.1s", path="/orders", route="/orders"), colour=False)
    assert "route" not in line
    assert "outcome" not in line
    assert "outcome=timeout" in render_terminal(_access(504, "0.1s", outcome="timeout"), colour=False)


def test_a_warning_says_where_it_comes_from():
    assert render_terminal(_call("WARNING"), colour=False).endswith("[shop.orders orders.py:42]")


def test_a_stack_trace_stands_below():
    try:
        raise ValueError("why\x1b[31m")  # noqa: TRY301  # the frame in the trace is this test's
    except ValueError:
        trace = traceback.format_exc()
    lines = render_terminal(_call("ERROR", stack_trace=trace), colour=False).split("\n")
    assert "ERROR" in lines[0]
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: why\\x1b[31m"
    assert "stack_trace=" not in lines[0]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.0421, "0.04 ms"),
        (3.12, "3.1 ms"),
        (48.06, "48.1 ms"),
        (480.4, "480 ms"),
        (1250, "1.25 s"),
        (59_000, "59.00 s"),
        (125_000, "2 min 05 s"),
    ],
)
def test_durations_are_said_as_people_say_them(milliseconds, text):
    assert human(milliseconds) == text


@our_choice("one look at a screen full of lines finds the error and the slow request")
def test_colours_say_severity_status_and_slowness():
    def painted(text, entry):
        found = re.search(f"\x1b\\[([0-9;]*)m{text}", render_terminal(entry, colour=True))
        return found and found.group(1)

    assert painted("ERROR", _call("ERROR")) == "31"
    assert painted("WARNING", _call("WARNING")) == "33"
    assert [painted(str(status), _access(status, "0.1s")) for status in (200, 302, 404, 500)] == [
        "32",
        "36",
        "33",
        "31",
    ]
    assert [painted(r"\d+[.\d]* m?s", _access(200, latency)) for latency in ("0.1s", "1.5s", "6.0s")] == [
        "2",
        "33",
        "31",
    ]


def test_colours_change_nothing_but_the_colour():
    for entry in (_call(order_id=1), _access(404, "0.2s"), _call("ERROR", stack_trace="Traceback\n  x\nE: y\n")):
        assert COLOURS.sub("", render_terminal(entry, colour=True)) == render_terminal(entry, colour=False)


HOSTILE = "a\x1b[2Jb\rc\x00d\x7fe\x9b31mf\u2028g\u202eh\u2066i\u061cj\ud800k\U000e0041"


def test_nothing_from_data_reaches_the_terminal_as_a_control_character():
    entry = _call(
        HOSTILE,
        HOSTILE,
        **{HOSTILE: HOSTILE, "nested": {"key": [HOSTILE]}},
        stack_trace=HOSTILE,
        route=HOSTILE,
    )
    entry |= {"time": HOSTILE, "logger": HOSTILE, "request_id": HOSTILE}
    entry["logging.googleapis.com/sourceLocation"] = {"file": HOSTILE, "line": HOSTILE}
    for shown in (
        render_terminal(entry, colour=False),
        render_terminal(_access(HOSTILE, HOSTILE, HOSTILE, HOSTILE), colour=False),
    ):
        _assert_harmless(shown)
    assert escaped("\x1b\r\x9b\u202e\t") == "\\x1b\\r\\x9b\\u202e\t"


def _assert_harmless(shown):
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )


def test_a_message_of_several_lines_cannot_pretend_to_be_another_entry():
    first, *others = render_terminal(_call(message="one\n13:00:02.000 ERROR    fake"), colour=False).split("\n")
    assert first.endswith("one")
    assert [line[:4] for line in others] == ["    "]


@given(
    st.dictionaries(
        st.text(max_size=8)
        | st.sampled_from(
            ["severity", "message", "time", "logger", "httpRequest", "stack_trace", "request_id", "outcome"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["requestMethod", "status", "latency", "x"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_an_entry_holds_it_is_shown_and_harmless(entry, colour):
    _assert_harmless(COLOURS.sub("", render_terminal(entry, colour)))


@known_from(docs="https://no-color.org")
@pytest.mark.parametrize(
    ("is_terminal", "environ", "answer"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
    ids=str,
)
def test_people_decide_about_colours(is_terminal, environ, answer):
    assert wants_colour(is_terminal, environ) is answer


def test_it_stands_before_an_output_and_lets_no_line_get_lost():
    lines: list[bytes] = []
    terminal = Terminal(lines.append, colour=False)
    terminal(json.dumps(_call(message="héllo \udcff")).encode() + b"\n")
    terminal(json.dumps(_call(message="héllo")).encode() + b"\n")
    terminal(b"not an entry \x1b[31m\xff\n")
    terminal(b"[1]\n")
    assert lines[0].startswith("13:00:01.250 INFO     héllo \\udcff  ".encode())
    assert lines[1].startswith("13:00:01.250 INFO     héllo  ".encode())
    assert lines[2:] == ["not an entry \\x1b[31m\ufffd\n".encode(), b"[1]\n"]
    assert all(line.count(b"\n") == 1 for line in lines)


def test_frames_of_libraries_are_counted_and_where_it_was_raised_is_shown():
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/python3.11/site-packages/starlette/routing.py", line 1, in app\n    await app()\n'
        '  File "/usr/lib/python3.11/asyncio/runners.py", line 2, in run\n    run()\n      ^^^\n'
        '  File "/srv/shop/main.py", line 3, in read_item\n    prices[7]\n'
        '  File "/usr/lib/python3.11/site-packages/prices/__init__.py", line 4, in __getitem__\n    raise KeyError(7)\n'
        "KeyError: 7\n"
    )
    text = render_terminal({"message": "m", "severity": "ERROR", "stack_trace": trace}, colour=False)
    assert "    Traceback (most recent call last):\n      ... 2 frames of libraries\n" in text
    assert "routing.py" not in text
    assert text.count("File") == 2
    assert text.endswith("raise KeyError(7)\n    KeyError: 7")


def test_a_stream_tells_its_first_byte_and_a_short_answer_does_not():
    entry = {"severity": "INFO", "time_to_first_byte": "0.010000000s"}
    for latency, told in (("0.012s", False), ("0.050s", False), ("3.0s", True)):
        request = {"requestMethod": "GET", "requestUrl": "/", "status": 200, "latency": latency}
        assert ("time_to_first_byte" in render_terminal({**entry, "httpRequest": request}, colour=False)) is told
