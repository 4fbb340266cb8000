"""Outputs that are no pipe of ours: files, sockets, terminals, another user's pipe, none at all."""

import os
import pty
import select
import socket
import subprocess
import termios
import threading
import time
import tty

import pytest

from app.core.logging import descriptor as descriptors
from app.core.logging.stdout import Stdout
from support.log_output import are_quick, log_line, logging_process, numbers_of, said_by

NOBODY = 65534


def test_a_named_pipe_that_finds_another_reader_is_written_to_again(tmp_path, internal_failures, monkeypatch):
    monkeypatch.setattr("app.core.logging.stdout._GONE_SECONDS", 0.0)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    stdout = Stdout(writing)
    stdout(log_line(1))
    os.close(reading)
    stdout(log_line(2))
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stdout(log_line(3))
    assert numbers_of(os.read(reading, 4096)) == [1, 3]  # the first one was still in the pipe
    assert (stdout.lines, stdout.dropped) == (2, 1)
    internal_failures.clear()
    os.close(reading)
    os.close(writing)


def test_a_closed_output_is_counted_and_raises_nothing(pipe, internal_failures):
    stdout = Stdout(pipe.writing)
    pipe.close_reading()
    pipe.close_writing()
    stdout(b"lost\n")
    assert (stdout.lines, stdout.dropped) == (0, 1)
    assert len(internal_failures) == 1
    internal_failures.clear()


def test_an_output_without_a_reader_from_the_start_is_counted(pipe, internal_failures):
    pipe.close_reading()
    stdout = Stdout(pipe.writing)
    stdout(b"lost\n")
    assert stdout.close(10)
    assert (stdout.lines, stdout.dropped) == (0, 1)
    internal_failures.clear()


def test_a_file_is_written_through_the_descriptor_that_print_uses(tmp_path):
    file = tmp_path / "out"
    code = (
        "for n in range(0, 60, 3):\n    print('{\"n\":%d}' % n, flush=True)\n"
        '    log(b\'{"n":%d}\\n\' % (n + 1))\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n + 2, b\'x\' * 10_000))\n'
        "assert log.lines == 40\n"
    )
    with file.open("wb") as output, logging_process(code, output) as process:
        assert process.wait(10) == 0
    assert numbers_of(file.read_bytes()) == list(range(60))


def test_a_full_disk_is_counted(internal_failures):
    full = os.open("/dev/full", os.O_WRONLY)
    stdout = Stdout(full)
    stdout(log_line(1))
    os.close(full)
    assert (stdout.lines, stdout.dropped) == (0, 1)
    internal_failures.clear()


def _log_all(stdout, lines):
    """Log, and assert that no call waits for the reader."""
    calls = []

    def work():
        for line in lines:
            began = time.perf_counter()
            stdout(line)
            calls.append(time.perf_counter() - began)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "a call waits for the reader"
    assert are_quick(calls)


def _drained(reading, stdout):
    """All that an output has written, read to the last byte."""
    received = bytearray()
    deadline = time.monotonic() + 20
    while stdout.waiting or len(received) < stdout.bytes:
        assert time.monotonic() < deadline
        if select.select([reading], [], [], 0.05)[0]:
            received += os.read(reading, 1 << 16)
    return bytes(received)


#: More short lines than any buffer takes, so that the direct way is what meets the end of it; then long ones as well.
_MIXED = [log_line(number, 6000 if number % 5 == 4 and number > 500 else 600) for number in range(1000)]


def test_a_socket_that_is_full_stops_nobody():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stdout = Stdout(ours.fileno())
        _log_all(stdout, _MIXED)
        assert stdout.waiting
        assert ours.getblocking()
        assert numbers_of(_drained(theirs.fileno(), stdout)) == list(range(1000))
        assert stdout.close(10)
        assert (stdout.lines, stdout.dropped) == (1000, 0)


def test_a_terminal_that_nobody_reads_stops_nobody():
    master, slave = pty.openpty()
    tty.setraw(slave, termios.TCSANOW)
    try:
        stdout = Stdout(slave)
        _log_all(stdout, _MIXED)  # a blocking terminal makes its writer wait although poll says it would not
        assert stdout.waiting
        assert numbers_of(_drained(master, stdout)) == list(range(1000))
        assert stdout.close(10)
        assert (stdout.lines, stdout.dropped) == (1000, 0)
    finally:
        os.close(master)
        os.close(slave)


def test_the_pipe_of_another_user_is_written_to_without_waiting(pipe):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    if not descriptors._takes_nowait(pipe.writing):
        pytest.skip("this kernel has no RWF_NOWAIT for pipes; the spill thread writes")
    code = (
        f"os.setgid({NOBODY})\nos.setuid({NOBODY})\nlongest = 0\n"
        "for n in range(500):\n"
        "    began = time.perf_counter()\n"
        '    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 600))\n'
        "    longest = max(longest, time.perf_counter() - began)\n"
        "    early = log.lines if n == 0 else early\n"
        "assert log._way.descriptor == 1, 'it could open the pipe again'\n"
        "print(early, longest < 1, log.waiting > 0, file=sys.stderr, flush=True)\n"
        "assert log.flush(10)\n"
    )
    with logging_process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        pipe.close_writing()
        assert said_by(process).split() == [b"1", b"True", b"True"]
        assert numbers_of(pipe.to_the_end()) == list(range(500))
        assert process.wait(10) == 0


def test_where_every_write_may_wait_only_the_spill_thread_writes(pipe, monkeypatch):
    monkeypatch.setattr(descriptors, "_takes_nowait", lambda _descriptor: False)
    monkeypatch.setattr(descriptors, "_open_again", _refused)
    stdout = Stdout(pipe.writing)
    _log_all(stdout, [log_line(number, 600) for number in range(500)])
    assert stdout._way is not None
    assert stdout._way.limit == 0
    pipe.start_reading()
    assert stdout.close(10)
    assert numbers_of(pipe.all_of(stdout)) == list(range(500))


def _refused(*_arguments):
    raise PermissionError
