"""What the running service is made of: opened when the server starts, closed when it ends."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from ..core import get_logger
from ..core.client_address import TrustedProxies
from ..core.metrics.sources import QueueState, observe_queue, observe_redis, observe_sqlalchemy
from ..middleware.counters import Counters
from ..middleware.limiter import Limiter
from .auth.accounts import Accounts
from .auth.housekeeping import AccountKeeping
from .auth.lockout import Lockouts, Rules
from .auth.passwords import Passwords
from .auth.tokens import Tokens
from .content.generator import STAGES, Stage
from .content.jobs import Jobs
from .content.queues import LocalQueue, Queue
from .content.redis_queue import RedisQueue
from .content.worker import Workers
from .database.engine import async_url, engine_for
from .database.migrate import migrate
from .features import Features
from .settings import LOCAL, ServiceSettings

if TYPE_CHECKING:
    from ..core import Observability
    from ..core.logging.audit import AuditLogger

log = get_logger("service")
_KEEPING_SECONDS = 5.0
# Within Cloud Run's ten seconds, of which telemetry needs some.
_STOP_SECONDS = 3.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that endpoints and middleware use."""

    settings: ServiceSettings
    trusted_proxies: TrustedProxies
    audit: "AuditLogger"
    engine: AsyncEngine
    database: async_sessionmaker[AsyncSession]
    redis: Redis | None
    counters: Counters
    limiter: Limiter
    tokens: Tokens
    accounts: Accounts
    features: Features
    queue: Queue
    jobs: Jobs
    workers: Workers


@asynccontextmanager
async def opened(
    settings: ServiceSettings,
    observability: "Observability",
    *,
    now: Callable[[], datetime] = _now,
    stages: Mapping[str, Stage] = STAGES,
) -> AsyncIterator[Parts]:
    """The parts, connected with each other; nothing that is away is waited for."""
    async with AsyncExitStack() as stack:
        engine = await _database(settings, stack)
        database = async_sessionmaker(engine, expire_on_commit=False)
        redis = _redis(settings, stack)
        counters = Counters(redis, settings.redis_timeout)
        passwords = Passwords(settings.password_passes, settings.password_memory_kib, settings.password_workers)
        stack.callback(passwords.close)
        tokens = _tokens(settings, now)
        lockouts = Lockouts(
            counters,
            Rules(
                settings.login_attempts_per_account,
                settings.login_attempts_per_address,
                settings.login_window_seconds,
                settings.lockout_seconds,
            ),
        )
        accounts = Accounts(
            database,
            passwords=passwords,
            tokens=tokens,
            lockouts=lockouts,
            audit=observability.audit,
            settings=settings,
            now=now,
            hash_of_account=observability.worker.store.labels.account,
        )
        lease = settings.content_stage_seconds * 2
        queue: Queue = RedisQueue(redis, lease) if redis is not None else LocalQueue()
        stack.push_async_callback(queue.close)
        jobs = Jobs(database, queue, now, settings.content_waiting, lease)

        async def state() -> QueueState:
            return await queue.state(now())

        source = observe_queue("content", state)
        stack.callback(source.close)
        workers = Workers(
            queue,
            jobs,
            stages=stages,
            now=now,
            number=settings.content_workers,
            attempts=settings.content_attempts,
            retry_seconds=settings.content_retry_seconds,
            stage_seconds=settings.content_stage_seconds,
            source=source,
        )
        parts = Parts(
            settings,
            TrustedProxies.parse(observability.settings.trusted_proxies),
            observability.audit,
            engine,
            database,
            redis,
            counters,
            Limiter(counters),
            tokens,
            accounts,
            Features(database, faults=settings.environment in LOCAL),
            queue,
            jobs,
            workers,
        )
        workers.start()
        stack.push_async_callback(workers.stop, _STOP_SECONDS)
        keeping = asyncio.create_task(_keep(parts, AccountKeeping(accounts, database, now)))
        stack.push_async_callback(_cancelled, keeping)
        yield parts


async def _database(settings: ServiceSettings, stack: AsyncExitStack) -> AsyncEngine:
    text = settings.database_url.get_secret_value()
    if not text:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reference-service-"))
        text = f"sqlite:///{Path(folder) / 'service.db'}"
        log.warning("accounts and jobs end with this process: DATABASE_URL is not set")
    url = async_url(text)
    engine = engine_for(url, settings)
    stack.push_async_callback(engine.dispose)
    stack.callback(observe_sqlalchemy(engine, "service").close)
    if url.get_backend_name() == "sqlite":
        await migrate(engine)  # nobody else has it; PostgreSQL is migrated before a deployment
    return engine


def _redis(settings: ServiceSettings, stack: AsyncExitStack) -> Redis | None:
    url = settings.redis_url.get_secret_value()
    if not url:
        return None
    client = Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=5.0)
    stack.push_async_callback(client.aclose)
    stack.callback(observe_redis(client, "service").close)
    return client


def _tokens(settings: ServiceSettings, now: Callable[[], datetime]) -> Tokens:
    key, previous = settings.auth_signing_key, settings.auth_previous_signing_key
    if key is None:
        log.warning("access tokens end with this process: AUTH_SIGNING_KEY is not set")
    return Tokens(
        key.get_secret_value().encode() if key is not None else secrets.token_bytes(32),
        previous.get_secret_value().encode() if previous is not None else None,
        settings.access_token_seconds,
        now,
    )


async def _keep(parts: Parts, accounts: AccountKeeping) -> None:
    """Now and then; a part that fails is tried again, and holds up no other."""
    while True:
        await _tried("jobs whose messages are lost", parts.jobs.find_lost)
        await _tried("messages that were not sent", parts.jobs.send_unsent)
        await _tried("the number of jobs", parts.jobs.count)
        await _tried("accounts", accounts)
        await asyncio.sleep(_KEEPING_SECONDS)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _tried(what: str, keep: Callable[[], Awaitable[None]]) -> None:
    try:
        await keep()
    except (RedisError, OSError, TimeoutError, OperationalError) as error:
        log.warning("housekeeping waits for a dependency", what=what, why=type(error).__name__)
    except Exception:
        log.exception("housekeeping failed", what=what)
