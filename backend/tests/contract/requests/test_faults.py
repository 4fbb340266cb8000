"""Every function of the library on the way of a request is made to raise, in turn: the client never notices."""

import ast
import inspect
import logging
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import app.core
from support.probe_app import make_app, without_native_telemetry
from support.probe_client import http_scope, run, websocket_scope
from support.service import observed

CORE = str(Path(app.core.__file__).parent)
REQUESTS = [
    http_scope("/plain"),
    http_scope("/logs", headers=[("x-name", "ada"), ("x-request-id", "mine"), ("user-agent", "probe")]),
    http_scope("/dependency", headers=[("x-name", "ada"), ("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")]),
    http_scope("/stream", headers=[("x-cloud-trace-context", f"{'a' * 32}/1;o=1")]),
    http_scope("/tenants/acme/things/x"),
    http_scope("/raw/odd-headers"),
    http_scope("/starlette/me", "HEAD"),
    http_scope("/nothing"),
    http_scope("/items/seven", headers=[("x-forwarded-for", "192.0.2.1, 192.0.2.2")]),
    http_scope("/plain", "FOO123"),
    http_scope("/boom"),
    http_scope("/broken-stream"),
    http_scope("/broken-task"),
    http_scope("/short-task"),
    http_scope("/shed/429"),
    http_scope("/late"),
    http_scope("/upload", "POST", [("content-length", "5")]),
]
CONNECTIONS = [
    websocket_scope("/socket/closes"),
    websocket_scope("/socket/raises"),
    websocket_scope("/socket/denied"),
    websocket_scope("/socket/nothing"),
]
INCOMING: dict[str, list[dict[str, Any]]] = {
    "http": [{"type": "http.request", "body": b"12345"}],
    "websocket": [{"type": "websocket.connect"}],
}

LAYER = "observed_call.<locals>.__call__"
#: What is called by the app itself, or is the layer itself: a fault planted there is planted in the app. The
#: interpreter calls the first one, at any moment, and lets nobody see what it raises.
OUTSIDE = {
    "Collections.__call__",
    LAYER,
    "_observed_class.<locals>.__call__",
    "Exchange.send",
    "Exchange.receive",
    "Connection.send",
    "Connection.receive",
    "bind",
    "shed",
    "Binding.__init__",
    "Binding.__enter__",
    "Binding.__exit__",
    "caught",
}


class InjectedError(Exception):
    """The fault."""


async def answers(app) -> list[Any]:
    """What clients of every request see."""
    seen = []
    for scope in [*REQUESTS, *CONNECTIONS]:
        ran = await run(app, {**scope, "headers": [*scope["headers"]]}, INCOMING[scope["type"]])
        seen.append((scope["path"], [plain(message) for message in ran.comparable], type(ran.error), str(ran.error)))
    return seen


def plain(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "headers": [*message["headers"]]} if "headers" in message else message


async def functions_on_the_way() -> dict[str, tuple[Any, str]]:
    """Every function of core that runs for these requests: by name, its owner and its name there."""
    codes: set[CodeType] = set()

    def note(frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(CORE) and beneath_the_layer(frame):
            codes.add(frame.f_code)

    watched = make_app()
    with observed(watched):
        sys.setprofile(note)
        try:
            await answers(watched)
        finally:
            sys.setprofile(None)
    found = {}
    for owner, name, function in every_function():
        if function.__code__ in codes and function.__qualname__ not in OUTSIDE and not guards_itself(function):
            found[f"{function.__module__}.{function.__qualname__}"] = (owner, name)
    return found


def beneath_the_layer(frame: Any) -> bool:
    """Whether a request is being served; timers of the loop and the collector may run now or another time."""
    while frame is not None:
        if frame.f_code.co_qualname == LAYER:
            return True
        frame = frame.f_back
    return False


def every_function() -> Iterator[tuple[Any, str, FunctionType]]:
    for module in core_modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield module, name, value
            elif isinstance(value, type) and value.__module__ == module.__name__:
                for attribute, member in list(vars(value).items()):
                    function = plain_function(member)
                    if function is not None:
                        yield value, attribute, function


def plain_function(member: Any) -> FunctionType | None:
    """The function of a method, whatever kind of method it is."""
    function = member.fget if isinstance(member, property) else member
    function = function.__func__ if isinstance(function, staticmethod | classmethod) else function
    return function if isinstance(function, FunctionType) else None


def core_modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name == "app.core" or name.startswith("app.core.")]


class Fault:
    """Counts the calls that it made fail; planted before the app is instrumented, armed for the requests."""

    def __init__(self) -> None:
        self.armed = False
        self.calls = 0


@contextmanager
def broken(owner: Any, name: str, fault: Fault) -> Iterator[None]:
    """The function raises, wherever it has been imported to, once the fault is armed."""
    original = vars(owner)[name]
    function = plain_function(original)
    assert function is not None

    @wraps(function)
    def fails(*arguments: Any, **options: Any) -> Any:
        if not fault.armed:
            return function(*arguments, **options)
        fault.calls += 1
        raise InjectedError(name)

    replacement: Any = property(fails, original.fset) if isinstance(original, property) else fails
    if isinstance(original, staticmethod | classmethod):
        replacement = type(original)(fails)
    places = [(owner, name)]
    if isinstance(owner, ModuleType):
        places += [
            (module, alias)
            for module in core_modules()
            for alias, value in list(vars(module).items())
            if value is original and (module, alias) != (owner, name)
        ]
    with pytest.MonkeyPatch.context() as patch:
        for place, alias in places:
            patch.setattr(place, alias, replacement)
        yield


def guards_itself(function: FunctionType) -> bool:
    """Whether the whole body stands in one `try` that keeps every exception: its failures are planted deeper."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    # A flag that is set before the `try` cannot fail.
    last = body[-1]
    constants = all(isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) for one in body[:-1])
    return (
        constants
        and isinstance(last, ast.Try)
        and ast.unparse(last.handlers[-1].type or ast.Constant("")) == "Exception"
    )


async def verdict(owner: Any, name: str, expected: list[Any]) -> str:
    """What a client notices of a fault; empty when it is nothing."""
    watched, fault = make_app(), Fault()
    with broken(owner, name, fault), observed(watched):
        fault.armed = True
        seen = await answers(watched)
        fault.armed = False
    differing = [theirs[0] for ours, theirs in zip(seen, expected, strict=True) if ours != theirs]
    if differing:
        return f"changes the answer of {', '.join(differing)}"
    return "" if fault.calls else "was not reached"


async def test_a_fault_in_any_function_of_the_library_changes_no_answer(internal_failures, monkeypatch):
    # What `logging` says on stderr about a failing handler is for people.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    expected = await answers(make_app(**without_native_telemetry()))
    functions = await functions_on_the_way()
    assert len(functions) > 25, f"the profile saw too little: {sorted(functions)}"
    failed = []
    for qualified, (owner, name) in sorted(functions.items()):
        noticed = await verdict(owner, name, expected)
        if noticed:
            failed.append(f"{qualified} {noticed}")
    internal_failures.clear()
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("target", ["write", "time_ns"])
async def test_a_fault_in_what_the_service_gave_us_changes_no_answer(target, internal_failures):
    expected = await answers(make_app(**without_native_telemetry()))

    def fails(*_arguments):
        raise InjectedError(target)

    watched = make_app()
    with observed(watched) as service:
        access = service.observability._access
        setattr(access, f"_{target}", fails)
        assert await answers(watched) == expected
    assert internal_failures
    internal_failures.clear()
