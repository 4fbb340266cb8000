"""A request's context for work that no HTTP request brings: jobs, subscribers, command lines."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from time import perf_counter
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from ..context import (
    RequestContext,
    Trace,
    acceptable_request_id,
    bind,
    current,
    new_span_id,
    new_trace_id,
    read_traceparent,
)
from ..logging.setup import write_held
from ..tracing.state import running
from .incoming import Origin

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Reader = Callable[..., Origin]


class JobContext(RequestContext):
    """One piece of work, and what was current before it."""

    __slots__ = ("before", "parent", "scope", "started")

    def __init__(self, origin: Origin, scope: "RequestScope", before: RequestContext | None) -> None:
        trace = None
        if origin.parent is not None:
            trace_id, _, sampled = origin.parent
            trace = Trace(trace_id, new_span_id(), sampled)
        #: The sender's span, and when this began on the clock of `time.perf_counter`.
        self.parent = origin.parent[1] if origin.parent is not None else ""
        self.started = perf_counter()
        super().__init__(origin.request_id or new_trace_id(), trace, origin.fields)
        self.scope: RequestScope | None = scope
        self.before = before


class RequestScope:
    """A context manager that makes one piece of work look like a request, and a decorator that does so per call.

    It holds no state between `with` and its end, so that one object may serve many threads and tasks at once.
    """

    __slots__ = ("_given", "_read")

    def __init__(self, given: Origin, read: Reader | None) -> None:
        self._given = given
        self._read = read

    def __enter__(self) -> RequestContext:
        if self._read is not None:
            raise TypeError(
                "an origin that is read from arguments needs a function: use it as a decorator, or call it:"
                " request_context(from_pubsub_message(message))"
            )
        return self._enter(self._given)

    def _enter(self, origin: Origin) -> RequestContext:
        context = JobContext(origin, self, current.get())
        current.set(context)
        if (traces := running()) is not None:
            traces.begin_job(context)
        return context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # No token: a generator may end in another context than it began in, where `reset` raises.
        context = current.get()
        while isinstance(context, JobContext):
            before = context.before
            if context.scope is self:
                current.set(before)
                if error is not None:
                    write_held(context)
                if context.span is not None:
                    context.span.finish_job(context.started, context.parent, error)
                # Tasks that go on may hold the job; they need not hold what stood around it.
                context.scope = context.before = None
                break
            context = before  # a generator that was left half way has not taken its own off

    def __call__(self, function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        """The function, each call in a context of its own.

        Raises:
            TypeError: The function is a generator, which would leave its context with whoever consumes it.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator runs in its consumer's context: use `with request_context(...)` around a step")

        @functools.wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            scope = self._of_call(args, kwargs)
            with scope:
                answer = function(*args, **kwargs)
                if not inspect.iscoroutine(answer):
                    return answer
            return cast("Answer", scope._awaited(answer))  # noqa: SLF001  # another scope, the same class

        @functools.wraps(function)
        async def call_async(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
            with self._of_call(args, kwargs):
                return await cast("Awaitable[Any]", function(*args, **kwargs))

        return cast("Callable[Arguments, Answer]", call_async) if inspect.iscoroutinefunction(function) else call

    async def _awaited(self, answer: Awaitable[Any]) -> Any:
        with self:
            return await answer

    def _of_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "RequestScope":
        if self._read is None:
            return self
        return RequestScope(_merged(self._read(*args, **kwargs), self._given), None)


def request_context(
    origin: Origin | Reader | None = None,
    /,
    *,
    request_id: str | None = None,
    traceparent: str | None = None,
    **fields: object,
) -> RequestScope:
    """Give work without an HTTP request what a request has: an id, a trace, and `bind()`.

    Used as `with request_context(...):`, in synchronous and asynchronous code alike, or as a decorator of a function.

    Args:
        origin: What `from_headers`, `from_pubsub_push` or `from_pubsub_message` read. For a decorator also one of these
            functions, which is then called with the arguments of each call.
        request_id: Goes before the origin's. One that is not acceptable counts as none; without any, a new one.
        traceparent: Goes before the origin's. One that is not valid counts as none; without any, a new trace.
        fields: For every log entry of the work.

    Raises:
        ReservedFieldError: A field would hide one that Cloud Logging or this library writes.
    """
    read = None if origin is None or isinstance(origin, Origin) else origin
    given = Origin(acceptable_request_id(_bytes(request_id)), read_traceparent(_bytes(traceparent)), _checked(fields))
    if isinstance(origin, Origin):
        given = _merged(origin, given)
    return RequestScope(given, read)


def _merged(origin: Origin, given: Origin) -> Origin:
    return Origin(
        given.request_id or origin.request_id,
        given.parent or origin.parent,
        {**_checked(origin.fields), **given.fields},
    )


def _checked(fields: Mapping[str, object]) -> Mapping[str, object]:
    """The fields, under the rule of `bind`; an empty context has no request that it could bind them to."""
    if fields:
        Context().run(bind, **fields)
    return fields


def _bytes(text: str | None) -> bytes:
    return text.encode(errors="replace") if text else b""
