"""How requests end that do not end well: the app's exceptions, the server's, and cancellation."""

import asyncio
import gc
import random
import weakref
from contextlib import suppress
from typing import Any

import pytest

from app.core.context import current
from support.probe_client import body, http_scope, run, start, swallow, websocket_scope


def in_flight(service):
    return service.series("http_requests_in_flight")[()][0]


class AppError(Exception):
    pass


async def raise_with_history():
    try:
        int("the first")
    except ValueError:
        error = AppError("the second")
        error.add_note("a note")
        raise error from ValueError("the cause")


def frames(error):
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(
            (
                trace.tb_frame.f_code.co_qualname if hasattr(trace.tb_frame.f_code, "co_qualname") else "",
                trace.tb_lineno,
            )
        )
        trace = trace.tb_next
    return found


@pytest.mark.parametrize("when", ["before the response", "after the start", "after the end"])
async def test_an_exception_goes_on_with_its_whole_history(when, layer):
    async def app(scope, receive, send):
        if when != "before the response":
            await send(start())
        if when == "after the end":
            await send(body())
        await raise_with_history()

    bare, watched = await run(app, http_scope("/x")), await run(layer(app), http_scope("/x"))
    for ran in (bare, watched):
        assert type(ran.error) is AppError
        assert repr(ran.error.__cause__) == repr(ValueError("the cause"))
        assert repr(ran.error.__context__) == repr(ValueError("invalid literal for int() with base 10: 'the first'"))
        assert ran.error.__suppress_context__
        assert ran.error.__notes__ == ["a note"]
    # The frames of the app, innermost last, are the same; the layer's own stand before them.
    assert frames(watched.error)[-2:] == frames(bare.error)[-2:]
    assert len(frames(watched.error)) <= len(frames(bare.error)) + 2


async def test_an_exception_group_goes_on_as_it_is(layer):
    group = ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [TypeError("b")])])

    async def app(scope, receive, send):
        raise group

    assert (await run(layer(app), http_scope("/x"))).error is group


@pytest.mark.parametrize("raised", [asyncio.CancelledError("why"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
async def test_every_base_exception_goes_on(raised, service, layer):
    async def app(scope, receive, send):
        raise raised

    ran = await run(layer(app), http_scope("/x"))
    assert ran.error is raised
    assert in_flight(service) == 0
    assert len(service.access) == 1


@pytest.mark.parametrize("fails", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("raised", [OSError("gone"), ConnectionResetError(), BrokenPipeError()])
async def test_a_send_that_fails_because_the_client_has_left(fails, raised, service, layer):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"12345"))

    async def send(message):
        if message["type"] == fails:
            raise raised

    with pytest.raises(type(raised)) as caught:
        await layer(app)(http_scope("/x"), None, send)
    assert caught.value is raised
    [entry] = service.access
    assert entry["outcome"] == "client_closed"
    assert entry["httpRequest"]["responseSize"] == "0"


async def test_a_send_that_fails_and_an_app_that_says_so_in_its_own_words(service, layer):
    """Starlette answers the server's OSError with ClientDisconnect; any exception because of it is the client's."""

    async def app(scope, receive, send):
        await send(start())
        try:
            await send(body(b"12345"))
        except OSError as error:
            raise RuntimeError("nobody listens") from error

    async def send(message):
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with pytest.raises(RuntimeError):
        await layer(app)(http_scope("/x"), None, send)
    assert service.access[0]["outcome"] == "client_closed"


async def test_an_os_error_of_the_apps_own_is_not_the_clients(service, layer):
    async def app(scope, receive, send):
        raise ConnectionResetError("the database")

    await run(layer(app), http_scope("/x"))
    assert (service.access[0]["outcome"], service.access[0]["httpRequest"]["status"]) == ("server_error", 500)


async def test_a_disconnect_that_the_app_saw_before_it_raised(service, layer):
    async def app(scope, receive, send):
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        raise RuntimeError("no reader left")

    await run(layer(app), http_scope("/x"))
    assert (service.access[0]["outcome"], service.access[0]["httpRequest"]["status"]) == ("client_closed", 499)


async def test_a_thousand_requests_cancelled_anywhere_all_stay_cancelled(service, layer):
    """CancelledError propagates from every await, and nothing stays in flight."""
    dice = random.Random(7)

    async def app(scope, receive, send):
        for _ in range(3):
            await asyncio.sleep(0)
        await send(start())
        await asyncio.sleep(0)
        await send(body(b"part", more=True))
        await asyncio.sleep(0)
        await send(body(b"end"))
        await asyncio.sleep(10)

    async def send(message):
        await asyncio.sleep(0)

    async def one():
        task = asyncio.create_task(layer(app)(http_scope("/x"), None, send))
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert all(await asyncio.gather(*(one() for _ in range(1000))))
    assert in_flight(service) == 0
    outcomes = {entry["outcome"] for entry in service.access}
    assert outcomes <= {"client_closed", "ok"}
    # A task that is cancelled before its first step never was a request.
    assert len(service.access) == sum(cell[0] for cell in service.series("http_request_total").values())


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_of_a_request_stays_in_the_context_of_its_caller(fails, layer):
    async def app(scope, receive, send):
        assert current.get() is not None
        if fails:
            raise AppError("boom")

    for scope in (http_scope("/x"), websocket_scope("/x")):
        await run(layer(app), scope)
        assert current.get() is None


async def test_a_request_is_freed_when_it_ends(layer):
    """No cycle waits for the collector, also when the app has raised."""

    class Marked(dict[str, Any]):
        pass

    async def app(scope, receive, send):
        await send(start())
        raise AppError("boom")

    async def once():
        scope = Marked(http_scope("/x"))
        seen = weakref.ref(scope)
        with suppress(AppError):
            await layer(app)(scope, None, swallow)
        return seen

    gc.collect()
    gc.disable()
    try:
        # In a task, and so in a context, of its own: as servers do.
        seen = await asyncio.create_task(once())
        await asyncio.sleep(0)  # the loop lets go of the task
        assert seen() is None
    finally:
        gc.enable()
