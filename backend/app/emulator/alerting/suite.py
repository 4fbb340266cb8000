"""Alerting as a whole: its services, its evaluator and its notifier, put together once."""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable

from starlette.routing import Route

from ..monitoring.listing import Computed, Expanded, as_it_is, nothing_computed
from ..monitoring.store import MetricStore
from ..project import Context
from ..promql.model import SampleSource
from .evaluator import AlertEvaluator
from .http_api import routes
from .incidents import Incidents
from .life import Transition
from .log_match import LogFeed
from .metric_names import KnownMetrics
from .notify import Notifier
from .selection import MetricSource
from .service import AlertPolicyService, NotificationChannelService
from .snoozes import SnoozeService

_TICK_SECONDS = 0.25


class Alerting:
    """`services` answer the wires, `routes` join the HTTP application, `run` is the loop that a server starts."""

    def __init__(
        self,
        context: Context,
        metrics: MetricStore,
        source: SampleSource,
        *,
        evaluate_every: float | None = None,
        page: Callable[[], str] = str,
        computed: Computed = nothing_computed,
        expanded: Expanded = as_it_is,
    ) -> None:
        """`page` answers the console's address, `computed` the series of SLOs, `expanded` a filter without groups."""
        self._context = context
        self.channels = NotificationChannelService(context)
        self.policies = AlertPolicyService(context, metrics, self.channels, computed)
        self.snoozes = SnoozeService(context, self.policies.has)
        self.incidents = Incidents(context)
        self.logs = LogFeed()
        self.notifier = Notifier(context, self.channels.channel, page=page)
        self.evaluator = AlertEvaluator(
            context,
            self.policies,
            source,
            self.notifier,
            self.incidents,
            series=MetricSource(metrics, computed=computed, expanded=expanded),
            logs=self.logs,
            snoozes=self.snoozes,
            metrics=KnownMetrics(metrics.descriptors),
            every=evaluate_every,
        )
        self.services: dict[str, object] = {
            "google.monitoring.v3.AlertPolicyService": self.policies,
            "google.monitoring.v3.NotificationChannelService": self.channels,
            "google.monitoring.v3.SnoozeService": self.snoozes,
        }
        self._evaluating = asyncio.Lock()
        self.on_transition: list[Callable[[Transition], None]] = []

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record whose kind begins with `alerting.`."""
        parts = (self.policies, self.channels, self.snoozes, self.incidents)
        if not any(part.restore(kind, record) for part in parts):
            raise ValueError(f"no part of alerting knows records of kind {kind}")

    def routes(self) -> list[Route]:
        return routes(self._context, self.incidents, self.evaluator, self.notifier, lambda: self.channels.sent_codes)

    async def evaluate(self) -> list[Transition]:
        """Evaluate what is due, in a worker thread: a long query must not hold up the wires."""
        async with self._evaluating:
            transitions = await asyncio.to_thread(self.evaluator.evaluate, self._context.clock.now())
        for transition in transitions:
            for tell in self.on_transition:
                tell(transition)
        return transitions

    async def step(self) -> None:
        """Evaluate and deliver what is due, for a clock that was moved by hand."""
        await self.evaluate()
        await self.notifier.deliver_due(self._context.clock.now())

    async def run(self) -> None:
        """Evaluate and deliver until cancelled; a step that fails is told on stderr and the next one is taken."""
        async with asyncio.TaskGroup() as deliveries:
            while True:
                await _told(self.evaluate())
                now = self._context.clock.now()
                if self.notifier.has_due(now):
                    # A task of its own: a webhook that does not answer holds up neither evaluation nor other webhooks.
                    deliveries.create_task(_told(self.notifier.deliver_due(now)))
                await asyncio.sleep(_TICK_SECONDS)


async def _told(step: Awaitable[object]) -> None:
    try:
        await step
    except Exception:  # noqa: BLE001  # a bug in one step must not end alerting for the whole session
        sys.stderr.write(f"An alerting step failed:\n{traceback.format_exc()}")
