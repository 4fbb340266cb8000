"""`span()`: a piece of a request's work as a span of its own."""

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, cast, overload

from .. import guard
from ..context import current
from .record import bound, error_type
from .state import running

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from ..propagation.incoming import Origin

Arguments = ParamSpec("Arguments")
Function = TypeVar("Function", bound=Callable[..., Any])
Value = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]

_SCOPE: Final = "fastapi_cloudops"


def _guarded(method: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The method, whose failures never reach the service."""

    @functools.wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # as it says
            guard.caught("span", error)

    return call


class SpanScope:
    """One span, from `with` to its end; without a running exporter nothing at all. As a decorator, one for each call.

    Args:
        name: Of few different values; what differs belongs into attributes.
        attributes: Attributes it begins with.
        links: Where the parts of a batch come from.
    """

    __slots__ = ("_attributes", "_before", "_inside", "_links", "_name", "_span")

    def __init__(self, name: str, attributes: dict[str, Any], links: "Iterable[Origin]") -> None:
        self._name = name
        self._attributes = attributes
        self._links = tuple(links)
        self._span: Span | None = None
        self._inside: Context | None = None
        self._before: Context | None = None

    def set(self, **attributes: Value) -> Self:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(attributes)
        return self

    def event(self, name: str, **attributes: Value) -> Self:
        """Note that something happened, now."""
        if self._span is not None:
            self._span.add_event(name, attributes)
        return self

    # --- as a context manager

    def __enter__(self) -> Self:
        self.begin()
        self.step_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.step_out()
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # --- as a decorator

    def __call__(self, function: Function) -> Function:
        """The function, each call in a span of its own: also coroutines, generators and asynchronous generators."""
        make = self._again
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            def call_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
                return _each_async(make(), function(*args, **kwargs))

            return cast("Function", call_async_generator)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def call_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                return _each(make(), function(*args, **kwargs))

            return cast("Function", call_generator)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with make():
                    return await function(*args, **kwargs)

            return cast("Function", call_async)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with make():
                return function(*args, **kwargs)

        return cast("Function", call)

    def _again(self) -> "SpanScope":
        return SpanScope(self._name, self._attributes, self._links)

    # --- the span

    @_guarded
    def begin(self) -> None:
        if running() is None:
            return
        context = current.get()
        if context is not None and context.span is not None and not context.span.may_be_kept:
            return  # what happens now is exported in no case: the request's own span goes on standing for it
        trace = sys.modules["opentelemetry.trace"]
        attributes = {name: value for name, value in self._attributes.items() if value is not None}
        if context is not None:
            attributes = {**bound(context.fields), **attributes}
        links = [_link(origin) for origin in self._links if origin.parent is not None and origin.parent[1]]
        self._span = trace.get_tracer(_SCOPE).start_span(self._name, attributes=attributes, links=links)
        self._inside = trace.set_span_in_context(self._span)

    @_guarded
    def step_in(self) -> None:
        """Make it the current span of this context."""
        if self._inside is not None:
            otel = sys.modules["opentelemetry.context"]
            self._before = otel.get_current()
            otel.attach(self._inside)

    @_guarded
    def step_out(self) -> None:
        """Put back what was current; the span's own context is kept, with what was begun and not ended in it."""
        # No token: a generator goes on in whatever context its consumer is in, where `detach` complains.
        if self._inside is not None and self._before is not None:
            otel = sys.modules["opentelemetry.context"]
            self._inside = otel.get_current()
            otel.attach(self._before)
            self._before = None

    @_guarded
    def end(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        if span.is_recording():
            context = current.get()
            if context is not None and context.user_id and (traces := running()) is not None:
                span.set_attribute("user.hash", traces.hash(context.user_id))
            # A generator that is not read to its end, and a task that is cancelled, did not fail.
            if isinstance(error, Exception):
                trace = sys.modules["opentelemetry.trace"]
                span.set_attribute("error.type", error_type(error))
                span.record_exception(error)
                span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end()


@overload
def span(name: str, /, *, links: "Iterable[Origin]" = (), **attributes: Value) -> SpanScope: ...
@overload
def span(function: Function, /) -> Function: ...
def span(name: Any, /, *, links: "Iterable[Origin]" = (), **attributes: Value) -> Any:
    """Make a piece of work a span of its own.

    A context manager, `with span("charge card", amount=3) as charge:`, and a decorator of functions, coroutines and
    generators of both kinds; `@span` alone takes the function's name. The request's bound fields become attributes
    `app.NAME`, its user a hash. What spans say goes through the redaction policy. Without a running exporter it does
    nothing.

    Args:
        name: Of few different values; what differs belongs into attributes.
        links: Origins of the parts of a batch: `[from_pubsub_message(one) for one in batch]`.
        attributes: Texts, numbers, truth values or lists of them.
    """
    if callable(name):
        return SpanScope(getattr(name, "__qualname__", "call"), {}, ())(name)
    return SpanScope(name, attributes, links)


def _link(origin: "Origin") -> Any:
    trace = sys.modules["opentelemetry.trace"]
    assert origin.parent is not None
    trace_id, span_id, sampled = origin.parent
    flags = trace.TraceFlags(int(sampled))
    return trace.Link(trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags))


def _each(scope: SpanScope, given: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """A generator whose own code runs within the span, and its consumer's does not."""
    scope.begin()
    step: Callable[[Any], Any] = given.send
    sent: Any = None
    failure: BaseException | None = None
    try:
        while True:
            scope.step_in()
            try:
                told = step(sent)
            except StopIteration as stop:
                return stop.value
            finally:
                scope.step_out()
            try:
                step, sent = given.send, (yield told)
            except GeneratorExit:
                scope.step_in()
                try:
                    given.close()
                finally:
                    scope.step_out()
                raise
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the generator's
                step, sent = given.throw, error
    except BaseException as error:
        failure = error
        raise
    finally:
        scope.end(failure)
        del failure


async def _each_async(scope: SpanScope, given: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    """The same for an asynchronous one."""
    scope.begin()
    step: Callable[[Any], Any] = given.asend
    sent: Any = None
    failure: BaseException | None = None
    try:
        while True:
            scope.step_in()
            try:
                told = await step(sent)
            except StopAsyncIteration:
                return
            finally:
                scope.step_out()
            try:
                step, sent = given.asend, (yield told)
            except GeneratorExit:
                scope.step_in()
                try:
                    await given.aclose()
                finally:
                    scope.step_out()
                raise
            except BaseException as error:  # noqa: BLE001  # as above
                step, sent = given.athrow, error
    except BaseException as error:
        failure = error
        raise
    finally:
        scope.end(failure)
        del failure
