"""A log line as an entry of Cloud Logging's API."""

import json
import time
from typing import Any

import pytest
from google.cloud.logging_v2.types import (
    LogEntry,
)
from google.protobuf.json_format import MessageToDict

from app.core.logging.api_entry import ENTRY_BYTES, parse, serialise
from support.provenance import known_from, our_choice


def _entry(line, insert_id="id"):
    return LogEntry.pb().FromString(serialise(line, parse(line), insert_id, time.time_ns()))


def test_the_special_fields_leave_the_payload():
    line = json.dumps(
        {
            "severity": "WARNING",
            "message": "hello",
            "time": "2026-11-20T12:00:00.123456789Z",
            "httpRequest": {
                "requestMethod": "GET",
                "requestUrl": "/items/1",
                "requestSize": "12",
                "status": 404,
                "responseSize": "345",
                "userAgent": "curl",
                "remoteIp": "10.0.0.1",
                "latency": "0.012000000s",
                "protocol": "HTTP/1.1",
            },
            "logging.googleapis.com/trace": "projects/demo/traces/" + "a" * 32,
            "logging.googleapis.com/spanId": "b" * 16,
            "logging.googleapis.com/trace_sampled": True,
            "logging.googleapis.com/labels": {"service": "items"},
            "logging.googleapis.com/sourceLocation": {"file": "a.py", "line": "7", "function": "f"},
            "logging.googleapis.com/insertId": "own",
            "order": {"id": 7, "tags": ["a", None, 1.5, True, []], "empty": {}},
        }
    ).encode()
    assert MessageToDict(_entry(line)) == {
        "severity": "WARNING",
        "timestamp": "2026-11-20T12:00:00.123456789Z",
        "httpRequest": {
            "requestMethod": "GET",
            "requestUrl": "/items/1",
            "requestSize": "12",
            "status": 404,
            "responseSize": "345",
            "userAgent": "curl",
            "remoteIp": "10.0.0.1",
            "latency": "0.012s",
            "protocol": "HTTP/1.1",
        },
        "trace": "projects/demo/traces/" + "a" * 32,
        "spanId": "b" * 16,
        "traceSampled": True,
        "labels": {"service": "items"},
        "sourceLocation": {"file": "a.py", "line": "7", "function": "f"},
        "insertId": "own",
        "jsonPayload": {
            "message": "hello",
            "order": {"id": 7, "tags": ["a", None, 1.5, True, []], "empty": {}},
        },
    }


@our_choice("an entry keeps one form, whether it has fields beside its message or not")
def test_a_message_alone_stays_in_the_payload():
    entry = MessageToDict(_entry(b'{"message":"hello"}\n'))
    assert entry["jsonPayload"] == {"message": "hello"}
    assert entry["insertId"] == "id"
    assert entry["timestamp"]


@pytest.mark.parametrize(
    "fields",
    [
        {"time": "yesterday"},
        {"httpRequest": "GET /"},
        {"httpRequest": {"status": "unknown", "requestMethod": "GET"}},
        {"httpRequest": {"colour": "red"}},
        {"logging.googleapis.com/labels": ["a"]},
        {"logging.googleapis.com/sourceLocation": {"line": "seven"}},
    ],
    ids=str,
)
def test_a_special_field_of_another_form_is_not_lost(fields):
    payload = MessageToDict(_entry(json.dumps({"message": "x", **fields}).encode()))["jsonPayload"]
    assert payload == {"message": "x", **fields}


def test_what_is_no_entry_becomes_its_text():
    for line in (b"plain text\n", b'["a"]\n', b"\xff\n"):
        entry = _entry(line)
        assert entry.WhichOneof("payload") == "text_payload"
    assert _entry(b"plain text\n").text_payload == "plain text"


def test_a_number_that_a_double_cannot_hold_is_a_text():
    payload = MessageToDict(_entry(b'{"small":9007199254740992,"big":9007199254740993}'))["jsonPayload"]
    assert payload == {"small": 9007199254740992.0, "big": "9007199254740993"}


def test_deep_fields_are_within_what_parsers_take():
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"in": deep}
    entry = _entry(json.dumps({"message": "x", "deep": deep}).encode())
    assert "bottom" in str(MessageToDict(entry)["jsonPayload"]["deep"])


@known_from(docs="https://cloud.google.com/logging/quotas#log-limits")
@pytest.mark.parametrize(
    "value", [list(range(60_000)), "x" * 500_000, {str(n): n for n in range(25_000)}], ids=["list", "text", "fields"]
)
def test_an_entry_is_within_256_kib_even_where_numbers_take_more_than_in_json(value):
    entry = _entry(json.dumps({"severity": "ERROR", "message": "big", "value": value}).encode())
    assert entry.ByteSize() <= ENTRY_BYTES < 256 * 1024
    payload = MessageToDict(entry)["jsonPayload"]
    assert (entry.severity, payload["message"]) == (500, "big")
    assert "value" in payload["truncated"]["fields"]


def test_a_lone_surrogate_costs_an_entry_no_more_than_itself():
    entry = MessageToDict(_entry(b'{"severity":"ERROR","message":"a\\udcffb"}\n'))
    assert (entry["severity"], entry["jsonPayload"]) == ("ERROR", {"message": "a?b"})
