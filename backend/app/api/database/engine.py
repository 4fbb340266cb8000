"""The engine: SQLite in a file, or PostgreSQL."""

from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ..settings import ServiceSettings

_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


def async_url(text: str) -> URL:
    """The URL with a driver for asyncio, whichever the user wrote."""
    url = make_url(text)
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def engine_for(url: URL, settings: ServiceSettings) -> AsyncEngine:
    """An engine that opens nothing before it is asked."""
    seconds = settings.database_timeout
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": seconds})
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=seconds,
        pool_pre_ping=True,  # a server that came back must not fail one request for each old connection
        connect_args={"timeout": seconds, "command_timeout": seconds},
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait for the writer
    cursor.execute("PRAGMA synchronous=NORMAL")  # with a WAL a power cut costs the last transactions, never the file
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
