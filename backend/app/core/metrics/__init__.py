"""Metrics: declared in one catalogue, counted in plain cells, exported to Cloud Monitoring."""

from .catalogue import CatalogueError
from .instruments import Counter, Gauge, Histogram, MetricsClient, UpDown, metrics_client

__all__ = ["CatalogueError", "Counter", "Gauge", "Histogram", "MetricsClient", "UpDown", "metrics_client"]
