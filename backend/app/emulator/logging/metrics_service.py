"""google.logging.v2.MetricsServiceV2: log-based metrics, which feed the metric store."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from google.cloud.logging_v2.types import ListLogMetricsResponse, LogMetric
from google.protobuf.empty_pb2 import Empty

from ..monitoring.store import MetricStore
from ..paging import page_of
from ..project import Context
from ..status import already_exists, invalid
from . import config_rules as rules
from .buckets import Buckets
from .metric_points import Counting
from .metric_rules import PREFIX, check_change, check_metric, describe
from .record import Record, nanos

_Metric = LogMetric.pb()

_PUT, _GONE = "logging.metric", "logging.metric_gone"
_LARGEST_PAGE = 1000
_MOST_METRICS = 500  # docs.cloud.google.com/logging/quotas: user-defined log-based metrics of a project


class MetricsService:
    """The methods of MetricsServiceV2; `count` is told of every accepted entry."""

    def __init__(self, context: Context, store: MetricStore, buckets: Buckets) -> None:
        self._context = context
        self._store = store
        self._buckets = buckets
        self._metrics: dict[str, Any] = {}
        self._counting: dict[str, Counting] = {}

    def count(self, records: Sequence[Record]) -> bool:
        """Add entries of one write to the metrics they match; whether there was any."""
        if not self._counting or not records:
            return False
        now = nanos(records[0].entry.receive_timestamp)
        counted = [counting.count(records, now) for counting in self._counting.values()]
        return any(counted)

    def list_log_metrics(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        found = [self._metrics[name] for name in sorted(self._metrics)]
        page, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListLogMetricsResponse.pb()(metrics=page, next_page_token=token)

    def get_log_metric(self, request: Any) -> Any:
        return self._get(self._name(request.metric_name))

    def create_log_metric(self, request: Any) -> Any:
        rules.read_project(request.parent, self._context)
        if request.metric.name in self._metrics:
            raise already_exists(f"Log-based metric {request.metric.name} already exists")
        return self._create(request.metric)

    def update_log_metric(self, request: Any) -> Any:
        """Change a metric; one that does not exist is created (logging_metrics.proto, UpdateLogMetricRequest)."""
        name = self._name(request.metric_name)
        given = _Metric()
        given.CopyFrom(request.metric)
        if given.name not in {"", name}:
            raise invalid(f"The metric's name '{given.name}' is not the one of the request, '{name}'.")
        given.name = name
        stored = self._metrics.get(name)
        if stored is None:
            return self._create(given)
        check_metric(given, self._context, self._buckets)
        check_change(stored, given)
        if given.bucket_name != stored.bucket_name:
            raise invalid("The bucket of a log-based metric cannot be changed.")
        given.create_time.CopyFrom(stored.create_time)
        return self._put(given)

    def delete_log_metric(self, request: Any) -> Empty:
        name = self._name(request.metric_name)
        self._get(name)
        self._context.journal.append(_GONE, name.encode())
        self._drop(name)
        return Empty()

    def restore(self, kind: str, record: bytes) -> bool:
        """Apply a journalled record; false when it is not about log-based metrics."""
        if kind == _PUT:
            self._keep(_Metric.FromString(record))
        elif kind == _GONE:
            self._drop(record.decode())
        else:
            return False
        return True

    def _name(self, resource_name: str) -> str:
        # Slashes of the id come percent-encoded (logging_metrics.proto, LogMetric.name).
        return unquote(rules.read_child(resource_name, "metrics", self._context, "metric_name"))

    def _get(self, name: str) -> Any:
        metric = self._metrics.get(name)
        if metric is None:
            raise rules.absent("Metric", name)
        return metric

    def _create(self, given: Any) -> Any:
        check_metric(given, self._context, self._buckets)
        if len(self._metrics) >= _MOST_METRICS:
            raise invalid(f"A project has at most {_MOST_METRICS} user-defined log-based metrics.")
        metric = _Metric()
        metric.CopyFrom(given)
        metric.create_time.FromNanoseconds(self._context.clock.now())
        return self._put(metric)

    def _put(self, metric: Any) -> Any:
        metric.metric_descriptor.CopyFrom(describe(metric, self._context))
        metric.update_time.FromNanoseconds(self._context.clock.now())
        self._context.journal.append(_PUT, metric.SerializeToString())
        self._keep(metric)
        return metric

    def _keep(self, metric: Any) -> None:
        descriptor = metric.metric_descriptor
        self._metrics[metric.name] = metric
        self._store.put_descriptor(type(descriptor).FromString(descriptor.SerializeToString()))
        self._counting.pop(metric.name, None)
        if not metric.disabled:
            self._counting[metric.name] = Counting(metric, descriptor, self._store)

    def _drop(self, name: str) -> None:
        self._metrics.pop(name, None)
        self._counting.pop(name, None)
        self._store.delete_descriptor(PREFIX + name)
