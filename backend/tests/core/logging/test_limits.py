import json
import traceback
from operator import mul

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.logging.limits import LINE_BYTES, MARK, fit
from support.provenance import known_from, our_choice

KEPT = {
    "severity": "ERROR",
    "time": "2026-11-20T12:00:00.000000001Z",
    "logging.googleapis.com/trace": "projects/shop/traces/" + "a" * 32,
    "logging.googleapis.com/spanId": "b" * 16,
    "logging.googleapis.com/trace_sampled": True,
    "logging.googleapis.com/labels": {"service": "items"},
}


def _line(entry):
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _kept(entry):
    return {name: entry[name] for name in KEPT}


def test_an_entry_that_fits_is_left_alone():
    entry = {**KEPT, "message": "x" * 200_000}
    assert fit(entry) is entry


@known_from(docs="https://cloud.google.com/logging/quotas#log-limits")
def test_a_line_is_shorter_than_what_cloud_logging_takes():
    assert len(_line(fit({**KEPT, "message": "x" * 1_000_000}))) <= LINE_BYTES < 256 * 1024


def test_the_longest_text_is_shortened_and_says_what_it_was():
    entry = {**KEPT, "message": "x" * 300_000, "note": "short", "count": 7}
    fitted = fit(entry)
    assert _kept(fitted) == KEPT
    assert (fitted["note"], fitted["count"]) == ("short", 7)
    assert fitted["truncated"] == {"original_bytes": len(orjson.dumps(entry)), "fields": ["message"]}
    assert fitted["message"].startswith("x" * 200_000)
    assert fitted["message"].endswith(MARK)
    assert len(_line(fitted)) > 0.98 * LINE_BYTES, "no more is cut than has to be"
    assert entry["message"] == "x" * 300_000, "the caller's own is not changed"


def test_several_long_texts_are_cut_to_the_same_length_wherever_they_are():
    entry = {**KEPT, "message": "m" * 200_000, "order": {"items": [{"note": "é" * 150_000}]}, "other": "o" * 1000}
    fitted = fit(entry)
    assert fitted["truncated"]["fields"] == ["message", "order.items[].note"]
    assert len(fitted["other"]) == 1000
    lengths = len(fitted["message"]), len(fitted["order"]["items"][0]["note"].encode())
    assert max(lengths) - min(lengths) < 100
    assert len(_line(fitted)) <= LINE_BYTES


def test_the_end_of_a_stack_trace_stays():
    def recurse(depth):
        if depth:
            recurse(depth - 1)
        raise ValueError("the reason")

    try:
        recurse(300)
    except ValueError as error:
        trace = "".join(
            line if "repeated" not in line else '  File "deep.py", line 1, in deep\n' * 20_000
            for line in traceback.format_exception(error)
        )
    fitted = fit({**KEPT, "message": "failed", "stack_trace": trace})
    assert len(trace) > LINE_BYTES
    assert fitted["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert fitted["stack_trace"].endswith("ValueError: the reason\n")
    assert MARK in fitted["stack_trace"]


def test_many_small_values_become_a_text():
    entry = {**KEPT, "message": "numbers", "numbers": list(range(100_000)), "note": "short"}
    fitted = fit(entry)
    assert _kept(fitted) == KEPT
    assert (fitted["message"], fitted["note"]) == ("numbers", "short")
    assert fitted["numbers"].startswith("[0,1,2,")
    assert fitted["numbers"].endswith(MARK)
    assert fitted["truncated"]["fields"] == ["numbers"]
    assert len(_line(fitted)) <= LINE_BYTES


def test_more_fields_than_fit_are_left_out():
    entry = {**KEPT, "message": "many", **{f"field_{number}": number for number in range(50_000)}}
    fitted = fit(entry)
    assert _kept(fitted) == KEPT
    assert fitted["message"] == "many"
    assert fitted["truncated"]["fields"][-1].startswith("and ")
    assert len(_line(fitted)) <= LINE_BYTES


@our_choice("escapes count: what the platform reads is the line, not the text")
def test_control_characters_count_as_they_are_written():
    fitted = fit({**KEPT, "message": "\x01" * 100_000})
    assert len(orjson.dumps(fitted)) <= LINE_BYTES
    assert fitted["truncated"]["original_bytes"] > 600_000


class Hostile:
    def __str__(self):
        raise RuntimeError("no text")


def _cycle():
    ring: dict[str, object] = {"text": "x" * 200_000}
    ring["one"] = ring["two"] = ring["three"] = ring
    return ring


@pytest.mark.parametrize(
    "value",
    [
        Hostile(),
        _cycle(),
        "\udcff" * 400_000,
        [[]] * 200_000,
        {1: "x" * 400_000},
        2**70,
        b"x" * 400_000,
        {"x" * 400_000},
    ],
    ids=lambda value: type(value).__name__,
)
def test_hostile_values_raise_nothing_and_the_rest_is_kept(value):
    fitted = fit({**KEPT, "message": "hello", "value": value, "pad": "x" * 300_000})
    assert (fitted["severity"], fitted["time"]) == (KEPT["severity"], KEPT["time"])
    assert fitted["logging.googleapis.com/trace"] == KEPT["logging.googleapis.com/trace"]
    assert "truncated" in fitted


def test_an_entry_without_room_for_anything_still_has_its_severity():
    fitted = fit({**KEPT, "message": "m" * 10_000, "logging.googleapis.com/labels": {"a": "b" * 600_000}})
    assert (fitted["severity"], fitted["time"]) == (KEPT["severity"], KEPT["time"])
    assert len(_line(fitted)) <= LINE_BYTES


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=50)
    | st.builds(mul, st.text('é\x01"\n😀', min_size=10, max_size=20), st.integers(30, 40)),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
    max_leaves=30,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(max_size=20), _json, max_size=12), st.integers(4000, 9000))
def test_whatever_the_entry_it_fits(fields, limit):
    entry = {**fields, **KEPT, "message": "m"}
    fitted = fit(entry, limit)
    assert len(_line(fitted)) <= limit + 1
    assert _kept(fitted) == KEPT
    if "truncated" not in fields:  # a field of the app's own says nothing about us
        assert (fitted is entry) == ("truncated" not in fitted)
