"""SQLAlchemy engines, sync and async, by SQLAlchemy's own events."""

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from ... import guard
from ..instruments import MetricsClient
from .pools import PoolState, pools
from .queries import Queries
from .source import attach, client_of, detach, harmless, library, store_of

if TYPE_CHECKING:
    from sqlalchemy import Engine, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

_STARTED: Final = "_fastapi_cloudops_started"


class SQLAlchemySource:
    """An engine that is observed."""

    def __init__(self, engine: "Engine", pool: str, metrics: MetricsClient) -> None:
        # Weakly: what the engine's events and the table of sources hold must not keep the engine alive.
        self._engine = ref(engine)
        self._store = store_of(metrics)
        self._event = library("sqlalchemy", "sqlalchemy").event
        self._queries = Queries(metrics, pool)
        self._pools = pools(metrics, "db_pool")
        self._listeners = (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("handle_error", self._error),
        )
        for name, listener in self._listeners:
            self._event.listen(engine, name, listener)
        self._pools.add(pool, engine, _state)

    def close(self) -> None:
        engine = self._engine()
        if engine is not None and detach(engine, self._store):
            for name, listener in self._listeners:
                self._event.remove(engine, name, listener)
            self._pools.remove(engine)

    def _before(self, *arguments: Any) -> None:
        # connection, cursor, statement, parameters, context, executemany
        try:
            setattr(arguments[4], _STARTED, perf_counter())
        except Exception as error:  # noqa: BLE001  # telemetry never fails a query
            guard.caught("sqlalchemy", error)

    def _after(self, *arguments: Any) -> None:
        harmless("sqlalchemy", self._done, arguments[2], arguments[4])

    def _error(self, failure: "ExceptionContext") -> None:
        harmless("sqlalchemy", self._failed, failure)

    def _done(self, statement: str, context: Any) -> None:
        started = getattr(context, _STARTED, None)
        if started is not None:
            setattr(context, _STARTED, None)
            self._queries.done(statement, perf_counter() - started)

    def _failed(self, failure: "ExceptionContext") -> None:
        if getattr(failure, "is_pre_ping", False):  # a stale connection is replaced: nobody's query has failed
            return
        if failure.statement is not None:
            self._done(failure.statement, failure.execution_context)
        self._queries.failed(failure.original_exception)


def observe_sqlalchemy(
    engine: "Engine | AsyncEngine", pool: str = "default", metrics: MetricsClient | None = None
) -> SQLAlchemySource:
    """Fill `db_pool_*`, `db_query_duration_seconds` and `db_errors_total` from an engine.

    Args:
        engine: A sync or async engine. Called again on the same engine, nothing changes.
        pool: A name for the engine, from your code.
        metrics: Where to count; this process's metrics when None.

    Raises:
        ImportError: SQLAlchemy is not installed.
    """
    library("sqlalchemy", "sqlalchemy")
    sync: Engine = getattr(engine, "sync_engine", engine)  # type: ignore[arg-type]  # an Engine has none and is meant
    client = client_of(metrics)
    return attach(sync, store_of(client), lambda: SQLAlchemySource(sync, pool, client))


def _state(engine: "Engine") -> PoolState | None:
    pool: Any = engine.pool  # asked each time: `dispose` replaces it
    if not hasattr(pool, "checkedout"):
        return None  # pools that keep nothing, such as NullPool, have nothing to tell
    # No public name tells the limit of the overflow; -1 is none (docs.sqlalchemy.org, QueuePool.max_overflow).
    overflow = getattr(pool, "_max_overflow", 0)
    beyond = max(0, pool.overflow())  # negative while the pool is not full
    return PoolState(
        pool.checkedin(), pool.checkedout() - beyond, 0 if overflow < 0 else pool.size() + overflow, beyond
    )
