"""Counters that all processes share through Redis; while it fails, each process counts for itself.

That is the policy: a limiter that cannot ask Redis neither lets everything pass nor refuses everybody. Limits then hold
for each process, so that a client may have as many times its quota as there are processes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from limits.aio.storage import MemoryStorage, RedisStorage
from redis.asyncio import Redis
from redis.exceptions import MaxConnectionsError, RedisError

from ..core import get_logger, metrics_client
from ..core.metrics.sources import observe_redis

Answer = TypeVar("Answer")
Store = MemoryStorage | RedisStorage
Question = Callable[[Store], Awaitable[Answer]]

log = get_logger("counters")
_timeouts = metrics_client.counter("timeouts_total", {"operation": "counters"})
_throttles = metrics_client.counter("throttles_total", {"dependency": "redis"})
# While Redis fails, one request in so many seconds tries it; the others do not wait.
_REST_SECONDS: Final = 1.0


class Counters:
    """Asks Redis, or this process.

    Args:
        client: None: this process alone.
        timeout: Seconds that Redis has for an answer.
        monotonic: Time between two attempts at a Redis that fails.
    """

    def __init__(self, client: Redis | None, timeout: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.local = MemoryStorage()
        self.shared: RedisStorage | None = None
        if client is not None:
            self.shared = RedisStorage("redis://", implementation="redispy", connection_pool=client.connection_pool)  # type: ignore[arg-type]  # its own documentation passes a pool
            self._source = observe_redis(getattr(self.shared.bridge, "storage"), "counters")  # noqa: B009  # each bridge has one, none is typed
        self._timeout = timeout
        self._monotonic = monotonic
        self._try_again = 0.0
        #: Why the counters are this process's own; empty while they are as they should be.
        self.degraded = ""

    async def ask(self, question: Question[Answer]) -> Answer:
        """The answer of Redis, or of this process where there is none in time."""
        if self.shared is not None and self._may_try():
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await question(self.shared)
            except (TimeoutError, RedisError, OSError) as error:
                self._failed(error)
            else:
                if self.degraded:
                    self.degraded = ""
                    log.info("counters are shared again")
                return answer
        return await question(self.local)

    def _may_try(self) -> bool:
        if self.degraded:
            now = self._monotonic()
            if now < self._try_again:
                return False
            self._try_again = now + _REST_SECONDS
        return True

    def _failed(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            _timeouts.add()
        elif isinstance(error, MaxConnectionsError):
            _throttles.add()
        self._try_again = self._monotonic() + _REST_SECONDS
        if not self.degraded:
            log.warning(
                "counters are this process's own until Redis answers again", error_type_seen=type(error).__name__
            )
        self.degraded = f"{type(error).__name__}: limits hold for each process"
