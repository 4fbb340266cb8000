"""Metric descriptors: what a user may declare, and what changes when it is declared again."""

from urllib.parse import unquote

from google.api import label_pb2, metric_pb2

from ..status import ApiError, Code, invalid_field, not_found
from .model import KINDS, VALUE_TYPES
from .write_rules import Refused, check_kind_and_type, check_labels, check_type, label_limit

MAX_DESCRIPTORS = 10_000
_LABEL_TYPES = label_pb2.LabelDescriptor.ValueType
_TEXTS = ("unit", "description", "display_name", "launch_stage")


def check_descriptor(wanted: metric_pb2.MetricDescriptor) -> None:
    """Refuse what google/api/metric.proto or metric_service.proto does not allow.

    Raises:
        ApiError: INVALID_ARGUMENT. The sentence on workload labels is from
            GoogleCloudPlatform/opentelemetry-operations-java#159.
    """
    try:
        check_type(wanted.type)
        check_labels((label.key, "") for label in wanted.labels)
        _check_kind_and_type(wanted.metric_kind, wanted.value_type)
    except Refused as refused:
        field = (refused.field or "").replace(".metric.type", ".type").replace(".metric.labels", ".labels")
        raise invalid_field(f"metricDescriptor{field}", refused.reason, refused.value) from None
    keys = [label.key for label in wanted.labels]
    if len(set(keys)) != len(keys):
        raise invalid_field("metricDescriptor.labels", "Duplicate label key encountered")
    limit = label_limit(wanted.type)
    if len(keys) > limit:
        raise invalid_field("metricDescriptor.labels", f"A metric has at most {limit} labels, not {len(keys)}.")
    if wanted.type.startswith("workload.googleapis.com/"):
        for index, label in enumerate(wanted.labels):
            if label.value_type != _LABEL_TYPES.STRING:
                why = "Metric labels for this user-defined metric are required to be of type 'STRING': "
                why += "workload.googleapis.com"
                raise invalid_field(f"labels[{index}].valueType", why, _LABEL_TYPES.Name(label.value_type))


def _check_kind_and_type(kind: int, value_type: int) -> None:
    if not kind:
        raise Refused("The kind is required.", field=".metricKind", value="METRIC_KIND_UNSPECIFIED")
    if value_type in {VALUE_TYPES.VALUE_TYPE_UNSPECIFIED, VALUE_TYPES.MONEY}:
        why = "It must be BOOL, INT64, DOUBLE, STRING or DISTRIBUTION."
        raise Refused(why, field=".valueType", value=VALUE_TYPES.Name(value_type))
    if kind == KINDS.DELTA:
        raise Refused("User-defined metrics are GAUGE or CUMULATIVE.", field=".metricKind", value="DELTA")
    check_kind_and_type(kind, value_type)


def merged(stored: metric_pb2.MetricDescriptor, wanted: metric_pb2.MetricDescriptor) -> metric_pb2.MetricDescriptor:
    """A descriptor declared again: labels only grow, texts are replaced (CreateMetricDescriptor, metric_service.proto).

    Raises:
        ApiError: INVALID_ARGUMENT when kind or value type differ.
    """
    for field, kinds in (("metric_kind", KINDS), ("value_type", VALUE_TYPES)):
        old, new = getattr(stored, field), getattr(wanted, field)
        if old != new:
            camel = "metricKind" if field == "metric_kind" else "valueType"
            why = f"It cannot be changed from {kinds.Name(old)}; delete the metric first."
            raise invalid_field(f"metricDescriptor.{camel}", why, kinds.Name(new))
    answer = metric_pb2.MetricDescriptor()
    answer.CopyFrom(stored)
    for field in _TEXTS:
        setattr(answer, field, getattr(wanted, field))
    if wanted.HasField("metadata"):
        answer.metadata.CopyFrom(wanted.metadata)
    labels = {label.key: label for label in stored.labels} | {label.key: label for label in wanted.labels}
    del answer.labels[:]
    answer.labels.extend(labels.values())
    return answer


def type_in(name: str) -> str:
    """The metric type in `projects/P/metricDescriptors/TYPE`; its slashes may be percent-encoded.

    Raises:
        ApiError: INVALID_ARGUMENT for another name.
    """
    _, middle, metric_type = name.partition("/metricDescriptors/")
    if not middle or not metric_type:
        raise invalid_field("name", "It must be projects/<project id>/metricDescriptors/<metric type>.", name)
    return unquote(metric_type)


def unknown_descriptor(metric_type: str) -> ApiError:
    return not_found(f"Could not find descriptor for metric '{metric_type}'.")


def too_many_descriptors() -> ApiError:
    return ApiError(
        Code.RESOURCE_EXHAUSTED, f"A project has at most {MAX_DESCRIPTORS} user-defined metric descriptors."
    )
