"""The queue between those who ask for content and those who make it: here the one within a process."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ...core.metrics.sources import QueueState
from .messages import Message


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that somebody is working on; `receipt` is the queue's own name for that."""

    message: Message
    receipt: str = ""


class Queue(Protocol):
    """What a queue does. Each delivery ends in one of `done`, `retry` and `give_up`; else it is delivered again."""

    async def publish(self, message: Message) -> None: ...
    async def receive(self) -> Delivery:
        """Waits for the next one."""

    async def done(self, delivery: Delivery) -> None: ...
    async def retry(self, delivery: Delivery, after_seconds: float) -> None: ...
    async def give_up(self, delivery: Delivery, reason: str) -> None:
        """Make it a dead letter."""

    async def dead_letters(self, most: int) -> list[tuple[Message, str]]:
        """The newest, with their reasons."""

    async def state(self, now: datetime) -> QueueState: ...
    async def close(self) -> None: ...


_MOST_DEAD = 1000


class LocalQueue:
    """In memory. What waits when the process ends is lost here; housekeeping sends it again from the database."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting: dict[str, Message] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._dead: deque[tuple[Message, str]] = deque(maxlen=_MOST_DEAD)
        self._dead_ever = 0

    async def publish(self, message: Message) -> None:
        self._waiting[message.id] = message
        self._ready.put_nowait(message)

    async def receive(self) -> Delivery:
        message = await self._ready.get()
        self._waiting.pop(message.id, None)
        return Delivery(message)

    async def done(self, delivery: Delivery) -> None:
        pass  # it left the queue with its delivery

    async def retry(self, delivery: Delivery, after_seconds: float) -> None:
        message = delivery.message.again()
        self._waiting[message.id] = message

        def put() -> None:
            self._timers.discard(timer)
            self._ready.put_nowait(message)

        timer = asyncio.get_running_loop().call_later(after_seconds, put)
        self._timers.add(timer)

    async def give_up(self, delivery: Delivery, reason: str) -> None:
        self._dead.appendleft((delivery.message, reason))
        self._dead_ever += 1

    async def dead_letters(self, most: int) -> list[tuple[Message, str]]:
        return list(self._dead)[:most]

    async def state(self, now: datetime) -> QueueState:
        oldest = min((message.published for message in self._waiting.values()), default=now)
        return QueueState(len(self._waiting), max(0.0, (now - oldest).total_seconds()), self._dead_ever)

    async def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
