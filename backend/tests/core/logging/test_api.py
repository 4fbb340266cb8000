import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.logging_v2.types import (
    ListLogEntriesRequest,
    LogEntry,
    WriteLogEntriesPartialErrors,
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from app.core import guard
from app.core.logging.api import BATCH_BYTES, ApiLog
from app.core.logging.api_connection import connect, over
from app.core.logging.api_entry import ENTRY_BYTES, parse, serialise
from app.core.logging.resource import gce_instance, generic_task
from app.core.logging.spill import OVERHEAD_BYTES
from support.emulator import running_emulator
from support.provenance import known_from, our_choice
from support.servers import free_port
from support.waiting import wait_until

BACKEND = Path(__file__).parents[3]
FAST: dict[str, Any] = {"linger": 0.02, "delays": (0.02, 0.1)}
METHOD = "/google.logging.v2.LoggingServiceV2/WriteLogEntries"


@pytest.fixture
def told(monkeypatch):
    """What the library says on stderr."""
    messages = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: messages.append({"message": message, **fields}))
    return messages


def _line(number, severity="INFO", **fields):
    return json.dumps({"severity": severity, "message": f"line {number}", "n": number, **fields}).encode() + b"\n"


@contextmanager
def _log(address, *, closing=5.0, **options):
    log = ApiLog("demo", "items", **{"emulator_host": address, **FAST, **options})
    try:
        yield log
    finally:
        log.close(closing)


class Service:
    """A server that keeps what it takes, and fails when the test says so."""

    def __init__(self):
        self.requests = []
        self.stored = {}
        self.times = []
        #: For each coming call: a function of request and context, which may abort.
        self.faults = []
        handler = grpc.unary_unary_rpc_method_handler(
            self._write,
            request_deserializer=WriteLogEntriesRequest.pb().FromString,
            response_serializer=WriteLogEntriesResponse.pb().SerializeToString,
        )
        self.server = grpc.server(ThreadPoolExecutor(4))
        service, method = METHOD[1:].split("/")
        self.server.add_registered_method_handlers(service, {method: handler})
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def _write(self, request, context):
        self.times.append(time.monotonic())
        self.requests.append(request)
        if self.faults:
            self.faults.pop(0)(request, context)
        self.store(request.entries)
        return WriteLogEntriesResponse.pb()()

    def store(self, entries):
        for entry in entries:
            self.stored.setdefault((entry.timestamp.ToNanoseconds(), entry.insert_id), []).append(entry)

    @property
    def numbers(self):
        entries = [entry for copies in self.stored.values() for entry in copies[:1]]
        return [int(entry.json_payload.fields["n"].number_value) for entry in entries]


@pytest.fixture
def service():
    service = Service()
    yield service
    service.server.stop(0).wait(5)


def _abort(code, message="no", *details):
    status = Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)

    def fault(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return fault


def _entry(line, insert_id="id"):
    return LogEntry.pb().FromString(serialise(line, parse(line), insert_id))


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


def test_there_is_neither_thread_nor_connection_before_the_first_line():
    before = threading.active_count()
    log = ApiLog("demo", "items")
    assert (threading.active_count(), log._sender.connection) == (before, None)
    assert log.flush(0)
    assert log.close(0)


def test_importing_it_loads_no_client():
    code = "import sys, app.core.logging.api; print([m for m in sys.modules if m.startswith(('grpc', 'google'))])"
    environment = {**os.environ, "PYTHONPATH": str(BACKEND)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert answer.stdout.strip() == b"[]"


def test_entries_arrive_in_the_emulator_with_log_name_and_resource():
    with running_emulator() as emulator, _log(emulator.grpc, resource=gce_instance("europe-west1-b", "42")) as log:
        for number in range(2500):
            log(_line(number, "NOTICE"))
        assert log.flush(20)
        assert (log.lines, log.dropped, log.waiting) == (2500, 0, 0)
        entries = _entries(emulator)
        assert [entry["jsonPayload"]["n"] for entry in entries] == list(range(2500))
        assert entries[0]["logName"] == "projects/demo/logs/items"
        assert entries[0]["severity"] == "NOTICE"
        assert entries[0]["resource"] == {
            "type": "gce_instance",
            "labels": {"project_id": "demo", "zone": "europe-west1-b", "instance_id": "42"},
        }


def _entries(emulator):
    request = ListLogEntriesRequest.pb()(resource_names=["projects/demo"], page_size=1000)
    found = []
    while True:
        answer = emulator.call(lambda: emulator.emulator.parts.logging.list_log_entries(request))
        found += [MessageToDict(entry) for entry in answer.entries]
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def test_requests_are_within_their_limits(service):
    with _log(service.address) as log:
        for number in range(1500):
            log(_line(number))
        for number in range(1500, 1560):
            log(_line(number, pad="x" * 150_000))
        assert log.flush(20)
    assert sorted(service.numbers) == list(range(1560))
    assert max(len(request.entries) for request in service.requests) <= 1000
    assert max(request.ByteSize() for request in service.requests) <= BATCH_BYTES + 4096
    assert all(request.partial_success for request in service.requests)


def test_an_outage_and_a_restart_lose_nothing_and_double_nothing(tmp_path, told):
    port = free_port()
    with running_emulator(grpc_port=port, data_dir=tmp_path) as emulator, _log(emulator.grpc) as log:
        for number in range(100):
            log(_line(number))
        assert log.flush(10)
        address = emulator.grpc
        log2 = ApiLog("demo", "items", emulator_host=address, **FAST)
        for number in range(100, 110):
            log2(_line(number))
        assert log2.flush(10)
    for number in range(110, 400):
        log2(_line(number))
    wait_until(lambda: told, what="the outage to be told")
    assert not log2.flush(0.2)
    with running_emulator(grpc_port=port, data_dir=tmp_path) as emulator:
        assert log2.flush(20)
        numbers = [entry["jsonPayload"]["n"] for entry in _entries(emulator)]
        assert log2.close(5)
    assert sorted(numbers) == list(range(400))
    assert log2.dropped == 0


def test_an_answer_that_is_lost_makes_no_duplicate(service, told):
    def stored_but_unanswered(request, context):
        service.store(request.entries)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    service.faults = [stored_but_unanswered] * 2
    with _log(service.address) as log:
        for number in range(50):
            log(_line(number))
        assert log.flush(10)
    copies = [len(copies) for copies in service.stored.values()]
    assert len(copies) == 50, "one identity each, however often it was sent"
    assert max(copies) == 3


@pytest.mark.parametrize(
    "code",
    ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "UNKNOWN", "UNAUTHENTICATED"],
)
def test_a_passing_failure_is_tried_again(service, told, code):
    service.faults = [_abort(grpc.StatusCode[code])] * 3
    with _log(service.address) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
        assert (log.dropped, len(service.requests)) == (0, 4)
    assert service.numbers == [1]
    assert [message["code"] for message in told] == [code], "told once a minute"


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION"])
def test_a_lasting_failure_is_counted_and_told(service, told, code):
    service.faults = [_abort(grpc.StatusCode[code], "the reason")]
    with _log(service.address) as log:
        log(_line(1, "ERROR"))
        wait_until(lambda: log.dropped)
        log(_line(2))
        assert log.flush(10)
        assert (log.dropped_by_severity, log.dropped_by_reason) == (Counter(ERROR=1), Counter(refused=1))
    assert service.numbers == [2]
    assert (told[0]["code"], told[0]["answer"], told[0]["dropped"]) == (code, "the reason", 1)


@known_from(proto="google/logging/v2/logging.proto, WriteLogEntriesRequest.partial_success")
def test_only_what_failed_for_a_passing_reason_is_sent_again(service, told):
    errors = WriteLogEntriesPartialErrors.pb()()
    errors.log_entry_errors[1].code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    errors.log_entry_errors[3].code = grpc.StatusCode.UNAVAILABLE.value[0]

    def partly(request, context):
        service.store([entry for index, entry in enumerate(request.entries) if index not in {1, 3}])
        _abort(grpc.StatusCode.INVALID_ARGUMENT, "partly", errors)(request, context)

    service.faults = [partly]
    with _log(service.address, linger=1.0) as log:
        for number in range(6):
            log(_line(number))
        assert log.flush(10)
        assert (log.lines, log.dropped_by_reason) == (5, Counter(refused=1))
    assert [len(request.entries) for request in service.requests] == [6, 1]
    assert sorted(service.numbers) == [0, 2, 3, 4, 5]


def test_one_big_entry_costs_its_neighbours_nothing():
    with running_emulator() as emulator, _log(emulator.grpc) as log:
        log(_line(1))
        log(_line(2, values=list(range(80_000))))
        log(_line(3, pad="x" * 600_000))
        log(_line(4))
        assert log.flush(10)
        assert (log.lines, log.dropped) == (4, 0)
        entries = _entries(emulator)
        assert [entry["jsonPayload"]["n"] for entry in entries] == [1, 2, 3, 4]
        assert [("truncated" in entry["jsonPayload"]) for entry in entries] == [False, True, True, False]


def test_it_waits_as_long_as_the_server_asks(service, told):
    wish = RetryInfo(retry_delay=Duration(nanos=300_000_000))
    service.faults = [_abort(grpc.StatusCode.UNAVAILABLE, "later", wish)]
    with _log(service.address) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
    assert service.times[1] - service.times[0] >= 0.3


def test_pauses_between_attempts_grow_and_are_drawn_anew(service, told, monkeypatch):
    drawn = []

    def uniform(low, high):
        drawn.append((low, high))
        return 0.001

    monkeypatch.setattr(random, "uniform", uniform)
    service.faults = [_abort(grpc.StatusCode.UNAVAILABLE)] * 6
    with _log(service.address, delays=(1.0, 10.0)) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
    assert drawn == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 10.0), (0, 10.0)]


def test_a_quota_that_is_used_up_is_asked_at_most_once_a_second(service, told):
    service.faults = [_abort(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 2
    with _log(service.address, delays=(0.01, 1.0)) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
    gaps = [later - earlier for earlier, later in zip(service.times, service.times[1:], strict=False)]
    assert min(gaps) >= 0.95


def test_during_a_long_outage_memory_is_bounded_and_the_severe_stay(told):
    size = len(_line(1000, "ERROR", pad="x" * 500)) + OVERHEAD_BYTES
    with _log(f"127.0.0.1:{free_port()}", buffer_bytes=200 * size, closing=0.0) as log:
        for number in range(2000):
            log(_line(number, "ERROR" if number % 20 == 0 else "INFO", pad="x" * 500))
        wait_until(lambda: told)
        dropped = log.dropped_by_severity
        assert dropped["ERROR"] == 0
        assert log.waiting + dropped.total() == 2000
        assert log._backlog.bytes <= 150 * size
        assert dropped["INFO"] >= 1790
        assert log.dropped_by_reason == Counter(full=dropped.total())


def test_what_is_on_its_way_gives_way_to_more_severe_entries_when_it_comes_back(service, told):
    going, go = threading.Event(), threading.Event()

    def held_up(_request, context):
        going.set()
        go.wait(10)
        context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    service.faults = [held_up]
    size = len(_line(10, "ERROR", pad="x" * 500)) + OVERHEAD_BYTES
    with _log(service.address, buffer_bytes=20 * size, delays=(5.0, 5.0)) as log:
        for number in range(10, 20):
            log(_line(number, "INFO", pad="x" * 500))
        assert going.wait(10)
        for number in range(20, 34):
            log(_line(number, "ERROR", pad="x" * 500))
        go.set()
        assert log.flush(10)
        assert [number for number in service.numbers if number >= 20] == list(range(20, 34))
        assert (log.dropped_by_severity["ERROR"], log.dropped_by_severity["INFO"]) == (0, 24 - log.lines)
        assert log.dropped_by_severity["INFO"] >= 8


def test_closing_beside_a_dead_back_end_is_quick_and_counts_what_is_lost(told):
    log = ApiLog("demo", "items", emulator_host=f"127.0.0.1:{free_port()}", **FAST)
    for number in range(30):
        log(_line(number, "ERROR" if number < 10 else "INFO"))
    began = time.monotonic()
    assert not log.close(0.3)
    assert time.monotonic() - began < 3
    assert (log.dropped_by_reason, log.waiting) == (Counter(closed=30), 0)
    assert log.dropped_by_severity == Counter(ERROR=10, INFO=20)
    assert told[-1]["lost"] == {"logs": "30 entries"}


def test_closing_beside_a_back_end_that_never_answers_is_quick(service, told):
    go = threading.Event()
    service.faults = [lambda _request, _context: go.wait(20)]
    log = ApiLog("demo", "items", emulator_host=service.address, **FAST)
    log(_line(1))
    wait_until(lambda: service.requests)
    began = time.monotonic()
    assert not log.close(0.3)
    assert time.monotonic() - began < 3
    assert log.dropped == 1
    go.set()


def test_after_closing_lines_go_to_the_fallback_until_it_is_opened_again(service):
    aside: list[bytes] = []
    with _log(service.address, fallback=aside.append) as log:
        log(_line(1))
        assert log.close(5)
        assert not [thread for thread in threading.enumerate() if thread.name == "fastapi-cloudops-logs"]
        log(_line(2))
        assert aside == [_line(2)]
        log.open()
        log(_line(3))
        assert log.flush(10)
        assert sorted(service.numbers) == [1, 3]


def test_what_the_client_logs_itself_is_never_sent(service, told):
    aside: list[bytes] = []
    root = logging.getLogger()
    with _log(service.address, fallback=aside.append) as log:

        class ToTheApi(logging.Handler):
            def emit(self, record):
                fields = {"severity": record.levelname, "logger": record.name, "message": record.getMessage()}
                log(json.dumps(fields).encode())

        class Chatty(grpc.AuthMetadataPlugin):
            """Renews credentials in a thread of gRPC's, as Google's does."""

            def __call__(self, context, callback):
                logging.getLogger("urllib3.connectionpool").debug("Starting new HTTP connection")
                callback((), None)

        def connect_chattily(project, _host):
            channel = grpc.secure_channel(
                service.address,
                grpc.composite_channel_credentials(
                    grpc.local_channel_credentials(), grpc.metadata_call_credentials(Chatty())
                ),
            )
            logging.getLogger("google.auth.transport").debug("connecting")
            logging.getLogger("urllib3").debug("connecting")
            return over(channel, project)

        log._sender._connect = connect_chattily
        handler = ToTheApi()
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            for number in range(3):
                logging.getLogger("items").debug("line %d", number)
                logging.getLogger("grpc._channel").debug("from a thread of gRPC's")
                logging.getLogger("grpc_service").debug("the app's own, by another name")
                assert log.flush(10)
        finally:
            root.removeHandler(handler)
        sent = Counter(
            entry.json_payload.fields["logger"].string_value
            for request in service.requests
            for entry in request.entries
        )
        assert sent["items"] == 3
        assert sent["grpc_service"] == 3
        assert set(sent) == {"items", "grpc_service"}
        assert len(service.requests) <= 9, "nothing was sent because of a sending"
        assert log.own == len(aside) >= 7
        assert any(b"urllib3.connectionpool" in line for line in aside)


def test_credentials_that_are_missing_at_first_cost_no_line(service, told):
    answers = [RuntimeError("no credentials\nat all"), None]

    def connect_later(project, host):
        if error := answers.pop(0):
            raise error
        return connect(project, host)

    with _log(service.address, connect=connect_later) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
    assert service.numbers == [1]
    assert told[0]["answer"] == "no connection: RuntimeError: no credentials"


def test_an_unexpected_error_of_the_client_costs_no_line(service, told):
    def connect_badly(project, host):
        connection = connect(project, host)
        calls = []

        def write(request, timeout):
            calls.append(request)
            if len(calls) == 1:
                raise ZeroDivisionError
            return connection.write(request, timeout)

        return type(connection)(project, write, connection.close)

    with _log(service.address, connect=connect_badly) as log:
        log(_line(1))
        wait_until(lambda: log.lines == 1)
    assert told[0]["answer"].startswith("ZeroDivisionError")


def test_a_lone_surrogate_costs_an_entry_no_more_than_itself():
    entry = MessageToDict(_entry(b'{"severity":"ERROR","message":"a\\udcffb"}\n'))
    assert (entry["severity"], entry["jsonPayload"]) == ("ERROR", {"message": "a?b"})


def test_a_line_that_cannot_be_converted_costs_no_other(service, monkeypatch, internal_failures):
    from app.core.logging import api_entry  # noqa: PLC0415  # here it is broken

    def broken(line, fields, insert_id):
        if fields and fields["n"] == 2:
            raise ZeroDivisionError
        return serialise(line, fields, insert_id)

    monkeypatch.setattr(api_entry, "serialise", broken)
    with _log(service.address) as log:
        for number in range(5):
            log(_line(number))
        assert log.flush(10)
        assert log.dropped_by_reason == Counter(refused=1)
    assert sorted(service.numbers) == [0, 1, 3, 4]
    internal_failures.clear()


_FORKING = """
import json, os, sys
from app.core.logging.api import ApiLog
log = ApiLog("demo", "items", emulator_host=sys.argv[1], fallback=lambda line: os.write(1, line), linger=0.02)
line = lambda n: json.dumps({"severity": "INFO", "message": "x", "n": n}).encode() + b"\\n"
if sys.argv[2] == "after":
    log(line(0))
    assert log.flush(10)
children = []
for child in range(2):
    pid = os.fork()
    if pid == 0:
        for n in range(10):
            log(line(100 + 100 * child + n))
        assert log.flush(30) and log.close(5)  # loading the client takes its time on a busy machine
        sys.exit(0)
    children.append(pid)
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
log(line(1))
assert log.flush(10)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_forked_child_never_touches_its_parents_connection_and_its_lines_are_not_lost(service, when):
    answer = subprocess.run(
        [sys.executable, "-c", _FORKING, service.address, when],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(BACKEND)},
        check=False,
    )
    assert answer.returncode == 0, answer.stderr.decode()
    children = {*range(100, 110), *range(200, 210)}
    written = {json.loads(line)["n"] for line in answer.stdout.splitlines()}
    warnings = [line for line in answer.stderr.splitlines() if b"forked after" in line]
    if when == "before":
        assert (written, set(service.numbers), warnings) == (set(), children | {1}, [])
        assert len(service.stored) == 21, "children draw insert ids of their own"
    else:
        assert (written, set(service.numbers)) == (children, {0, 1})
        assert len(warnings) == 2


def test_a_process_that_ends_sends_what_waits(service):
    code = (
        "import sys\nfrom app.core.logging.api import ApiLog\nfrom app.core.logging.resource import generic_task\n"
        "log = ApiLog('', 'items', generic_task('global', 'test', 'items', '0'), emulator_host=sys.argv[1], linger=5)\n"
        "log(b'{\"n\":0}\\n')\nassert log.flush(30)\n"  # the client is loaded
        "[log(b'{\"n\":%d}\\n' % n) for n in range(1, 500)]\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, service.address],
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(BACKEND)},
    )
    assert sorted(service.numbers) == list(range(500))
    assert service.requests[0].resource.type == generic_task("", "", "", "").type
    assert service.requests[0].log_name == "projects/demo/logs/items"
