"""Services with SLOs in a running emulator, through Google's own client, and the counters they read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.services.service_monitoring_service.transports import (
    ServiceMonitoringServiceGrpcTransport,
)

from app.emulator.clock import NANOS, ManualClock
from support.emulator import RunningEmulator, running_emulator

PROJECT = "projects/demo"
# A Wednesday, 2025-10-08 00:00:00 UTC.
START = 1_759_881_600
GOOD, TOTAL = "custom.googleapis.com/good", "custom.googleapis.com/total"
DAY = 86_400


def only(metric: str) -> str:
    return f'metric.type="{metric}" AND resource.type="global"'


RATIO = {
    "request_based": {"good_total_ratio": {"good_service_filter": only(GOOD), "total_service_filter": only(TOTAL)}}
}


@dataclass
class Slos:
    emulator: RunningEmulator
    clock: ManualClock
    services: monitoring_v3.ServiceMonitoringServiceClient
    metrics: monitoring_v3.MetricServiceClient

    def service(self, identifier: str = "shop", **fields: Any) -> monitoring_v3.Service:
        service = monitoring_v3.Service(fields or {"custom": {}})
        return self.services.create_service(request={"parent": PROJECT, "service_id": identifier, "service": service})

    def slo(
        self, service: monitoring_v3.Service, sli: Any = None, **fields: Any
    ) -> monitoring_v3.ServiceLevelObjective:
        identifier = fields.pop("identifier", "")
        period = {} if "calendar_period" in fields else {"rolling_period": {"seconds": DAY}}
        body = {"goal": 0.9, "service_level_indicator": sli or RATIO, **period, **fields}
        return self.services.create_service_level_objective(
            request={
                "parent": service.name,
                "service_level_objective_id": identifier,
                "service_level_objective": body,
            }
        )

    def write(self, *series: dict[str, Any]) -> None:
        """Points at the clock's time, by Google's own service writes."""
        end = {"seconds": self.clock.now() // NANOS}
        written = []
        for one in series:
            kind = one.get("kind", "CUMULATIVE")
            start = {"seconds": START} if kind == "CUMULATIVE" else end
            if kind == "DELTA":
                start = {"seconds": self.clock.now() // NANOS - 60, "nanos": 1_000_000}
            written.append(
                {
                    "metric": {"type": one["metric"], "labels": one.get("labels", {})},
                    "resource": one.get("resource", {"type": "global"}),
                    "metric_kind": kind,
                    "points": [{"interval": {"start_time": start, "end_time": end}, "value": one["value"]}],
                }
            )
        self.metrics.create_service_time_series(request={"name": PROJECT, "time_series": written})

    def select(self, filter_: str, seconds: float = 60, **fields: Any) -> list[monitoring_v3.TimeSeries]:
        now = self.clock.now() // NANOS
        request = {
            "name": PROJECT,
            "filter": filter_,
            "interval": {"start_time": {"seconds": now - round(seconds)}, "end_time": {"seconds": now}},
            **fields,
        }
        return list(self.metrics.list_time_series(request=request))

    def value(self, selector: str, slo: monitoring_v3.ServiceLevelObjective, *more: str) -> float | None:
        """The newest value of a selector's one series, None without one."""
        arguments = ", ".join(f'"{one}"' for one in (slo.name, *more))
        found = self.select(f"{selector}({arguments})")
        return found[0].points[0].value.double_value if found else None

    def traffic(self, minutes: int, *, good: int, bad: int) -> None:
        """Events of each minute on the two counters."""
        for _ in range(minutes):
            self.clock.advance(60)
            self._good = getattr(self, "_good", 0) + good
            self._total = getattr(self, "_total", 0) + good + bad
            self.write(
                {"metric": GOOD, "value": {"int64_value": self._good}},
                {"metric": TOTAL, "value": {"int64_value": self._total}},
            )


@contextmanager
def slos() -> Iterator[Slos]:
    clock = ManualClock(START * NANOS)
    with running_emulator(clock=clock) as emulator, emulator.channel() as channel:
        yield Slos(
            emulator,
            clock,
            monitoring_v3.ServiceMonitoringServiceClient(
                transport=ServiceMonitoringServiceGrpcTransport(channel=channel)
            ),
            monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel)),
        )
