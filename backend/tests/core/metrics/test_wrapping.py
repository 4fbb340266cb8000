import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from app.core.metrics import Counter, MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.instruments import Timer


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def counter(store):
    return MetricsClient(store).counter("cloudops_internal_errors_total")


@pytest.fixture
def timed(store):
    return MetricsClient(store).histogram("cloudops_export_duration_seconds").time()


def _count(store):
    [series] = store.series
    return sum(series.cell[:-1]) if series.metric.kind == "histogram" else series.cell[0]


def double(number: int) -> int:
    return 2 * number


async def double_later(number: int) -> int:
    return 2 * number


def countdown(number: int) -> Generator[int, int | None, None]:
    while number:
        number -= (yield number) or 1


async def countdown_later(number: int) -> AsyncGenerator[int, int | None]:
    while number:
        number -= (yield number) or 1


FUNCTIONS: list[Callable[[Any], Any]] = [double, double_later, countdown, countdown_later]
KINDS: list[Callable[[Any], bool]] = [
    inspect.isfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
]


async def _run(function: Any, *args: Any) -> Any:
    called = function(*args)
    if hasattr(called, "__aiter__"):
        return [item async for item in called]
    if hasattr(called, "__await__"):
        return await called
    return list(called) if hasattr(called, "__iter__") else called


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("decorator", ["counter", "timed"])
async def test_a_decorated_function_is_of_the_same_kind_and_gives_the_same(request, function, decorator, store):
    wrapped = request.getfixturevalue(decorator)(function)
    assert [kind(wrapped) for kind in KINDS] == [kind(function) for kind in KINDS]
    assert wrapped.__name__ == function.__name__
    assert await _run(wrapped, 3) == await _run(function, 3)
    assert await _run(wrapped, 2) == await _run(function, 2)
    assert _count(store) == 2


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_a_call_that_raises_is_counted_and_timed(function, counter, timed, store):
    for decorator in (counter, timed):
        with pytest.raises(TypeError):
            await _run(decorator(function), object())
    assert [sum(series.cell[:-1] or series.cell) for series in store.series] == [1, 1]


def test_the_time_of_a_generator_ends_with_it(timed: Timer, store):
    generator = timed(countdown)(3)
    assert _count(store) == 0
    assert (next(generator), generator.send(2)) == (3, 1)
    assert _count(store) == 0
    assert list(generator) == []
    assert _count(store) == 1


def test_the_time_of_a_generator_ends_when_it_is_closed(timed: Timer, store):
    generator = timed(countdown)(3)
    next(generator)
    generator.close()
    assert _count(store) == 1


async def test_an_async_generator_is_sent_thrown_and_closed_as_if_it_were_bare(timed: Timer, store):
    seen: list[Any] = []

    @timed
    async def numbers() -> Any:
        try:
            while True:
                try:
                    seen.append((yield len(seen)))
                except KeyError as error:
                    seen.append(error.args)
        finally:
            seen.append("closed")

    generator = numbers()
    assert [await generator.asend(None), await generator.asend("a"), await generator.athrow(KeyError(7))] == [0, 1, 2]
    assert _count(store) == 0
    await generator.aclose()
    assert seen == ["a", (7,), "closed"]
    assert _count(store) == 1


async def test_an_async_generator_may_answer_what_is_thrown_by_ending(timed: Timer, store):
    @timed
    async def once() -> Any:
        try:
            yield 1
        except KeyError:
            return

    generator = once()
    await anext(generator)
    with pytest.raises(StopAsyncIteration):
        await generator.athrow(KeyError())
    assert _count(store) == 1


async def test_an_object_with_an_async_call_is_awaited(timed: Timer, store):
    class Later:
        async def __call__(self, number: int) -> int:
            return 2 * number

    assert await timed(Later())(3) == 6
    assert await timed(functools.partial(double_later, 4))() == 8
    assert _count(store) == 2


def test_a_method_is_decorated_like_a_function(counter: Counter, store):
    class Shop:
        @counter
        def sell(self) -> str:
            return type(self).__name__

    assert Shop().sell() == "Shop"
    assert _count(store) == 1


async def test_fastapi_takes_a_timed_dependency_with_an_exit(timed: Timer, store):
    app = FastAPI()
    steps: list[str] = []

    @timed
    async def session() -> AsyncIterator[str]:
        try:
            yield "session"
        finally:
            steps.append("closed")

    @app.get("/")
    async def index(given: Annotated[str, Depends(session)]) -> str:
        steps.append(given)
        return given

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        assert (await client.get("/")).json() == "session"
    assert steps == ["session", "closed"]
    assert _count(store) == 1
