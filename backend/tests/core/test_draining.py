"""Endpoints that would go on for ever are told that the service is going to end."""

import asyncio
import threading

import pytest

from app.core import draining
from app.core.draining import Draining, process_draining
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def _as_before():
    yield
    process_draining.reset()


async def test_whoever_waits_wakes_up_although_it_begins_in_another_thread():
    waiting = [asyncio.create_task(draining().wait()) for _ in range(3)]
    await asyncio.sleep(0)
    threading.Thread(target=process_draining.begin).start()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 10) == [True] * 3


async def test_whoever_asks_later_need_not_wait():
    process_draining.begin()
    assert draining().is_set()


async def test_a_service_that_starts_again_does_not_drain():
    process_draining.begin()
    process_draining.reset()
    assert not draining().is_set()


def test_every_loop_has_an_event_of_its_own_and_closed_ones_are_forgotten():
    both = Draining()
    woken: list[int] = []

    async def wait() -> None:
        await both.event().wait()
        woken.append(threading.get_ident())

    threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(both._events) == 2, what="both loops")
    both.begin()
    for thread in threads:
        thread.join(10)
    assert len(set(woken)) == 2
    both.begin()

    async def ask() -> int:
        both.event()
        return len(both._events)

    assert asyncio.run(ask()) == 1


def test_outside_of_a_loop_there_is_nothing_to_wait_for():
    with pytest.raises(RuntimeError):
        draining()
