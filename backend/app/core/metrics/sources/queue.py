"""Queues: how much waits, for how long, and what nobody could process."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast, runtime_checkable
from weakref import ref

from ... import guard
from ..instruments import MetricsClient
from .refresh import forget, kept, refreshers
from .source import client_of, harmless, store_of

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

# How long an export waits for an answer; one that comes later is used at the next.
_PATIENCE_SECONDS = 1.0


class QueueState(NamedTuple):
    """What a queue says of itself; None: it does not know. `dead_letters` counts all there ever were."""

    depth: float
    oldest_age_seconds: float | None = None
    dead_letters: float | None = None


@runtime_checkable
class Sized(Protocol):
    """`asyncio.Queue`, `queue.Queue` and the like."""

    def qsize(self) -> int: ...


Answer = QueueState | float
Ask = Callable[[], Answer | Awaitable[Answer]]


class QueueSource:
    """A queue that is observed, and the work on its messages."""

    def __init__(self, name: str, queue: "Sized | Ask", metrics: MetricsClient) -> None:
        self._metrics = metrics
        self._name = name
        self._labels = {"queue": name}
        self._store = store_of(metrics)
        if isinstance(queue, Sized):
            self.observed: Callable[[], object] = ref(queue)
            self._read: Callable[[], QueueState | None] = self._size
        else:
            self.observed = lambda: queue
            self._read = (_InLoop(queue) if inspect.iscoroutinefunction(queue) else _InThread(queue)).read
        self._dead_letters: float | None = None
        self._durations = metrics.histogram("queue_processing_duration_seconds", self._labels)
        refreshers(self._store).add(self.refresh)

    def close(self) -> None:
        """Stop asking the queue; a second time does nothing."""
        refreshers(self._store).discard(self.refresh)
        forget(self._store, ("queue", self._name), self)

    def refresh(self) -> None:
        state = self._read()
        if state is None:
            return
        self._metrics.gauge("queue_depth", self._labels).set(state.depth)
        if state.oldest_age_seconds is not None:
            self._metrics.gauge("queue_oldest_message_age_seconds", self._labels).set(state.oldest_age_seconds)
        if state.dead_letters is not None:
            # What was there before this process is not its own.
            before = state.dead_letters if self._dead_letters is None else self._dead_letters
            self._dead_letters = state.dead_letters
            self.dead_letter(max(0.0, state.dead_letters - before))

    def _size(self) -> QueueState:
        living = self.observed()
        if isinstance(living, Sized):
            return QueueState(living.qsize())
        self.close()
        return QueueState(0)

    def dead_letter(self, amount: float = 1) -> None:
        """Count messages given up as undeliverable."""
        self._metrics.counter("queue_dead_letters_total", self._labels).add(amount)

    def retried(self) -> None:
        """Count a message that goes back into the queue."""
        self._count("retried")

    def handler(self, function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        """Time a function, sync or async, that handles one message, and count it as ok or, when it raises, failed."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def handled_async(*args: Arguments.args, **options: Arguments.kwargs) -> Any:
                with self._handling():
                    return await function(*args, **options)

            return cast("Callable[Arguments, Returned]", handled_async)

        @functools.wraps(function)
        def handled(*args: Arguments.args, **options: Arguments.kwargs) -> Returned:
            with self._handling():
                return function(*args, **options)

        return handled

    @contextmanager
    def _handling(self) -> Iterator[None]:
        started = perf_counter()
        result = "failed"
        try:
            yield
            result = "ok"
        finally:
            harmless("queue", self._durations.observe, perf_counter() - started)
            harmless("queue", self._count, result)

    def _count(self, result: str) -> None:
        self._metrics.counter("queue_messages_total", {**self._labels, "result": result}).add()


def observe_queue(name: str, queue: Sized | Ask, metrics: MetricsClient | None = None) -> QueueSource:
    """Fill `queue_depth`, and `queue_oldest_message_age_seconds` and `queue_dead_letters_total` where they are known.

    What is returned counts the work, too: `handler` around the function that takes one message, `retried()`,
    `dead_letter()`.

    Args:
        name: A name for the queue, from your code. Called again for the same queue, nothing changes; another queue
            takes the name over.
        queue: An `asyncio.Queue` or `queue.Queue`; or a function, sync or async, that returns the depth or a
            `QueueState`. A sync function runs in a thread of its own, an async one in the event loop that runs now.
            An answer that takes longer than a second is told at the next export.
        metrics: Where to count; this process's metrics when None.

    Raises:
        RuntimeError: The function is async and no event loop runs: call this in the app's lifespan.
    """
    client = client_of(metrics)
    store, key = store_of(client), ("queue", name)
    source = kept(store, key, lambda: QueueSource(name, queue, client))
    if source.observed() is not queue:  # another queue takes the name over
        source.close()
        source = kept(store, key, lambda: QueueSource(name, queue, client))
    return source


class _Patient:
    """Asks once at a time, and waits a moment: an answer that hangs must hold up no export, nor pile up."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._answered = threading.Event()
        self._pending = False
        self._state: QueueState | None = None

    def read(self) -> QueueState | None:
        """The answer; None while there is no new one."""
        if not self._pending:
            self._pending = True
            self._answered.clear()
            if not self._begin():
                self._pending = False
                return None
        if not self._answered.wait(_PATIENCE_SECONDS):
            return None
        self._pending = False
        state, self._state = self._state, None
        return state

    def _begin(self) -> bool:
        """Ask for the state in the subclass's way; False when it cannot be asked now."""
        raise NotImplementedError

    def _told(self, answer: Answer) -> None:
        self._state = answer if isinstance(answer, QueueState) else QueueState(float(answer))


class _InThread(_Patient):
    def _begin(self) -> bool:
        threading.Thread(target=self._run, name="fastapi-cloudops-queue", daemon=True).start()
        return True

    def _run(self) -> None:
        try:
            self._told(self._ask())  # type: ignore[arg-type]  # not a coroutine function
        except Exception as error:  # noqa: BLE001  # the user's function
            guard.caught("queue", error)
        finally:
            self._answered.set()


class _InLoop(_Patient):
    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None  # the loop itself holds tasks weakly

    def _begin(self) -> bool:
        if self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._start)
        return True

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._told(await self._ask())  # type: ignore[misc]  # a coroutine function
        except Exception as error:  # noqa: BLE001  # the user's function
            guard.caught("queue", error)
        finally:
            self._answered.set()
