"""One condition at one moment: which series violate it."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from ..clock import NANOS
from ..promql.evaluate import instant
from ..promql.model import QueryError, SampleSource
from .limits import seconds
from .messages import Raw

# google/monitoring/v3/alert.proto: "Its default value is 30 seconds."
DEFAULT_INTERVAL_SECONDS = 30.0
PROMQL = "condition_prometheus_query_language"
_NAME = "__name__"
_TEMPLATE = re.compile(
    r"\{\{\s*(?:\$(?P<value>value)|\$labels\.(?P<label>\w+))\s*\}\}"  # as in Prometheus's rule files
    r"|\$\{(?P<variable>\w+)\}"  # as in the comment on PrometheusQueryLanguageCondition.labels
)


class EvaluationError(Exception):
    """The condition could not be evaluated now; the message is for the policy's owner."""


class Violation(NamedTuple):
    """One series of the result of a condition's query."""

    labels: dict[str, str]
    value: float


def interval_of(condition: Raw) -> float:
    """Seconds between two evaluations."""
    body = condition.condition_prometheus_query_language
    return seconds(body.evaluation_interval) if body.HasField("evaluation_interval") else DEFAULT_INTERVAL_SECONDS


def duration_of(condition: Raw) -> int:
    """Nanoseconds for which a series must violate without a break before it fires."""
    return round(seconds(condition.condition_prometheus_query_language.duration) * NANOS)


def violations(condition: Raw, source: SampleSource, at: int) -> list[Violation]:
    """The series that a PromQL condition's query answers at `at` (ns): each is a violation.

    Raises:
        EvaluationError: The query failed, or two of its series are one after the condition's labels were added.
    """
    body = condition.condition_prometheus_query_language
    try:
        result = instant(body.query, source, at // 1_000_000)
    except QueryError as error:
        raise EvaluationError(str(error)) from error
    if result.kind not in {"vector", "scalar"}:
        raise EvaluationError(f"the query answers a {result.kind}; an alert needs a vector")
    found: dict[frozenset[tuple[str, str]], Violation] = {}
    for labels, value, _ in result.samples:
        added = {key: fill(template, labels, value) for key, template in body.labels.items()}
        combined = {key: text for key, text in (labels | added).items() if key != _NAME and text}
        # prometheus/prometheus rules/alerting.go refuses this too, in these words.
        if frozenset(combined.items()) in found:
            raise EvaluationError("vector contains metrics with the same labelset after applying alert labels")
        found[frozenset(combined.items())] = Violation(combined, value)
    return list(found.values())


def fill(template: str, labels: Mapping[str, str], value: float) -> str:
    """Replace `{{$value}}`, `{{$labels.x}}`, `${value}` and `${x}`; a label that is absent is empty."""

    def replace(match: re.Match[str]) -> str:
        if match["value"] or match["variable"] == "value":
            return f"{value:g}"
        return labels.get(match["label"] or match["variable"], "")

    return _TEMPLATE.sub(replace, template)
