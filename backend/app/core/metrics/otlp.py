"""ExportMetricsServiceRequest as bytes: OTLP with an identity that Google maps to the same series as our own writes.

Field numbers: opentelemetry/proto/metrics/v1/metrics.proto, common/v1/common.proto, resource/v1/resource.proto,
collector/metrics/v1/metrics_service.proto. What Google makes of it: docs.cloud.google.com/stackdriver/docs/otlp-metrics
(the first non-empty of several resource attributes becomes a label of `prometheus_target`; the plainest name wins).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from . import wire
from .catalogue import Metric
from .cells import Cell, Exemplar, Series
from .refusals import Refused
from .target import Target
from .written import Item

_CUMULATIVE: Final = 2


class OtlpEncoding:
    """OTLP metrics, for one project and identity."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._resources: dict[str, bytes] = {}
        self._bounds: dict[str, bytes] = {}

    def prefix(self, series: Series) -> bytes:
        """The attributes of a data point; a histogram's have another field number."""
        field = 9 if series.metric.kind == "histogram" else 7
        return _attributes(field, self._target.labels(series))

    def request(self, items: Sequence[Item], end: int) -> bytes:
        """A request with one data point for each series."""
        points: dict[str, dict[str, list[bytes]]] = {}
        metrics: dict[str, Metric] = {}
        when = wire.fixed64(3, end)
        for series, written, cell in items:
            metric = series.metric
            metrics[metric.name] = metric
            body = written.prefix + when
            if metric.kind != "gauge":
                body += wire.fixed64(2, written.start)
            if metric.kind == "histogram":
                body += self._histogram(series, cell)
            else:
                body += wire.double(4, cell[0])
            points.setdefault(series.job, {}).setdefault(metric.name, []).append(wire.message(1, body))
        return b"".join(
            wire.message(
                1,
                self._resource(job)
                + wire.message(
                    2, b"".join(self._metric(metrics[name], b"".join(bodies)) for name, bodies in by_metric.items())
                ),
            )
            for job, by_metric in points.items()
        )

    def accepted(self, items: Sequence[Item]) -> None:
        """OTLP names unit and description each time."""

    def _resource(self, job: str) -> bytes:
        found = self._resources.get(job)
        if found is None:
            target, service = self._target, job or self._target.service
            # The first five are taken as they are; the others say the same to any collector on the way, and to Google
            # where a metric keeps its domain and goes to `generic_task`.
            attributes = {
                "location": target.location,
                "cluster": target.cluster,
                "namespace": target.environment,
                "job": service,
                "instance": target.instance,
                "gcp.project_id": target.project,
                "cloud.region": target.location,
                "service.namespace": target.environment,
                "service.name": service,
                "service.instance.id": target.instance,
            }
            found = self._resources[job] = wire.message(1, _attributes(1, attributes))
        return found

    def _metric(self, metric: Metric, points: bytes) -> bytes:
        # In these two domains the name goes with its domain (the only prefixes Google keeps).
        name = metric.name if self._target.domain == "prometheus" else self._target.metric_type(metric)
        head = wire.text(1, name) + wire.text(2, metric.description) + wire.text(3, metric.unit)
        if metric.kind == "gauge":
            data = wire.message(5, points)
        elif metric.kind == "histogram":
            data = wire.message(9, points + wire.number(2, _CUMULATIVE))
        else:
            data = wire.message(7, points + wire.number(2, _CUMULATIVE) + wire.number(3, 1))
        return wire.message(2, head + data)

    def _histogram(self, series: Series, cell: Cell) -> bytes:
        metric = series.metric
        bounds = self._bounds.get(metric.name)
        if bounds is None:
            bounds = self._bounds[metric.name] = wire.message(7, b"".join(map(wire.DOUBLE, metric.buckets)))
        counts = list(map(int, cell[:-1]))
        body = (
            wire.fixed64(4, sum(counts))
            + wire.double(5, cell[-1])
            + wire.message(6, b"".join(map(wire.FIXED64, counts)))
            + bounds
        )
        return body + _exemplar(series.exemplar) if series.exemplar is not None else body


def read_answer(body: bytes) -> Refused | None:
    """What an ExportMetricsServiceResponse says was rejected; None when all was taken.

    Raises:
        ValueError: It is none.
    """
    rejected, sentence = 0, ""
    for number, partial in wire.fields(body):
        if number == 1 and isinstance(partial, bytes):
            for field, value in wire.fields(partial):
                if field == 1 and isinstance(value, int):
                    rejected = value
                elif field == 2 and isinstance(value, bytes):  # noqa: PLR2004  # error_message
                    sentence = value.decode(errors="replace")[:8192]
    if not rejected:  # a message without rejected points is a remark (opentelemetry.io/docs/specs/otlp)
        return None
    return Refused("INVALID_ARGUMENT", sentence, partial=True, points={"INVALID_ARGUMENT": rejected})


def _exemplar(exemplar: Exemplar) -> bytes:
    body = wire.fixed64(2, exemplar.time_ns) + wire.double(3, exemplar.value)
    ids = wire.message(4, bytes.fromhex(exemplar.span_id)) + wire.message(5, bytes.fromhex(exemplar.trace_id))
    return wire.message(8, body + ids)


def _attributes(field: int, values: Mapping[str, str]) -> bytes:
    return b"".join(
        wire.message(field, wire.text(1, key) + wire.message(2, wire.text(1, value))) for key, value in values.items()
    )
