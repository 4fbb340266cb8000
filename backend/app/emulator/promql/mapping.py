"""Names on both sides: Cloud Monitoring's metric types and labels, PromQL's names.

The rules: cloud.google.com/monitoring/promql/promql-mapping (mapped names, `monitored_resource`, distributions),
docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql (names in UTF-8).
"""

import re
from typing import Final, Literal

from .model import Labels

Part = Literal["", "_bucket", "_sum", "_count"]

PROMETHEUS: Final = "prometheus.googleapis.com/"
# How Managed Service for Prometheus stores a metric, by the kind its target told; the deltas are OTLP's.
SUFFIXES: Final = (
    *("counter", "gauge", "histogram", "summary", "summary:counter", "unknown", "unknown:counter"),
    *("delta", "histogram:delta"),
)
DISTRIBUTION_PARTS: Final[tuple[Part, ...]] = ("_bucket", "_sum", "_count")
MONITORED_RESOURCE: Final = "monitored_resource"

_OTHER: Final = re.compile(r"[^a-zA-Z0-9_:]")


def base_name(metric_type: str) -> str:
    """The PromQL name of a metric type, without a distribution's suffix."""
    if metric_type.startswith(PROMETHEUS):
        return metric_type.removeprefix(PROMETHEUS).rpartition("/")[0]
    return _OTHER.sub("_", metric_type.replace("/", ":", 1))


def asked_as(name: str, metric_type: str, *, distribution: bool) -> Part | None:
    """Which part of a metric a PromQL name stands for; None when it is another metric."""
    for base in (metric_type, base_name(metric_type)):
        if not distribution and name == base:
            return ""
        if distribution and name.startswith(base) and name[len(base) :] in DISTRIBUTION_PARTS:
            return next(part for part in DISTRIBUTION_PARTS if name == base + part)
    return None


def label_name(key: str) -> str:
    return _OTHER.sub("_", key).replace(":", "_")


def series_labels(metric: Labels, resource: Labels, resource_type: str) -> Labels:
    """One label set of two: a metric label named as a resource label gets the prefix `metric_`.

    No page that we could read states the prefix: our choice, to be checked against the cloud.
    """
    labels = {label_name(key): value for key, value in resource.items() if value}
    labels[MONITORED_RESOURCE] = resource_type
    for key, value in metric.items():
        name = label_name(key)
        labels[f"metric_{name}" if name in labels else name] = value
    return {name: value for name, value in labels.items() if value}
