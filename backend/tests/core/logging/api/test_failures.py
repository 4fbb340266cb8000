"""A back end that fails, waits or is not there: what is tried again, what is lost, and that it is told."""

import random
import threading
import time
from collections import Counter

import grpc
import pytest
from google.cloud.logging_v2.types import (
    WriteLogEntriesPartialErrors,
)
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from app.core.logging.api import ApiLog
from app.core.logging.api_connection import connect
from app.core.logging.spill import OVERHEAD_BYTES
from support.log_api import FAST, api_log, log_line
from support.provenance import known_from
from support.servers import free_port
from support.waiting import wait_until


def _abort(code, message="no", *details):
    status = Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)

    def fault(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return fault


@pytest.mark.parametrize(
    "code",
    ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "UNKNOWN", "UNAUTHENTICATED"],
)
def test_a_passing_failure_is_tried_again(service, told, code):
    service.faults = [_abort(grpc.StatusCode[code])] * 3
    with api_log(service.address) as log:
        log(log_line(1))
        wait_until(lambda: log.lines == 1)
        assert (log.dropped, len(service.requests)) == (0, 4)
    assert service.numbers == [1]
    assert [message["code"] for message in told] == [code], "told once a minute"


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "PERMISSION_DENIED", "NOT_FOUND", "FAILED_PRECONDITION"])
def test_a_lasting_failure_is_counted_and_told(service, told, code):
    service.faults = [_abort(grpc.StatusCode[code], "the reason")]
    with api_log(service.address) as log:
        log(log_line(1, "ERROR"))
        wait_until(lambda: log.dropped)
        log(log_line(2))
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
    with api_log(service.address, linger=1.0) as log:
        for number in range(6):
            log(log_line(number))
        assert log.flush(10)
        assert (log.lines, log.dropped_by_reason) == (5, Counter(refused=1))
    assert [len(request.entries) for request in service.requests] == [6, 1]
    assert sorted(service.numbers) == [0, 2, 3, 4, 5]


def test_it_waits_as_long_as_the_server_asks(service, told):
    wish = RetryInfo(retry_delay=Duration(nanos=300_000_000))
    service.faults = [_abort(grpc.StatusCode.UNAVAILABLE, "later", wish)]
    with api_log(service.address) as log:
        log(log_line(1))
        wait_until(lambda: log.lines == 1)
    assert service.times[1] - service.times[0] >= 0.3


def test_pauses_between_attempts_grow_and_are_drawn_anew(service, told, monkeypatch):
    drawn = []

    def uniform(low, high):
        drawn.append((low, high))
        return 0.001

    monkeypatch.setattr(random, "uniform", uniform)
    service.faults = [_abort(grpc.StatusCode.UNAVAILABLE)] * 6
    with api_log(service.address, delays=(1.0, 10.0)) as log:
        log(log_line(1))
        wait_until(lambda: log.lines == 1)
    assert drawn == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 10.0), (0, 10.0)]


def test_a_quota_that_is_used_up_is_asked_at_most_once_a_second(service, told):
    service.faults = [_abort(grpc.StatusCode.RESOURCE_EXHAUSTED)] * 2
    with api_log(service.address, delays=(0.01, 1.0)) as log:
        log(log_line(1))
        wait_until(lambda: log.lines == 1)
    gaps = [later - earlier for earlier, later in zip(service.times, service.times[1:], strict=False)]
    assert min(gaps) >= 0.95


def test_during_a_long_outage_memory_is_bounded_and_the_severe_stay(told):
    size = len(log_line(1000, "ERROR", pad="x" * 500)) + OVERHEAD_BYTES
    with api_log(f"127.0.0.1:{free_port()}", buffer_bytes=200 * size, closing=0.0) as log:
        for number in range(2000):
            log(log_line(number, "ERROR" if number % 20 == 0 else "INFO", pad="x" * 500))
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
    size = len(log_line(10, "ERROR", pad="x" * 500)) + OVERHEAD_BYTES
    with api_log(service.address, buffer_bytes=20 * size, delays=(5.0, 5.0)) as log:
        for number in range(10, 20):
            log(log_line(number, "INFO", pad="x" * 500))
        assert going.wait(10)
        for number in range(20, 34):
            log(log_line(number, "ERROR", pad="x" * 500))
        go.set()
        assert log.flush(10)
        assert [number for number in service.numbers if number >= 20] == list(range(20, 34))
        assert (log.dropped_by_severity["ERROR"], log.dropped_by_severity["INFO"]) == (0, 24 - log.lines)
        assert log.dropped_by_severity["INFO"] >= 8


def test_closing_beside_a_dead_back_end_is_quick_and_counts_what_is_lost(told):
    log = ApiLog("demo", "items", emulator_host=f"127.0.0.1:{free_port()}", **FAST)
    for number in range(30):
        log(log_line(number, "ERROR" if number < 10 else "INFO"))
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
    log(log_line(1))
    wait_until(lambda: service.requests)
    began = time.monotonic()
    assert not log.close(0.3)
    assert time.monotonic() - began < 3
    assert log.dropped == 1
    go.set()


def test_after_closing_lines_go_to_the_fallback_until_it_is_opened_again(service):
    aside: list[bytes] = []
    with api_log(service.address, fallback=aside.append) as log:
        log(log_line(1))
        assert log.close(5)
        assert not [thread for thread in threading.enumerate() if thread.name == "fastapi-cloudops-logs"]
        log(log_line(2))
        assert aside == [log_line(2)]
        log.open()
        log(log_line(3))
        assert log.flush(10)
        assert sorted(service.numbers) == [1, 3]


def test_credentials_that_are_missing_at_first_cost_no_line(service, told):
    answers = [RuntimeError("no credentials\nat all"), None]

    def connect_later(project, host):
        if error := answers.pop(0):
            raise error
        return connect(project, host)

    with api_log(service.address, connect=connect_later) as log:
        log(log_line(1))
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

    with api_log(service.address, connect=connect_badly) as log:
        log(log_line(1))
        wait_until(lambda: log.lines == 1)
    assert told[0]["answer"].startswith("ZeroDivisionError")
