"""Which time series a measurement becomes: metric type and monitored resource, by `METRICS_DOMAIN`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .catalogue import Metric
from .cells import Series

# google/monitoring/v3/metric_service.proto and the API's limits: a longer value costs the series its place.
_MAX_LABEL_VALUE: Final = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where the metrics of one process go. All strings as the API wants them."""

    project: str
    location: str
    cluster: str
    environment: str
    service: str
    instance: str
    domain: str
    namespace: str

    def labels(self, series: Series) -> Mapping[str, str]:
        """The metric labels of a series."""
        return {key: value[:_MAX_LABEL_VALUE] for key, value in zip(series.metric.labels, series.values, strict=True)}

    def metric_type(self, metric: Metric) -> str:
        if self.domain == "prometheus":
            # Managed Prometheus keeps the kind as the last part of the type.
            return f"prometheus.googleapis.com/{metric.name}/{metric.kind}"
        return f"{self.domain}.googleapis.com/{self.namespace}/{metric.name}"

    def resource(self, job: str) -> tuple[str, dict[str, str]]:
        """Type and labels of the monitored resource; an empty `job` is the process's own service.

        Every label of the type is there: the API refuses a series that lacks one, empty values are fine
        (cloudprober/cloudprober#257).
        """
        if self.domain == "prometheus":
            return "prometheus_target", {
                "project_id": self.project,
                "location": self.location,
                "cluster": self.cluster,
                "namespace": self.environment,
                "job": job or self.service,
                "instance": self.instance,
            }
        return "generic_task", {
            "project_id": self.project,
            "location": self.location,
            "namespace": self.environment,
            "job": job or self.service,
            "task_id": self.instance,
        }
