"""The queue that all processes share: a Redis stream with a consumer group.

What a worker has not acknowledged within `visibility` seconds, since it died say, is delivered to another. So every
message is delivered at least once, and perhaps more often: the lease of a job decides.
"""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ...core.metrics.sources import QueueState
from .messages import Message
from .queues import Delivery

_STREAM: Final = "content:messages"
_LATER: Final = "content:later"
_DEAD: Final = "content:dead"
_DEAD_EVER: Final = "content:dead-ever"
_GROUP: Final = "workers"
_BLOCK_MS: Final = 500
_MOST_DEAD: Final = 1000
_CLAIM_EVERY: Final = 5.0

# Moves what is due into the stream. At once, so that nothing is lost or there twice when a worker dies between both.
_DUE: Final = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, wire in ipairs(due) do
  redis.call('XADD', KEYS[2], '*', 'wire', wire)
  redis.call('ZREM', KEYS[1], wire)
end
return #due
"""


class RedisQueue:
    """A stream.

    Args:
        client: Without a socket timeout below half a second, for which reads wait.
        visibility: Seconds that a worker has before another gets its message.
    """

    def __init__(self, client: Redis, visibility: float) -> None:
        self._client: Any = client  # redis-py types its commands for both of its clients at once
        self._visibility_ms = round(visibility * 1000)
        self._consumer = uuid4().hex
        self._due = client.register_script(_DUE)
        self._ready = False
        self._claimed_at = 0.0

    async def publish(self, message: Message) -> None:
        await self._client.xadd(_STREAM, {"wire": json.dumps(message.wire())})

    async def receive(self) -> Delivery:
        while True:
            await self._ensure_group()
            await self._due(keys=[_LATER, _STREAM], args=[time.time()])
            try:
                delivery = await self._claimed() or await self._next()
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                self._ready = False  # Redis came back empty
                continue
            if delivery is not None:
                return delivery

    async def done(self, delivery: Delivery) -> None:
        async with self._client.pipeline(transaction=True) as together:
            self._take_out(together, delivery)
            await together.execute()

    async def retry(self, delivery: Delivery, after_seconds: float) -> None:
        async with self._client.pipeline(transaction=True) as together:
            together.zadd(_LATER, {json.dumps(delivery.message.again().wire()): time.time() + after_seconds})
            self._take_out(together, delivery)
            await together.execute()

    async def give_up(self, delivery: Delivery, reason: str) -> None:
        wire = json.dumps(delivery.message.wire())
        async with self._client.pipeline(transaction=True) as together:
            together.xadd(_DEAD, {"wire": wire, "reason": reason}, maxlen=_MOST_DEAD, approximate=True)
            together.incr(_DEAD_EVER)
            self._take_out(together, delivery)
            await together.execute()

    async def dead_letters(self, most: int) -> list[tuple[Message, str]]:
        entries = await self._client.xrevrange(_DEAD, count=most)
        return [(Message.read(fields[b"wire"]), fields[b"reason"].decode()) for _, fields in entries]

    async def state(self, now: datetime) -> QueueState:
        async with self._client.pipeline(transaction=False) as together:
            together.xlen(_STREAM)
            together.zcard(_LATER)
            together.xrange(_STREAM, count=1)
            together.get(_DEAD_EVER)
            waiting, later, first, dead = await together.execute()
        age = 0.0
        if first:
            age = (now - Message.read(first[0][1][b"wire"]).published).total_seconds()
        return QueueState(waiting + later, max(0.0, age), float(dead or 0))

    async def close(self) -> None:
        pass  # its client is closed by whoever opened it

    async def _ensure_group(self) -> None:
        if self._ready:
            return
        try:
            await self._client.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # another process was first
                raise
        self._ready = True

    async def _claimed(self) -> Delivery | None:
        """A message whose worker has not come back."""
        now = time.monotonic()
        if now - self._claimed_at < min(_CLAIM_EVERY, self._visibility_ms / 1000):
            return None
        self._claimed_at = now
        answer = await self._client.xautoclaim(_STREAM, _GROUP, self._consumer, self._visibility_ms, count=1)
        if not answer[1]:
            return None
        entry = answer[1][0]
        pending = await self._client.xpending_range(_STREAM, _GROUP, min=entry[0], max=entry[0], count=1)
        # Deliveries that nobody came back from count, too: a message that kills its workers must not do so for ever.
        return await self._delivery(entry, lost=pending[0]["times_delivered"] - 1 if pending else 1)

    async def _next(self) -> Delivery | None:
        answer = await self._client.xreadgroup(_GROUP, self._consumer, {_STREAM: ">"}, count=1, block=_BLOCK_MS)
        streams = list(answer.values()) if isinstance(answer, dict) else [entries for _, entries in answer or ()]
        entries = streams[0] if streams else []
        if entries and isinstance(entries[0], list):  # RESP3 answers in one list more
            entries = entries[0]
        return await self._delivery(entries[0], lost=0) if entries else None

    async def _delivery(self, entry: Any, *, lost: int) -> Delivery | None:
        receipt, fields = entry
        try:
            message = Message.read(fields[b"wire"])
        except (ValueError, KeyError):
            # Nobody could read it at its next delivery either.
            unreadable = Message(receipt.decode(), repr(fields).encode(), {}, datetime.now(UTC))
            await self.give_up(Delivery(unreadable, receipt.decode()), "unreadable")
            return None
        return Delivery(replace(message, attempt=message.attempt + lost), receipt.decode())

    def _take_out(self, together: Any, delivery: Delivery) -> None:
        together.xack(_STREAM, _GROUP, delivery.receipt)
        together.xdel(_STREAM, delivery.receipt)
