import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.core.logging import descriptor as descriptors
from app.core.logging.spill import OVERHEAD_BYTES
from app.core.logging.stdout import Stdout
from support.waiting import wait_until

BACKEND = Path(__file__).parents[3]
NOBODY = 65534


def _line(number, length=200, severity="INFO"):
    head = b'{"severity":"%s","n":%d,"pad":"' % (severity.encode(), number)
    return head + b"x" * (length - len(head) - 3) + b'"}\n'


def _numbers(output):
    """The numbers of the lines; fails on a torn one."""
    return [json.loads(line)["n"] for line in output.splitlines()]


class Pipe:
    def __init__(self):
        self.reading, self.writing = os.pipe()
        self.output = bytearray()
        self._ended = threading.Event()
        self._readers = []

    def start_reading(self, *, slowly=False):
        thread = threading.Thread(target=self._read, args=(slowly,))
        thread.start()
        self._readers.append(thread)

    def _read(self, slowly):
        while not self._ended.is_set():
            if select.select([self.reading], [], [], 0.02)[0]:
                chunk = os.read(self.reading, 10_000 if slowly else 1 << 20)
                if slowly:
                    time.sleep(0.001)
                if not chunk:
                    self._ended.set()
                self.output += chunk

    def all_of(self, stdout):
        """Everything that an output says it has written."""
        if not self._readers:
            self.start_reading()
        wait_until(lambda: len(self.output) >= stdout.bytes, what="everything to arrive")
        return bytes(self.output)

    def to_the_end(self, seconds=10.0):
        """Everything, after the last process has closed the pipe."""
        self.close_writing()
        if not self._readers:
            self.start_reading()
        assert self._ended.wait(seconds), "somebody holds the pipe open"
        return bytes(self.output)

    def close_writing(self):
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close_reading(self):
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def end(self):
        self._ended.set()
        for thread in self._readers:
            thread.join(10)
        self.close_reading()
        self.close_writing()


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.end()


@contextmanager
def _process(code, stdout, **options):
    """Python code with `log`, a Stdout, in a process of its own."""
    setup = "import os, sys, time\nfrom app.core.logging.stdout import Stdout\nlog = Stdout()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", setup + code],
        stdout=stdout,
        env={**os.environ, "PYTHONPATH": str(BACKEND), "PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _said(process):
    """The next line on its standard error."""
    assert select.select([process.stderr], [], [], 30)[0], "the process waits"
    return process.stderr.readline()


def test_a_short_line_has_left_the_process_when_the_call_returns(pipe):
    stdout = Stdout(pipe.writing)
    threads = threading.active_count()
    stdout(_line(1))
    assert os.read(pipe.reading, 4096) == _line(1)
    assert (stdout.lines, stdout.bytes, stdout.dropped) == (1, 200, 0)
    assert threading.active_count() == threads


def test_a_long_line_is_written_whole(pipe):
    stdout = Stdout(pipe.writing)
    line = _line(1, 60_000)
    stdout(line)
    assert stdout.flush(10)
    assert pipe.all_of(stdout) == line
    assert (stdout.lines, stdout.bytes) == (1, 60_000)
    assert stdout.close(10)


def test_a_line_longer_than_the_pipe_is_written_whole(pipe):
    pipe.start_reading()
    stdout = Stdout(pipe.writing)
    stdout(_line(1, 3_000_000))
    stdout(_line(2))
    assert stdout.close(10)
    assert _numbers(pipe.all_of(stdout)) == [1, 2]


def test_the_app_keeps_a_descriptor_that_waits(pipe):
    stdout = Stdout(pipe.writing)
    for number in range(1000):
        stdout(_line(number, 1000))
    assert os.get_blocking(pipe.writing), "print() would raise BlockingIOError"
    pipe.start_reading()
    assert stdout.close(10)


def _are_quick(calls):
    """A busy machine stops some calls for a moment; a write that waits is stopped until somebody reads."""
    return sorted(calls)[len(calls) * 99 // 100] < 0.005 and max(calls) < 1


async def test_a_stalled_reader_stops_neither_the_event_loop_nor_a_line(pipe):
    stdout = Stdout(pipe.writing)
    stalls = []
    done = asyncio.Event()

    async def tick():
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            stalls.append(time.perf_counter() - began - 0.005)

    ticker = asyncio.create_task(tick())
    calls = []
    for number in range(2000):
        line = _line(number, 9000 if number % 10 == 0 and number > 200 else 600)
        began = time.perf_counter()
        stdout(line)
        calls.append(time.perf_counter() - began)
        if number % 20 == 0:
            await asyncio.sleep(0.01)  # the lines of a second or so
    done.set()
    await ticker
    assert stdout.waiting > 1000
    assert _are_quick(calls)
    assert sorted(stalls)[len(stalls) * 9 // 10] < 0.05
    pipe.start_reading()
    assert await asyncio.to_thread(stdout.close, 10)
    output = await asyncio.to_thread(pipe.all_of, stdout)
    assert _numbers(output) == list(range(2000))
    assert (stdout.lines, stdout.bytes, stdout.dropped) == (2000, len(output), 0)


def test_beyond_the_bound_the_least_severe_go_and_each_is_counted(pipe):
    room = 50 * (500 + OVERHEAD_BYTES)
    stdout = Stdout(pipe.writing, buffer_bytes=room)
    severities = {number: "ERROR" if number % 25 == 0 else "INFO" for number in range(1000)}
    for number, severity in severities.items():
        stdout(_line(number, 500, severity))
    pipe.start_reading()
    assert stdout.close(10)
    arrived = _numbers(pipe.all_of(stdout))
    missing = Counter(severity for number, severity in severities.items() if number not in set(arrived))
    assert arrived == sorted(set(arrived))
    assert missing["INFO"] > 500
    assert missing["ERROR"] == 0
    assert stdout.dropped_by_severity == missing
    assert stdout.lines == len(arrived)


def test_print_and_log_lines_keep_their_order(pipe):
    code = "for n in range(0, 100, 2):\n    print('{\"n\":%d}' % n, flush=True)\n    log(b'{\"n\":%d}\\n' % (n + 1))\n"
    with _process(code, pipe.writing) as process:
        pipe.close_writing()
        assert _numbers(pipe.to_the_end()) == list(range(100))
        assert process.wait(10) == 0


@pytest.mark.parametrize("length", [10_000, 40_000])
def test_long_lines_of_four_processes_are_not_torn_by_each_other_nor_by_short_ones(pipe, length):
    code = (
        "worker = int(os.environ['WORKER']) * 10_000\n"
        "for n in range(150):\n"
        f"    pad = b'x' * ({length} if n % 15 < 5 else 300)\n"
        '    log(b\'{"severity":"INFO","n":%d,"pad":"%s"}\\n\' % (worker + n, pad))\n'
        "    if n % 15 == 7:\n        assert log.flush(60)\n"  # short lines go out directly again
    )
    with _process_group(code, pipe.writing, 4) as processes:
        pipe.start_reading(slowly=True)  # so that there is seldom room
        numbers = _numbers(pipe.to_the_end(60))
        assert [process.wait(10) for process in processes] == [0] * 4
    for worker in range(4):
        own = [number for number in numbers if number // 10_000 == worker]
        assert own == [worker * 10_000 + n for n in range(150)]


def test_lines_longer_than_any_pipe_are_written_one_process_after_the_other(pipe):
    code = (
        'for n in range(3):\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 3_000_000))\n'
        "os.write(2, b'.')\nassert log.flush(60)\n"
    )
    told, tell = os.pipe()
    with _process_group(code, pipe.writing, 2, stderr=tell) as processes:
        os.close(tell)
        assert os.read(told, 1) + os.read(told, 1) == b"..", "both have to want the pipe at the same time"
        pipe.start_reading(slowly=True)
        assert sorted(_numbers(pipe.to_the_end(60))) == [0, 0, 1, 1, 2, 2]
        assert [process.wait(10) for process in processes] == [0, 0]
    os.close(told)


@contextmanager
def _process_group(code, stdout, count, **options):
    setup = "import os, sys\nfrom app.core.logging.stdout import Stdout\nlog = Stdout()\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", setup + code],
            stdout=stdout,
            env={**os.environ, "PYTHONPATH": str(BACKEND), "WORKER": str(worker)},
            **options,
        )
        for worker in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_killed_process_loses_no_line_that_a_call_returned_from(pipe):
    acknowledged, acknowledge = os.pipe()
    code = (
        f"n = 0\nwhile True:\n    log(b'{{\"n\":%d}}\\n' % n)\n    os.write({acknowledge}, b'.')\n    n += 1\n"
        "    time.sleep(0.0005)\n"
    )
    pipe.start_reading()
    with _process(code, pipe.writing, pass_fds=[acknowledge]) as process:
        pipe.close_writing()
        os.close(acknowledge)
        assert os.read(acknowledged, 1) == b"."
        told = 1
        while told < 300:
            told += len(os.read(acknowledged, 100))
        process.send_signal(signal.SIGKILL)
        while chunk := os.read(acknowledged, 4096):
            told += len(chunk)
    os.close(acknowledged)
    numbers = _numbers(pipe.to_the_end())
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= told


def test_a_reader_that_went_away_costs_lines_but_no_exception(pipe, internal_failures, monkeypatch):
    stdout = Stdout(pipe.writing)
    stdout(_line(0))
    pipe.close_reading()
    writes = []

    def send(line):
        writes.append(line)
        return os.write(pipe.writing, line)

    monkeypatch.setattr(stdout, "_send", send)
    for number in range(100):
        stdout(_line(number))
    stdout(_line(1, 10_000, "ERROR"))
    assert (stdout.lines, stdout.dropped_by_severity) == (1, Counter(INFO=100, ERROR=1))
    assert len(writes) == 1, "an output that is gone is left alone for a while"
    assert [type(error) for _, error in internal_failures] == [BrokenPipeError]
    internal_failures.clear()


def test_a_reader_that_goes_away_while_lines_wait_ends_the_waiting(pipe, internal_failures):
    stdout = Stdout(pipe.writing)
    for number in range(100):
        stdout(_line(number, 12_000 if number % 2 else 2000))
    assert stdout.waiting
    pipe.close_reading()
    assert stdout.close(10)
    assert stdout.lines + stdout.dropped == 100
    assert len(internal_failures) == 1
    internal_failures.clear()


def test_a_named_pipe_that_finds_another_reader_is_written_to_again(tmp_path, internal_failures, monkeypatch):
    monkeypatch.setattr("app.core.logging.stdout._GONE_SECONDS", 0.0)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    stdout = Stdout(writing)
    stdout(_line(1))
    os.close(reading)
    stdout(_line(2))
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stdout(_line(3))
    assert _numbers(os.read(reading, 4096)) == [1, 3]  # the first one was still in the pipe
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
    with file.open("wb") as output, _process(code, output) as process:
        assert process.wait(10) == 0
    assert _numbers(file.read_bytes()) == list(range(60))


def test_a_full_disk_is_counted(internal_failures):
    full = os.open("/dev/full", os.O_WRONLY)
    stdout = Stdout(full)
    stdout(_line(1))
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
    assert _are_quick(calls)


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
_MIXED = [_line(number, 6000 if number % 5 == 4 and number > 500 else 600) for number in range(1000)]


def test_a_socket_that_is_full_stops_nobody():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stdout = Stdout(ours.fileno())
        _log_all(stdout, _MIXED)
        assert stdout.waiting
        assert ours.getblocking()
        assert _numbers(_drained(theirs.fileno(), stdout)) == list(range(1000))
        assert stdout.close(10)
        assert (stdout.lines, stdout.dropped) == (1000, 0)


def test_a_terminal_that_nobody_reads_stops_nobody():
    master, slave = pty.openpty()
    tty.setraw(slave, termios.TCSANOW)
    try:
        stdout = Stdout(slave)
        _log_all(stdout, _MIXED)  # a blocking terminal makes its writer wait although poll says it would not
        assert stdout.waiting
        assert _numbers(_drained(master, stdout)) == list(range(1000))
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
    with _process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        pipe.close_writing()
        assert _said(process).split() == [b"1", b"True", b"True"]
        assert _numbers(pipe.to_the_end()) == list(range(500))
        assert process.wait(10) == 0


def test_where_every_write_may_wait_only_the_spill_thread_writes(pipe, monkeypatch):
    monkeypatch.setattr(descriptors, "_takes_nowait", lambda _descriptor: False)
    monkeypatch.setattr(descriptors, "_open_again", _refused)
    stdout = Stdout(pipe.writing)
    _log_all(stdout, [_line(number, 600) for number in range(500)])
    assert stdout._way is not None
    assert stdout._way.limit == 0
    pipe.start_reading()
    assert stdout.close(10)
    assert _numbers(pipe.all_of(stdout)) == list(range(500))


def _refused(*_arguments):
    raise PermissionError


def test_a_forked_child_starts_clean_and_writes_its_own_lines_once(pipe):
    stdout = Stdout(pipe.writing)
    for number in range(200):
        stdout(_line(number, 1000))
    assert stdout.waiting
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if stdout.waiting == 0 and stdout.flush(0):
                for number in range(1000, 1100):
                    stdout(_line(number, 6000))
                code = 0 if stdout.close(10) else 2
        finally:
            os._exit(code)
    pipe.start_reading()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stdout.close(10)
    numbers = _numbers(pipe.all_of(stdout))
    assert [number for number in numbers if number < 1000] == list(range(200))
    assert [number for number in numbers if number >= 1000] == list(range(1000, 1100))


def test_threads_lose_and_tear_nothing(pipe):
    pipe.start_reading()
    stdout = Stdout(pipe.writing)

    def work(worker):
        for number in range(500):
            stdout(_line(worker * 1000 + number, 5000 if number % 7 == 0 else 300))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert stdout.close(10)
    numbers = _numbers(pipe.all_of(stdout))
    assert stdout.lines == 2000
    for worker in range(4):
        assert [n for n in numbers if n // 1000 == worker] == [worker * 1000 + n for n in range(500)]


def test_lines_that_wait_at_the_end_of_the_process_are_written(pipe):
    code = 'for n in range(300):\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 5000))\n'
    with _process(code, pipe.writing) as process:
        pipe.close_writing()
        assert _numbers(pipe.to_the_end()) == list(range(300))
        assert process.wait(10) == 0


def test_the_end_of_the_process_waits_a_bounded_time_for_a_stalled_reader(pipe):
    code = 'for n in range(300):\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 5000))\n'
    with _process(code, pipe.writing) as process:
        assert process.wait(10) == 0


def test_a_line_that_waits_goes_out_only_when_no_other_worker_holds_the_output(pipe):
    fcntl.lockf(pipe.writing, fcntl.LOCK_EX)
    code = (
        'log(b\'{"n":1,"pad":"%s"}\\n\' % (b\'x\' * 5000))\n'
        "print(log.flush(0.2), flush=True, file=sys.stderr)\nassert log.flush(10)\n"
    )
    with _process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        assert _said(process) == b"False\n"
        fcntl.lockf(pipe.writing, fcntl.LOCK_UN)
        assert _numbers(pipe.to_the_end()) == [1]
        assert process.wait(10) == 0


def test_a_worker_that_dies_while_it_waits_does_not_stop_the_others(pipe):
    code = (
        'log(b\'{"n":1,"pad":"%s"}\\n\' % (b\'x\' * 50_000))\n'
        "print('.', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    )
    os.write(pipe.writing, _line(0, 40_000))
    with _process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        assert _said(process)
        wait_until(lambda: _locked(pipe.writing), what="the worker to hold the lock")
        process.kill()
        process.wait()
    stdout = Stdout(pipe.writing)
    stdout(_line(2, 5000))
    pipe.start_reading()
    assert stdout.close(10)
    assert _numbers(pipe.all_of(stdout)) == [0, 2]


def _locked(descriptor):
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN)
    return False
