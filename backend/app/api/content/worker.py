"""Workers: a bounded number of jobs at a time, each retried a bounded number of times."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from redis.exceptions import RedisError

from ...core import bind, get_logger, metrics_client, request_context, set_user
from ...core.metrics.sources.queue import QueueSource
from ...core.propagation import from_pubsub_message
from ...core.tracing import span
from ..database.models import Job
from .generator import Stage
from .jobs import Jobs
from .queues import Delivery, Queue

log = get_logger("content")
durations = metrics_client.histogram("content_generation_duration_seconds")
errors = metrics_client.counter("content_generation_errors_total")
timeouts = metrics_client.counter("timeouts_total", {"operation": "content_stage"})

_PAUSE_SECONDS = 1.0


class StageError(Exception):
    """A stage took too long."""


class Workers:
    """Makes content from what the queue delivers.

    Args:
        queue: Delivers.
        jobs: What the deliveries are about.
        stages: In their order.
        now: The time.
        number: Jobs at a time.
        attempts: Deliveries after which a message is a dead letter.
        retry_seconds: Pause before the second; doubles each time.
        stage_seconds: How long a stage may take.
        source: Counts the messages.
    """

    def __init__(
        self,
        queue: Queue,
        jobs: Jobs,
        *,
        stages: Mapping[str, Stage],
        now: Callable[[], datetime],
        number: int,
        attempts: int,
        retry_seconds: float,
        stage_seconds: float,
        source: QueueSource,
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._stages = stages
        self._now = now
        self._number = number
        self._attempts = attempts
        self._retry_seconds = retry_seconds
        self._stage_seconds = stage_seconds
        self._source = source
        self._make = source.handler(self._generate)
        self._tasks: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        #: Why the queue cannot be asked; empty while it can.
        self._away = ""

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._loop(), name=f"content-worker-{number}") for number in range(self._number)
        ]

    @property
    def running(self) -> int:
        return sum(not task.done() for task in self._tasks)

    async def stop(self, seconds: float) -> None:
        """Take no more, and give what is under way so many seconds; what is not done then is delivered again."""
        for task in self._tasks:
            if task not in self._busy:
                task.cancel()
        busy = [task for task in self._tasks if task in self._busy]
        self._tasks, waiting_for = [], self._tasks
        if busy:
            await asyncio.wait(busy, timeout=seconds)
        for task in busy:
            task.cancel()
        await asyncio.gather(*waiting_for, return_exceptions=True)

    async def _loop(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while me in self._tasks:
            try:
                delivery = await self._queue.receive()
                self._busy.add(me)
                self._tell_away("")
                await self._handle(delivery)
            except (RedisError, OSError, TimeoutError) as error:
                self._tell_away(type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:
                # The message is delivered again; a worker that ended would be missed by everybody.
                log.exception("a delivery could not be handled")
                await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                self._busy.discard(me)

    def _tell_away(self, why: str) -> None:
        """Once, however many workers wait and however long."""
        if why and not self._away:
            log.warning("the queue does not answer", why=why)
        elif self._away and not why:
            log.info("the queue answers again")
        self._away = why

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        with request_context(from_pubsub_message(message.wire())):
            try:
                job_id = str(message.body["job_id"])
            except (ValueError, KeyError):
                await self._give_up(delivery, "unreadable")
                return
            bind(job_id=job_id)
            if message.attempt > self._attempts:  # its workers died
                await self._jobs.failed(job_id, "WorkerLost")
                await self._give_up(delivery, "WorkerLost")
                return
            job = await self._jobs.lease(job_id)
            if job is None:
                log.info("a message for a job that is finished, or another worker's")
                await self._queue.done(delivery)
                return
            set_user(job.user_id)
            await self._attempt(delivery, job)

    async def _attempt(self, delivery: Delivery, job: Job) -> None:
        attempt = delivery.message.attempt
        try:
            result = await self._make(job)
        except Exception as error:  # a stage may fail in any way
            kind = type(error).__name__
            errors.labels(type=error).add()
            if attempt < self._attempts:
                log.warning("content generation failed and is tried again", attempt=attempt, exc_info=True)
                await self._jobs.will_be_retried(job.id, kind)
                await self._queue.retry(delivery, self._retry_seconds * 2 ** (attempt - 1))
                self._source.retried()
                return
            log.exception("content generation failed", attempt=attempt)
            await self._jobs.failed(job.id, kind)
            await self._give_up(delivery, kind)
            return
        await self._jobs.completed(job.id, result)
        await self._queue.done(delivery)
        log.info("content generated", attempt=attempt, characters=len(result))

    async def _give_up(self, delivery: Delivery, reason: str) -> None:
        log.error("a message is a dead letter", reason=reason)
        await self._queue.give_up(delivery, reason)

    async def _generate(self, job: Job) -> str:
        waited = (self._now() - job.created_at).total_seconds()
        durations.labels(stage="queued").observe(max(0.0, waited))
        text = job.topic
        for name, stage in self._stages.items():
            await self._jobs.reached(job.id, name)
            with span(f"content {name}", attempt=job.attempts), durations.labels(stage=name).time():
                try:
                    async with asyncio.timeout(self._stage_seconds) as limit:
                        text = await stage(text)
                except TimeoutError:
                    if not limit.expired():
                        raise
                    timeouts.add()
                    raise StageError(f"{name} took longer than {self._stage_seconds:g} s") from None
        return text
