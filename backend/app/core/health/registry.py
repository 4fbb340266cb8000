"""The checks of one service, run together, once for all who ask at the same time."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from ..metrics import metrics_client
from ..redaction import Redaction
from .checks import Check, Function, Result, ask

if TYPE_CHECKING:
    from ..metrics import MetricsClient
    from ..settings import Settings

Registered = TypeVar("Registered", bound=Function)


class HealthRegistry:
    """Checks and their newest results.

    All checks of a probe run in parallel under one deadline. Probes that arrive meanwhile wait for the same run; a
    result is used again until it is `HEALTH_CHECK_INTERVAL` old, and never after.
    """

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.interval = 10.0
        self.timeout = 2.0
        self.token = ""
        self.redaction = Redaction()
        self.metrics: MetricsClient = metrics_client
        self._results: list[Result] = []
        self._taken = float("-inf")
        self._running: asyncio.Task[list[Result]] | None = None

    def configure(self, settings: "Settings", redaction: Redaction) -> None:
        self.redaction = redaction
        self.interval = settings.health_check_interval
        self.timeout = settings.health_check_timeout
        self.token = settings.health_token.get_secret_value() if settings.health_token else ""

    def check(self, name: str, *, critical: bool = True) -> Callable[[Registered], Registered]:
        """Register a function, sync or async, that raises or returns False when something is wrong.

        Raises:
            ValueError: There is a check of that name already.
        """
        if any(check.name == name for check in self.checks):
            raise ValueError(f"there is a health check named {name!r} already")

        def register(function: Registered) -> Registered:
            self.checks.append(Check(name, function, critical))
            return function

        return register

    async def results(self) -> list[Result]:
        """Results no older than the interval."""
        if monotonic() - self._taken <= self.interval:
            return self._results
        if self._running is None or self._running.done() or self._running.get_loop() is not asyncio.get_running_loop():
            self._running = asyncio.create_task(self._run())
        # A probe that is cancelled must not take the run away from the others.
        return await asyncio.shield(self._running)

    @property
    def age(self) -> float:
        """Seconds since the results were taken."""
        return max(0.0, monotonic() - self._taken)

    async def _run(self) -> list[Result]:
        results = list(await asyncio.gather(*(ask(check, self.timeout) for check in self.checks)))
        for result in results:
            status = self.metrics.gauge("health_check_status", {"check": result.check.name})
            status.set(1.0 if result.status == "healthy" else 0.0)
            lasted = self.metrics.histogram("health_check_duration_seconds", {"check": result.check.name})
            lasted.observe(result.seconds)
        self._results = results
        self._taken = monotonic()
        return results


#: The checks of this process's service.
health = HealthRegistry()
