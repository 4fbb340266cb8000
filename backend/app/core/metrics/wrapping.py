"""Decorators that see a function's body begin and end, and leave it the kind of function it was.

Frameworks look at the kind: FastAPI runs a generator function as a dependency with an exit, and awaits an async one.
"""

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])
#: Called when the body begins; what it returns, when it has ended in whatever way.
Begin = Callable[[], Callable[[], object]]


def wrap(function: Function, begin: Begin) -> Function:
    """A function like the given one. The body of a generator lasts until it is exhausted or closed."""
    # An object with an async `__call__` is async too.
    called = function if hasattr(function, "__code__") else getattr(function, "__call__", function)  # noqa: B004  # the method itself is wanted
    if iscoroutinefunction(function) or iscoroutinefunction(called):
        return _async(function, begin)
    if isasyncgenfunction(function) or isasyncgenfunction(called):
        return _async_generator(function, begin)
    if isgeneratorfunction(function) or isgeneratorfunction(called):
        return _generator(function, begin)
    return _sync(function, begin)


def _sync(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        end = begin()
        try:
            return function(*args, **kwargs)
        finally:
            end()

    return cast("Function", wrapper)


def _async(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        end = begin()
        try:
            return await function(*args, **kwargs)
        finally:
            end()

    return cast("Function", wrapper)


def _generator(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        end = begin()
        try:
            return (yield from function(*args, **kwargs))
        finally:
            end()

    return cast("Function", wrapper)


def _async_generator(function: Function, begin: Begin) -> Function:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        end = begin()
        generator: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        try:
            step = generator.__anext__()
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # whatever it is, it is the inner generator's
                    step = generator.athrow(error)
                else:
                    step = generator.asend(sent)
        finally:
            try:
                await generator.aclose()
            finally:
                end()

    return cast("Function", wrapper)
