import json
import os
import subprocess
import sys
import threading

import pytest
from google.cloud.logging_v2.types import ListLogEntriesRequest

from app.core import guard
from app.core.logging.destination import Destination, cloud_logging
from app.core.logging.resource import gce_instance, generic_task
from app.core.spool import SpoolOptions
from support.emulator import running_emulator
from support.servers import TESTS, free_port
from support.waiting import wait_until

LIMIT = 16 * 2**20
TASK = generic_task("here", "test", "items", "task-1")


def _line(number, severity="INFO", **fields):
    return json.dumps({"severity": severity, "message": f"line {number}", "n": number, **fields}).encode() + b"\n"


def _lines(destination: Destination) -> int:
    assert destination.api is not None
    return destination.api.lines


def _sent(destination: Destination, count: int) -> None:
    wait_until(lambda: _lines(destination) == count, 20, "the lines")


def _destination(folder, port, resource=TASK, **options) -> Destination:
    found = cloud_logging(
        "demo",
        "items",
        resource,
        emulator_host=f"127.0.0.1:{port}",
        spool=SpoolOptions(str(folder / "spool"), LIMIT),
        **options,
    )
    found.open()
    return found


def _entries(emulator):
    request = ListLogEntriesRequest.pb()(resource_names=["projects/demo"], page_size=1000)
    return list(emulator.call(lambda: emulator.emulator.parts.logging.list_log_entries(request)).entries)


def _number(entry):
    return int(entry.json_payload.fields["n"].number_value)


@pytest.fixture
def told(monkeypatch):
    messages = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: messages.append({"message": message, **fields}))
    return messages


def test_at_the_end_beside_a_dead_back_end_nothing_is_lost_and_the_next_process_sends_it(tmp_path, told):
    port = free_port()
    first = _destination(tmp_path, port)
    for number in range(50):
        first.write(_line(number, "ERROR" if number == 7 else "INFO"))
    first.keep(_line(50))
    wait_until(lambda: first.at_risk == 0, what="all of it on disk")
    assert not first.close(0.3)
    assert first.dropped == 0
    assert not [one for one in told if "was lost" in one["message"]]
    with running_emulator(grpc_port=port) as emulator:
        second = _destination(tmp_path, port, gce_instance("zone", "another"))
        second.write(_line(51))
        assert wait_until(lambda: _lines(second) == 52, 20)
        assert second.close(10)
        entries = _entries(emulator)
    assert sorted(map(_number, entries)) == list(range(52))
    by_number = {_number(entry): entry for entry in entries}
    assert by_number[3].resource.type == "generic_task", "of the process that wrote it"
    assert by_number[3].resource.labels["task_id"] == "task-1"
    assert by_number[51].resource.type == "gce_instance"
    assert by_number[7].severity == 500
    assert len({entry.insert_id for entry in entries}) == 52
    assert list((tmp_path / "spool").glob("*.spool")) == []


def test_what_memory_has_no_room_for_is_counted_and_gone_from_disk_too(tmp_path, told):
    port = free_port()
    first = _destination(tmp_path, port, buffer_bytes=2**20)
    for number in range(1000):
        first.write(_line(number, pad="x" * 2000))
    wait_until(lambda: first.dropped)
    wait_until(lambda: first.at_risk == 0)
    first.close(0.2)
    dropped = first.dropped
    with running_emulator(grpc_port=port) as emulator:
        second = _destination(tmp_path, port)
        wait_until(lambda: _lines(second) + dropped == 1000, 20, "each of them sent or counted")
        assert second.close(10)
        assert len(_entries(emulator)) + dropped == 1000


def test_what_is_damaged_is_counted_as_lost(tmp_path, told):
    port = free_port()
    first = _destination(tmp_path, port)
    for number in range(10):
        first.write(_line(number))
    wait_until(lambda: first.at_risk == 0)
    first.close(0.2)
    [file] = (tmp_path / "spool").glob("*.spool")
    data = bytearray(file.read_bytes())
    data[data.index(b"line 4")] ^= 1
    file.write_bytes(bytes(data))
    with running_emulator(grpc_port=port) as emulator:
        second = _destination(tmp_path, port)
        wait_until(lambda: _lines(second) == 9, 20)
        second.close(10)
        assert len(_entries(emulator)) == 9
    assert second.api is not None
    assert second.api.dropped_by_reason == {"damaged": 1}


def test_a_call_never_waits_for_the_disk(tmp_path, told, monkeypatch):
    hangs = threading.Event()
    monkeypatch.setattr("os.pwrite", lambda *given: hangs.wait(20) and len(given[1]))
    one = _destination(tmp_path, free_port())
    done = threading.Event()

    def write():
        for number in range(5000):
            one.write(_line(number, pad="x" * 2000))
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert done.wait(10)
    assert one.at_risk > 0
    hangs.set()
    monkeypatch.undo()
    one.close(0.2)


def test_an_entry_that_was_sent_and_not_marked_yet_is_the_same_entry_when_it_is_sent_again(tmp_path, told):
    port = free_port()
    first = _destination(tmp_path, port)
    for number in range(20):
        first.write(_line(number))
    wait_until(lambda: first.at_risk == 0)
    first.close(0.2)
    [file] = (tmp_path / "spool").glob("*.spool")
    as_it_was = file.read_bytes()
    with running_emulator(grpc_port=port) as emulator:
        for _ in range(2):
            file.write_bytes(as_it_was)
            file.chmod(0o600)
            again = _destination(tmp_path, port)
            _sent(again, 20)
            assert again.close(10)
            assert not file.exists()
        assert len(_entries(emulator)) == 20


def test_a_child_that_cannot_send_does_not_take_over_what_others_have_left(tmp_path):
    script = """
import os, sys, time
from core.logging.test_api_spool import *
from core.logging.test_api_spool import _destination, _line
from pathlib import Path
folder, port = Path(sys.argv[1]), int(sys.argv[2])
first = _destination(folder, port)
first.write(_line(1))
wait_until(lambda: first.at_risk == 0)
child = os.fork()
if child == 0:
    first.open()
    first.write(_line(2))
    assert first.api._spool._spool._thread is None
    os._exit(0)
_, status = os.waitpid(child, 0)
print("status", status, flush=True)
os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
    )
    assert "status 0" in done.stdout, done.stderr
    assert '"n": 2' in done.stdout, "its lines go to standard output"
