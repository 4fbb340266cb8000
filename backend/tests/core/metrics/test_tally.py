"""Counting without a lock."""

import sys
import threading

from app.core.metrics.tally import Tally


def test_it_tells_what_was_counted_however_often_it_is_asked():
    tally = Tally()
    assert [tally.total(), tally.total()] == [0, 0]
    tally.add()
    tally.add()
    assert [tally.total(), tally.total()] == [2, 2]


def test_no_count_of_many_threads_is_lost_while_it_is_asked():
    tally, lock, each = Tally(), threading.Lock(), 20_000
    threads = [threading.Thread(target=lambda: [tally.add() for _ in range(each)]) for _ in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            with lock:
                tally.total()
    finally:
        sys.setswitchinterval(before)
    for thread in threads:
        thread.join()
    assert tally.total() == 8 * each
