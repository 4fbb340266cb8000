"""Cloud Logging as a whole: its three services, their routes, and what they take back from the journal."""

from typing import TYPE_CHECKING

from ..monitoring.store import MetricStore
from ..project import Context
from .http_api import routes
from .metrics_service import MetricsService
from .saved_queries import SavedQueries
from .service import LoggingService

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class CloudLogging:
    def __init__(self, context: Context, store: MetricStore) -> None:
        self.entries = LoggingService(context)
        self.metrics = MetricsService(context, store, self.entries.config.buckets)
        self.queries = SavedQueries(context)
        self.entries.derive.append(self.metrics.count)
        self.services: dict[str, object] = {
            "google.logging.v2.ConfigServiceV2": self.entries.config,
            "google.logging.v2.LoggingServiceV2": self.entries,
            "google.logging.v2.MetricsServiceV2": self.metrics,
        }

    def routes(self) -> "list[BaseRoute]":
        return [*routes(self.entries.config), *self.queries.routes()]

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a record of the journal."""
        if not self.metrics.restore(kind, record) and not self.queries.restore(kind, record):
            self.entries.restore(kind, record)
