"""Who gets to the instance, and when: starting, concurrency, and whether it has work."""

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# "Requests might be queued for up to 3.5 times the average startup time of container instances of this service, or 10
# seconds, whichever is greater" (docs.cloud.google.com/run/docs/about-instance-autoscaling).
_QUEUE_SECONDS = 10.0
_QUEUE_STARTUPS = 3.5


class NoInstance(Exception):  # noqa: N818  # what it says
    """No instance took the request in time."""


class Instance(NamedTuple):
    port: int
    instance_id: str


class Gate:
    """Lives in the front's loop. `watch` is told how many requests are in flight whenever that changes."""

    def __init__(self, concurrency: int) -> None:
        self.watch: list[Callable[[int], None]] = []
        self._concurrency = concurrency
        self._instance: Instance | None = None
        self._closed = False
        self._in_flight = 0
        self._startup_seconds = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    def open(self, port: int, instance_id: str) -> None:
        self._instance = Instance(port, instance_id)
        self._notify()

    def shut(self, *, for_good: bool) -> None:
        self._instance = None
        self._closed = self._closed or for_good
        self._notify()

    def started_in(self, seconds: float) -> None:
        self._startup_seconds = seconds

    @asynccontextmanager
    async def place(self) -> "AsyncIterator[Instance]":
        """A place at the instance.

        Raises:
            NoInstance: All were taken for too long, or there is none.
        """
        instance = await self._enter()
        self._count(1)
        try:
            yield instance
        finally:
            self._count(-1)
            self._notify()

    async def _enter(self) -> Instance:
        if self._instance is not None and self._in_flight < self._concurrency:
            return self._instance
        deadline = time.monotonic() + max(_QUEUE_SECONDS, _QUEUE_STARTUPS * self._startup_seconds)
        while True:
            instance = self._instance
            if instance is not None and self._in_flight < self._concurrency:
                return instance
            if self._closed:
                raise NoInstance
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await turn
            except TimeoutError:
                raise NoInstance from None

    def _count(self, change: int) -> None:
        self._in_flight += change
        for watcher in self.watch:
            watcher(self._in_flight)

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
