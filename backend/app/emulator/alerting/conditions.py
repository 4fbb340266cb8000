"""The kinds of conditions: how often each is evaluated, what it needs, what it sees at one moment."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..clock import NANOS
from ..project import Switches
from ..promql.evaluate import instant
from ..promql.model import QueryError, SampleSource
from .incidents import split_labels
from .limits import seconds
from .messages import AlertPolicy, Raw
from .observed import EvaluationError, Observed
from .selection import MetricSource
from .threshold import last_seen, observe_absence, observe_threshold
from .tracks import Missing

PROMQL = "condition_prometheus_query_language"
THRESHOLD = "condition_threshold"
ABSENT = "condition_absent"
LOG = "condition_matched_log"
EVALUATED = frozenset({PROMQL, THRESHOLD, ABSENT, LOG})
NOT_EVALUATED = {
    "condition_monitoring_query_language": "Monitoring Query Language (conditionMonitoringQueryLanguage)",
    "condition_sql": "SQL (conditionSql)",
}

# google/monitoring/v3/alert.proto: "Its default value is 30 seconds."
_PROMQL_SECONDS = 30.0
# "At 1:01 PM, the alignment period slides one minute" (cloud.google.com/monitoring/alerts/concepts-indepth).
_METRIC_SECONDS = 60.0
_MISSING_DATA: Mapping[int, Missing] = {
    AlertPolicy.Condition.EvaluationMissingData.Value("EVALUATION_MISSING_DATA_INACTIVE"): "inactive",
    AlertPolicy.Condition.EvaluationMissingData.Value("EVALUATION_MISSING_DATA_ACTIVE"): "active",
}
_NAME = "__name__"
_TEMPLATE = re.compile(
    r"\{\{\s*(?:\$(?P<value>value)|\$labels\.(?P<label>\w+))\s*\}\}"  # as in Prometheus's rule files
    r"|\$\{(?P<variable>\w+)\}"  # as in the comment on PrometheusQueryLanguageCondition.labels
)


class Sources(NamedTuple):
    """What conditions read."""

    samples: SampleSource
    metrics: MetricSource
    switches: Switches
    project_id: str


def kind_of(condition: Raw) -> str:
    """The field that holds the condition."""
    kind: str = condition.WhichOneof("condition")
    return kind


def interval_of(condition: Raw) -> float:
    """Seconds between two evaluations; 0 for logs, which are looked at whenever they arrive."""
    kind = kind_of(condition)
    if kind == LOG:
        return 0.0
    body = getattr(condition, kind)
    if kind != PROMQL:
        return _METRIC_SECONDS
    return seconds(body.evaluation_interval) if body.HasField("evaluation_interval") else _PROMQL_SECONDS


def duration_of(condition: Raw) -> int:
    """Nanoseconds for which a series must violate without a break before it fires."""
    kind = kind_of(condition)
    return 0 if kind == LOG else round(seconds(getattr(condition, kind).duration) * NANOS)


def missing_of(condition: Raw) -> Missing:
    kind = kind_of(condition)
    if kind == THRESHOLD:
        return _MISSING_DATA.get(condition.condition_threshold.evaluation_missing_data, "keep")
    return "absent" if kind == ABSENT else "ends"


def trigger_of(condition: Raw) -> tuple[int, float]:
    """How many series, or what percentage of them, must violate."""
    kind = kind_of(condition)
    if kind not in {THRESHOLD, ABSENT}:
        return 1, 0.0
    trigger = getattr(condition, kind).trigger
    return trigger.count, trigger.percent


def threshold_of(condition: Raw) -> float | None:
    """The value compared with; None where the condition names none."""
    return condition.condition_threshold.threshold_value if kind_of(condition) == THRESHOLD else None


def observe(condition: Raw, sources: Sources, at: int) -> list[Observed]:
    """The series of a metric condition that have data at `at` (ns).

    Raises:
        EvaluationError: The condition could not be evaluated.
    """
    kind = kind_of(condition)
    if kind == PROMQL:
        return violations(condition, sources, at)
    at -= round(sources.switches.alert_delay_seconds * NANOS)
    if kind == THRESHOLD:
        return observe_threshold(condition.condition_threshold, sources.metrics, at, sources.switches)
    return observe_absence(condition.condition_absent, sources.metrics, at)


def known_before(condition: Raw, sources: Sources, since: int, at: int) -> list[tuple[Observed, int]]:
    """The series that a threshold or absence condition could have seen in (since, at], with their last data's time."""
    return last_seen(getattr(condition, kind_of(condition)), sources.metrics, since, at)


def violations(condition: Raw, sources: Sources, at: int) -> list[Observed]:
    """The series that a PromQL condition's query answers: each is a violation.

    Raises:
        EvaluationError: The query failed, or two of its series are one after the condition's labels were added.
    """
    body = condition.condition_prometheus_query_language
    try:
        result = instant(body.query, sources.samples, at // 1_000_000)
    except QueryError as error:
        raise EvaluationError(str(error)) from error
    if result.kind not in {"vector", "scalar"}:
        raise EvaluationError(f"the query answers a {result.kind}; an alert needs a vector")
    return violating(body, ((labels, value) for labels, value, _ in result.samples), sources.project_id)


def violating(body: Raw, samples: Iterable[tuple[Mapping[str, str], float]], project_id: str) -> list[Observed]:
    """What a PromQL condition makes of the series that its query answers at one moment.

    Raises:
        EvaluationError: Two of the series are one after the condition's labels were added.
    """
    found: dict[frozenset[tuple[str, str]], Observed] = {}
    for labels, value in samples:
        added = {key: fill(template, labels, value) for key, template in body.labels.items()}
        combined = {key: text for key, text in {**labels, **added}.items() if key != _NAME and text}
        # prometheus/prometheus rules/alerting.go refuses this too, in these words.
        if frozenset(combined.items()) in found:
            raise EvaluationError("vector contains metrics with the same labelset after applying alert labels")
        resource_type, resource_labels, metric_labels = split_labels(combined, project_id)
        found[frozenset(combined.items())] = Observed(
            combined,
            value,
            violates=True,
            metric_type="",
            resource_type=resource_type,
            resource_labels=resource_labels,
            metric_labels=metric_labels,
        )
    return list(found.values())


def fill(template: str, labels: Mapping[str, str], value: float) -> str:
    """Replace `{{$value}}`, `{{$labels.x}}`, `${value}` and `${x}`; a label that is absent is empty."""

    def replace(match: re.Match[str]) -> str:
        if match["value"] or match["variable"] == "value":
            return f"{value:g}"
        return labels.get(match["label"] or match["variable"], "")

    return _TEMPLATE.sub(replace, template)
