"""The Telemetry API: OTLP in, for all three signals. What it writes is kept by the services it writes to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..faults.plan import Faults
from ..project import Context
from .http_api import routes
from .logs_service import LogsService
from .metrics_service import MetricsService
from .trace_service import TraceService

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Telemetry:
    def __init__(
        self,
        context: Context,
        write_series: Callable[[Any], None],
        write_entries: Callable[[Any], Any],
        write_spans: Callable[[list[tuple[str, Any]]], None],
    ) -> None:
        self.services: dict[str, object] = {
            "opentelemetry.proto.collector.logs.v1.LogsService": LogsService(context, write_entries),
            "opentelemetry.proto.collector.metrics.v1.MetricsService": MetricsService(context, write_series),
            "opentelemetry.proto.collector.trace.v1.TraceService": TraceService(context, write_spans),
        }

    def routes(self, faults: Faults) -> "list[BaseRoute]":
        return routes(self.services, faults)
