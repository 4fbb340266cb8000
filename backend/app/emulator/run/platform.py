"""What the platform writes about a revision: its request log, and its metrics every 60 seconds."""

import threading
import time
from typing import Any

import grpc
from google.cloud import monitoring_v3
from google.protobuf.json_format import ParseDict

from ..clock import NANOS
from .revision_metrics import RevisionMetrics, Sample
from .usage import usage_of

_METHOD = "/google.monitoring.v3.MetricService/CreateServiceTimeSeries"
_Request = monitoring_v3.CreateTimeSeriesRequest.pb()
_SAMPLE_SECONDS = 10.0
_CALL_SECONDS = 5.0
# The API takes points of one series no closer than five seconds (open-telemetry/opentelemetry-go#6677).
_LEAST = 5 * NANOS + 1_000_000


class MetricsWriter:
    """A thread that writes the metrics of a revision until it is finished; what the emulator does not take is told."""

    def __init__(
        self,
        metrics: RevisionMetrics,
        resource: dict[str, str],
        address: str,
        *,
        token: str = "",
        every_seconds: float = 60.0,
    ) -> None:
        self.problem = ""
        self.lost = 0
        self.group = 0
        """The process group of the instance that runs, 0 for none."""
        self._metrics = metrics
        self._resource = resource
        self._every = every_seconds
        self._last = time.time_ns()
        self._channel = grpc.insecure_channel(address)
        self._write: Any = self._channel.unary_unary(_METHOD, request_serializer=_Request.SerializeToString)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cloudops-run-metrics", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Write what is left."""
        self._ending.set()
        self._thread.join(2 * _CALL_SECONDS)
        self._channel.close()

    def _work(self) -> None:
        due = time.monotonic() + self._every
        while not self._ending.wait(min(_SAMPLE_SECONDS, max(0.0, due - time.monotonic()))):
            self._look()
            if time.monotonic() >= due:
                due += self._every
                self._send()
        self._send()

    def _look(self) -> None:
        usage = usage_of(self.group) if self.group else None
        if usage is not None:
            self._metrics.used(usage, time.time_ns())

    def _send(self) -> None:
        now = time.time_ns()
        samples = self._metrics.take(now)
        # The last words may come sooner after the words before than the API takes points.
        end = max(now, self._last + _LEAST)
        request = _Request(name=f"projects/{self._resource['project_id']}")
        for sample in samples:
            ParseDict(_series(sample, self._resource, self._last, end), request.time_series.add())
        self._last = end
        try:
            self._write(request, timeout=_CALL_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            self.lost += len(samples)
            self.problem = f"{error.code().name}: {error.details()}"


def _series(sample: Sample, resource: dict[str, str], start: int, end: int) -> dict[str, Any]:
    interval = {"end_time": _moment(end)} | ({"start_time": _moment(start)} if sample.kind == "DELTA" else {})
    value_type = {"int64_value": "INT64", "double_value": "DOUBLE"}.get(next(iter(sample.value)), "DISTRIBUTION")
    return {
        "metric": {"type": sample.metric, "labels": sample.labels},
        "resource": {"type": "cloud_run_revision", "labels": resource},
        "metric_kind": sample.kind,
        "value_type": value_type,
        "unit": sample.unit,
        "points": [{"interval": interval, "value": sample.value}],
    }


def _moment(nanos: int) -> str:
    seconds, rest = divmod(nanos, NANOS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
