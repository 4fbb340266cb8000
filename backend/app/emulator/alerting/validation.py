"""What Cloud Monitoring refuses in an alert policy.

The rules are those of google/monitoring/v3/alert.proto and its comments; a text that an issue shows names the issue.
Fields are named as the API names them: `alert_policy.conditions[0].condition_threshold.filter`.
"""

import re
from collections.abc import Callable

from ..monitoring.aggregate import check_aggregation
from ..monitoring.filter import parse_filter
from ..monitoring.model import KINDS, VALUE_TYPES
from ..promql.model import QueryError
from ..services.selectors import is_selector, parse_selector
from ..status import ApiError, Code, invalid, invalid_field, missing_field, not_found
from .limits import check_display_name, check_user_labels, seconds
from .log_match import compiled
from .messages import Raw
from .metric_names import KnownMetrics, metric_types, promql_metrics
from .observed import EvaluationError, metadata_as_resource_labels
from .strategy_rules import check_strategy, check_strategy_bounds

_MOST_CONDITIONS = 6
# docs.cloud.google.com/monitoring/quotas, "Number of notification channels per alerting policy".
_MOST_CHANNELS = 16
_MINUTE = 60
_LONGEST_FILTER = 2048
_LONGEST_ALIGNMENT = 90_000
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")
_CHANNEL = re.compile(r"projects/[^/]+/notificationChannels/[^/]+")
_RESOURCE_TYPE = re.compile(r"\bresource\.type\b|\bresource_type\b")
# Each of these must be the only condition of its policy.
_ALONE = {
    "condition_matched_log",
    "condition_prometheus_query_language",
    "condition_monitoring_query_language",
    "condition_sql",
}


def check_policy(
    policy: Raw,
    known: KnownMetrics | None,
    channel_exists: Callable[[str], bool] | None,
    *,
    strategy_bounds: bool = False,
) -> None:
    """Raise the ApiError that the API would answer; what `known` and `channel_exists` tell is checked if given."""
    if strategy_bounds:
        check_strategy_bounds(policy.alert_strategy, "alert_policy.alert_strategy")
    check_display_name(policy.display_name, "alert_policy.display_name")
    check_user_labels(policy.user_labels, "alert_policy.user_labels")
    _documentation(policy.documentation)
    _enum(policy, "combiner", "alert_policy.combiner")
    _enum(policy, "severity", "alert_policy.severity")
    count = len(policy.conditions)
    if not 1 <= count <= _MOST_CONDITIONS:
        raise invalid_field(
            "alert_policy.conditions", f"a policy can have from one to six conditions, this one has {count}."
        )
    kinds = [condition.WhichOneof("condition") for condition in policy.conditions]
    for kind in kinds:
        if kind in _ALONE and count > 1:
            raise invalid_field("alert_policy.conditions", f"a policy with {kind} must have exactly one condition.")
    check_strategy(policy, log_match=kinds == ["condition_matched_log"])
    for index, condition in enumerate(policy.conditions):
        _condition(condition, f"alert_policy.conditions[{index}]")
    _channels(policy, channel_exists)
    if known is not None:
        check_metrics(policy, known)


def check_metrics(policy: Raw, known: KnownMetrics) -> None:
    """Refuse metrics that nobody has written, unless the condition says that this is meant."""
    for index, condition in enumerate(policy.conditions):
        _metrics_exist(condition, f"alert_policy.conditions[{index}]", known)


def _enum(message: Raw, name: str, path: str) -> None:
    number = getattr(message, name)
    if number not in message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number:
        raise invalid_field(path, "is not a value of its enumeration.", number)


def _documentation(documentation: Raw) -> None:
    path = "alert_policy.documentation"
    if len(documentation.content) > 8192 or len(documentation.content.encode()) > 10_240:  # noqa: PLR2004  # alert.proto
        raise invalid_field(f"{path}.content", "must not exceed 8192 characters and 10240 bytes.")
    if len(documentation.subject.encode()) > 10_240:  # noqa: PLR2004  # alert.proto
        raise invalid_field(f"{path}.subject", "must not exceed 10240 bytes.")
    if documentation.mime_type not in {"", "text/markdown"}:
        raise invalid_field(f"{path}.mime_type", 'only "text/markdown" is supported.', documentation.mime_type)
    if len(documentation.links) > 3:  # noqa: PLR2004  # alert.proto
        raise invalid_field(f"{path}.links", f"can contain up to 3 entries, not {len(documentation.links)}.")
    for index, link in enumerate(documentation.links):
        if not 1 <= len(link.display_name) <= 63:  # noqa: PLR2004  # alert.proto
            raise invalid_field(
                f"{path}.links[{index}].display_name", "must have 1 to 63 characters.", link.display_name
            )
        if len(link.url) > 2083:  # noqa: PLR2004  # alert.proto
            raise invalid_field(f"{path}.links[{index}].url", "must not exceed 2083 characters.")


def _channels(policy: Raw, exists: Callable[[str], bool] | None) -> None:
    listed = set(policy.notification_channels)
    if len(policy.notification_channels) > _MOST_CHANNELS:
        why = f"a policy can have up to {_MOST_CHANNELS} channels, not {len(policy.notification_channels)}."
        raise invalid_field("alert_policy.notification_channels", why)
    for index, name in enumerate(policy.notification_channels):
        path = f"alert_policy.notification_channels[{index}]"
        if not _CHANNEL.fullmatch(name):
            raise invalid_field(path, "must have the form projects/<project>/notificationChannels/<channel id>.", name)
        if exists is not None and not exists(name):
            raise not_found(f"Could not find notification channel {name}.")
    for index, strategy in enumerate(policy.alert_strategy.notification_channel_strategy):
        for name in strategy.notification_channel_names:
            if name not in listed:
                raise invalid_field(
                    f"alert_policy.alert_strategy.notification_channel_strategy[{index}].notification_channel_names",
                    "must be one of the policy's notification_channels.",
                    name,
                )


def _condition(condition: Raw, path: str) -> None:
    kind = condition.WhichOneof("condition")
    if kind is None:
        raise missing_field(f"{path}.condition")
    check_display_name(condition.display_name, f"{path}.display_name")
    body, path = getattr(condition, kind), f"{path}.{kind}"
    match kind:
        case "condition_threshold":
            _threshold(body, path)
        case "condition_absent":
            _absent(body, path)
        case "condition_matched_log":
            _log_match(body, path)
        case "condition_prometheus_query_language":
            _promql(body, path)
        case "condition_monitoring_query_language":
            if not body.query:
                raise missing_field(f"{path}.query")
            _minutes(body.duration, f"{path}.duration")
        case _:
            _sql(body, path)


def _threshold(body: Raw, path: str) -> None:
    _filter(body.filter, f"{path}.filter")
    if body.denominator_filter:
        _filter(body.denominator_filter, f"{path}.denominator_filter")
    _aggregations(body.aggregations, f"{path}.aggregations")
    _aggregations(body.denominator_aggregations, f"{path}.denominator_aggregations")
    if body.denominator_filter:
        periods = {a.alignment_period.seconds for a in [*body.aggregations, *body.denominator_aggregations]}
        if len(periods) > 1:
            raise invalid_field(
                f"{path}.denominator_aggregations", "must have the same alignment period as the numerator."
            )
        grouped = [
            set(side[-1].group_by_fields) if side else set()
            for side in (body.aggregations, body.denominator_aggregations)
        ]
        reduced = [
            bool(side and side[-1].cross_series_reducer) for side in (body.aggregations, body.denominator_aggregations)
        ]
        if grouped[0] != grouped[1] or reduced[0] != reduced[1]:
            # "must produce time series that have the same periodicity and labels" (alert.proto).
            raise invalid_field(f"{path}.denominator_aggregations", "must leave the same labels as the numerator's.")
    comparison = body.DESCRIPTOR.fields_by_name["comparison"].enum_type.values_by_number.get(body.comparison)
    if comparison is None or comparison.name not in {"COMPARISON_GT", "COMPARISON_LT"}:
        shown = body.comparison if comparison is None else comparison.name
        raise invalid_field(f"{path}.comparison", "only COMPARISON_LT and COMPARISON_GT are supported.", shown)
    _minutes(body.duration, f"{path}.duration")
    missing = body.DESCRIPTOR.fields_by_name["evaluation_missing_data"].enum_type.values_by_number.get(
        body.evaluation_missing_data
    )
    if missing is None or (missing.number and seconds(body.duration) == 0):
        # hashicorp/terraform-provider-google#16892
        raise invalid_field(
            f"{path}.evaluation_missing_data",
            "Conditions setting evaluation_missing_data must have a non-zero duration.",
            body.evaluation_missing_data if missing is None else missing.name,
        )
    if body.HasField("forecast_options"):
        horizon = seconds(body.forecast_options.forecast_horizon)
        if not 3600 <= horizon <= 216_000:  # noqa: PLR2004  # 1 h to 60 h, alert.proto
            raise invalid_field(
                f"{path}.forecast_options.forecast_horizon", "must be between 1 and 60 hours.", f"{horizon:g}s"
            )
    _trigger(body.trigger, f"{path}.trigger")


def _absent(body: Raw, path: str) -> None:
    _filter(body.filter, f"{path}.filter")
    _aggregations(body.aggregations, f"{path}.aggregations")
    _minutes(body.duration, f"{path}.duration")
    if body.duration.seconds < 2 * _MINUTE:
        raise invalid_field(f"{path}.duration", "the minimum is 120 seconds.", f"{body.duration.seconds}s")
    _trigger(body.trigger, f"{path}.trigger")


def _trigger(trigger: Raw, path: str) -> None:
    if trigger.count < 0:
        raise invalid_field(f"{path}.count", "must not be negative.", trigger.count)
    if not 0 <= trigger.percent <= 100:  # noqa: PLR2004  # a percentage
        raise invalid_field(f"{path}.percent", "must be between 0 and 100.", trigger.percent)


def _log_match(body: Raw, path: str) -> None:
    if not body.filter:
        raise missing_field(f"{path}.filter")
    try:
        compiled(body)
    except EvaluationError as error:
        raise invalid_field(path, f"{error}.") from error


def _filter(text: str, path: str) -> None:
    if not text:
        raise missing_field(path)
    if len(text) > _LONGEST_FILTER:
        raise invalid_field(path, f"must not exceed {_LONGEST_FILTER} Unicode characters.")
    if is_selector(text):
        parse_selector(text, path)
        return
    if not metric_types(text):
        raise invalid_field(path, 'must specify a restriction on "metric.type" in the filter.', text)
    if not _RESOURCE_TYPE.search(text):
        # hashicorp/terraform-provider-google#4165
        raise invalid_field(
            path,
            'must specify a restriction on "resource.type" in the filter; see '
            '"https://cloud.google.com/monitoring/api/resources" for a list of available resource types.',
            text,
        )

    try:
        parse_filter(metadata_as_resource_labels(text))
    except ApiError as error:
        # What the emulator does not answer yet may well be right; it is told when the policy is evaluated.
        if error.code != Code.UNIMPLEMENTED:
            raise invalid_field(path, error.message.partition(": ")[2] or error.message, text) from error


def _aggregations(aggregations: Raw, path: str) -> None:
    for index, aggregation in enumerate(aggregations):
        period = seconds(aggregation.alignment_period)
        if aggregation.per_series_aligner and not _MINUTE <= period <= _LONGEST_ALIGNMENT:
            raise invalid_field(
                f"{path}[{index}].alignment_period", "must be between 60 and 90000 seconds.", f"{period:g}s"
            )
        if aggregation.cross_series_reducer and not aggregation.per_series_aligner:
            raise invalid_field(
                f"{path}[{index}].per_series_aligner",
                "must be specified and not ALIGN_NONE when a cross_series_reducer is.",
            )


def _minutes(duration: Raw, path: str) -> None:
    if duration.seconds < 0 or duration.nanos < 0 or duration.seconds % _MINUTE:
        raise invalid_field(path, "must be a multiple of one minute.", f"{duration.seconds}s")


def _promql(body: Raw, path: str) -> None:
    if not body.query.strip():
        raise missing_field(f"{path}.query")
    try:
        promql_metrics(body.query)
    except QueryError as error:
        raise invalid_field(f"{path}.query", f"cannot be parsed as PromQL: {error}", body.query) from error
    if seconds(body.duration) < 0:
        raise invalid_field(f"{path}.duration", "must be a non-negative duration.", f"{seconds(body.duration):g}s")
    interval = seconds(body.evaluation_interval)
    if body.HasField("evaluation_interval") and (interval <= 0 or interval % 30):
        raise invalid_field(
            f"{path}.evaluation_interval", "must be a positive multiple of 30 seconds.", f"{interval:g}s"
        )
    for key in body.labels:
        if not _LABEL_NAME.fullmatch(key):
            raise invalid_field(f"{path}.labels", "must have valid Prometheus label names.", key)
    if body.alert_rule and not _LABEL_NAME.fullmatch(body.alert_rule):
        raise invalid_field(f"{path}.alert_rule", "must be a valid Prometheus label name.", body.alert_rule)
    for name in ("rule_group", "alert_rule"):
        if len(getattr(body, name)) > 2048:  # noqa: PLR2004  # alert.proto
            raise invalid_field(f"{path}.{name}", "must not exceed 2048 Unicode characters.")


def _sql(body: Raw, path: str) -> None:
    if not body.query:
        raise missing_field(f"{path}.query")
    schedule, test = body.WhichOneof("schedule"), body.WhichOneof("evaluate")
    if schedule is None:
        raise missing_field(f"{path}.schedule")
    if test is None:
        raise missing_field(f"{path}.evaluate")
    low, high = {"minutes": (5, 1440), "hourly": (1, 48), "daily": (1, 31)}[schedule]
    periodicity = getattr(body, schedule).periodicity
    if not low <= periodicity <= high:
        raise invalid_field(f"{path}.{schedule}.periodicity", f"must be between {low} and {high}.", periodicity)


def _metrics_exist(condition: Raw, path: str, known: KnownMetrics) -> None:
    if condition.HasField("condition_prometheus_query_language"):
        body = condition.condition_prometheus_query_language
        if body.disable_metric_validation:
            return
        for name in sorted(promql_metrics(body.query)):
            if not known.by_promql_name(name):
                raise invalid_field(
                    f"{path}.condition_prometheus_query_language.query",
                    f"the metric {name} does not exist; set disable_metric_validation to alert on it all the same.",
                    body.query,
                )
    for kind in ("condition_threshold", "condition_absent"):
        if condition.HasField(kind):
            body = getattr(condition, kind)
            _aggregations_fit(body.filter, body.aggregations, f"{path}.{kind}.aggregations", known)
            for metric_type in metric_types(getattr(condition, kind).filter):
                if not known.by_type(metric_type):
                    # hashicorp/terraform-provider-google#11102
                    raise not_found(
                        f'Cannot find metric(s) that match type = "{metric_type}". If a metric was created recently, '
                        "it could take up to 10 minutes to become available. Please try again soon."
                    )


def _aggregations_fit(filter_: str, aggregations: Raw, path: str, known: KnownMetrics) -> None:
    """Aligners and reducers against a metric that is known (google/monitoring/v3/common.proto)."""
    descriptors = [known.descriptor(metric_type) for metric_type in metric_types(filter_)]
    if len(descriptors) != 1 or descriptors[0] is None:
        return
    kind, value_type = KINDS.Name(descriptors[0].metric_kind), VALUE_TYPES.Name(descriptors[0].value_type)
    for index, aggregation in enumerate(aggregations):
        try:
            kind, value_type = check_aggregation(aggregation, kind, value_type, f"{path}[{index}]")
        except ApiError as error:
            if error.code == Code.UNIMPLEMENTED:
                return
            # Here the API names fields as the proto does.
            field, middle, why = error.message.partition(" had an invalid value")
            raise invalid(_CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", field) + middle + why) from error


def filters_of(condition: Raw) -> list[str]:
    """The filters that select the time series of a condition."""
    if condition.HasField("condition_threshold"):
        body = condition.condition_threshold
        return [text for text in (body.filter, body.denominator_filter) if text]
    return [condition.condition_absent.filter] if condition.HasField("condition_absent") else []


def check_new_policy(policy: Raw) -> None:
    """The server names what it creates (google/monitoring/v3/alert_service.proto, CreateAlertPolicyRequest)."""
    if policy.name:
        raise invalid_field("alert_policy.name", "must not be set on create.", policy.name)
    for index, condition in enumerate(policy.conditions):
        if condition.name:
            raise invalid_field(f"alert_policy.conditions[{index}].name", "must not be set on create.", condition.name)


def check_kept_conditions(policy: Raw, existing: Raw) -> None:
    """On update a condition either carries the name of an existing one or none."""
    names = {condition.name for condition in existing.conditions}
    seen: set[str] = set()
    for index, condition in enumerate(policy.conditions):
        if condition.name and condition.name not in names:
            raise invalid(
                f'Field alert_policy.conditions[{index}].name had an invalid value of "{condition.name}": '
                "the policy has no condition of that name."
            )
        if condition.name and condition.name in seen:
            raise invalid_field(f"alert_policy.conditions[{index}].name", "appears twice.", condition.name)
        seen.add(condition.name)
