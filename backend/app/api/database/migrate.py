"""`python -m app.api.database.migrate`: bring the database of DATABASE_URL to the newest revision."""

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ..settings import ServiceSettings
from .engine import async_url, engine_for

# Any number: instances that migrate at the same time wait for each other.
_LOCK = 7_201_944


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str | None:
    """The revision that this code is written for."""
    return ScriptDirectory.from_config(_config()).get_current_head()


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """Upgrade in one transaction: where the database has transactional DDL, all of it or nothing."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade, revision)


async def current(engine: AsyncEngine) -> str | None:
    """The revision that the database is at."""
    async with engine.connect() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return str(found) if found is not None else None


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def _main() -> int:
    settings = ServiceSettings.load()
    if not (url := settings.database_url.get_secret_value()):
        sys.stderr.write("DATABASE_URL is not set: there is nothing to migrate\n")
        return 2
    engine = engine_for(async_url(url), settings)
    try:
        await migrate(engine)
        sys.stdout.write(f"the database is at revision {await current(engine)}\n")
    finally:
        await engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
