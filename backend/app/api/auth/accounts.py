"""Accounts, logins and sessions: the rules. `v1/endpoints/auth.py` speaks HTTP."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ...core import get_logger
from ...core.logging.audit import AuditLogger
from ..database.models import RefreshToken, Session, User
from ..settings import ServiceSettings
from . import events
from .lockout import Lockouts
from .passwords import BusyError, Passwords
from .tokens import Claims, TokenError, Tokens, hash_of, new_refresh_token

log = get_logger("auth")


class LoginError(Exception):
    """Not logged in; the client is not told why."""


class AddressLockedError(Exception):
    """So many logins from there have failed that none is looked at for a while."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Client(NamedTuple):
    """Who asks: the address, and what limits count it as."""

    address: str
    subject: str
    user_agent: str = ""


class Principal(NamedTuple):
    """Whom a request is for."""

    user_id: str
    session_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client gets: a short-lived token to show, and one to renew both with, once."""

    access_token: str
    refresh_token: str
    seconds: int


def normal(email: str) -> str:
    """One spelling, so that an account cannot be guessed at under several."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


class Accounts:
    """Everything about accounts that needs the database."""

    def __init__(
        self,
        database: async_sessionmaker[AsyncSession],
        *,
        passwords: Passwords,
        tokens: Tokens,
        lockouts: Lockouts,
        audit: AuditLogger,
        settings: ServiceSettings,
        now: Callable[[], datetime],
        hash_of_account: Callable[[str], str],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self.lockouts = lockouts
        self._audit = audit
        self._settings = settings
        self._now = now
        self._hash_of = hash_of_account

    async def register(self, email: str, password: str, client: Client) -> None:
        """Make an account, unless there is one: whether there was is not told.

        Raises:
            BusyError: Too many passwords wait to be hashed.
        """
        hashed = await self._passwords.hash(password)
        user = User(email=normal(email), password_hash=hashed, created_at=self._now())
        try:
            async with self._database.begin() as database:
                database.add(user)
        except IntegrityError:
            return
        self._audit(events.AccountRegistered(target=user.id, client=client.address))

    async def login(self, email: str, password: str, client: Client) -> Grant:
        """Open a session.

        Raises:
            LoginError: For any reason of the account's or the password's.
            AddressLockedError: For a reason of the client's.
            BusyError: Too many passwords wait to be hashed.
        """
        account = normal(email)
        attempt = await self.lockouts.attempt(account, client.address, client.subject)
        for scope in attempt.begun:
            events.security.labels(kind="brute_force_lockout").add()
            hashed = self._hash_of(account) if scope == "account" else ""
            self._audit(events.LockoutBegan(scope=scope, account=hashed, client=client.address))
        if attempt.address_seconds:
            self._failed("other", None, client)
            raise AddressLockedError(attempt.address_seconds)
        async with self._database() as database:
            user = await database.scalar(select(User).where(User.email == account))
        try:
            right, better = await self._passwords.verify(password, user.password_hash if user else None)
        except BusyError:
            await self.lockouts.undo(account, client.subject)
            raise
        if attempt.account:
            reason = "account_locked"
        elif user is None:
            reason = "user_not_found"
        elif not right:
            reason = "invalid_password"
        elif user.disabled:
            reason = "account_disabled"
        else:
            await self.lockouts.succeeded(account, client.subject)
            grant, session = await self._open(user, better, client)
            events.attempts.labels(status="success", user_role=user.role).add()
            self._audit(events.LoginSucceeded(actor=user.id, session=session, client=client.address))
            return grant
        self._failed(reason, user, client)
        raise LoginError

    def _failed(self, reason: str, user: User | None, client: Client) -> None:
        events.attempts.labels(status="failure", user_role=user.role if user else events.NOBODY).add()
        events.failures.labels(reason=reason).add()
        self._audit(events.LoginFailed(target=user.id if user else "", reason=reason, client=client.address))

    async def _open(self, user: User, better: str | None, client: Client) -> tuple[Grant, str]:
        now = self._now()
        session = Session(
            user_id=user.id,
            created_at=now,
            last_used_at=now,
            expires_at=self._end_of(now, now),
            user_agent=client.user_agent[:200],
        )
        async with self._database.begin() as database:
            if better is not None:
                await database.execute(update(User).where(User.id == user.id).values(password_hash=better))
            database.add(session)
            await database.flush()
            token = self._add_token(database, session, now)
        claims = Claims(user.id, session.id, user.role)
        return Grant(self._tokens.issue(claims), token, self._tokens.seconds), session.id

    async def refresh(self, token: str, client: Client) -> Grant:
        """Renew both tokens.

        A refresh token is good for once. A second use means that two have it, of whom one has stolen it: nobody can
        say which, so the whole session ends.

        Raises:
            LoginError: The token is unknown, used, too old, or its session has ended.
        """
        now = self._now()
        async with self._database.begin() as database:
            found = (
                await database.execute(
                    select(RefreshToken, Session, User)
                    .join(Session, RefreshToken.session_id == Session.id)
                    .join(User, Session.user_id == User.id)
                    .where(RefreshToken.hash == hash_of(token))
                )
            ).one_or_none()
            grant = None
            if found is not None:
                known, session, user = found
                alive = session.ended_at is None and min(session.expires_at, known.expires_at) > now
                if alive and not user.disabled and await self._use(database, known, now):
                    session.last_used_at, session.expires_at = now, self._end_of(session.created_at, now)
                    renewed = self._add_token(database, session, now)
                    claims = Claims(user.id, session.id, user.role)
                    grant = Grant(self._tokens.issue(claims), renewed, self._tokens.seconds)
                elif alive and not user.disabled:
                    await self._end(database, session, "reuse")
                    events.security.labels(kind="refresh_token_reuse").add()
                    self._audit(events.RefreshTokenReused(target=user.id, session=session.id, client=client.address))
        events.refreshes.labels(status="success" if grant else "failure").add()
        if grant is None:
            raise LoginError
        return grant

    async def _use(self, database: AsyncSession, token: RefreshToken, now: datetime) -> bool:
        """Take a token; only one of those who come at the same time gets it."""
        used = await database.execute(
            update(RefreshToken)
            .where(RefreshToken.hash == token.hash, RefreshToken.used_at.is_(None))
            .values(used_at=now)
            .returning(RefreshToken.hash)
            .execution_options(synchronize_session=False)
        )
        return used.one_or_none() is not None

    def _add_token(self, database: AsyncSession, session: Session, now: datetime) -> str:
        token = new_refresh_token()
        life = timedelta(seconds=self._settings.refresh_token_seconds)
        database.add(RefreshToken(hash=hash_of(token), session_id=session.id, expires_at=now + life))
        return token

    def _end_of(self, created: datetime, now: datetime) -> datetime:
        settings = self._settings
        return min(
            now + timedelta(seconds=settings.refresh_token_seconds),
            created + timedelta(seconds=settings.session_seconds),
        )

    async def principal(self, access_token: str) -> Principal:
        """Whom a token is for, if their session still lasts: logging out counts at once, and so does another role.

        Raises:
            TokenError: The token is not good, or not any more.
        """
        claims = self._tokens.read(access_token)
        async with self._database() as database:
            found = (
                await database.execute(
                    select(User.role)
                    .join(Session, Session.user_id == User.id)
                    .where(
                        Session.id == claims.session_id,
                        User.id == claims.user_id,
                        Session.ended_at.is_(None),
                        Session.expires_at > self._now(),
                        User.disabled.is_(False),
                    )
                )
            ).one_or_none()
        if found is None:
            raise TokenError
        return Principal(claims.user_id, claims.session_id, found.role)

    async def sessions(self, user_id: str) -> list[Session]:
        """Sessions that last, newest first."""
        async with self._database() as database:
            found = await database.scalars(
                select(Session)
                .where(Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > self._now())
                .order_by(Session.created_at.desc())
            )
            return list(found)

    async def end_session(self, principal: Principal, session_id: str, reason: str) -> bool:
        """End one of the user's sessions; False when they have none of that id."""
        async with self._database.begin() as database:
            session = await database.get(Session, session_id)
            if session is None or session.user_id != principal.user_id:
                return False
            ended = await self._end(database, session, reason)
        if ended:
            self._audit(events.SessionEnded(actor=principal.user_id, session=session_id, reason=reason))
        return ended

    async def end_all(self, database: AsyncSession, user_id: str, reason: str) -> None:
        """End all of a user's sessions within a transaction."""
        for session in await database.scalars(
            select(Session).where(Session.user_id == user_id, Session.ended_at.is_(None))
        ):
            await self._end(database, session, reason)

    async def _end(self, database: AsyncSession, session: Session, reason: str, at: datetime | None = None) -> bool:
        at = at or self._now()
        ended = await database.execute(
            update(Session)
            .where(Session.id == session.id, Session.ended_at.is_(None))
            .values(ended_at=at, end_reason=reason)
            .returning(Session.id)
            .execution_options(synchronize_session=False)
        )
        if ended.one_or_none() is None:
            return False
        events.durations.observe((at - session.created_at).total_seconds())
        return True

    async def end_expired(self) -> None:
        """End sessions whose time is over, so that how long they lasted is told once."""
        async with self._database.begin() as database:
            for session in await database.scalars(
                select(Session).where(Session.ended_at.is_(None), Session.expires_at <= self._now()).limit(500)
            ):
                await self._end(database, session, "expired", session.expires_at)
