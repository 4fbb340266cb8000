"""What the emulator is made of: each part's services, routes, and the records it takes back from the journal."""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .alerting.suite import Alerting
from .console.pages import routes as console_routes
from .dashboards.http_api import routes as dashboard_routes
from .dashboards.service import DashboardsService
from .errorreporting.service import ErrorReporting
from .faults.http_api import routes as control_routes
from .faults.plan import Faults
from .groups.service import GroupService
from .logging.suite import CloudLogging
from .monitoring.query_service import QueryService
from .monitoring.service import MetricService
from .monitoring.store import MetricStore
from .otlp.suite import Telemetry
from .platform.suite import Platform
from .project import Context
from .promql.cloud import CloudSource
from .promql.http_api import routes as promql_routes
from .services.service import ServiceMonitoringService
from .state.http_api import routes as state_routes
from .status import ApiError
from .trace.suite import CloudTrace
from .uptime.suite import Uptime
from .uptime.targets import Targets

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Parts:
    def __init__(
        self,
        context: Context,
        *,
        evaluate_every: float | None = None,
        page: Callable[[], str] = str,
        targets: Targets | None = None,
    ) -> None:
        """`page` answers the address of the console; `targets` is what uptime checks may reach."""
        self.store = MetricStore()
        self.faults = Faults(context.clock)
        self.source = CloudSource(self.store, context)
        self.metrics = MetricService(context, self.store)
        self.dashboards = DashboardsService(context)
        self.log_suite = CloudLogging(context, self.store)
        self.logging = self.log_suite.entries
        self.slos = ServiceMonitoringService(context, self.store)
        self.groups = GroupService(context, self.store)
        self.metrics.computed = self.slos.computed
        self.metrics.expanded = self.groups.expanded
        self.alerting = Alerting(
            context,
            self.store,
            self.source,
            evaluate_every=evaluate_every,
            page=page,
            computed=self.slos.computed,
            expanded=self.groups.expanded,
        )
        self.logging.watchers.append(self.alerting.logs.put)
        self.errors = ErrorReporting(context, self.logging.write_log_entries, self.logging.config.buckets.has_own_key)
        self.logging.derive.append(self.errors.notice)
        self.uptime = Uptime(
            context,
            policies=self.alerting.policies.policies,
            write=self.metrics.create_service_time_series,
            write_log=self.logging.write_log_entries,
            targets=targets or Targets(),
            members=self.groups.current_members,
        )
        self.groups.checks = self.uptime.service.checks
        self.trace = CloudTrace(context)
        self.telemetry = Telemetry(
            context, self.metrics.write_otlp, self.logging.write_log_entries, self.trace.traces.write
        )
        self.platform = Platform(context, self.log_suite.entries.config.operation)
        self.alerting.notifier.publish = self._publish
        self.services: dict[str, object] = {
            **self.errors.services,
            **self.log_suite.services,
            "google.monitoring.dashboard.v1.DashboardsService": self.dashboards,
            "google.monitoring.v3.GroupService": self.groups,
            "google.monitoring.v3.MetricService": self.metrics,
            "google.monitoring.v3.QueryService": QueryService(),
            "google.monitoring.v3.ServiceMonitoringService": self.slos,
            **self.uptime.services,
            **self.alerting.services,
            **self.platform.services,
            **self.telemetry.services,
            **self.trace.services,
        }
        self.routes: list[BaseRoute] = [
            *console_routes(context),
            *control_routes(self.faults, context.clock, self.step),
            *dashboard_routes(self.dashboards),
            *self.log_suite.routes(),
            *promql_routes(context, self.source),
            *self.alerting.routes(),
            *self.uptime.routes(),
            *self.telemetry.routes(self.faults),
            *self.trace.routes(),
            *state_routes(context.journal, self),
        ]
        self._restore = {
            "alerting": self.alerting.restore,
            "dashboards": self.dashboards.restore,
            "errorreporting": self.errors.restore,
            "groups": self.groups.restore,
            "logging": self.log_suite.restore,
            "monitoring": self.metrics.restore,
            "platform": self.platform.restore,
            "services": self.slos.restore,
            "trace": self.trace.restore,
            "uptime": self.uptime.restore,
        }

    def _publish(self, topic: str, data: bytes) -> bool:
        try:
            self.platform.pubsub.publish(topic, [{"data": base64.b64encode(data).decode()}])
        except ApiError:
            return False
        return True

    async def step(self) -> None:
        """Whatever is due by a clock that was just moved: uptime checks, then evaluation, then notifications."""
        await self.uptime.prober.step()
        await self.alerting.step()

    def restore(self, kind: str, record: bytes) -> None:
        """Hand a journalled record to the part whose name its kind begins with."""
        self._restore[kind.partition(".")[0]](kind, record)

    def settle(self) -> None:
        """The whole journal has been handed over."""
        self.metrics.settle()

    def sweep(self) -> None:
        """Let go of what is too old or too much."""
        self.metrics.sweep()
        self.logging.sweep()
        self.trace.traces.sweep()
        self.platform.pubsub.messages.sweep()

    def kept(self) -> dict[str, Any]:
        """What is in memory, and what gave way to newer data: numbers as the REST wire prints them."""
        logs = self.logging.store
        return {
            "logEntries": str(len(logs)),
            "logBytes": str(logs.nbytes),
            "logEntriesGivenWay": str(logs.evicted),
            "points": str(self.store.size),
            "pointBytes": str(self.store.nbytes),
            "pointsGivenWay": str(self.metrics.retention.dropped),
        }
