"""Databases: a query that every one answers, on a connection of the service's own pool.

So a pool without a free connection fails the check as it fails requests: by running out of time.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncpg import Pool
    from psycopg_pool import AsyncConnectionPool, ConnectionPool
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

Check = Callable[[], object | Awaitable[object]]
_QUERY = "SELECT 1"


def sqlalchemy_check(engine: "Engine | AsyncEngine", query: str = _QUERY) -> Check:
    """A query over an engine, sync or async."""
    if hasattr(engine, "sync_engine"):
        asynchronous: Any = engine

        async def ask_async() -> None:
            async with asynchronous.connect() as connection:
                await connection.exec_driver_sql(query)

        return ask_async

    def ask() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(query)

    return ask


def asyncpg_check(pool: "Pool", query: str = _QUERY) -> Check:
    """A query over a pool of asyncpg."""

    async def ask() -> None:
        async with pool.acquire() as connection:
            await connection.fetchval(query)

    return ask


def psycopg_check(pool: "ConnectionPool | AsyncConnectionPool", query: str = _QUERY) -> Check:
    """A query over a pool of psycopg, sync or async."""
    made: Any = pool
    if inspect.iscoroutinefunction(made.open):

        async def ask_async() -> None:
            async with made.connection() as connection:
                await connection.execute(query)

        return ask_async

    def ask() -> None:
        with made.connection() as connection:
            connection.execute(query)

    return ask
