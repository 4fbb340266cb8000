import asyncio

import asyncpg
import psycopg_pool
import pytest

from app.core.metrics.sources import asyncpg as asyncpg_source
from app.core.metrics.sources import asyncpg_queries, observe_asyncpg, observe_psycopg
from support.waiting import wait_until, wait_until_async


async def test_an_asyncpg_pool_tells_its_connections(database, metrics, refresh, counts):
    async with asyncpg.create_pool(database, min_size=1, max_size=4) as pool:
        source = observe_asyncpg(pool, "main", metrics)
        assert observe_asyncpg(pool, "main", metrics) is source
        async with pool.acquire(), pool.acquire():
            refresh()
            assert counts("db_pool_connections") == {("main", "idle"): 0, ("main", "in_use"): 2}
            assert counts("db_pool_utilization") == {("main",): 0.5}
            assert counts("db_pool_limit") == {("main",): 4}
        source.close()
        refresh()
    assert set(counts("db_pool_connections").values()) == {0}


async def test_a_closed_asyncpg_pool_is_forgotten(database, metrics, refresh, counts):
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    observe_asyncpg(pool, "main", metrics)
    refresh()
    assert counts("db_pool_connections")[("main", "idle")] == 1
    await pool.close()
    refresh()
    assert set(counts("db_pool_connections").values()) == {0}
    assert not [source for source in asyncpg_source._sources.values() if source.pool is pool]


async def test_asyncpg_queries_are_timed_by_what_they_do(database, metrics, counts):
    async with asyncpg.create_pool(database, min_size=1, max_size=2, init=asyncpg_queries("main", metrics)) as pool:
        assert await pool.fetchval("SELECT $1::int", 7) == 7
        await pool.execute("SET application_name = 'shop'")
        with pytest.raises(asyncpg.UndefinedTableError):
            await pool.execute("INSERT INTO nothing VALUES (1)")
        expected = {("select", "main"): 1, ("other", "main"): 1, ("insert", "main"): 1}
        # asyncpg tells its loggers in the loop's next round.
        await wait_until_async(lambda: counts("db_query_duration_seconds") == expected)
    assert counts("db_errors_total") == {("main", "ProgrammingError"): 1}


async def test_a_query_that_is_given_up_is_a_timeout(database, metrics, counts):
    async with asyncpg.create_pool(database, min_size=1, max_size=1, init=asyncpg_queries("main", metrics)) as pool:
        with pytest.raises(TimeoutError):
            await pool.execute("SELECT pg_sleep(30)", timeout=0.05)
        await wait_until_async(lambda: counts("db_errors_total"))
    assert counts("db_errors_total") == {("main", "timeout"): 1}


def test_a_psycopg_pool_tells_its_connections_and_whom_it_could_not_serve(database, metrics, refresh, counts, cells):
    with psycopg_pool.ConnectionPool(database, min_size=2, max_size=2, open=True) as pool:
        pool.wait()
        source = observe_psycopg(pool, "main", metrics)
        assert observe_psycopg(pool, "main", metrics) is source
        with pool.connection(), pool.connection():
            refresh()
            assert counts("db_pool_connections") == {("main", "idle"): 0, ("main", "in_use"): 2}
            assert counts("db_pool_utilization") == {("main",): 1.0}
            with pytest.raises(psycopg_pool.PoolTimeout), pool.connection(timeout=0.05):
                pass
        refresh()
        refresh()
        assert counts("db_errors_total")[("main", "timeout")] == 1
        assert counts("db_pool_wait_seconds") == {("main",): 1}
        assert cells("db_pool_wait_seconds")[("main",)][-1] >= 0.04
        wait_until(lambda: pool.get_stats()["pool_available"] == 2)
        refresh()
        assert counts("db_pool_connections") == {("main", "idle"): 2, ("main", "in_use"): 0}


async def test_an_async_psycopg_pool_is_observed_too(database, metrics, refresh, counts):
    async with psycopg_pool.AsyncConnectionPool(database, min_size=1, max_size=2, open=False) as pool:
        await pool.wait()
        observe_psycopg(pool, "main", metrics)
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
            refresh()
    assert counts("db_pool_connections")[("main", "in_use")] == 1


def test_statistics_that_somebody_else_takes_are_counted_on(database, metrics, refresh, counts):
    with psycopg_pool.ConnectionPool(database, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        observe_psycopg(pool, "main", metrics)
        with pool.connection():
            for taken in (False, True, False):
                with pytest.raises(psycopg_pool.PoolTimeout), pool.connection(timeout=0.01):
                    pass
                refresh()
                if taken:
                    pool.pop_stats()
    assert counts("db_errors_total")[("main", "timeout")] == 3


async def test_the_callback_is_added_once_even_when_init_runs_twice(database, metrics, counts):
    init = asyncpg_queries("main", metrics)
    connection = await asyncpg.connect(database)
    await init(connection)
    await init(connection)
    await connection.fetchval("SELECT 1")
    await asyncio.sleep(0)
    await wait_until_async(lambda: counts("db_query_duration_seconds"))
    assert counts("db_query_duration_seconds") == {("select", "main"): 1}
    await connection.close()
