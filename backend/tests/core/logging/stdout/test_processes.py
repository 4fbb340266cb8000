"""Several processes on one output, processes that fork, and processes that end."""

import fcntl
import os
import signal
import subprocess

import pytest

from app.core.logging.stdout import Stdout
from support.log_output import log_line, logging_process, logging_processes, numbers_of, said_by
from support.waiting import wait_until


@pytest.mark.parametrize("length", [10_000, 40_000])
def test_long_lines_of_four_processes_are_not_torn_by_each_other_nor_by_short_ones(pipe, length):
    code = (
        "worker = int(os.environ['WORKER']) * 10_000\n"
        "for n in range(150):\n"
        f"    pad = b'x' * ({length} if n % 15 < 5 else 300)\n"
        '    log(b\'{"severity":"INFO","n":%d,"pad":"%s"}\\n\' % (worker + n, pad))\n'
        "    if n % 15 == 7:\n        assert log.flush(60)\n"  # short lines go out directly again
    )
    with logging_processes(code, pipe.writing, 4) as processes:
        pipe.start_reading(slowly=True)  # so that there is seldom room
        numbers = numbers_of(pipe.to_the_end(60))
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
    with logging_processes(code, pipe.writing, 2, stderr=tell) as processes:
        os.close(tell)
        assert os.read(told, 1) + os.read(told, 1) == b"..", "both have to want the pipe at the same time"
        pipe.start_reading(slowly=True)
        assert sorted(numbers_of(pipe.to_the_end(60))) == [0, 0, 1, 1, 2, 2]
        assert [process.wait(10) for process in processes] == [0, 0]
    os.close(told)


def test_a_killed_process_loses_no_line_that_a_call_returned_from(pipe):
    acknowledged, acknowledge = os.pipe()
    code = (
        f"n = 0\nwhile True:\n    log(b'{{\"n\":%d}}\\n' % n)\n    os.write({acknowledge}, b'.')\n    n += 1\n"
        "    time.sleep(0.0005)\n"
    )
    pipe.start_reading()
    with logging_process(code, pipe.writing, pass_fds=[acknowledge]) as process:
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
    numbers = numbers_of(pipe.to_the_end())
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= told


def test_a_forked_child_starts_clean_and_writes_its_own_lines_once(pipe):
    stdout = Stdout(pipe.writing)
    for number in range(200):
        stdout(log_line(number, 1000))
    assert stdout.waiting
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if stdout.waiting == 0 and stdout.flush(0):
                for number in range(1000, 1100):
                    stdout(log_line(number, 6000))
                code = 0 if stdout.close(10) else 2
        finally:
            os._exit(code)
    pipe.start_reading()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stdout.close(10)
    numbers = numbers_of(pipe.all_of(stdout))
    assert [number for number in numbers if number < 1000] == list(range(200))
    assert [number for number in numbers if number >= 1000] == list(range(1000, 1100))


def test_lines_that_wait_at_the_end_of_the_process_are_written(pipe):
    code = 'for n in range(300):\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 5000))\n'
    with logging_process(code, pipe.writing) as process:
        pipe.close_writing()
        assert numbers_of(pipe.to_the_end()) == list(range(300))
        assert process.wait(10) == 0


def test_the_end_of_the_process_waits_a_bounded_time_for_a_stalled_reader(pipe):
    code = 'for n in range(300):\n    log(b\'{"n":%d,"pad":"%s"}\\n\' % (n, b\'x\' * 5000))\n'
    with logging_process(code, pipe.writing) as process:
        assert process.wait(10) == 0


def test_a_line_that_waits_goes_out_only_when_no_other_worker_holds_the_output(pipe):
    fcntl.lockf(pipe.writing, fcntl.LOCK_EX)
    code = (
        'log(b\'{"n":1,"pad":"%s"}\\n\' % (b\'x\' * 5000))\n'
        "print(log.flush(0.2), flush=True, file=sys.stderr)\nassert log.flush(10)\n"
    )
    with logging_process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        assert said_by(process) == b"False\n"
        fcntl.lockf(pipe.writing, fcntl.LOCK_UN)
        assert numbers_of(pipe.to_the_end()) == [1]
        assert process.wait(10) == 0


def test_a_worker_that_dies_while_it_waits_does_not_stop_the_others(pipe):
    code = (
        'log(b\'{"n":1,"pad":"%s"}\\n\' % (b\'x\' * 50_000))\n'
        "print('.', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    )
    os.write(pipe.writing, log_line(0, 40_000))
    with logging_process(code, pipe.writing, stderr=subprocess.PIPE) as process, process.stderr:
        assert said_by(process)
        wait_until(lambda: _locked(pipe.writing), what="the worker to hold the lock")
        process.kill()
        process.wait()
    stdout = Stdout(pipe.writing)
    stdout(log_line(2, 5000))
    pipe.start_reading()
    assert stdout.close(10)
    wait_until(lambda: len(pipe.output) >= 40_000 + stdout.bytes, what="both lines to arrive")
    assert numbers_of(pipe.output) == [0, 2]


def _locked(descriptor):
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN)
    return False
