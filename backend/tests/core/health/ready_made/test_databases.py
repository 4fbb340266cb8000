"""Checks of databases against real ones, which stop and start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import psycopg_pool
import pytest
import redis
import redis.asyncio
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from app.core import HealthRegistry
from app.core.health.ready_made import asyncpg_check, psycopg_check, redis_check, sqlalchemy_check
from support.databases import postgresql, redis_server
from support.servers import free_port


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
async def pools(database: str) -> AsyncIterator[dict[str, tuple[Any, Callable[[], Any]]]]:
    """By name: the check, and what takes the pool's one connection until it is closed."""
    native = await asyncpg.create_pool(database, min_size=0, max_size=1)
    psycopg = psycopg_pool.ConnectionPool(database, min_size=0, max_size=1, open=True)
    apsycopg = psycopg_pool.AsyncConnectionPool(database, min_size=0, max_size=1, open=False)
    await apsycopg.open()
    sync_engine = create_engine(database.replace("postgresql", "postgresql+psycopg"), pool_size=1, max_overflow=0)
    engine = create_async_engine(database.replace("postgresql", "postgresql+asyncpg"), pool_size=1, max_overflow=0)
    yield {
        "asyncpg": (asyncpg_check(native), native.acquire),
        "psycopg": (psycopg_check(psycopg), psycopg.connection),
        "async psycopg": (psycopg_check(apsycopg), apsycopg.connection),
        "sqlalchemy": (sqlalchemy_check(sync_engine), sync_engine.connect),
        "async sqlalchemy": (sqlalchemy_check(engine), engine.connect),
    }
    await native.close()
    psycopg.close()
    await apsycopg.close()
    sync_engine.dispose()
    await engine.dispose()


KINDS = ["asyncpg", "psycopg", "async psycopg", "sqlalchemy", "async sqlalchemy"]


def _registry(check: Any) -> HealthRegistry:
    registry = HealthRegistry()
    registry.timeout, registry.interval, registry.retry_interval, registry.expiry = 10.0, 0.0, 0.0, 0.0
    registry.add("database", check)
    return registry


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_that_answers_is_healthy_and_an_exhausted_pool_is_not(pools, kind):
    check, take = pools[kind]
    registry = _registry(check)
    [result] = await registry.results()
    assert (result.status, result.answer.reason) == ("healthy", "")
    registry.timeout = 0.3
    if kind in {"psycopg", "sqlalchemy"}:
        with take():
            [result] = await registry.results()
    else:
        async with take():
            [result] = await registry.results()
    assert (result.status, result.answer.reason) == ("unhealthy", "no answer within 0.3 s")
    registry.timeout = 10
    for _ in range(200):  # the sync one may still stand in the queue of its pool
        [result] = await registry.results()
        if result.status == "healthy":
            break
        await asyncio.sleep(0.05)
    assert result.status == "healthy", result.answer


@pytest.mark.parametrize("library", ["psycopg", "asyncpg"])
async def test_a_database_that_is_gone_is_unhealthy_with_the_reason(library):
    url = f"postgresql+{library}://nobody:hunter2@127.0.0.1:{free_port()}/shop"
    make = create_engine if library == "psycopg" else create_async_engine
    registry = _registry(sqlalchemy_check(make(url)))
    [result] = await registry.results()
    assert result.status == "unhealthy"
    assert "refused" in result.answer.reason or "Connect call failed" in result.answer.reason
    assert "hunter2" not in result.answer.reason


async def test_redis_is_asked_by_either_client_and_noticed_when_it_goes_away():
    with redis_server() as port:
        sync = redis.Redis(port=port)
        client = redis.asyncio.Redis(port=port)
        registry = HealthRegistry()
        registry.interval, registry.retry_interval, registry.expiry = 0.0, 0.0, 0.0
        registry.add("sync", redis_check(sync))
        registry.add("async", redis_check(client))
        assert [result.status for result in await registry.results()] == ["healthy", "healthy"]
    gone = await registry.results()
    assert [result.status for result in gone] == ["unhealthy", "unhealthy"]
    # The client tries again for a while, by its own rule.
    assert all("ConnectionError" in one.answer.reason or "no answer" in one.answer.reason for one in gone)
    sync.close()
    await client.aclose()


def test_what_is_no_redis_client_is_refused_at_once():
    with pytest.raises(TypeError, match="redis-py"):
        redis_check(object())
