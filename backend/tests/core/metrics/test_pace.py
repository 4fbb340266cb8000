import threading
from itertools import repeat

from app.core.metrics.pace import Pace
from support.waiting import wait_until


class Hands:
    def __init__(self) -> None:
        self.now = 100.0

    def time_ns(self) -> int:
        return round(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now


def _exports(pace: Pace, done: list[float], clock: Hands) -> threading.Thread:
    def loop() -> None:
        while not pace.wait():
            done.append(clock.now)
            pace.next()

    thread = threading.Thread(target=loop)
    thread.start()
    return thread


def test_the_first_export_comes_within_an_interval_and_not_at_once():
    clock = Hands()
    dues = [round(Pace(clock, 60, repeat(share).__next__).due - clock.now) for share in (0.0, 0.5, 1.0)]
    assert dues == [12, 36, 60]


def test_with_frozen_timers_the_end_of_a_request_lets_an_export_run_and_a_thaw_lets_one():
    clock = Hands()
    pace = Pace(clock, 60, lambda: 1.0)
    done: list[float] = []
    thread = _exports(pace, done, clock)
    for _ in range(1000):
        pace.nudge()  # requests before it is time
    assert done == []
    clock.now += 60
    for _ in range(1000):
        pace.nudge()
    wait_until(lambda: len(done) == 1, what="the export")
    clock.now += 86_400  # a day in the freezer
    for _ in range(1000):
        pace.nudge()
    wait_until(lambda: len(done) == 2, what="the export after the thaw")
    for _ in range(1000):
        pace.nudge()
    pace.stop(over=True)
    thread.join(10)
    assert len(done) == 2


def test_quota_makes_the_pause_longer_each_time_up_to_a_bound():
    clock = Hands()
    pace = Pace(clock, 60, lambda: 1.0)
    pauses = []
    for _ in range(8):
        pace.back_off()
        pauses.append(pace.due - clock.now)
    assert pauses == [120, 240, 480, 600, 600, 600, 600, 600]
    pace.next()
    assert pace.due - clock.now == 60
    pace.back_off()
    assert pace.due - clock.now == 120


def test_those_who_back_off_do_not_come_back_together():
    clock = Hands()
    dues = set()
    for number in range(10):
        pace = Pace(clock, 60, repeat(number / 10).__next__)
        pace.back_off()
        dues.add(pace.due)
    assert len(dues) == 10


def test_a_back_end_may_ask_for_patience_but_not_for_ever():
    clock = Hands()
    pace = Pace(clock, 60, lambda: 0.0)
    pace.back_off(asked=100)
    assert pace.due - clock.now == 100
    pace.next()
    pace.back_off(asked=1e9)
    assert pace.due - clock.now == 300


def test_a_stop_ends_every_wait():
    clock = Hands()
    pace = Pace(clock, 60)
    waits = []
    thread = threading.Thread(target=lambda: waits.append(pace.wait()))
    thread.start()
    pace.stop(over=False)
    thread.join(10)
    assert waits == [True]
    assert pace.stopped == clock.now
    assert not pace.over
