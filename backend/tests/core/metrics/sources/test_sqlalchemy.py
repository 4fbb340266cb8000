import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from sqlalchemy import create_engine, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool

from app.core.metrics import sources
from app.core.metrics.sources import observe_sqlalchemy
from app.core.metrics.sources.source import library


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/items.db", poolclass=QueuePool, pool_size=2, max_overflow=1)
    yield engine
    engine.dispose()


def test_queries_are_timed_by_what_they_do(engine, metrics, counts):
    observe_sqlalchemy(engine, "main", metrics)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE items (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO items VALUES (1)"))
        connection.execute(text("/* shop */ SELECT * FROM items"))
        connection.execute(text("SELECT 1"))
        connection.execute(text("PRAGMA user_version"))
    assert counts("db_query_duration_seconds") == {
        ("ddl", "main"): 1,
        ("insert", "main"): 1,
        ("select", "main"): 2,
        ("other", "main"): 1,
    }


def test_a_failed_query_is_timed_and_counted_by_the_class_of_its_error(engine, metrics, counts):
    observe_sqlalchemy(engine, "main", metrics)
    with engine.connect() as connection, pytest.raises(exc.OperationalError):
        connection.execute(text("SELECT * FROM nothing"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE items (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO items VALUES (1)"))
        with pytest.raises(exc.IntegrityError):
            connection.execute(text("INSERT INTO items VALUES (1)"))
    assert counts("db_errors_total") == {("main", "OperationalError"): 1, ("main", "IntegrityError"): 1}
    assert counts("db_query_duration_seconds") == {("select", "main"): 1, ("ddl", "main"): 1, ("insert", "main"): 2}


def test_a_connection_that_cannot_be_made_is_an_error(tmp_path, metrics, counts):
    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/items.db")
    observe_sqlalchemy(engine, "main", metrics)
    with pytest.raises(exc.OperationalError):
        engine.connect()
    assert counts("db_errors_total") == {("main", "OperationalError"): 1}


def test_the_pool_tells_what_is_idle_in_use_and_beyond_its_size(engine, metrics, refresh, counts):
    observe_sqlalchemy(engine, "main", metrics)
    with engine.connect(), engine.connect(), engine.connect():
        refresh()
        assert counts("db_pool_connections") == {("main", "idle"): 0, ("main", "in_use"): 2, ("main", "overflow"): 1}
        assert counts("db_pool_utilization") == {("main",): 1.0}
    refresh()
    assert counts("db_pool_connections") == {("main", "idle"): 2, ("main", "in_use"): 0, ("main", "overflow"): 0}
    assert counts("db_pool_limit") == {("main",): 3}


def test_two_engines_of_one_name_add_up(tmp_path, metrics, refresh, counts):
    engines = [
        create_engine(f"sqlite:///{tmp_path}/{name}.db", poolclass=QueuePool, pool_size=2, max_overflow=0)
        for name in "ab"
    ]
    for engine in engines:
        observe_sqlalchemy(engine, "main", metrics)
    with engines[0].connect(), engines[1].connect():
        refresh()
    assert counts("db_pool_connections")[("main", "in_use")] == 2
    assert counts("db_pool_limit") == {("main",): 4}
    for engine in engines:
        engine.dispose()


def test_a_pool_that_keeps_nothing_is_left_out(tmp_path, metrics, refresh, counts):
    engine = create_engine(f"sqlite:///{tmp_path}/items.db", poolclass=NullPool)
    observe_sqlalchemy(engine, "main", metrics)
    refresh()
    assert counts("db_pool_connections") == {}


def test_observing_twice_counts_once_and_closing_ends_it(engine, metrics, refresh, counts):
    source = observe_sqlalchemy(engine, "main", metrics)
    assert observe_sqlalchemy(engine, "main", metrics) is source
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        refresh()
        assert counts("db_query_duration_seconds") == {("select", "main"): 1}
        source.close()
        source.close()
        connection.execute(text("SELECT 1"))
        refresh()
    assert counts("db_query_duration_seconds") == {("select", "main"): 1}
    assert counts("db_pool_connections")[("main", "in_use")] == 0


def test_an_observed_engine_is_forgotten_with_its_last_user(tmp_path, metrics, refresh, counts):
    def use() -> "weakref.ref[object]":
        engine = create_engine(f"sqlite:///{tmp_path}/items.db", poolclass=QueuePool)
        observe_sqlalchemy(engine, "main", metrics)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
        return weakref.ref(engine)

    gone = use()
    gc.collect()
    assert gone() is None
    refresh()
    assert all(value == 0 for value in counts("db_pool_connections").values())


def test_an_error_of_ours_never_reaches_the_query(engine, metrics, monkeypatch, internal_failures):
    source = observe_sqlalchemy(engine, "main", metrics)

    def broken(statement: str, seconds: float) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(source._queries, "done", broken)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert [(where, str(error)) for where, error in internal_failures] == [("sqlalchemy", "planted")]
    internal_failures.clear()


async def test_an_async_engine_is_observed_too(tmp_path, metrics, refresh, counts):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/items.db", poolclass=AsyncAdaptedQueuePool)
    observe_sqlalchemy(engine, "main", metrics)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        refresh()
        assert counts("db_pool_connections")[("main", "in_use")] == 1
    assert counts("db_query_duration_seconds") == {("select", "main"): 1}
    await engine.dispose()


async def test_an_async_engine_over_postgresql_names_its_errors(database, metrics, refresh, counts):
    engine = create_async_engine(database.replace("postgresql:", "postgresql+asyncpg:"), pool_size=3, max_overflow=0)
    observe_sqlalchemy(engine, "main", metrics)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(exc.ProgrammingError):
            await connection.execute(text("SELECT * FROM nothing"))
        refresh()
        assert counts("db_pool_utilization")[("main",)] == pytest.approx(1 / 3)
    assert counts("db_errors_total") == {("main", "ProgrammingError"): 1}
    await engine.dispose()


def test_a_missing_library_is_named_with_its_extra():
    with pytest.raises(ImportError, match=r"pip install 'fastapi-cloudops\[sqlalchemy\]'"):
        library("sqlalchemy_is_not_here", "sqlalchemy")


def test_every_helper_is_there_under_its_name():
    assert {name: getattr(sources, name).__name__ for name in sources.__all__} == {
        name: name for name in sources.__all__
    }
    assert sorted(sources._HOMES) == sorted(sources.__all__)
    with pytest.raises(AttributeError, match="no attribute 'observe_nothing'"):
        sources.observe_nothing  # noqa: B018  # asking is the test


def test_importing_the_helpers_loads_none_of_the_libraries():
    code = (
        "import sys; from app.core.metrics.sources import *;"
        "print(*sorted({'sqlalchemy','asyncpg','psycopg_pool','redis','httpx'} & set(sys.modules)))"
    )
    backend = Path(sources.__file__).parents[4]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=backend)
    assert run.stdout.strip() == ""
