"""Rules on alert policies, dashboards, uptime checks and objectives."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..alerting.conditions import LOG, PROMQL, THRESHOLD, interval_of, kind_of
from ..alerting.messages import Raw
from .finding import Level
from .queries import Reading, monitoring_filter, promql

# Ours: more is no dashboard any more, and slow to draw.
MOST_WIDGETS = 50
_SAMPLES_EVERY = 60.0
_LINK = re.compile(r"https?://")
_JSON_NAMES = {
    "condition_prometheus_query_language": "conditionPrometheusQueryLanguage",
    "condition_threshold": "conditionThreshold",
    "condition_absent": "conditionAbsent",
    "condition_matched_log": "conditionMatchedLog",
    "condition_monitoring_query_language": "conditionMonitoringQueryLanguage",
    "condition_sql": "conditionSql",
}

Tell = Callable[..., None]
"""tell(level, rule, field, message, inside=(text, position))"""


def policy(data: Mapping[str, Any], message: Raw, reading: Reading, tell: Tell) -> None:
    _described(data, tell)
    for index, condition in enumerate(message.conditions):
        kind = kind_of(condition)
        field = f"conditions[{index}].{_JSON_NAMES[kind]}"
        body = getattr(condition, kind)
        if kind == PROMQL:
            _promql(body, condition, field, reading, tell)
        elif kind == "condition_monitoring_query_language":
            tell("warning", "mql", f"{field}.query", "MQL is no longer offered for new policies: write PromQL")
        elif kind not in {LOG, "condition_sql"}:
            _metric_condition(body, kind, field, reading, tell)


def _described(data: Mapping[str, Any], tell: Tell) -> None:
    documentation = data.get("documentation") or {}
    content = str(documentation.get("content", ""))
    if not content:
        tell("warning", "no-documentation", "documentation.content", "is missing: what to do at three in the morning")
    if not documentation.get("subject"):
        tell("warning", "no-subject", "documentation.subject", "is missing: the line that a phone shows")
    if content and not _LINK.search(content) and not documentation.get("links"):
        tell("warning", "no-runbook", "documentation", "links no runbook")
    if not data.get("severity"):
        tell("warning", "no-severity", "severity", "is missing: CRITICAL, ERROR or WARNING")
    labels = data.get("userLabels") or {}
    for name in ("priority", "team"):
        if not labels.get(name):
            tell("warning", "no-user-label", f"userLabels.{name}", "is missing: routes choose channels by it")


def _promql(body: Raw, condition: Raw, field: str, reading: Reading, tell: Tell) -> None:
    query = f"{field}.query"
    promql(body.query, reading, lambda level, rule, message, at: tell(level, rule, query, message, (body.query, at)))
    interval = interval_of(condition)
    if interval < _SAMPLES_EVERY:
        given = body.HasField("evaluation_interval")
        what = f"{interval:g} s" if given else "is missing, which means 30 s"
        message = f"{what}: samples come every {_SAMPLES_EVERY:g} s, and each evaluation is paid for; write 60s"
        tell("warning", "evaluation-interval", f"{field}.evaluationInterval", message)
    if not body.disable_metric_validation:
        message = "is not true: the policy cannot be created before its metrics have been written"
        tell("warning", "metric-validation", f"{field}.disableMetricValidation", message)


def _metric_condition(body: Raw, kind: str, field: str, reading: Reading, tell: Tell) -> None:
    for name, text in (("filter", body.filter), ("denominatorFilter", getattr(body, "denominator_filter", ""))):
        if text:
            _filter(text, f"{field}.{name}", reading, tell)
    if kind == THRESHOLD and body.denominator_filter:
        message = "a ratio here cannot ask for enough traffic, so one failure of few alarms: write it in PromQL"
        tell("warning", "no-traffic-guard", f"{field}.denominatorFilter", message)


def _filter(text: str, field: str, reading: Reading, tell: Tell) -> None:
    monitoring_filter(text, reading, lambda level, rule, message, at: tell(level, rule, field, message, (text, at)))


def dashboard(data: Mapping[str, Any], reading: Reading, tell: Tell) -> None:
    widgets = list(_widgets(data))
    if len(widgets) > MOST_WIDGETS:
        tell("error", "too-many-widgets", "", f"{len(widgets)} widgets; at most {MOST_WIDGETS}")
    for path, value in _texts(data, ""):
        name = path.rpartition(".")[2]
        if name == "prometheusQuery":
            promql(value, reading, _teller(tell, path, value))
        elif name == "filter" and ".timeSeries" in path:
            _filter(value, path, reading, tell)
        elif name == "timeSeriesQueryLanguage":
            tell("warning", "mql", path, "MQL is no longer offered for new charts: write PromQL")


def _teller(tell: Tell, path: str, text: str) -> Callable[[Level, str, str, int], None]:
    return lambda level, rule, message, at: tell(level, rule, path, message, (text, at))


def _widgets(data: Any) -> Iterator[Any]:
    """Every widget; what a group holds counts with it."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "widget":
                yield value
            if key == "widgets" and isinstance(value, list):
                yield from value
            yield from _widgets(value)
    elif isinstance(data, list):
        for one in data:
            yield from _widgets(one)


def _texts(data: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, f"{path}[{index}]")
    elif isinstance(data, str):
        yield path, data


def uptime_check(data: Mapping[str, Any], tell: Tell) -> None:
    if not data.get("contentMatchers"):
        tell("warning", "no-content-matcher", "contentMatchers", "is missing: any page with status 200 passes")
    http = data.get("httpCheck") or {}
    if http and not http.get("useSsl"):
        tell("warning", "no-tls", "httpCheck.useSsl", "is not true")
    if http.get("useSsl") and not http.get("validateSsl"):
        tell("warning", "no-tls-validation", "httpCheck.validateSsl", "is not true: an expired certificate passes")


def slo(data: Mapping[str, Any], reading: Reading, tell: Tell) -> None:
    """An objective's filters; a log-based metric's are Cloud Logging's, which `load` reads already."""
    for path, value in _texts(data.get("serviceLevelIndicator", {}), "serviceLevelIndicator"):
        if path.endswith(("Filter", ".timeSeries")):
            _filter(value, path, reading, tell)
