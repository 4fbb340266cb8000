"""Redis: a PING over the service's own client."""

from collections.abc import Awaitable, Callable
from typing import Any


def redis_check(client: Any) -> Callable[[], object | Awaitable[object]]:
    """A PING over `redis.Redis` or `redis.asyncio.Redis`.

    Raises:
        TypeError: It is no Redis client.
    """
    if not hasattr(client, "execute_command"):
        raise TypeError(f"redis_check takes a client of redis-py, not {type(client).__name__}")

    def ask() -> object:
        # Of an asynchronous client this is awaitable, which the caller awaits on the event loop.
        return client.execute_command("PING")

    if not _is_async(client):
        return ask

    async def ask_async() -> object:
        return await client.execute_command("PING")

    return ask_async


def _is_async(client: Any) -> bool:
    return any(base.__module__.startswith("redis.asyncio") for base in type(client).__mro__)
