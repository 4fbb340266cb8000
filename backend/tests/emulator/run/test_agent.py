"""What Cloud Run's log agent makes of a line."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from app.emulator.run.agent import Source
from app.emulator.run.lines import LINE_BYTES, Line, LineQueue, Splitter
from support.provenance import known_from, our_choice

STRUCTURED = "https://docs.cloud.google.com/logging/docs/structured-logging"
ARRIVED = 1_700_000_000_000_000_000
SOURCE = Source("demo", "items", "items-00001-dev", "europe-west1", "00ab", "18")


def entry(text: str | bytes, stream: Any = "stdout") -> dict[str, Any]:
    line = Line(stream, ARRIVED, 7, text if isinstance(text, bytes) else text.encode())
    return MessageToDict(SOURCE.entry(line))


def lifted(**fields: Any) -> dict[str, Any]:
    """What a JSON line adds to the frame that every entry has."""
    frame = entry("{}")
    return {key: value for key, value in entry(json.dumps(fields)).items() if frame.get(key) != value}


@known_from(docs="https://docs.cloud.google.com/run/docs/logging")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_every_entry_says_which_instance_it_came_from(stream):
    assert entry("hello", stream) == {
        "logName": f"projects/demo/logs/run.googleapis.com%2F{stream}",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": "demo",
                "service_name": "items",
                "revision_name": "items-00001-dev",
                "location": "europe-west1",
                "configuration_name": "items",
            },
        },
        "labels": {"instanceId": "00ab"},
        "timestamp": "2023-11-14T22:13:20Z",
        "insertId": "18-000000000007",
        "textPayload": "hello",
    }


@known_from(docs=STRUCTURED)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message": "only"}, {"textPayload": "only"}),
        ({"message": "with", "more": 1}, {"jsonPayload": {"message": "with", "more": 1.0}}),
        ({"severity": "ERROR", "message": "m"}, {"severity": "ERROR", "textPayload": "m"}),
        ({"message": {"an": "object"}}, {"jsonPayload": {"message": {"an": "object"}}}),
        ({"time": "2026-11-20T12:00:00.123456789Z"}, {"timestamp": "2026-11-20T12:00:00.123456789Z"}),
        (
            {"time": "2026-11-20T14:00:00+02:00", "a": 1},
            {"timestamp": "2026-11-20T12:00:00Z", "jsonPayload": {"a": 1.0}},
        ),
        (
            {"timestamp": {"seconds": 1763640000, "nanos": 5}, "a": 1},
            {"timestamp": "2025-11-20T12:00:00.000000005Z", "jsonPayload": {"a": 1.0}},
        ),
        (
            {"timestampSeconds": "1763640000", "timestampNanos": 0, "a": 1},
            {"timestamp": "2025-11-20T12:00:00Z", "jsonPayload": {"a": 1.0}},
        ),
        (
            {"logging.googleapis.com/trace": "projects/demo/traces/0af7", "message": "m"},
            {"trace": "projects/demo/traces/0af7", "textPayload": "m"},
        ),
        (
            {"logging.googleapis.com/spanId": "00f067aa0ba902b7", "message": "m"},
            {"spanId": "00f067aa0ba902b7", "textPayload": "m"},
        ),
        ({"logging.googleapis.com/trace_sampled": True, "message": "m"}, {"traceSampled": True, "textPayload": "m"}),
        ({"logging.googleapis.com/insertId": "own", "message": "m"}, {"insertId": "own", "textPayload": "m"}),
        (
            {"logging.googleapis.com/labels": {"tenant": "a"}, "message": "m"},
            {"labels": {"instanceId": "00ab", "tenant": "a"}, "textPayload": "m"},
        ),
        (
            {"logging.googleapis.com/operation": {"id": "o", "producer": "p", "first": True}, "message": "m"},
            {"operation": {"id": "o", "producer": "p", "first": True}, "textPayload": "m"},
        ),
        (
            {"logging.googleapis.com/sourceLocation": {"file": "a.py", "line": "12", "function": "f"}, "message": "m"},
            {"sourceLocation": {"file": "a.py", "line": "12", "function": "f"}, "textPayload": "m"},
        ),
        (
            {"logging.googleapis.com/sourceLocation": {"file": "a.py", "line": 12}, "message": "m"},
            {"sourceLocation": {"file": "a.py", "line": "12"}, "textPayload": "m"},
        ),
        (
            {
                "httpRequest": {
                    "requestMethod": "GET",
                    "requestUrl": "/items",
                    "requestSize": "12",
                    "status": 200,
                    "responseSize": 34,
                    "userAgent": "curl",
                    "remoteIp": "127.0.0.1",
                    "latency": "0.012500s",
                    "protocol": "HTTP/1.1",
                },
                "message": "m",
            },
            {
                "httpRequest": {
                    "requestMethod": "GET",
                    "requestUrl": "/items",
                    "requestSize": "12",
                    "status": 200,
                    "responseSize": "34",
                    "userAgent": "curl",
                    "remoteIp": "127.0.0.1",
                    "latency": "0.012500s",
                    "protocol": "HTTP/1.1",
                },
                "textPayload": "m",
            },
        ),
        (
            {"stack_trace": "Traceback", "exception": "x"},
            {"jsonPayload": {"stack_trace": "Traceback", "exception": "x"}},
        ),
    ],
)  # fmt: skip
def test_a_special_field_is_lifted_out_of_the_payload(fields, expected):
    assert lifted(**fields) == expected


@known_from(docs="https://github.com/GoogleCloudPlatform/fluent-plugin-google-cloud")
@pytest.mark.parametrize(
    ("written", "severity"),
    [
        ("INFO", "INFO"),
        ("warning", "WARNING"),
        ("WARN", "WARNING"),
        ("fatal", "CRITICAL"),
        ("E", "ERROR"),
        ("TRACE", "DEBUG"),
        (" Emerg ", "EMERGENCY"),
        (500, "ERROR"),
        ("410", "WARNING"),
        ("LOUD", None),
        ("", None),
    ],
)
def test_a_severity_is_read_in_its_common_spellings(written, severity):
    assert lifted(severity=written, message="m").get("severity") == severity


@our_choice("nothing a service wrote is lost, and the documents are silent on wrong values")
@pytest.mark.parametrize(
    "fields",
    [
        {"severity": ["ERROR"]},
        {"time": "yesterday"},
        {"timestamp": "2026-11-20T12:00:00Z"},
        {"logging.googleapis.com/labels": {"number": 1}},
        {"logging.googleapis.com/trace_sampled": "yes"},
        {"logging.googleapis.com/operation": "o"},
        {"httpRequest": "GET /"},
    ],
)
def test_a_special_field_with_an_impossible_value_stays_in_the_payload(fields):
    assert lifted(**fields, message="m")["jsonPayload"] == {
        **json.loads(json.dumps(fields), parse_int=float),
        "message": "m",
    }


@our_choice("nothing a service wrote is lost")
def test_what_a_request_has_beyond_the_known_members_stays():
    found = lifted(httpRequest={"requestMethod": "GET", "route": "/items/{id}"}, message="m")
    assert found == {
        "httpRequest": {"requestMethod": "GET"},
        "jsonPayload": {"httpRequest": {"route": "/items/{id}"}, "message": "m"},
    }


@known_from(docs=STRUCTURED)
@pytest.mark.parametrize(
    "line",
    [
        "plain text",
        "[1, 2]",
        '"text"',
        "42",
        '{"open": 1',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1} trailing',
        "{'single': 'quotes'}",
        '{"a":' * 5_000,
    ],
)
def test_a_line_that_is_no_json_object_is_text(line):
    found = entry(line)
    assert found["textPayload"] == line
    assert "severity" not in found


@our_choice("protobuf cannot hold these; the line is not lost for it")
@pytest.mark.parametrize(
    "line", ['{"a": "\\ud800"}', '{"a": 1' + "0" * 400 + "}", '{"time": "9999-12-31T23:59:59.999Z", "a": 1e999}']
)
def test_an_object_that_no_entry_can_hold_is_text(line):
    assert entry(line)["textPayload"] == line


def test_bytes_that_are_no_utf_8_are_replaced():
    assert entry(b"caf\xe9")["textPayload"] == "caf\ufffd"


@known_from(proto="google/logging/v2/logging.proto")
def test_an_object_that_grows_beyond_256_kib_becomes_a_cut_text():
    line = json.dumps({str(number): 1 for number in range(22_000)})
    assert len(line) < LINE_BYTES
    found = SOURCE.entry(Line("stdout", ARRIVED, 0, line.encode()))
    assert found.text_payload.startswith('{"0": 1')
    assert found.ByteSize() <= 256 * 1024
    longest = SOURCE.entry(Line("stdout", ARRIVED, 0, b"x" * LINE_BYTES))
    assert longest.ByteSize() <= 256 * 1024


def test_lines_are_cut_wherever_the_pieces_end():
    splitter = Splitter()
    pieces = [b"on", b"e\ntwo\r\n\n  \nthr", b"ee", b"\nfour"]
    found = [line for piece in pieces for line in splitter.feed(piece)]
    assert [*found, *splitter.end()] == [b"one", b"two", b"three", b"four"]
    assert splitter.end() == []


@our_choice("memory stays bounded; the beginning of a line says more than its end")
def test_of_an_endless_line_the_beginning_is_kept_once():
    splitter = Splitter()
    found = []
    for _ in range(40):
        found += splitter.feed(b"x" * 65_536)
    found += splitter.feed(b"tail\nnext\n")
    assert [len(line) for line in found] == [LINE_BYTES, 4]
    assert found[1] == b"next"
    assert splitter.truncated == 1


@our_choice("memory stays bounded, and what is lost is counted")
def test_a_full_queue_drops_its_oldest_lines_and_counts_them():
    queue = LineQueue(lines=3, size=100)
    for number in range(5):
        queue.put(Line("stdout", 0, number, b"x"))
    queue.put(Line("stdout", 0, 5, b"y" * 99))
    assert [line.number for line in queue.take(10, 1000) or []] == [4, 5]
    assert queue.dropped == 4
    queue.close()
    assert queue.take(10, 1000) is None
