"""Which time series a measurement becomes: metric type and monitored resource, by `METRICS_DOMAIN`."""

from dataclasses import dataclass

from . import wire
from .catalogue import Metric


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

    def prefix(self, metric: Metric, job: str, values: tuple[str, ...]) -> bytes:
        """The unchanging bytes of a series; an empty `job` is the process's own service."""
        resource_type, resource = self._resource(job or self.service)
        return wire.series_prefix(
            self.metric_type(metric),
            dict(zip(metric.labels, values, strict=True)),
            resource_type,
            resource,
            cumulative=metric.kind != "gauge",
            distribution=metric.kind == "histogram",
        )

    def metric_type(self, metric: Metric) -> str:
        if self.domain == "prometheus":
            # Managed Prometheus keeps the kind as the last part of the type.
            return f"prometheus.googleapis.com/{metric.name}/{metric.kind}"
        return f"{self.domain}.googleapis.com/{self.namespace}/{metric.name}"

    def _resource(self, job: str) -> tuple[str, dict[str, str]]:
        if self.domain == "prometheus":
            return "prometheus_target", {
                "project_id": self.project,
                "location": self.location,
                "cluster": self.cluster,
                "namespace": self.environment,
                "job": job,
                "instance": self.instance,
            }
        return "generic_task", {
            "project_id": self.project,
            "location": self.location,
            "namespace": self.environment,
            "job": job,
            "task_id": self.instance,
        }
