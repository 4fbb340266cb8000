"""What is bound to a request stays with it, whatever runs beside it and wherever it runs."""

import asyncio
import logging
from collections import Counter
from itertools import pairwise
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI

from app.core import bind, get_logger, set_user
from support.service import observed

REQUESTS = 1000
log = get_logger("structured")
standard = logging.getLogger("standard")


def bound_in_a_thread(number: int) -> int:
    """A sync dependency, which FastAPI runs in a thread."""
    bind(number=number)
    set_user(f"user-{number}")
    return number


Number = Annotated[int, Depends(bound_in_a_thread)]


def _app() -> FastAPI:
    app = FastAPI()

    @app.get("/async/{number}")
    async def awaits(number: Number, tasks: BackgroundTasks) -> int:
        log.info("one", said=number)
        await asyncio.sleep(0.001 * (number % 7))
        with bind(step=number):
            await asyncio.to_thread(log.info, "two", said=number)
            await asyncio.create_task(_in_a_task(number))
        log.info("four", said=number)
        tasks.add_task(log.info, "five", said=number)
        return number

    @app.get("/sync/{number}")
    def blocks(number: Number) -> int:
        log.info("one", said=number)
        with bind(step=number):
            standard.info("two", extra={"said": number})
        log.info("three", said=number)
        return number

    return app


async def _in_a_task(number: int) -> None:
    await asyncio.sleep(0)
    standard.info("three", extra={"said": number})


async def test_a_thousand_interleaved_requests_never_see_each_others_fields():
    with observed(_app()) as service:
        async with service.client() as client:
            paths = [f"/{'sync' if number % 2 else 'async'}/{number}" for number in range(REQUESTS)]
            answers = await asyncio.gather(
                *(client.get(path, headers={"x-request-id": path[1:].replace("/", "-")}) for path in paths)
            )
        entries = service.entries
    assert [answer.json() for answer in answers] == list(range(REQUESTS))
    calls = [entry for entry in entries if "said" in entry]
    order = [entry["said"] for entry in calls]
    switches = sum(before != after for before, after in pairwise(order))
    assert switches > len(calls) / 2, "they did not run side by side"
    for entry in calls:
        number = entry["said"]
        assert (entry["number"], entry["user_id"]) == (number, f"user-{number}")
        assert entry["request_id"] == f"{'sync' if number % 2 else 'async'}-{number}"
        inside = entry["message"] in ({"two"} if number % 2 else {"two", "three"})
        assert entry.get("step") == (number if inside else None)
    assert Counter(entry["message"] for entry in calls) == {
        **dict.fromkeys(("one", "two", "three"), REQUESTS),
        **dict.fromkeys(("four", "five"), REQUESTS // 2),
    }
    access = [entry for entry in entries if "httpRequest" in entry]
    assert sorted(entry["number"] for entry in access) == list(range(REQUESTS))
    assert all(entry["user_id"] == f"user-{entry['number']}" and "step" not in entry for entry in access)
