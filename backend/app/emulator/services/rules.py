"""What ServiceMonitoringService refuses (google/monitoring/v3/service.proto and its comments)."""

import math
import re
from collections.abc import Mapping

from ..alerting.limits import LONGEST_DISPLAY_NAME, check_user_labels, seconds
from ..clock import NANOS
from ..monitoring.filter import parse_filter
from ..status import ApiError, Code, invalid_field, missing_field
from .messages import CalendarPeriod, Raw
from .metrics import SeriesStore, described

# service_service.proto: `service_id` and `service_level_objective_id` of the create requests.
_ID = re.compile(r"[a-z0-9\-]+")
_SLO_ID = re.compile(r"[a-zA-Z0-9\-_:.]+")
_LONGEST_ID = 63
_DAY = 86_400
_LARGEST_GOAL = 0.9999
_LONGEST_ROLLING_DAYS = 30
_PERIODS = ("DAY", "WEEK", "FORTNIGHT", "MONTH")
_SHORTEST_WINDOW = 60

# The labels of BasicService by type (cloud.google.com/monitoring/api/ref_v3/rest/v3/services, BasicService).
BASIC_TYPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "APP_ENGINE": ("app_engine", ("module_id",)),
    "CLOUD_ENDPOINTS": ("cloud_endpoints", ("service",)),
    "CLUSTER_ISTIO": ("cluster_istio", ("location", "cluster_name", "service_namespace", "service_name")),
    "MESH_ISTIO": ("mesh_istio", ("mesh_uid", "service_namespace", "service_name")),
    "ISTIO_CANONICAL_SERVICE": (
        "istio_canonical_service", ("mesh_uid", "canonical_service_namespace", "canonical_service"),
    ),
    "CLOUD_RUN": ("cloud_run", ("service_name", "location")),
    "GKE_NAMESPACE": ("gke_namespace", ("location", "cluster_name", "namespace_name")),
    "GKE_WORKLOAD": (
        "gke_workload",
        ("location", "cluster_name", "namespace_name", "top_level_controller_type", "top_level_controller_name"),
    ),
    "GKE_SERVICE": ("gke_service", ("location", "cluster_name", "namespace_name", "service_name")),
}  # fmt: skip
_COUNTED_KINDS = frozenset({"DELTA", "CUMULATIVE"})
_NUMBERS = frozenset({"INT64", "DOUBLE"})


def check_id(identifier: str, field: str, *, slo: bool = False) -> None:
    pattern = _SLO_ID if slo else _ID
    if len(identifier) > _LONGEST_ID or not pattern.fullmatch(identifier):
        raise invalid_field(
            field, f"must match {pattern.pattern} and have at most {_LONGEST_ID} characters.", identifier
        )


def check_service(service: Raw) -> None:
    path = "service"
    if len(service.display_name) > LONGEST_DISPLAY_NAME:
        raise invalid_field(f"{path}.display_name", f"must not exceed {LONGEST_DISPLAY_NAME} Unicode characters.")
    check_user_labels(service.user_labels, f"{path}.user_labels")
    kind = service.WhichOneof("identifier")
    if kind is None and not service.HasField("basic_service"):
        raise missing_field(f"{path}.identifier")
    if service.HasField("basic_service"):
        basic = service.basic_service
        if basic.service_type not in BASIC_TYPES:
            raise invalid_field(
                f"{path}.basic_service.service_type", f"must be one of {', '.join(BASIC_TYPES)}.", basic.service_type
            )
        wanted = BASIC_TYPES[basic.service_type][1]
        for key in wanted:
            if not basic.service_labels.get(key):
                raise missing_field(f"{path}.basic_service.service_labels[{key}]")
        for key in basic.service_labels:
            if key not in (*wanted, "project_id"):
                raise invalid_field(
                    f"{path}.basic_service.service_labels", f"{basic.service_type} has no such label.", key
                )


def check_slo(slo: Raw, service: Raw, store: SeriesStore) -> None:
    """Raise the ApiError that the API would answer."""
    path = "service_level_objective"
    if len(slo.display_name) > LONGEST_DISPLAY_NAME:
        raise invalid_field(f"{path}.display_name", f"must not exceed {LONGEST_DISPLAY_NAME} Unicode characters.")
    check_user_labels(slo.user_labels, f"{path}.user_labels")
    if not 0 < slo.goal <= _LARGEST_GOAL:
        raise invalid_field(f"{path}.goal", "must be greater than 0 and at most 0.9999.", f"{slo.goal:g}")
    match slo.WhichOneof("period"):
        case None:
            raise missing_field(f"{path}.period")
        case "rolling_period":
            length = seconds(slo.rolling_period)
            if length % _DAY or not _DAY <= length <= _LONGEST_ROLLING_DAYS * _DAY:
                why = "must be an integer multiple of 1 day, at least 1 day and at most 30 days."
                raise invalid_field(f"{path}.rolling_period", why, f"{length:g}s")
        case _:
            name = CalendarPeriod.Name(slo.calendar_period) if slo.calendar_period in CalendarPeriod.values() else ""
            if name not in _PERIODS:
                why = f"must be one of {', '.join(_PERIODS)}."
                raise invalid_field(f"{path}.calendar_period", why, name or slo.calendar_period)
    _indicator(slo.service_level_indicator, f"{path}.service_level_indicator", service, store)


def _indicator(sli: Raw, path: str, service: Raw, store: SeriesStore) -> None:
    match sli.WhichOneof("type"):
        case "basic_sli":
            _basic(sli.basic_sli, f"{path}.basic_sli", service)
        case "request_based":
            _request_based(sli.request_based, f"{path}.request_based", store)
        case "windows_based":
            _windows_based(sli.windows_based, f"{path}.windows_based", service, store)
        case _:
            raise missing_field(f"{path}.type")


def _basic(sli: Raw, path: str, service: Raw) -> None:
    kind = identifier_of(service)
    if kind in {"custom", "gke_namespace", "gke_workload", "gke_service"}:
        # chainguard-dev/terraform-infra-common#1180, GoogleCloudPlatform/cloud-ops-sandbox#976
        raise invalid_field(path, f"a basic SLI needs a service of a known type; {kind} services have none.")
    criteria = sli.WhichOneof("sli_criteria")
    if criteria is None:
        raise missing_field(f"{path}.sli_criteria")
    if criteria == "latency" and seconds(sli.latency.threshold) <= 0:
        raise invalid_field(f"{path}.latency.threshold", "must be a positive duration.")
    if sli.method and kind == "cloud_run":
        raise invalid_field(f"{path}.method", "Cloud Run services do not support method.")


def _request_based(sli: Raw, path: str, store: SeriesStore) -> None:
    match sli.WhichOneof("method"):
        case "good_total_ratio":
            ratio, path = sli.good_total_ratio, f"{path}.good_total_ratio"
            names = ("good_service_filter", "bad_service_filter", "total_service_filter")
            given = [name for name in names if getattr(ratio, name)]
            if len(given) != 2:  # noqa: PLR2004  # "exactly two" (service.proto, TimeSeriesRatio)
                why = "exactly two of good_service_filter, bad_service_filter and total_service_filter must be set."
                raise invalid_field(path, why)
            for name in given:
                _filter(getattr(ratio, name), f"{path}.{name}", store, kinds=_COUNTED_KINDS, types=_NUMBERS)
        case "distribution_cut":
            cut, path = sli.distribution_cut, f"{path}.distribution_cut"
            _filter(
                cut.distribution_filter, f"{path}.distribution_filter", store,
                kinds=_COUNTED_KINDS, types=frozenset({"DISTRIBUTION"}),
            )  # fmt: skip
            _range(cut.range_, f"{path}.range")
        case _:
            raise missing_field(f"{path}.method")


def _windows_based(sli: Raw, path: str, service: Raw, store: SeriesStore) -> None:
    period = sli.window_period.ToNanoseconds()
    if period < _SHORTEST_WINDOW * NANOS or (_DAY * NANOS) % period:
        why = "must be an integer fraction of a day and at least 60s."
        raise invalid_field(f"{path}.window_period", why, f"{seconds(sli.window_period):g}s")
    match sli.WhichOneof("window_criterion"):
        case "good_bad_metric_filter":
            _filter(
                sli.good_bad_metric_filter, f"{path}.good_bad_metric_filter", store,
                kinds=frozenset({"GAUGE"}), types=frozenset({"BOOL"}),
            )  # fmt: skip
        case "good_total_ratio_threshold":
            ratio, path = sli.good_total_ratio_threshold, f"{path}.good_total_ratio_threshold"
            if not 0 <= ratio.threshold <= 1:
                raise invalid_field(f"{path}.threshold", "must be between 0 and 1.", f"{ratio.threshold:g}")
            match ratio.WhichOneof("type"):
                case "performance":
                    _request_based(ratio.performance, f"{path}.performance", store)
                case "basic_sli_performance":
                    _basic(ratio.basic_sli_performance, f"{path}.basic_sli_performance", service)
                case _:
                    raise missing_field(f"{path}.type")
        case "metric_mean_in_range":
            _metric_range(sli.metric_mean_in_range, f"{path}.metric_mean_in_range", store)
        case "metric_sum_in_range":
            _metric_range(sli.metric_sum_in_range, f"{path}.metric_sum_in_range", store)
        case _:
            raise missing_field(f"{path}.window_criterion")


def _metric_range(criterion: Raw, path: str, store: SeriesStore) -> None:
    _filter(criterion.time_series, f"{path}.time_series", store, kinds=_COUNTED_KINDS | {"GAUGE"}, types=_NUMBERS)
    _range(criterion.range_, f"{path}.range")


def _range(range_: Raw, path: str) -> None:
    if range_.max_ and range_.max_ <= range_.min_:
        raise invalid_field(path, f"min ({range_.min_:g}) must be less than max ({range_.max_:g}).")
    if math.isnan(range_.min_) or math.isnan(range_.max_):
        raise invalid_field(path, "must not be NaN.")


def _filter(text: str, path: str, store: SeriesStore, *, kinds: frozenset[str], types: frozenset[str]) -> None:
    """A filter that reads, and whose metric, where it is known, has a kind and a value type that fit."""
    if not text:
        raise missing_field(path)
    try:
        parsed = parse_filter(text)
    except ApiError as error:
        # What the emulator does not answer yet may well be right.
        if error.code != Code.UNIMPLEMENTED:
            raise invalid_field(path, error.message.partition(": ")[2] or error.message, text) from error
        return
    if not parsed.metric_types:
        raise invalid_field(path, 'must specify a restriction on "metric.type" in the filter.', text)
    for kind, value_type in described(store, parsed.metric_types):
        if kind not in kinds or value_type not in types:
            why = (
                f"the metric must be of kind {' or '.join(sorted(kinds))} and value type {' or '.join(sorted(types))}, "
                f"not {kind} and {value_type}."
            )
            raise invalid_field(path, why, text)


def identifier_of(service: Raw) -> str:
    """Which kind of service it is, whichever way it was told."""
    if service.HasField("basic_service"):
        return BASIC_TYPES[service.basic_service.service_type][0]
    kind: str = service.WhichOneof("identifier")
    return kind


def labels_of(service: Raw) -> dict[str, str]:
    """What tells the service from others of its kind."""
    if service.HasField("basic_service"):
        return dict(service.basic_service.service_labels)
    body = getattr(service, service.WhichOneof("identifier"))
    return {field.name: getattr(body, field.name) for field in body.DESCRIPTOR.fields if getattr(body, field.name)}
