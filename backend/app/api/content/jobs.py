"""Jobs in the database: asked for, leased to a worker, finished."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ...core import get_logger, metrics_client
from ...core.propagation import pubsub_attributes
from ..database.models import Job, new_id
from .messages import Message
from .queues import Queue

log = get_logger("content")
requests = metrics_client.counter("content_generation_requests_total")
depth = metrics_client.gauge("content_generation_queue_depth")


# What is younger may be on its way right now.
_IN_TRANSIT = timedelta(seconds=5)

# A client does not wait for a queue that is away.
_SEND_SECONDS = 1.0


class FullError(Exception):
    """So much waits that this would wait in vain."""


class Jobs:
    """The database decides what a job is; messages only say that one is there.

    Args:
        database: Holds them.
        queue: Gets a message for each.
        now: The time.
        most_waiting: Jobs that may wait.
        lease_seconds: How long a worker may be silent before another takes its job.
    """

    def __init__(
        self,
        database: async_sessionmaker[AsyncSession],
        queue: Queue,
        now: Callable[[], datetime],
        most_waiting: int,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._queue = queue
        self._now = now
        self._most_waiting = most_waiting
        self._lease = timedelta(seconds=lease_seconds)

    async def ask(self, user_id: str, topic: str) -> Job:
        """Keep a job and send its message.

        When the queue cannot be reached, the job is kept all the same and its message sent later.

        Raises:
            FullError: Too many wait already.
        """
        async with self._database.begin() as database:
            waiting = await database.scalar(select(func.count()).select_from(Job).where(Job.status == "pending"))
            if (waiting or 0) >= self._most_waiting:
                raise FullError
            job = Job(id=new_id(), user_id=user_id, topic=topic, created_at=self._now(), attributes=pubsub_attributes())
            database.add(job)
        requests.labels(status="pending").add()
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(job)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("the queue does not answer; the job is sent later", job_id=job.id, why=type(error).__name__)
        return job

    async def _send(self, job: Job) -> None:
        await self._queue.publish(Message.new({"job_id": job.id}, job.attributes, job.created_at))
        async with self._database.begin() as database:
            await database.execute(update(Job).where(Job.id == job.id).values(queued=True))

    async def send_unsent(self) -> None:
        """Messages that could not be sent when their jobs were asked for."""
        async with self._database() as database:
            unsent = await database.scalars(
                select(Job)
                .where(Job.status == "pending", Job.queued.is_(False), Job.created_at < self._now() - _IN_TRANSIT)
                .order_by(Job.created_at)
                .limit(100)
            )
            jobs = list(unsent)
        for job in jobs:
            await self._send(job)

    async def find_lost(self) -> None:
        """Jobs that wait for nothing: the queue is empty, since Redis or a process ended with what was in it."""
        now = self._now()
        if (await self._queue.state(now)).depth:
            return
        async with self._database.begin() as database:
            await database.execute(
                update(Job)
                .where(
                    Job.status == "pending",
                    Job.created_at < now - _IN_TRANSIT,
                    or_(Job.leased_until.is_(None), Job.leased_until < now - _IN_TRANSIT),
                )
                .values(queued=False)
            )

    async def count(self) -> None:
        async with self._database() as database:
            waiting = await database.scalar(
                select(func.count()).select_from(Job).where(Job.status == "pending", Job.leased_until.is_(None))
            )
        depth.set(waiting or 0)

    async def of(self, user_id: str, job_id: str) -> Job | None:
        async with self._database() as database:
            job = await database.get(Job, job_id)
        return job if job is not None and job.user_id == user_id else None

    async def list_of(self, user_id: str, most: int) -> list[Job]:
        async with self._database() as database:
            found = await database.scalars(
                select(Job).where(Job.user_id == user_id).order_by(Job.created_at.desc()).limit(most)
            )
            return list(found)

    # For workers

    async def lease(self, job_id: str) -> Job | None:
        """Take a job; None when it is finished, or another worker has it."""
        now = self._now()
        async with self._database.begin() as database:
            leased = await database.execute(
                update(Job)
                .where(
                    Job.id == job_id,
                    Job.status == "pending",
                    or_(Job.leased_until.is_(None), Job.leased_until <= now),
                )
                .values(leased_until=now + self._lease, attempts=Job.attempts + 1)
                .returning(Job.id)
                .execution_options(synchronize_session=False)
            )
            if leased.one_or_none() is None:
                return None
            return await database.get(Job, job_id)

    async def reached(self, job_id: str, stage: str) -> None:
        await self._change(job_id, stage=stage, leased_until=self._now() + self._lease)

    async def completed(self, job_id: str, result: str) -> None:
        await self._change(
            job_id, status="completed", result=result, error=None, leased_until=None, finished_at=self._now()
        )
        requests.labels(status="completed").add()

    async def will_be_retried(self, job_id: str, error: str) -> None:
        await self._change(job_id, stage="queued", error=error, leased_until=None)

    async def failed(self, job_id: str, error: str) -> None:
        await self._change(job_id, status="failed", error=error, leased_until=None, finished_at=self._now())
        requests.labels(status="failed").add()

    async def _change(self, job_id: str, **values: Any) -> None:
        async with self._database.begin() as database:
            await database.execute(update(Job).where(Job.id == job_id, Job.status == "pending").values(**values))
