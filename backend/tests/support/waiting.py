"""Waiting for a condition with a bound, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_PAUSE = 0.02


def wait_until(condition: Callable[[], Answer], seconds: float = 10.0, what: str = "the condition") -> Answer:
    """The first truthy answer of `condition`; fails the test when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {seconds} s (last answer: {answer!r})")
        time.sleep(_PAUSE)
    return answer


async def wait_until_async(
    condition: Callable[[], Answer], seconds: float = 10.0, what: str = "the condition"
) -> Answer:
    """As `wait_until`, without blocking the event loop."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {seconds} s (last answer: {answer!r})")
        await asyncio.sleep(_PAUSE)
    return answer
