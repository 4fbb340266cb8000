import asyncio
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.api.auth.promote import promote
from app.api.database.engine import async_url, engine_for
from app.api.database.migrate import current, migrate, newest
from app.api.database.models import Base
from app.api.settings import ServiceSettings
from support.databases import postgresql
from support.reference_service import API, reference_service


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request, tmp_path):
    """A database of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    server = request.getfixturevalue("server")
    admin = create_async_engine(async_url(server), isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        name = f"t{await connection.scalar(text('SELECT txid_current()'))}"
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await admin.dispose()
    return server.rpartition("/")[0] + f"/{name}"


@pytest.fixture
async def engine(url):
    made = engine_for(async_url(url), ServiceSettings.load(environment="test"))
    yield made
    await made.dispose()


async def test_migrations_make_what_the_models_describe(engine):
    assert await current(engine) is None
    await migrate(engine)
    assert await current(engine) == newest()
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )
    assert differences == []
    await migrate(engine)  # a second time changes nothing


async def test_instances_that_migrate_at_the_same_time_wait_for_each_other(server):
    admin = create_async_engine(async_url(server), isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text("CREATE DATABASE race"))
    await admin.dispose()
    url = async_url(server.rpartition("/")[0] + "/race")
    engines = [engine_for(url, ServiceSettings.load(environment="test")) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    assert await current(engines[0]) == newest()
    for engine in engines:
        await engine.dispose()


async def test_the_whole_service_works_on_it(url, engine):
    await migrate(engine)
    settings = {"database_url": url, "rate_limits": {"refresh": "100/minute"}}
    async with reference_service(**settings) as service, service.client() as client:
        assert (await client.get("/health/ready")).json() == {"status": "pass"}
        await service.register(client, "ada@example.com")
        await service.register(client, "ADA@example.com")
        granted = (await service.login(client, "ada@example.com")).json()
        answers = await asyncio.gather(
            *(client.post(f"{API}/auth/refresh", json={"refresh_token": granted["refresh_token"]}) for _ in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
        granted = (await service.login(client, "ada@example.com")).json()
        headers = {"authorization": f"Bearer {granted['access_token']}"}
        answer = await client.post(f"{API}/content", json={"topic": "bees"}, headers=headers)
        for _ in range(1500):
            job = (await client.get(answer.headers["location"], headers=headers)).json()
            if job["status"] != "pending":
                break
            await asyncio.sleep(0.02)
        assert job["status"] == "completed"
        assert (await client.get(f"{API}/admin/users", headers=headers)).status_code == 403
        assert await promote(service.parts.settings, "Ada@example.com")
        assert not await promote(service.parts.settings, "nobody@example.com")
        [user] = (await client.get(f"{API}/admin/users", headers=headers)).json()
        changed = await client.patch(f"{API}/admin/users/{user['id']}", json={"disabled": True}, headers=headers)
        assert changed.json()["disabled"] is True
        assert service.counted("db_query_duration_seconds", "service", "select") > 0


async def test_a_database_that_is_not_migrated_keeps_the_service_out_of_readiness(server):
    async with reference_service(database_url=server) as service, service.client() as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "fail"})
        assert (await client.get("/health/live")).status_code == 200


async def test_postgresql_killed_under_load_is_answered_as_such_and_the_service_comes_back():
    with postgresql() as url:
        settings = {"database_url": url, "database_timeout": 2.0, "rate_limiting": False}
        engine = engine_for(async_url(url), ServiceSettings.load(environment="test"))
        await migrate(engine)
        await engine.dispose()
        async with reference_service(**settings) as service, service.client() as client:
            headers = await service.signed_in(client)
            assert (await client.get(f"{API}/auth/me", headers=headers)).status_code == 200

            async def load() -> list[int]:
                return [(await client.get(f"{API}/auth/me", headers=headers)).status_code for _ in range(20)]

            running = [asyncio.create_task(load()) for _ in range(4)]
            await asyncio.sleep(0)
            admin = create_async_engine(async_url(url))
            async with admin.connect() as connection:
                killed = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                for _ in range(3):
                    await connection.execute(killed)
                    await asyncio.sleep(0.02)
            await admin.dispose()
            codes = {code for codes in await asyncio.gather(*running) for code in codes}
            assert codes <= {200, 503}, "what was under way is no error of ours"
            assert (await client.get(f"{API}/auth/me", headers=headers)).status_code == 200


async def test_without_its_server_the_service_lives_and_says_what_is_wrong():
    url = "postgresql://postgres@127.0.0.1:1/none"
    async with reference_service(database_url=url, database_timeout=1.0) as service, service.client() as client:
        answer = await service.login(client, "ada@example.com")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "127.0.0.1" not in answer.text
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get(f"{API}/items")).status_code == 200


async def test_a_pool_without_a_free_connection_is_told_as_a_timeout(server):
    settings = {
        "database_url": server,
        "database_pool_size": 1,
        "database_pool_overflow": 0,
        "database_timeout": 0.3,
        "content_workers": 0,
    }
    async with reference_service(**settings) as service, service.client() as client:
        async with service.parts.engine.connect() as held:
            await held.execute(text("SELECT 1"))
            answer = await service.login(client, "ada@example.com")
        assert answer.status_code == 503
        assert service.counted("timeouts_total", "database_connection") == 1


async def test_a_server_that_takes_no_more_connections_is_told_as_a_throttle(server):
    admin = create_async_engine(async_url(server), isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text("CREATE ROLE few LOGIN CONNECTION LIMIT 1"))
    await admin.dispose()
    url = server.replace("postgres@", "few@")
    other = create_async_engine(async_url(url))
    async with other.connect() as held:
        await held.execute(text("SELECT 1"))
        async with reference_service(database_url=url) as service, service.client() as client:
            assert (await service.login(client, "ada@example.com")).status_code == 503
            assert service.counted("throttles_total", "database") == 1
    await other.dispose()
