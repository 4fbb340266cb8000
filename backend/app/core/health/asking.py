"""Calling a check's function: there is an answer in time whatever it does, and no second call beside one that hangs."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

from ..texts import text_of
from .checks import Answer, Degraded, Function


class _Call:
    """One call, which may outlive those who wait for it."""

    __slots__ = ("in_loop", "in_thread", "since")

    def __init__(self) -> None:
        self.since = perf_counter()
        self.in_loop = True
        self.in_thread = False

    @property
    def over(self) -> bool:
        return not self.in_loop and not self.in_thread


class Caller:
    """Calls one function. A sync one runs in a thread of its own: however many hang, each check holds at most one."""

    def __init__(self, name: str, function: Function) -> None:
        self._name = name
        self._function = function
        self._last: _Call | None = None
        called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004  # an object may have an async one
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)

    async def __call__(self, within: float) -> tuple[Answer, float]:
        """The answer, and the seconds it took; after `within` seconds it is that there was none."""
        if self._last is not None and not self._last.over:
            ago = perf_counter() - self._last.since
            return Answer("unhealthy", f"the call of {ago:.1f} s ago has not come back; it is not called again"), 0.0
        call = self._last = _Call()
        task = asyncio.ensure_future(self._answer(call))
        done, _ = await asyncio.wait({task}, timeout=within)
        seconds = perf_counter() - call.since
        if not done:
            # Not awaited: what swallows its cancellation, or blocks in a thread, must not hold up the probe.
            task.cancel()
            return Answer("unhealthy", f"no answer within {within:g} s"), seconds
        if task.cancelled():  # before it began: the loop ends
            call.in_loop = False
            return Answer("unhealthy", "the check was cancelled"), seconds
        if seconds > within:
            why = f"took {seconds:.3g} s of {within:g} s, in which it blocked the event loop"
            return Answer("unhealthy", why), seconds
        return task.result(), seconds

    async def _answer(self, call: _Call) -> Answer:
        try:
            value = await self._value(call)
        except Degraded as error:
            return Answer("degraded", text_of(error))
        except asyncio.CancelledError:
            return Answer("unhealthy", "the check was cancelled")
        # SystemExit too: raised in a task, it would end the server.
        except BaseException as error:  # noqa: BLE001  # a check may fail in any way; each of them is an answer
            return Answer("unhealthy", f"{type(error).__name__}: {text_of(error)}")
        else:
            if isinstance(value, Answer):
                return value
            return Answer("unhealthy", "the check returned False") if value is False else Answer()
        finally:
            call.in_loop = False

    async def _value(self, call: _Call) -> object:
        value = self._function() if self._is_async else await self._in_thread(call)
        return await value if inspect.isawaitable(value) else value

    def _in_thread(self, call: _Call) -> "asyncio.Future[object]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()

        def settle(value: object, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(value)
            elif isinstance(error, StopIteration):  # a future takes any exception but this one
                future.set_exception(RuntimeError("the check raised StopIteration"))
            else:
                future.set_exception(error)

        def run() -> None:
            value, failure = _outcome(self._function)
            call.in_thread = False
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, value, failure)

        call.in_thread = True
        try:
            # Not the loop's pool: a check that hangs for ever would take a thread of it for ever. A daemon: nor must it
            # hold up the end of the process.
            threading.Thread(target=run, name=f"health-{self._name}", daemon=True).start()
        except RuntimeError:  # no more threads
            call.in_thread = False
            raise
        return future


def _outcome(function: Callable[[], object]) -> tuple[object, BaseException | None]:
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001  # it is told as the check's answer
        return None, error
