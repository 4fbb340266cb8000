"""The service's health: the library's endpoints, and this service's own checks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ....core.health import Answer, Degraded, HealthRegistry
from ....core.health.ready_made import redis_check, sqlalchemy_check
from ...database.migrate import current, newest
from ...parts import Parts
from .items import shelf

# Older than this, work piles up.
_OLDEST_SECONDS = 300.0


@contextmanager
def checked(registry: HealthRegistry, parts: Parts) -> Iterator[None]:
    """Ask the parts while they are open.

    Only what no request can do without is critical. Redis is not: counters go on in the process, and jobs wait in the
    database.
    """
    added: list[str] = []

    def add(name: str, function: Callable[[], object], *, critical: bool, good_for: float | None = None) -> None:
        registry.add(name, function, critical=critical, good_for=good_for)
        added.append(name)

    try:
        add("items", lambda: shelf.items is not None, critical=True)
        add("database", sqlalchemy_check(parts.engine), critical=True)
        add("schema", _schema(parts), critical=True)
        add("limits", _limits(parts), critical=False, good_for=1.0)  # it asks nobody
        add("content", _content(parts), critical=False)
        if parts.redis is not None:
            add("redis", redis_check(parts.redis), critical=False)
        yield
    finally:
        for name in added:
            registry.remove(name)


def _schema(parts: Parts) -> Callable[[], object]:
    wanted = newest()

    async def schema() -> Answer:
        found = await current(parts.engine)
        if found == wanted:
            return Answer(value=found)
        # A newer one is that of a deployment under way, whose migrations leave room for the code before.
        if found is not None and wanted is not None and found > wanted:
            return Answer("degraded", f"the database is at revision {found}, this code at {wanted}", found)
        told = f"the database is at revision {found}, this code needs {wanted}: python -m app.api.database.migrate"
        return Answer("unhealthy", told)

    return schema


def _limits(parts: Parts) -> Callable[[], object]:
    async def limits() -> None:
        if parts.counters.degraded:
            raise Degraded(parts.counters.degraded)

    return limits


def _content(parts: Parts) -> Callable[[], object]:
    async def content() -> Answer:
        if parts.settings.content_workers and not parts.workers.running:
            return Answer("unhealthy", "no worker runs")
        state = await parts.queue.state(datetime.now(UTC))
        oldest = state.oldest_age_seconds or 0.0
        if oldest > _OLDEST_SECONDS:
            return Answer("degraded", f"the oldest message has waited for {oldest:.0f} s", state.depth, "messages")
        return Answer(value=state.depth, unit="messages")

    return content
