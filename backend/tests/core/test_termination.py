"""SIGTERM: who hears it, in which order, and what the server's own handler notices of that."""

import os
import signal
import time

import pytest

from app.core.termination import Termination, on_sigterm, termination
from support.waiting import wait_until


@pytest.fixture
def heard():
    """What the server's handler was given; the handler stands where a server would have put it."""
    given: list[tuple[int, bool]] = []

    def handler(number, frame):
        given.append((number, frame is not None))

    before = signal.signal(signal.SIGTERM, handler)
    yield given
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def ours(heard):
    return Termination()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_listeners_hear_it_before_the_server_and_each_once(ours, heard):
    order: list[str] = []
    ours.add(lambda: order.append(f"at once, the server has heard {len(heard)}"))
    ours.add(lambda: order.append("after the drain"), after_drain=True)
    _kill()
    wait_until(lambda: heard, what="the server's handler")
    assert order == ["at once, the server has heard 0", "after the drain"]
    assert heard == [(signal.SIGTERM, True)]


def test_a_drain_delays_the_server_but_not_the_listeners_and_a_second_signal_does_not_cut_it_short(ours, heard):
    order: list[str] = []
    ours.drain_seconds = 0.3
    ours.add(lambda: order.append("at once"))
    ours.add(lambda: order.append("after the drain"), after_drain=True)
    began = time.monotonic()
    _kill()
    _kill()
    wait_until(lambda: order, what="the listeners")
    assert (order, heard) == (["at once"], [])
    wait_until(lambda: heard, what="the server's handler")
    assert time.monotonic() - began >= 0.3
    assert order == ["at once", "after the drain"]
    time.sleep(0.4)  # the drain of the second signal, if it had begun one
    assert heard == [(signal.SIGTERM, True)]


def test_a_listener_that_raises_keeps_nobody_from_hearing_it(ours, heard):
    order: list[str] = []
    ours.add(lambda: order.append("first"))
    ours.add(lambda: 1 / 0)
    ours.add(lambda: order.append("last"))
    _kill()
    wait_until(lambda: heard, what="the server's handler")
    assert order == ["first", "last"]


def test_a_handler_that_raises_raises_where_the_server_expects_it(ours):
    def handler(number, frame):
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        undo = ours.add(lambda: None)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        undo()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_undone_leaves_the_handler_as_it_was(ours, heard):
    before = signal.getsignal(signal.SIGTERM)
    order: list[int] = []
    undo_first, undo_second = ours.add(lambda: order.append(1)), ours.add(lambda: order.append(2))
    undo_first()
    _kill()
    wait_until(lambda: heard, what="the server's handler")
    assert order == [2]
    undo_second()
    assert signal.getsignal(signal.SIGTERM) is before
    undo_second()


def test_who_came_after_us_is_overtaken_and_still_called_and_nobody_hears_it_twice(ours, heard):
    order: list[str] = []
    ours.add(lambda: order.append("ours"))
    ours.add(lambda: order.append("after the drain"), after_drain=True)
    chained = signal.getsignal(signal.SIGTERM)

    def later(number, frame):
        order.append("later")
        chained(number, frame)  # type: ignore[operator,misc]  # it is our handler

    signal.signal(signal.SIGTERM, later)
    assert ours.listen()
    assert ours.listen()
    _kill()
    wait_until(lambda: heard, what="the server's handler")
    assert order == ["ours", "after the drain", "later"]
    assert len(heard) == 1


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN])
def test_where_the_signal_simply_ends_the_process_it_still_does(ours, heard, default):
    signal.signal(signal.SIGTERM, default)
    ours.add(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is default


def test_the_process_has_one(heard):
    order: list[int] = []
    before = termination._at_once
    termination.begin_again(0.0)
    undo = on_sigterm(lambda: order.append(1))
    _kill()
    wait_until(lambda: heard, what="the server's handler")
    undo()
    assert order == [1]
    assert termination._at_once == before
