"""asyncpg: pools by their own figures, queries by asyncpg's query loggers."""

from typing import TYPE_CHECKING, Any, Final

from ..instruments import MetricsClient
from .pools import PoolState, pools
from .queries import Queries
from .source import client_of, harmless, library, store_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncpg import Connection, Pool


# What a pool asks when a connection comes back (asyncpg.Connection.get_reset_query): nobody's query.
_RESET: Final = "SELECT pg_advisory_unlock_all()"


class AsyncpgSource:
    """A pool that is observed, until it is closed."""

    def __init__(self, pool: "Pool", name: str, metrics: MetricsClient) -> None:
        self.pool = pool
        self.store = store_of(metrics)
        self._pools = pools(metrics, "db_pool")
        self._pools.add(name, self, _state)

    def close(self) -> None:
        self._pools.remove(self)
        _sources.pop((id(self.pool), id(self.store)), None)


# asyncpg's pools cannot be held weakly; what is held here is let go when the pool is closed.
_sources: dict[tuple[int, int], AsyncpgSource] = {}


def observe_asyncpg(pool: "Pool", name: str = "default", metrics: MetricsClient | None = None) -> AsyncpgSource:
    """Fill `db_pool_*` from a pool; for its queries, see `asyncpg_queries`.

    Args:
        pool: A pool. Called again on the same one, nothing changes.
        name: A name for the pool, from your code.
        metrics: Where to count; this process's metrics when None.

    Raises:
        ImportError: asyncpg is not installed.
    """
    library("asyncpg", "asyncpg")
    client = client_of(metrics)
    key = (id(pool), id(store_of(client)))
    if key not in _sources:
        _sources[key] = AsyncpgSource(pool, name, client)
    return _sources[key]


def asyncpg_queries(
    name: str = "default", metrics: MetricsClient | None = None
) -> "Callable[[Connection], Awaitable[None]]":
    """Fill `db_query_duration_seconds` and `db_errors_total`: `create_pool(..., init=asyncpg_queries())`.

    asyncpg gives each new connection to `init`; an `init` of your own can await this one.

    Raises:
        ImportError: asyncpg is not installed.
    """
    library("asyncpg", "asyncpg")
    queries = Queries(client_of(metrics), name)

    def count(record: Any) -> None:
        if record.query.startswith(_RESET):
            return
        queries.done(record.query, record.elapsed)
        if record.exception is not None:
            queries.failed(record.exception)

    def observe(record: Any) -> None:  # asyncpg.connection.LoggedQuery
        harmless("asyncpg", count, record)

    async def init(connection: "Connection") -> None:
        harmless("asyncpg", connection.add_query_logger, observe)  # a set: twice is once

    return init


def _state(source: AsyncpgSource) -> PoolState | None:
    pool = source.pool
    if pool.is_closing():
        source.close()
        return None
    idle = pool.get_idle_size()
    return PoolState(idle, pool.get_size() - idle, pool.get_max_size())
