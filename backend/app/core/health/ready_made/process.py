"""The process itself: disk, memory against its limit, the event loop, pools of connections."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...metrics.sources.linux import Files
from ...metrics.sources.pools import pools
from ...metrics.sources.source import client_of, store_of
from ..checks import Answer, Status

if TYPE_CHECKING:
    from ...metrics import MetricsClient

_TURNS: Final = 3
_TURN_SECONDS: Final = 0.02


def disk_check(
    path: str | Path = "/tmp",  # noqa: S108  # Cloud Run's and most containers' only writable place
    *,
    degraded: float = 0.8,
    unhealthy: float = 0.95,
) -> Callable[[], Answer]:
    """How full the file system of a path is, as shares of 1. On Cloud Run it is memory."""

    def ask() -> Answer:
        usage = shutil.disk_usage(path)
        # Of what an ordinary user may use: a part of `total` is the superuser's.
        usable = usage.used + usage.free
        return _share(usage.used / usable if usable else 1.0, degraded, unhealthy, f"of {path} used")

    return ask


def memory_check(*, degraded: float = 0.8, unhealthy: float = 0.95, files: Files | None = None) -> Callable[[], Answer]:
    """Memory of the container against its limit, as shares of 1; without a limit it passes.

    All processes of the container count, and not what the kernel would give back (`inactive_file`), as GKE counts it.
    """
    told = files or Files()

    def ask() -> Answer:
        limit, used = told.memory_limit(), told.memory_in_use()
        if used is None:
            used = told.resident_bytes()
        if not limit or used is None:
            return Answer()
        return _share(used / limit, degraded, unhealthy, "of the memory limit used")

    return ask


def loop_lag_check(*, degraded: float = 0.1, unhealthy: float = 1.0) -> Callable[[], Awaitable[Answer]]:
    """How late the event loop runs what is due, in seconds, as seen in three short turns."""

    async def ask() -> Answer:
        loop = asyncio.get_running_loop()
        latest = 0.0
        for _ in range(_TURNS):
            due = loop.time() + _TURN_SECONDS
            await asyncio.sleep(_TURN_SECONDS)
            latest = max(latest, loop.time() - due)
        seconds = round(latest, 4)
        if latest < degraded:
            return Answer(value=seconds, unit="s")
        return Answer("unhealthy" if latest >= unhealthy else "degraded", f"{seconds:g} s late", seconds, "s")

    return ask


def pool_check(
    pool: str, *, degraded: float = 0.8, unhealthy: float = 1.0, metrics: "MetricsClient | None" = None
) -> Callable[[], Answer]:
    """Utilisation of a pool that `observe_sqlalchemy` and its like watch, as shares of 1, by the name given there."""
    client = client_of(metrics)

    def ask() -> Answer:
        pools(client, "db_pool").refresh()
        for series in store_of(client).series:
            if series.metric.name == "db_pool_utilization" and series.values == (pool,):
                return _share(series.cell[0], degraded, unhealthy, "of the pool in use")
        return Answer("degraded", f"no pool of the name {pool!r} is observed")

    return ask


def _share(share: float, degraded: float, unhealthy: float, what: str) -> Answer:
    status: Status = "unhealthy" if share >= unhealthy else "degraded" if share >= degraded else "healthy"
    reason = "" if status == "healthy" else f"{share:.0%} {what}"
    return Answer(status, reason, round(share, 4), "1")
