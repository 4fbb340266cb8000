"""Telemetry of a FastAPI service on Google Cloud: `instrument(app)` switches everything on."""

from .context import ReservedFieldError, bind, set_user, shed
from .draining import draining
from .health import HealthRegistry, health
from .logging import get_logger, set_level
from .metrics import CatalogueError, MetricsClient, metrics_client
from .monitoring_middleware import MonitoringMiddleware
from .propagation import outgoing_headers, request_context
from .settings import Settings, SettingsError
from .setup import Observability, instrument

__all__ = [
    "CatalogueError",
    "HealthRegistry",
    "MetricsClient",
    "MonitoringMiddleware",
    "Observability",
    "ReservedFieldError",
    "Settings",
    "SettingsError",
    "bind",
    "draining",
    "get_logger",
    "health",
    "instrument",
    "metrics_client",
    "outgoing_headers",
    "request_context",
    "set_level",
    "set_user",
    "shed",
]
