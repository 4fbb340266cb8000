"""A health check, and what came of it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

Status = Literal["healthy", "unhealthy"]
#: Passes by returning anything but False; fails by returning False or raising.
Function = Callable[[], object | Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Check:
    """A question to a dependency. A check that is not critical is told, but never takes the service out."""

    name: str
    function: Function
    critical: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The answer; `reason` is for operators, not for the public."""

    check: Check
    status: Status
    reason: str
    seconds: float


async def ask(check: Check, within: float) -> Result:
    """Run one check; whatever it does, the answer is a result within `within` seconds."""
    start = perf_counter()
    try:
        async with asyncio.timeout(within):
            answer = await _call(check.function)
    except TimeoutError:
        return Result(check, "unhealthy", f"no answer within {within:g} s", perf_counter() - start)
    except Exception as error:  # noqa: BLE001  # a check may fail in any way; each of them is an answer
        return Result(check, "unhealthy", f"{type(error).__name__}: {error}", perf_counter() - start)
    seconds = perf_counter() - start
    if answer is False:
        return Result(check, "unhealthy", "the check returned False", seconds)
    return Result(check, "healthy", "", seconds)


async def _call(function: Function) -> object:
    if inspect.iscoroutinefunction(function):
        return await function()
    # A sync check may block: it runs beside the event loop.
    answer = await asyncio.to_thread(function)
    return await answer if inspect.isawaitable(answer) else answer
