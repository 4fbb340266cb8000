import asyncio
import queue
import threading
import time

import pytest

from app.core.metrics.sources import QueueState, observe_queue
from support.waiting import wait_until


async def test_an_asyncio_queue_tells_its_depth(metrics, refresh, counts):
    jobs: asyncio.Queue[int] = asyncio.Queue()
    source = observe_queue("jobs", jobs, metrics)
    jobs.put_nowait(1)
    jobs.put_nowait(2)
    refresh()
    assert counts("queue_depth") == {("jobs",): 2}
    source.close()
    jobs.put_nowait(3)
    refresh()
    assert counts("queue_depth") == {("jobs",): 2}


def test_a_queue_that_is_gone_is_empty(metrics, refresh, counts):
    jobs: queue.Queue[int] = queue.Queue()
    jobs.put(1)
    observe_queue("jobs", jobs, metrics)
    del jobs
    refresh()
    assert counts("queue_depth") == {("jobs",): 0}


def test_a_function_tells_depth_age_and_dead_letters(metrics, refresh, counts):
    states = iter([QueueState(7, 31.5, 100), QueueState(6, None, 103), QueueState(5, 2, 1)])
    observe_queue("jobs", lambda: next(states), metrics)
    refresh()
    assert counts("queue_oldest_message_age_seconds") == {("jobs",): 31.5}
    assert counts("queue_dead_letters_total") == {("jobs",): 0}
    refresh()
    assert counts("queue_dead_letters_total") == {("jobs",): 3}
    refresh()
    assert counts("queue_dead_letters_total") == {("jobs",): 3}
    assert counts("queue_depth") == {("jobs",): 5}


def test_a_function_that_fails_is_told_and_asked_again(metrics, refresh, counts, internal_failures):
    answers: list[object] = [3, RuntimeError("no broker")]

    def ask() -> float:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return float(str(answer))

    observe_queue("jobs", ask, metrics)
    refresh()
    assert [str(error) for _, error in internal_failures] == ["no broker"]
    internal_failures.clear()
    refresh()
    assert counts("queue_depth") == {("jobs",): 3}


def test_a_function_that_hangs_holds_up_nothing_for_long_and_is_not_asked_again_meanwhile(metrics, refresh, counts):
    release = threading.Event()
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        release.wait(30)
        return 4

    source = observe_queue("jobs", ask, metrics)
    before = threading.active_count()
    for _ in range(2):
        refresh()
    assert threading.active_count() - before <= 1
    assert (len(asked), counts("queue_depth")) == (1, {})
    release.set()

    def told() -> bool:
        refresh()
        return bool(counts("queue_depth") == {("jobs",): 4})

    wait_until(told, 10, "the late answer")
    source.close()


async def test_an_async_function_runs_in_the_loop_it_was_given_in(metrics, refresh, counts):
    here = asyncio.get_running_loop()

    async def ask() -> QueueState:
        assert asyncio.get_running_loop() is here
        return QueueState(9)

    observe_queue("jobs", ask, metrics)
    await asyncio.to_thread(refresh)
    assert counts("queue_depth") == {("jobs",): 9}


def test_an_async_function_of_a_loop_that_has_ended_is_left_out(metrics, refresh, counts):
    async def ask() -> int:
        return 9

    async def begin() -> None:
        observe_queue("jobs", ask, metrics)

    asyncio.run(begin())
    began = time.monotonic()
    refresh()
    assert counts("queue_depth") == {}
    assert time.monotonic() - began < 30


def test_an_async_function_needs_a_running_loop(metrics):
    async def ask() -> int:
        return 9

    with pytest.raises(RuntimeError, match="no running event loop"):
        observe_queue("jobs", ask, metrics)


async def test_handlers_are_timed_and_counted_by_their_end(metrics, counts):
    source = observe_queue("jobs", asyncio.Queue(), metrics)

    @source.handler
    def handle(message: str) -> str:
        return message.upper()

    @source.handler
    async def handle_async(message: str) -> str:
        raise ValueError(message)

    assert handle("a") == "A"
    with pytest.raises(ValueError, match="bad"):
        await handle_async("bad")
    source.retried()
    source.dead_letter()
    assert counts("queue_messages_total") == {("jobs", "ok"): 1, ("jobs", "failed"): 1, ("jobs", "retried"): 1}
    assert counts("queue_processing_duration_seconds") == {("jobs",): 2}
    assert counts("queue_dead_letters_total") == {("jobs",): 1}


def test_observing_twice_counts_once_and_another_queue_takes_the_name_over(metrics, refresh, counts):
    states = [QueueState(1, None, 0)]

    def ask() -> QueueState:
        return states[0]

    first = observe_queue("jobs", ask, metrics)
    assert observe_queue("jobs", ask, metrics) is first
    refresh()
    states[0] = QueueState(1, None, 4)
    refresh()
    assert counts("queue_dead_letters_total") == {("jobs",): 4}
    jobs: queue.Queue[int] = queue.Queue()
    second = observe_queue("jobs", jobs, metrics)
    assert second is not first
    states[0] = QueueState(99, None, 9)
    refresh()
    assert counts("queue_depth") == {("jobs",): 0}
    assert counts("queue_dead_letters_total") == {("jobs",): 4}
