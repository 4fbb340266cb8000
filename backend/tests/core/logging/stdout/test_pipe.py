"""Lines on a pipe: whole, in order, never waiting for the reader."""

import asyncio
import os
import threading
import time
from collections import Counter

from app.core.logging.spill import OVERHEAD_BYTES
from app.core.logging.stdout import Stdout
from support.log_output import (
    are_quick,
    log_line,
    logging_process,
    numbers_of,
)


def test_a_short_line_has_left_the_process_when_the_call_returns(pipe):
    stdout = Stdout(pipe.writing)
    threads = threading.active_count()
    stdout(log_line(1))
    assert os.read(pipe.reading, 4096) == log_line(1)
    assert (stdout.lines, stdout.bytes, stdout.dropped) == (1, 200, 0)
    assert threading.active_count() == threads


def test_a_long_line_is_written_whole(pipe):
    stdout = Stdout(pipe.writing)
    line = log_line(1, 60_000)
    stdout(line)
    assert stdout.flush(10)
    assert pipe.all_of(stdout) == line
    assert (stdout.lines, stdout.bytes) == (1, 60_000)
    assert stdout.close(10)


def test_a_line_longer_than_the_pipe_is_written_whole(pipe):
    pipe.start_reading()
    stdout = Stdout(pipe.writing)
    stdout(log_line(1, 3_000_000))
    stdout(log_line(2))
    assert stdout.close(10)
    assert numbers_of(pipe.all_of(stdout)) == [1, 2]


def test_the_app_keeps_a_descriptor_that_waits(pipe):
    stdout = Stdout(pipe.writing)
    for number in range(1000):
        stdout(log_line(number, 1000))
    assert os.get_blocking(pipe.writing), "print() would raise BlockingIOError"
    pipe.start_reading()
    assert stdout.close(10)


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
        line = log_line(number, 9000 if number % 10 == 0 and number > 200 else 600)
        began = time.perf_counter()
        stdout(line)
        calls.append(time.perf_counter() - began)
        if number % 20 == 0:
            await asyncio.sleep(0.01)  # the lines of a second or so
    done.set()
    await ticker
    assert stdout.waiting > 1000
    assert are_quick(calls)
    assert sorted(stalls)[len(stalls) * 9 // 10] < 0.05
    pipe.start_reading()
    assert await asyncio.to_thread(stdout.close, 10)
    output = await asyncio.to_thread(pipe.all_of, stdout)
    assert numbers_of(output) == list(range(2000))
    assert (stdout.lines, stdout.bytes, stdout.dropped) == (2000, len(output), 0)


def test_beyond_the_bound_the_least_severe_go_and_each_is_counted(pipe):
    room = 50 * (500 + OVERHEAD_BYTES)
    stdout = Stdout(pipe.writing, buffer_bytes=room)
    severities = {number: "ERROR" if number % 25 == 0 else "INFO" for number in range(1000)}
    for number, severity in severities.items():
        stdout(log_line(number, 500, severity))
    pipe.start_reading()
    assert stdout.close(10)
    arrived = numbers_of(pipe.all_of(stdout))
    missing = Counter(severity for number, severity in severities.items() if number not in set(arrived))
    assert arrived == sorted(set(arrived))
    assert missing["INFO"] > 500
    assert missing["ERROR"] == 0
    assert stdout.dropped_by_severity == missing
    assert stdout.lines == len(arrived)


def test_print_and_log_lines_keep_their_order(pipe):
    code = "for n in range(0, 100, 2):\n    print('{\"n\":%d}' % n, flush=True)\n    log(b'{\"n\":%d}\\n' % (n + 1))\n"
    with logging_process(code, pipe.writing) as process:
        pipe.close_writing()
        assert numbers_of(pipe.to_the_end()) == list(range(100))
        assert process.wait(10) == 0


def test_a_reader_that_went_away_costs_lines_but_no_exception(pipe, internal_failures, monkeypatch):
    stdout = Stdout(pipe.writing)
    stdout(log_line(0))
    pipe.close_reading()
    writes = []

    def send(line):
        writes.append(line)
        return os.write(pipe.writing, line)

    monkeypatch.setattr(stdout, "_send", send)
    for number in range(100):
        stdout(log_line(number))
    stdout(log_line(1, 10_000, "ERROR"))
    assert (stdout.lines, stdout.dropped_by_severity) == (1, Counter(INFO=100, ERROR=1))
    assert len(writes) == 1, "an output that is gone is left alone for a while"
    assert [type(error) for _, error in internal_failures] == [BrokenPipeError]
    internal_failures.clear()


def test_a_reader_that_goes_away_while_lines_wait_ends_the_waiting(pipe, internal_failures):
    stdout = Stdout(pipe.writing)
    for number in range(100):
        stdout(log_line(number, 12_000 if number % 2 else 2000))
    assert stdout.waiting
    pipe.close_reading()
    assert stdout.close(10)
    assert stdout.lines + stdout.dropped == 100
    assert len(internal_failures) == 1
    internal_failures.clear()


def test_threads_lose_and_tear_nothing(pipe):
    pipe.start_reading()
    stdout = Stdout(pipe.writing)

    def work(worker):
        for number in range(500):
            stdout(log_line(worker * 1000 + number, 5000 if number % 7 == 0 else 300))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert stdout.close(10)
    numbers = numbers_of(pipe.all_of(stdout))
    assert stdout.lines == 2000
    for worker in range(4):
        assert [n for n in numbers if n // 1000 == worker] == [worker * 1000 + n for n in range(500)]
