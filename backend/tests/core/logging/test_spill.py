import json
import os
import threading
import time
from collections import Counter

import pytest

from app.core.logging.spill import OVERHEAD_BYTES, Backlog, Spill, severity_of
from support.waiting import wait_until


def _line(severity, number, length=0):
    return json.dumps({"severity": severity, "n": number, "pad": "x" * length}, separators=(",", ":")).encode() + b"\n"


def _filled(limit, *severities):
    backlog: Backlog[str] = Backlog(limit * (100 + OVERHEAD_BYTES))
    for number, severity in enumerate(severities):
        backlog.add(f"{severity} {number}", 100, severity)
    return backlog


def _taken(backlog):
    return [held.payload for held in backlog.take(1_000_000)]


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (b'{"severity":"ERROR","message":"x"}\n', "ERROR"),
        (b'{"message":"x","severity":"DEBUG"}\n', "DEBUG"),
        (b'{"payload":{"severity":"ERROR"},"severity":"DEBUG"}\n', "DEBUG"),
        (b'{"message":"\\"severity\\":\\"ERROR\\"","severity":"INFO"}\n', "INFO"),
        (b'{"severity":"unheard of"}\n', "DEFAULT"),
        (b'{"severity": "ERROR", "message": "x"}\n', "ERROR"),
        (b'{"severity":"ERROR","payload":{"severity":"INFO"},', "DEFAULT"),
        (b'["severity":"', "DEFAULT"),
        (b'{"message":"x"}\n', "DEFAULT"),
        (b"\xff\xfe\n", "DEFAULT"),
        (b"", "DEFAULT"),
    ],
)
def test_the_severity_of_a_line_is_its_own_not_that_of_a_field_in_it(line, severity):
    assert severity_of(line) == severity


def test_lines_come_out_in_the_order_they_went_in():
    backlog = _filled(9, "INFO", "ERROR", "DEBUG", "INFO")
    assert _taken(backlog) == ["INFO 0", "ERROR 1", "DEBUG 2", "INFO 3"]


def test_when_it_is_full_the_oldest_of_the_least_severe_go_first():
    backlog = _filled(3, "WARNING", "INFO", "DEBUG", "DEBUG", "INFO", "ERROR")
    assert backlog.dropped == Counter(DEBUG=2, INFO=1)
    assert _taken(backlog) == ["WARNING 0", "INFO 4", "ERROR 5"]


def test_a_line_less_severe_than_all_that_wait_gives_way_to_them():
    backlog = _filled(2, "ERROR", "ERROR", "INFO")
    assert backlog.dropped == Counter(INFO=1)
    assert _taken(backlog) == ["ERROR 0", "ERROR 1"]


def test_what_is_put_back_comes_out_first_and_gives_way_like_the_rest():
    backlog = _filled(4, "ERROR", "INFO", "INFO", "INFO")
    taken = backlog.take(200)
    assert [held.payload for held in taken] == ["ERROR 0", "INFO 1"]
    backlog.add("ERROR 4", 100, "ERROR")
    backlog.put_back(taken)
    assert backlog.dropped == Counter(INFO=1)
    assert _taken(backlog) == ["ERROR 0", "INFO 2", "INFO 3", "ERROR 4"]


def test_the_count_and_the_bytes_return_to_nothing():
    backlog = _filled(3, "INFO", "ERROR", "DEBUG", "DEBUG")
    backlog.put_back(backlog.take(1_000_000))
    assert (len(backlog), backlog.bytes) == (3, 3 * (100 + OVERHEAD_BYTES))
    backlog.take(1_000_000)
    assert (len(backlog), backlog.bytes) == (0, 0)


class Slow:
    """A writer that waits until it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self.written = []

    def __call__(self, lines):
        assert self.go.wait(10)
        self.written.append(lines)


def test_there_is_no_thread_before_the_first_line():
    before = threading.active_count()
    spill = Spill(Slow())
    assert threading.active_count() == before
    assert spill.flush(0)


def test_flush_waits_no_longer_than_it_may():
    slow = Slow()
    spill = Spill(slow)
    spill.put(b"one\n")
    began = time.monotonic()
    assert not spill.flush(0.05)
    assert time.monotonic() - began < 2
    slow.go.set()
    assert spill.flush(10)
    assert (slow.written, spill.lines, spill.bytes, spill.active) == ([b"one\n"], 1, 4, False)
    assert spill.close(10)


def test_short_lines_that_wait_are_written_together_and_in_order():
    slow = Slow()
    spill = Spill(slow, together=30)
    lines = [b"%08d\n" % number for number in range(8)]
    for line in lines:
        spill.put(line)
    wait_until(lambda: spill.waiting == 8, what="all lines to wait")
    slow.go.set()
    assert spill.close(10)
    assert b"".join(slow.written) == b"".join(lines)
    assert max(len(one) for one in slow.written) == 27
    assert spill.lines == 8


def test_a_closed_one_starts_again_with_the_next_line():
    slow = Slow()
    slow.go.set()
    spill = Spill(slow)
    for line in (b"one\n", b"two\n"):
        spill.put(line)
        assert spill.close(10)
    assert slow.written == [b"one\n", b"two\n"]
    assert spill._thread is None


def test_lines_that_cannot_be_written_are_counted_by_severity_and_told_once(internal_failures):
    def broken(_lines):
        raise BrokenPipeError

    spill = Spill(broken)
    for severity in ("INFO", "ERROR", "INFO"):
        spill.put(_line(severity, 0))
    assert spill.close(10)
    assert spill.dropped == Counter(INFO=2, ERROR=1)
    assert spill.lines == 0
    assert len(internal_failures) == 1
    internal_failures.clear()


def test_totals_do_not_go_back_when_a_child_starts_clean():
    slow = Slow()
    spill = Spill(slow, limit=2 * (100 + OVERHEAD_BYTES))
    for number in range(6):
        spill.put(_line("INFO", number, 40))
    before = spill.dropped
    assert before.total() > 0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            spill.start_clean()
            clean = (spill.dropped, spill.waiting, spill.active) == (before, 0, False)
            code = 0 if clean and spill.flush(0) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    slow.go.set()
    assert spill.close(10)
