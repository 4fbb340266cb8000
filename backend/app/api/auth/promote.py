"""`python -m app.api.auth.promote E-MAIL`: make an account of DATABASE_URL an administrator's, the first one say."""

import asyncio
import sys

from sqlalchemy import update
from sqlalchemy.ext.asyncio import async_sessionmaker

from ..database.engine import async_url, engine_for
from ..database.models import User
from ..settings import ServiceSettings
from .accounts import normal


async def promote(settings: ServiceSettings, email: str) -> bool:
    """False when there is no such account."""
    engine = engine_for(async_url(settings.database_url.get_secret_value()), settings)
    try:
        async with async_sessionmaker(engine).begin() as database:
            changed = await database.execute(
                update(User).where(User.email == normal(email)).values(role="admin").returning(User.id)
            )
            return changed.one_or_none() is not None
    finally:
        await engine.dispose()


def main() -> int:
    settings = ServiceSettings.load()
    if len(sys.argv) != 2 or not settings.database_url.get_secret_value():  # noqa: PLR2004  # the program and its argument
        sys.stderr.write("usage: DATABASE_URL=... python -m app.api.auth.promote E-MAIL\n")
        return 2
    if not asyncio.run(promote(settings, sys.argv[1])):
        sys.stderr.write("there is no such account\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
