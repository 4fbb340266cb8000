import asyncio
import os
import signal
import threading

import pytest

from app.core.wakeup import hold_sigterm


@pytest.fixture
def heard():
    """What the loop hears, with its own handlers taken off again."""
    return []


async def _listen(heard):
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, heard.append, number)
    return loop


async def _until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not heard")


async def test_the_loop_hears_other_signals_at_once_and_sigterm_when_it_is_let(heard):
    loop = await _listen(heard)
    holds = True
    undo = hold_sigterm(lambda: holds)
    assert undo is not None
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        await _until(lambda: heard)
        assert heard == [signal.SIGUSR1]
        holds = False
        os.kill(os.getpid(), signal.SIGTERM)
        await _until(lambda: len(heard) == 2)
        assert heard[1] == signal.SIGTERM
    finally:
        undo()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)


async def test_what_is_undone_leaves_the_loop_its_own_way(heard):
    loop = await _listen(heard)
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    undo = hold_sigterm(lambda: True)
    assert undo is not None
    undo()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await _until(lambda: heard)
        after = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(after)
        assert after == before
    finally:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)


async def test_a_loop_that_sets_its_descriptor_again_is_overtaken(heard):
    loop = await _listen(heard)
    own = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(own)
    undo = hold_sigterm(lambda: True)
    assert undo is not None
    try:
        signal.set_wakeup_fd(own)  # as uvloop does when it runs again

        def ours():
            found = signal.set_wakeup_fd(-1)
            signal.set_wakeup_fd(found)
            return found != own

        await _until(ours)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        await _until(lambda: heard)
        assert heard == [signal.SIGUSR1]
    finally:
        undo()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)


def test_without_a_loop_or_beside_the_main_thread_there_is_nothing_to_hold():
    assert hold_sigterm(lambda: True) is None
    found = []
    thread = threading.Thread(target=lambda: found.append(hold_sigterm(lambda: True)))
    thread.start()
    thread.join()
    assert found == [None]
