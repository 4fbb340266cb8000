"""psycopg pools, sync and async, by their own statistics."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..instruments import MetricsClient
from .pools import PoolState, pools
from .queries import Queries
from .refresh import refreshers
from .source import attach, client_of, detach, library, store_of

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool


class PsycopgSource:
    """A pool that is observed."""

    def __init__(self, pool: Any, name: str, metrics: MetricsClient) -> None:
        self._pool = ref(pool)
        self._store = store_of(metrics)
        self._queries = Queries(metrics, name)
        self._wait = metrics.histogram("db_pool_wait_seconds", {"pool": name})
        self._seen: dict[str, int] = {}
        self._pools = pools(metrics, "db_pool")
        self._pools.add(name, pool, _state)
        refreshers(self._store).add(self._refresh)

    def close(self) -> None:
        refreshers(self._store).discard(self._refresh)
        pool = self._pool()
        if pool is not None and detach(pool, self._store):
            self._pools.remove(pool)

    def _refresh(self) -> None:
        pool = self._pool()
        if pool is None:
            refreshers(self._store).discard(self._refresh)
            return
        # psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
        grown = self._grown(pool.get_stats())
        self._queries.failures("timeout", grown("requests_errors"))
        self._queries.failures("OperationalError", grown("connections_errors"))
        # The pool keeps one sum: whoever had to wait is told with the mean.
        queued, milliseconds = grown("requests_queued"), grown("requests_wait_ms")
        for _ in range(queued):
            self._wait.observe(milliseconds / queued / 1000)

    def _grown(self, stats: dict[str, int]) -> Callable[[str], int]:
        def grown(name: str) -> int:
            now, seen = stats.get(name, 0), self._seen.get(name, 0)
            self._seen[name] = now
            return now - seen if now >= seen else now  # somebody else's `pop_stats` begins at zero again

        return grown


def observe_psycopg(
    pool: "ConnectionPool[Any] | AsyncConnectionPool[Any]", name: str = "default", metrics: MetricsClient | None = None
) -> PsycopgSource:
    """Fill `db_pool_*` from a psycopg pool, and `db_errors_total` with requests it could not serve.

    psycopg has no events for queries; engines of SQLAlchemy over psycopg tell theirs.

    Args:
        pool: A pool, sync or async. Called again on the same one, nothing changes.
        name: A name for the pool, from your code.
        metrics: Where to count; this process's metrics when None.

    Raises:
        ImportError: psycopg_pool is not installed.
    """
    library("psycopg_pool", "psycopg")
    client = client_of(metrics)
    return attach(pool, store_of(client), lambda: PsycopgSource(pool, name, client))


def _state(pool: Any) -> PoolState:
    stats = pool.get_stats()
    idle = stats.get("pool_available", 0)
    return PoolState(idle, max(0, stats.get("pool_size", 0) - idle), pool.max_size)
