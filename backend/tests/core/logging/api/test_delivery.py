"""Entries arrive: whole, once, within the limits of the API, from processes that fork and end too."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter

import grpc
import pytest
from google.cloud.logging_v2.types import (
    ListLogEntriesRequest,
)
from google.protobuf.json_format import MessageToDict

from app.core.logging.api import BATCH_BYTES, ApiLog
from app.core.logging.api_connection import over
from app.core.logging.api_entry import serialise
from app.core.logging.resource import gce_instance, generic_task
from support.emulator import running_emulator
from support.log_api import BACKEND, FAST, api_log, log_line
from support.servers import free_port
from support.waiting import wait_until


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
    with running_emulator() as emulator, api_log(emulator.grpc, resource=gce_instance("europe-west1-b", "42")) as log:
        for number in range(2500):
            log(log_line(number, "NOTICE"))
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
    with api_log(service.address) as log:
        for number in range(1500):
            log(log_line(number))
        for number in range(1500, 1560):
            log(log_line(number, pad="x" * 150_000))
        assert log.flush(20)
    assert sorted(service.numbers) == list(range(1560))
    assert max(len(request.entries) for request in service.requests) <= 1000
    assert max(request.ByteSize() for request in service.requests) <= BATCH_BYTES + 4096
    assert all(request.partial_success for request in service.requests)


def test_an_outage_and_a_restart_lose_nothing_and_double_nothing(tmp_path, told):
    port = free_port()
    with running_emulator(grpc_port=port, data_dir=tmp_path) as emulator, api_log(emulator.grpc) as log:
        for number in range(100):
            log(log_line(number))
        assert log.flush(10)
        address = emulator.grpc
        log2 = ApiLog("demo", "items", emulator_host=address, **FAST)
        for number in range(100, 110):
            log2(log_line(number))
        assert log2.flush(10)
    for number in range(110, 400):
        log2(log_line(number))
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
    with api_log(service.address) as log:
        for number in range(50):
            log(log_line(number))
        assert log.flush(10)
    copies = [len(copies) for copies in service.stored.values()]
    assert len(copies) == 50, "one identity each, however often it was sent"
    assert max(copies) == 3


def test_one_big_entry_costs_its_neighbours_nothing():
    with running_emulator() as emulator, api_log(emulator.grpc) as log:
        log(log_line(1))
        log(log_line(2, values=list(range(80_000))))
        log(log_line(3, pad="x" * 600_000))
        log(log_line(4))
        assert log.flush(10)
        assert (log.lines, log.dropped) == (4, 0)
        entries = _entries(emulator)
        assert [entry["jsonPayload"]["n"] for entry in entries] == [1, 2, 3, 4]
        assert [("truncated" in entry["jsonPayload"]) for entry in entries] == [False, True, True, False]


def test_what_the_client_logs_itself_is_never_sent(service, told):
    aside: list[bytes] = []
    root = logging.getLogger()
    with api_log(service.address, fallback=aside.append) as log:

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


def test_a_line_that_cannot_be_converted_costs_no_other(service, monkeypatch, internal_failures):
    from app.core.logging import api_entry  # noqa: PLC0415  # here it is broken

    def broken(line, fields, insert_id, now):
        if fields and fields["n"] == 2:
            raise ZeroDivisionError
        return serialise(line, fields, insert_id, now)

    monkeypatch.setattr(api_entry, "serialise", broken)
    with api_log(service.address) as log:
        for number in range(5):
            log(log_line(number))
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
