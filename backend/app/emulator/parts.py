"""What the emulator is made of: each part's services, routes, and the records it takes back from the journal."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .alerting.suite import Alerting
from .console.pages import routes as console_routes
from .dashboards.service import DashboardsService
from .errorreporting.service import ErrorReporting
from .faults.http_api import routes as control_routes
from .faults.plan import Faults
from .logging.suite import CloudLogging
from .monitoring.service import MetricService
from .monitoring.store import MetricStore
from .project import Context
from .promql.cloud import CloudSource
from .promql.http_api import routes as promql_routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Parts:
    def __init__(self, context: Context, *, evaluate_every: float | None = None, page: Callable[[], str] = str) -> None:
        """`page` answers the address of the console."""
        self.store = MetricStore()
        self.faults = Faults(context.clock)
        self.source = CloudSource(self.store, context)
        self.metrics = MetricService(context, self.store)
        self.dashboards = DashboardsService(context)
        self.log_suite = CloudLogging(context, self.store)
        self.logging = self.log_suite.entries
        self.alerting = Alerting(context, self.store, self.source, evaluate_every=evaluate_every, page=page)
        self.logging.watchers.append(self.alerting.logs.put)
        self.errors = ErrorReporting(context, self.logging.write_log_entries, self.logging.config.buckets.has_own_key)
        self.logging.derive.append(self.errors.notice)
        self.services: dict[str, object] = {
            **self.errors.services,
            **self.log_suite.services,
            "google.monitoring.dashboard.v1.DashboardsService": self.dashboards,
            "google.monitoring.v3.MetricService": self.metrics,
            **self.alerting.services,
        }
        self.routes: list[BaseRoute] = [
            *console_routes(context),
            *control_routes(self.faults, context.clock),
            *self.log_suite.routes(),
            *promql_routes(context, self.source),
            *self.alerting.routes(),
        ]
        self._restore = {
            "alerting": self.alerting.restore,
            "dashboards": self.dashboards.restore,
            "errorreporting": self.errors.restore,
            "logging": self.log_suite.restore,
            "monitoring": self.metrics.restore,
        }

    def restore(self, kind: str, record: bytes) -> None:
        """Hand a journalled record to the part whose name its kind begins with."""
        self._restore[kind.partition(".")[0]](kind, record)
