"""Metrics: declared in one catalogue, counted in plain cells, exported to Cloud Monitoring."""

from .catalogue import CatalogueError
from .instruments import MetricsClient, metrics_client

__all__ = ["CatalogueError", "MetricsClient", "metrics_client"]
