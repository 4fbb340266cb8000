"""Rules on a metric catalogue (backend/app/core/metrics/catalogue.schema.json, and habits of Prometheus)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..definitions.errors import closest

_FIELDS = {"kind", "unit", "description", "across", "buckets", "labels", "recorded_by"}
_KINDS = ("counter", "gauge", "histogram")
_ACROSS = ("sum", "max", "min", "avg")
_RULES = {"values", "guard"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
# Without another limit the values of labels multiply; above this a metric costs more than the service.
_MOST_SERIES = 2000

Tell = Callable[..., None]


def catalogue(data: Mapping[str, Any], tell: Tell) -> None:
    metrics = data.get("metrics")
    if not isinstance(metrics, dict):
        tell("error", "not-a-catalogue", "metrics", "must be an object of metrics by name")
        return
    for name, facts in metrics.items():
        field = f"metrics.{name}"
        if not isinstance(facts, dict):
            tell("error", "not-a-catalogue", field, "must be an object")
        else:
            _metric(name, facts, field, tell)


def _metric(name: str, facts: Mapping[str, Any], field: str, tell: Tell) -> None:
    if not _NAME.fullmatch(name):
        tell("error", "metric-name", field, "a name has lower-case letters, digits and underscores")
    for key in sorted(facts.keys() - _FIELDS):
        tell("error", "unknown-field", f"{field}.{key}", f"is no field of a metric{closest(key, _FIELDS)}")
    kind = facts.get("kind")
    if kind not in _KINDS:
        tell("error", "metric-kind", f"{field}.kind", f"must be one of {', '.join(_KINDS)}")
    for key in ("unit", "description"):
        if not facts.get(key):
            tell("error", "missing", f"{field}.{key}", "is missing")
    if kind == "counter" and not name.endswith("_total"):
        tell("warning", "metric-name", field, "a counter's name ends in _total (prometheus.io/docs/practices/naming)")
    if (kind == "gauge") != ("across" in facts) or facts.get("across", "sum") not in _ACROSS:
        what = f"must say how workers add up: {', '.join(_ACROSS)}" if kind == "gauge" else "is for gauges"
        tell("error", "across", f"{field}.across", what)
    _buckets(facts, field, kind == "histogram", tell)
    labels = facts.get("labels")
    if not isinstance(labels, dict):
        tell("error", "missing", f"{field}.labels", "is missing: an object, which may be empty")
        return
    combinations = 1
    for label, rule in labels.items():
        here = f"{field}.labels.{label}"
        if not isinstance(rule, dict) or len(_RULES & rule.keys()) != 1:
            tell("error", "open-label", here, "must have values or guard: a label without either has no bound")
            continue
        combinations *= max(len(rule.get("values", ())), 1)
    if combinations > _MOST_SERIES:
        message = f"its listed values make {combinations} series an instance; at most {_MOST_SERIES}"
        tell("warning", "too-many-series", f"{field}.labels", message)


def _buckets(facts: Mapping[str, Any], field: str, wanted: bool, tell: Tell) -> None:
    buckets = facts.get("buckets")
    if not wanted:
        if buckets is not None:
            tell("error", "buckets", f"{field}.buckets", "is for histograms")
        return
    numbers = isinstance(buckets, list) and buckets and all(isinstance(one, int | float) for one in buckets)
    if not numbers or sorted(set(buckets or ())) != buckets:
        tell("error", "buckets", f"{field}.buckets", "must be ascending upper bounds")
