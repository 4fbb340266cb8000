"""google.monitoring.v3.MetricService."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from google.api import metric_pb2, monitored_resource_pb2
from google.cloud import monitoring_v3
from google.protobuf import empty_pb2

from ..clock import NANOS
from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import missing_field, not_found
from . import descriptors
from .filter import parse_filter
from .listing import Computed, Expanded, as_it_is, list_time_series, nothing_computed
from .resources import descriptor_of, resource_types
from .retention import Retention
from .store import MetricStore
from .write import POINTS, Writer
from .write_rules import USER_DOMAINS

_DESCRIPTOR = "monitoring.descriptor"
_DELETED = "monitoring.descriptor_deleted"
_MOST_DESCRIPTORS = 10_000
_ACTIVE = 25 * 3600 * NANOS
_ListMetricDescriptorsResponse = monitoring_v3.ListMetricDescriptorsResponse.pb()
_ListResourceDescriptorsResponse = monitoring_v3.ListMonitoredResourceDescriptorsResponse.pb()

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class _Described(NamedTuple):
    """A descriptor, as filters look at it: its labels are there, without values."""

    metric_type: str = ""
    metric_labels: Mapping[str, str] = _NO_LABELS
    resource_type: str = ""
    resource_labels: Mapping[str, str] = _NO_LABELS


class MetricService:
    def __init__(self, context: Context, store: MetricStore) -> None:
        self._context = context
        self._store = store
        self._writer = Writer(context, store)
        self.retention = Retention(store)
        self.computed: Computed = nothing_computed
        self.expanded: Expanded = as_it_is

    def create_time_series(self, request: Any) -> empty_pb2.Empty:
        self._writer.write(request)
        return empty_pb2.Empty()

    def create_service_time_series(self, request: Any) -> empty_pb2.Empty:
        self._writer.write(request, service=True)
        return empty_pb2.Empty()

    def write_otlp(self, request: Any) -> None:
        """Write series that the Telemetry API made of OTLP metrics."""
        self._writer.write(request, otlp=True)

    def list_time_series(self, request: Any) -> Any:
        self._check_project(request.name)
        return list_time_series(self._store, request, self.computed, self.expanded)

    def create_metric_descriptor(self, request: Any) -> metric_pb2.MetricDescriptor:
        self._check_project(request.name)
        wanted = request.metric_descriptor
        descriptors.check_descriptor(wanted)
        stored = self._store.descriptor(wanted.type)
        if stored is None:
            if self._user_descriptors() >= descriptors.MAX_DESCRIPTORS:
                raise descriptors.too_many_descriptors()
            answer = metric_pb2.MetricDescriptor()
            answer.CopyFrom(wanted)
            answer.name = f"projects/{self._context.project_id}/metricDescriptors/{wanted.type}"
        else:
            answer = descriptors.merged(stored, wanted)
        self._context.journal.append(_DESCRIPTOR, answer.SerializeToString())
        self._store.put_descriptor(answer)
        return answer

    def get_metric_descriptor(self, request: Any) -> metric_pb2.MetricDescriptor:
        self._check_project(request.name)
        metric_type = descriptors.type_in(request.name)
        descriptor = self._store.descriptor(metric_type)
        if descriptor is None:
            raise descriptors.unknown_descriptor(metric_type)
        return descriptor

    def list_metric_descriptors(self, request: Any) -> Any:
        self._check_project(request.name)
        matches = parse_filter(request.filter).matches
        found = [
            descriptor
            for descriptor in self._store.descriptors()
            if matches(_Described(descriptor.type, {label.key: "" for label in descriptor.labels}))
            and (not request.active_only or self._is_active(descriptor.type))
        ]
        page, token = page_of(found, request.page_size, request.page_token, _MOST_DESCRIPTORS)
        return _ListMetricDescriptorsResponse(metric_descriptors=page, next_page_token=token)

    def delete_metric_descriptor(self, request: Any) -> empty_pb2.Empty:
        self._check_project(request.name)
        metric_type = descriptors.type_in(request.name)
        if self._store.descriptor(metric_type) is None:
            raise descriptors.unknown_descriptor(metric_type)
        self._context.journal.append(_DELETED, metric_type.encode())
        self._store.delete_descriptor(metric_type)
        return empty_pb2.Empty()

    def get_monitored_resource_descriptor(self, request: Any) -> monitored_resource_pb2.MonitoredResourceDescriptor:
        self._check_project(request.name)
        kind = request.name.rpartition("/")[2]
        known = resource_types().get(kind)
        if known is None:
            raise not_found(f"Could not find descriptor for monitored resource '{kind}'.")
        return descriptor_of(known, self._project)

    def list_monitored_resource_descriptors(self, request: Any) -> Any:
        self._check_project(request.name)
        matches = parse_filter(request.filter).matches
        found = [
            descriptor_of(known, self._project)
            for known in resource_types().values()
            if matches(_Described(resource_type=known.name, resource_labels=dict.fromkeys(known.labels, "")))
        ]
        page, token = page_of(found, request.page_size, request.page_token, len(found) + 1)
        return _ListResourceDescriptorsResponse(resource_descriptors=page, next_page_token=token)

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record; it was valid when it was written."""
        if self._writer.restore(kind, record):
            return
        if kind == _DESCRIPTOR:
            self._store.put_descriptor(metric_pb2.MetricDescriptor.FromString(record))
        elif kind == _DELETED:
            self._store.delete_descriptor(record.decode())
        else:
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")

    def settle(self) -> None:
        """The journal has been read."""
        self._writer.settle()

    def sweep(self) -> None:
        """Let go of points that are too old, or too many for this machine."""
        swept = self.retention.sweep(self._context.clock.now(), self._context.switches.point_bytes_kept)
        if swept.dropped:
            self._context.journal.forget(POINTS, swept.before)

    @property
    def _project(self) -> str:
        return f"projects/{self._context.project_id}"

    def _check_project(self, name: str) -> None:
        if not name:
            raise missing_field("name")
        require_project(name, self._context.project_id, self._context.project_number)

    def _user_descriptors(self) -> int:
        return sum(descriptor.type.startswith(USER_DOMAINS) for descriptor in self._store.descriptors())

    def _is_active(self, metric_type: str) -> bool:
        oldest = self._context.clock.now() - _ACTIVE
        return any(series.last_end > oldest for series in self._store.series(metric_type))
