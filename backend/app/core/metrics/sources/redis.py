"""Redis clients, sync and async.

redis-py tells commands to nobody but OpenTelemetry's global provider, so the client's class is swapped for a subclass
that times its two ways to the server: commands and pipelines. Nothing else of the client changes.
"""

import asyncio
import inspect
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from ..instruments import Counter, Histogram, MetricsClient
from .pools import PoolState, pools
from .source import attach, client_of, detach, harmless, library, store_of

#: Commands with a series of their own; everything else is OTHER.
_NAMES: Final = (
    "APPEND BLMOVE BLPOP BRPOP BZPOPMIN DEL EVAL EVALSHA EXISTS EXPIRE FCALL GET GETDEL GETEX GETSET HDEL HEXISTS"
    " HGET HGETALL HINCRBY HLEN HMGET HSET INCR INCRBY KEYS LLEN LPOP LPUSH LRANGE LREM LTRIM MGET MSET PEXPIRE"
    " PING PSETEX PTTL PUBLISH RPOP RPUSH SADD SCAN SCARD SET SETEX SETNX SISMEMBER SMEMBERS SREM TTL TYPE UNLINK"
    " XACK XADD XLEN XRANGE XREAD XREADGROUP ZADD ZCARD ZINCRBY ZRANGE ZRANGEBYSCORE ZREM ZREMRANGEBYSCORE ZSCORE"
    " PIPELINE OTHER"
)
COMMANDS: Final = frozenset(_NAMES.split())
_LAYER: Final = "_fastapi_cloudops"
ERRORS: Final = frozenset({"auth", "busy", "cancelled", "connection", "other", "response", "timeout"})


class Commands:
    """Counts the commands of one client."""

    def __init__(self, metrics: MetricsClient) -> None:
        self.active = True
        self._metrics = metrics
        self._durations: dict[str, Histogram] = {}
        # Both keys come from closed sets.
        self._errors: dict[tuple[str, str], Counter] = {}
        kinds = library("redis", "redis").exceptions
        # The first that fits: AuthenticationError is a ConnectionError, ReadOnlyError a ResponseError.
        self._kinds = (
            ((kinds.TimeoutError, TimeoutError), "timeout"),
            ((kinds.AuthenticationError, kinds.AuthorizationError, kinds.NoPermissionError), "auth"),
            ((kinds.BusyLoadingError,), "busy"),
            ((kinds.ConnectionError, OSError), "connection"),
            ((kinds.ResponseError,), "response"),
            ((asyncio.CancelledError,), "cancelled"),
        )

    def told(self, command: object, started: float, error: BaseException | None) -> None:
        """A command is over."""
        if self.active:
            harmless("redis", self._count, command, perf_counter() - started, error)

    def _count(self, command: object, seconds: float, error: BaseException | None) -> None:
        text = command.decode("ascii", "replace") if isinstance(command, bytes) else str(command)
        word = text.partition(" ")[0].upper()
        word = word if word in COMMANDS else "OTHER"
        duration = self._durations.get(word)
        if duration is None:
            duration = self._metrics.histogram("redis_command_duration_seconds", {"command": word})
            self._durations[word] = duration
        duration.observe(seconds)
        if error is not None:
            kind = next((name for classes, name in self._kinds if isinstance(error, classes)), "other")
            counter = self._errors.get((word, kind))
            if counter is None:
                labels = {"command": word, "type": kind}
                counter = self._errors[word, kind] = self._metrics.counter("redis_errors_total", labels)
            counter.add()


class RedisSource:
    """A client that is observed."""

    def __init__(self, client: Any, name: str, metrics: MetricsClient) -> None:
        self._client = ref(client)
        self._store = store_of(metrics)
        self._commands = Commands(metrics)
        client.__class__ = _observed_class(type(client), self._commands)
        self._pools = pools(metrics, "redis_pool")
        if hasattr(client, "connection_pool"):
            self._pools.add(name, client, _state)

    def close(self) -> None:
        client = self._client()
        if client is not None and detach(client, self._store):
            self._commands.active = False
            self._pools.remove(client)
            # Somebody else's class may stand before ours; whoever comes off last takes the others along.
            while _LAYER in vars(type(client)) and not vars(type(client))[_LAYER].active:
                client.__class__ = type(client).__bases__[0]


def observe_redis(client: Any, name: str = "default", metrics: MetricsClient | None = None) -> RedisSource:
    """Fill `redis_command_duration_seconds`, `redis_errors_total` and `redis_pool_*` from a client.

    Args:
        client: `redis.Redis`, `redis.asyncio.Redis`, or their cluster clients (without pool figures). Called again on
            the same one, nothing changes.
        name: A name for its pool, from your code.
        metrics: Where to count; this process's metrics when None.

    Raises:
        ImportError: redis is not installed.
        TypeError: It is no Redis client.
    """
    library("redis", "redis")
    if not hasattr(client, "execute_command"):
        raise TypeError(f"observe_redis takes a client of redis-py, not {type(client).__name__}")
    counting = client_of(metrics)
    return attach(client, store_of(counting), lambda: RedisSource(client, name, counting))


def _observed_class(base: type, commands: Commands) -> type:
    pipelines: WeakKeyDictionary[type, type] = WeakKeyDictionary()

    def pipeline(self: Any, *args: Any, **options: Any) -> Any:
        made = base.pipeline(self, *args, **options)  # type: ignore[attr-defined]  # every client of redis-py has it
        harmless("redis", observe, made)
        return made

    def observe(made: Any) -> None:
        kind = type(made)
        if kind not in pipelines:
            execute = _timed(kind.execute, commands, lambda _args: "PIPELINE")
            pipelines[kind] = type(kind.__name__, (kind,), {"__slots__": (), "execute": execute})
        made.__class__ = pipelines[kind]

    execute_command = _timed(
        base.execute_command,  # type: ignore[attr-defined]  # as above
        commands,
        lambda args: args[0] if args else "",
    )
    body = {
        "__slots__": (),
        "__module__": base.__module__,
        _LAYER: commands,
        "execute_command": execute_command,
        "pipeline": pipeline,
    }
    return type(base.__name__, (base,), body)


def _timed(function: Any, commands: Commands, command: Callable[[tuple[Any, ...]], object]) -> Any:
    if inspect.iscoroutinefunction(function):

        async def timed_async(self: Any, *args: Any, **options: Any) -> Any:
            started = perf_counter()
            try:
                answer = await function(self, *args, **options)
            except BaseException as error:
                commands.told(command(args), started, error)
                raise
            commands.told(command(args), started, None)
            return answer

        return timed_async

    def timed(self: Any, *args: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            answer = function(self, *args, **options)
        except BaseException as error:
            commands.told(command(args), started, error)
            raise
        commands.told(command(args), started, None)
        return answer

    return timed


def _state(client: Any) -> PoolState | None:
    pool = client.connection_pool
    # No public name has told both in every version since 5; without them the pool stays untold.
    idle, used = getattr(pool, "_available_connections", None), getattr(pool, "_in_use_connections", None)
    if idle is None or used is None:
        return None
    return PoolState(len(idle), len(used))
