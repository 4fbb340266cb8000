"""What MetricsServiceV2 refuses (google/logging/v2/logging_metrics.proto), and the descriptor a metric gets."""

import re
from typing import Any

from google.api import distribution_pb2, metric_pb2

from ..monitoring.model import KINDS, VALUE_TYPES
from ..monitoring.write_rules import Refused, check_buckets
from ..project import Context
from ..status import ApiError, invalid, missing_field
from .buckets import Buckets
from .config_rules import check_description, compiled, read_bucket_name
from .extract import label_extractor, number_extractor

PREFIX = "logging.googleapis.com/user/"

_NAME = re.compile(r"[A-Za-z0-9_\-.,+!*',()%/]{1,100}")
_LABEL_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_MOST_LABELS = 10  # docs.cloud.google.com/logging/quotas: labels in a user-defined log-based metric


def check_metric(metric: Any, context: Context, buckets: Buckets) -> None:
    """Refuse a log-based metric that logging_metrics.proto does not allow.

    Raises:
        ApiError: INVALID_ARGUMENT.
    """
    if not metric.name:
        raise missing_field("metric.name")
    if _NAME.fullmatch(metric.name) is None or metric.name.startswith("/"):
        raise invalid(
            f"Metric name '{metric.name}' must have 1 to 100 characters of A-Z, a-z, 0-9 and _-.,+!*',()%/, "
            "and must not begin with a slash."
        )
    if not metric.filter.strip():
        raise missing_field("metric.filter")
    check_description(metric.description)
    compiled(metric.filter)
    if metric.bucket_name:
        buckets.get(read_bucket_name(metric.bucket_name, context, "metric.bucket_name"))
    descriptor = metric.metric_descriptor
    if descriptor.metric_kind not in {KINDS.METRIC_KIND_UNSPECIFIED, KINDS.DELTA}:
        raise invalid(f"A log-based metric has the kind DELTA, not {KINDS.Name(descriptor.metric_kind)}.")
    _check_values(metric)
    _check_labels(metric)


def _check_values(metric: Any) -> None:
    value_type = metric.metric_descriptor.value_type
    if value_type not in {VALUE_TYPES.VALUE_TYPE_UNSPECIFIED, VALUE_TYPES.INT64, VALUE_TYPES.DISTRIBUTION}:
        raise invalid(
            f"A log-based metric has the value type INT64 or DISTRIBUTION, not {VALUE_TYPES.Name(value_type)}."
        )
    options = metric.bucket_options
    if value_type != VALUE_TYPES.DISTRIBUTION:
        if metric.value_extractor:
            raise invalid("A value_extractor needs a metric_descriptor with the value type DISTRIBUTION.")
        if options.WhichOneof("options"):
            raise invalid("bucket_options need a metric_descriptor with the value type DISTRIBUTION.")
        return
    if not metric.value_extractor:
        raise invalid("A metric with the value type DISTRIBUTION needs a value_extractor.")
    _extractor("value_extractor", number_extractor, metric.value_extractor)
    if not options.WhichOneof("options"):
        raise invalid("A metric with the value type DISTRIBUTION needs bucket_options.")
    try:
        check_buckets(distribution_pb2.Distribution(bucket_options=options))
    except Refused as refused:
        raise invalid(f"bucket_options are invalid: {refused.reason}") from None


def _check_labels(metric: Any) -> None:
    labels = {label.key: label for label in metric.metric_descriptor.labels}
    if len(labels) != len(metric.metric_descriptor.labels):
        raise invalid("The labels of metric_descriptor need different keys.")
    if len(labels) > _MOST_LABELS:
        raise invalid(f"A log-based metric has at most {_MOST_LABELS} labels, not {len(labels)}.")
    for key, label in labels.items():
        if _LABEL_KEY.fullmatch(key) is None:
            raise invalid(f"Label key '{key}' must begin with a letter and have letters, digits and underscores.")
        if key not in metric.label_extractors:
            raise invalid(f"Label '{key}' of metric_descriptor has no extractor in label_extractors.")
        _extractor(
            f"label_extractors['{key}']",
            lambda source, kind=label.value_type: label_extractor(source, kind),
            metric.label_extractors[key],
        )
    for key in metric.label_extractors:
        if key not in labels:
            raise invalid(f"label_extractors names '{key}', which is no label of metric_descriptor.")


def _extractor(field: str, build: Any, source: str) -> None:
    try:
        build(source)
    except ValueError as error:
        raise invalid(f"{field} is invalid: {error}") from None


def check_change(stored: Any, given: Any) -> None:
    """Refuse to change what is fixed after creation.

    Raises:
        ApiError: INVALID_ARGUMENT.
    """
    old, new = stored.metric_descriptor, given.metric_descriptor
    if (new.value_type or VALUE_TYPES.INT64) != old.value_type:
        raise invalid("The metric_kind and value_type of a metric_descriptor cannot be updated.")
    wanted = {label.key: label for label in new.labels}
    for label in old.labels:
        if label.key not in wanted or wanted[label.key].value_type != label.value_type:
            raise _frozen_label(label.key)


def _frozen_label(key: str) -> ApiError:
    return invalid(f"Label '{key}' exists: existing labels cannot be removed or modified except for their description.")


def describe(metric: Any, context: Context) -> metric_pb2.MetricDescriptor:
    """The descriptor of a metric: name, type and description are the server's."""
    descriptor = metric_pb2.MetricDescriptor()
    descriptor.CopyFrom(metric.metric_descriptor)
    descriptor.type = PREFIX + metric.name
    descriptor.name = f"projects/{context.project_id}/metricDescriptors/{descriptor.type}"
    descriptor.description = metric.description
    descriptor.metric_kind = KINDS.DELTA
    descriptor.value_type = descriptor.value_type or VALUE_TYPES.INT64
    descriptor.unit = descriptor.unit or "1"
    return descriptor
