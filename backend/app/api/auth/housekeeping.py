"""What has to happen now and then: figures that are counted in the database, and rows whose time is over."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ..database.models import RefreshToken, Session, User
from . import events
from .accounts import Accounts

ROLES = ("user", "admin")
# How long an ended session can still be looked at.
_KEEP = timedelta(days=30)


class AccountKeeping:
    def __init__(
        self, accounts: Accounts, database: async_sessionmaker[AsyncSession], now: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._database = database
        self._now = now

    async def __call__(self) -> None:
        await self._accounts.end_expired()
        now = self._now()
        async with self._database.begin() as database:
            # A used token is kept for as long as it would be good: until then its second use means something.
            await database.execute(delete(RefreshToken).where(RefreshToken.expires_at <= now))
            await database.execute(delete(Session).where(Session.ended_at < now - _KEEP))
        async with self._database() as database:
            rows = await database.execute(
                select(User.role, func.count())
                .join(Session, Session.user_id == User.id)
                .where(Session.ended_at.is_(None), Session.expires_at > now)
                .group_by(User.role)
            )
            counted = dict(rows.all())
        for role in ROLES:
            events.active.labels(user_role=role).set(counted.get(role, 0))
