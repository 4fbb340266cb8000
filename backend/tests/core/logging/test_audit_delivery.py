"""Audit entries when nobody reads: they take everybody else's room, then another way out, and only then are lost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.core.logging.api import ApiLog
from app.core.logging.api_connection import Connection, Failure
from app.core.logging.audit import declare, get_audit_logger
from app.core.logging.destination import standard_output
from app.core.logging.spill import KEPT, OVERHEAD_BYTES, Backlog
from app.core.logging.stdout import Stdout
from app.core.redaction import Redaction
from support.waiting import wait_until

BACKEND = Path(__file__).parents[3]


def _line(number: int, severity: str = "NOTICE", length: int = 1000) -> bytes:
    head = json.dumps({"severity": severity, "n": number, "pad": ""}).encode()[:-2]
    return head + b"x" * (length - len(head) - 3) + b'"}\n'


def _numbers(output: bytes) -> list[int]:
    return [json.loads(line)["n"] for line in output.splitlines() if line.startswith(b"{")]


class Rescue:
    """Takes what could not be written."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __call__(self, line: bytes) -> bool:
        self.numbers += _numbers(line)
        return True


@contextmanager
def stalled() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that takes not one byte more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"-" * 4095 + b"\n"):
            pass
    os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        for descriptor in (reading, writing):
            with suppress(OSError):
                os.close(descriptor)


def _read_all(reading: int, done: Callable[[], bool]) -> bytes:
    output = bytearray()
    os.set_blocking(reading, False)

    def read() -> bool:
        with suppress(BlockingIOError):
            while chunk := os.read(reading, 1 << 20):
                output.extend(chunk)
        return done()

    wait_until(read, what="the lines that waited")
    with suppress(BlockingIOError):
        output += os.read(reading, 1 << 20)
    return bytes(output)


def test_audit_entries_push_out_everything_else_first():
    with stalled() as (reading, writing):
        stdout = Stdout(writing, buffer_bytes=100 * (1000 + OVERHEAD_BYTES))
        for number in range(200):
            stdout(_line(number, "EMERGENCY"))
        assert all(stdout.keep(_line(1000 + number)) for number in range(95))
        output = _read_all(reading, lambda: stdout.waiting == 0)
        assert [number for number in _numbers(output) if number >= 1000] == list(range(1000, 1095))
        assert stdout.dropped_by_severity[KEPT] == 0
        assert stdout.dropped_by_severity["EMERGENCY"] + len(_numbers(output)) == 200 + 95
        stdout.close()


def test_beyond_the_buffer_audit_entries_find_another_way_or_are_counted():
    with stalled() as (reading, writing):
        room, rescue = 50 * (1000 + OVERHEAD_BYTES), Rescue()
        stdout = Stdout(writing, buffer_bytes=room, rescue=rescue)
        assert all(stdout.keep(_line(number)) for number in range(80))
        alone = Stdout(writing, buffer_bytes=room)
        kept = [number for number in range(1000, 1080) if alone.keep(_line(number))]
        assert 50 <= len(kept) < 80
        assert alone.dropped_by_severity == {KEPT: 80 - len(kept)}
        output = _numbers(_read_all(reading, lambda: stdout.waiting == alone.waiting == 0))
        assert [number for number in output if number >= 1000] == kept
        assert sorted([number for number in output if number < 1000] + rescue.numbers) == list(range(80))
        assert stdout.dropped == 0
        stdout.close()
        alone.close()


def test_an_audit_entry_that_waits_is_not_evicted_by_what_comes_later():
    backlog: Backlog[str] = Backlog(3 * OVERHEAD_BYTES)
    backlog.add("audit", 0, KEPT)
    for number in range(10):
        backlog.add(f"emergency {number}", 0, "EMERGENCY")
    assert [held.payload for held in backlog.take(0, 1)] == ["audit"]
    assert backlog.dropped == {"EMERGENCY": 8}


def test_a_reader_that_went_away_costs_no_audit_entry(internal_failures):
    rescue = Rescue()
    reading, writing = os.pipe()
    stdout = Stdout(writing, rescue=rescue)
    assert stdout.keep(_line(0))
    os.close(reading)
    assert all(stdout.keep(_line(number)) for number in (1, 2, 3))
    assert rescue.numbers == [1, 2, 3]
    assert stdout.dropped == 0
    internal_failures.clear()
    os.close(writing)


def test_at_the_end_beside_a_stalled_reader_audit_entries_leave_by_standard_error():
    code = """
import os, sys
from app.core.logging.destination import standard_output
def line(number, severity):
    return b'{"severity":"%s","n":%d,"pad":"%s"}\\n' % (severity, number, b"x" * 300)
output = standard_output("json")
for number in range(2000):
    output.write(line(number, b"ERROR"))
for number in range(5000, 5020):
    assert output.keep(line(number, b"NOTICE"))
sys.exit(output.close(0.2))
"""
    with stalled() as (_reading, writing):
        process = subprocess.run(
            [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, cwd=BACKEND, timeout=30, check=False
        )
    assert process.returncode == 0
    assert _numbers(process.stderr) == list(range(5000, 5020))


class Refusing:
    """A connection to a Cloud Logging that takes nothing."""

    project = "demo"

    def __init__(self, code: str) -> None:
        self.code = code

    def write(self, _request: bytes, _timeout: float) -> Failure:
        return Failure(self.code, "no")

    def close(self) -> None: ...


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAVAILABLE"])
def test_an_audit_entry_that_the_api_does_not_take_is_written_to_standard_output(code, capfd):
    rescue = Rescue()

    def connection(_project: str, _host: str) -> Connection:
        return Refusing(code)  # type: ignore[return-value]  # as much of one as is used

    log = ApiLog(
        "demo",
        "items",
        linger=0.01,
        delays=(0.01, 0.02),
        connect=connection,
        rescue=rescue,
    )
    assert log.keep(_line(1))
    log(_line(2, "EMERGENCY"))
    if code == "INVALID_ARGUMENT":
        wait_until(lambda: rescue.numbers, what="the entry that was refused")
    log.close(0.2)
    assert rescue.numbers == [1]
    assert log.dropped_by_severity == {"EMERGENCY": 1}
    assert log.keep(_line(3))  # it is closed
    assert rescue.numbers == [1, 3]
    assert "fastapi-cloudops" in capfd.readouterr().err


def test_the_caller_is_told_that_an_entry_is_lost():
    event = declare("user_deleted", target=str)
    for answer, told in ((None, True), (True, True), (False, False)):
        audit = get_audit_logger(lambda _, answer=answer: answer, [], redaction=Redaction(), strict=True)  # type: ignore[misc]  # a default
        assert audit(event, target="bob") is told


def test_in_a_terminal_an_audit_entry_is_text_too():
    reading, writing = os.pipe()
    output = standard_output("text", descriptor=writing)
    assert output.keep(b'{"severity":"NOTICE","message":"user_deleted","target":"bob"}\n')
    assert b"target=bob" in os.read(reading, 4096)
    os.close(reading)
    os.close(writing)
