"""Rules on PromQL and on Monitoring filters, wherever they stand."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from ..alerting.metric_names import metric_types
from ..alerting.observed import metadata_as_resource_labels
from ..monitoring.filter import parse_filter
from ..monitoring.resources import resource_types
from ..promql.dialect import CLOUD
from ..promql.lex import mask
from ..promql.model import NAME, QueryError
from ..promql.parse import parse
from ..promql.syntax import Aggregate, Binary, Call, Node, Selector, Window
from ..status import ApiError, Code
from .finding import Level
from .known import Metric, Metrics

# Shorter, a window can lose a sample or two and see nothing: two exports to make a rate, one that came late, one spare.
EXPORT_INTERVALS = 4
_COUNTING = frozenset({"rate", "increase", "irate"})
_OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear", "holt_winters"})
_OVER_TIME = frozenset({"avg_over_time", "max_over_time", "min_over_time", "last_over_time", "quantile_over_time"})
_COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})
# An aggregation that makes nonsense of a gauge: each worker writes the same value, or its own part of one.
_NONSENSE = {"max": frozenset({"sum"}), "min": frozenset({"sum", "max"}), "sum": frozenset(), "avg": frozenset({"sum"})}
_POSITION = re.compile(r"at character (\d+)")
_LINE_COLUMN = re.compile(r"line (\d+), column (\d+)")
_LABEL_FIELD = re.compile(r"\b(metric|resource)\.labels?\.\"?([\w./-]+)\"?\s*(?:!?=|:)\s*(\"[^\"]*\"|[\w./-]+)?")
_RESOURCE_TYPE = re.compile(r"\bresource\.type\s*=\s*\"([^\"]+)\"")
# What the console fills in: the chart's interval, and the template variables of a dashboard, which stand for a matcher,
# for a comparison of a filter, or, inside quotes, for a value (docs.cloud.google.com/monitoring/dashboards/variables).
_ASKED = re.compile(r"\$\{?__(?:interval|rate_interval)\}?")
_VARIABLE = re.compile(r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\$\{[\w.]+\}|\$[A-Za-z]\w*""")

Tell = Callable[[Level, str, str, int], None]
"""Level, rule, message, position in the text."""


class Reading(NamedTuple):
    """What the rules know about where a query stands."""

    metrics: Metrics
    strict_names: bool
    """Whether an unknown metric is an error: the file was written against the catalogue."""
    alert: bool


def promql(query: str, reading: Reading, tell: Tell) -> None:
    # Dashboards name the chart's own interval; any window stands for it.
    text = _ASKED.sub(lambda match: "15m".rjust(len(match[0])), query)
    chosen_by_chart = text != query
    if not reading.alert:
        text = _VARIABLE.sub(lambda match: match["quoted"] or '_=""'.ljust(len(match[0])), text)
    try:
        tree = parse(text, CLOUD)
        blanked = mask(text).blanked
    except QueryError as error:
        found = _POSITION.search(str(error))
        tell("error", "not-promql", str(error), int(found[1]) - 1 if found else 0)
        return
    for node, path in _walk(tree, ()):
        if isinstance(node, Selector):
            _selector(node, path, reading, tell, blanked)
        elif isinstance(node, Call):
            _call(node, reading, tell, blanked, chosen_by_chart=chosen_by_chart)
        elif isinstance(node, Aggregate):
            _aggregate(node, reading, tell, blanked)
    if reading.alert:
        _alert(tree, tell, blanked)


def monitoring_filter(text: str, reading: Reading, tell: Tell) -> None:
    if not reading.alert:
        text = _VARIABLE.sub(lambda match: match["quoted"] or 'project != ""', text)
    try:
        parse_filter(metadata_as_resource_labels(text))
    except ApiError as error:
        if error.code != Code.UNIMPLEMENTED:
            found = _LINE_COLUMN.search(error.message)
            position = 0
            if found:
                lines = text.split("\n")[: int(found[1]) - 1]
                position = sum(len(line) + 1 for line in lines) + int(found[2]) - 1
            tell("error", "not-a-filter", error.message.rpartition('": ')[2] or error.message, position)
            return
    names = [name for name in metric_types(text) if name]
    known = [reading.metrics.by_type(name) for name in names]
    for name, metric in zip(names, known, strict=True):
        if metric is None:
            _unknown(name, reading, tell, text.find(name))
    resources = _RESOURCE_TYPE.findall(text)
    for match in _LABEL_FIELD.finditer(text):
        scope, label, value = match[1], match[2], (match[3] or "").strip('"')
        if scope == "resource":
            types = [resource_types()[one] for one in resources if one in resource_types()]
            if types and len(types) == len(resources) and not any(label in one.labels for one in types):
                have = ", ".join(sorted({key for one in types for key in one.labels}))
                tell("error", "unknown-label", f"{resources[0]} has no label {label} (it has {have})", match.start(2))
            continue
        found_metrics = [one for one in known if one is not None]
        if found_metrics and len(found_metrics) == len(names):
            for metric in found_metrics:
                _label(metric, label, value, "=", tell, match.start(2))


def _walk(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node with those above it."""
    if is_dataclass(node):
        yield node, path
        for part in fields(node):
            yield from _walk(getattr(node, part.name), (*path, node))
    elif isinstance(node, tuple) and not hasattr(node, "_fields"):
        for one in node:
            yield from _walk(one, path)


def _name(selector: Selector) -> str:
    return next((matcher.value for matcher in selector.matchers if matcher.label == NAME), "")


def _selector(selector: Selector, path: tuple[Any, ...], reading: Reading, tell: Tell, blanked: str) -> None:
    name = _name(selector)
    at = max(blanked.find(name), 0)
    metric = reading.metrics.by_query_name(name)
    if metric is None:
        _unknown(name, reading, tell, at)
        return
    for matcher in selector.matchers:
        if matcher.label not in {NAME, "_"}:
            _label(metric, matcher.label, matcher.value, matcher.op, tell, max(blanked.find(matcher.label, at), at))
    counted = any(isinstance(one, Call) and one.function not in {"absent", "absent_over_time"} for one in path)
    compared = any(isinstance(one, Binary) and one.op in _COMPARISONS for one in path)
    if metric.kind == "counter" and compared and not counted:
        tell("warning", "counter-without-rate", f"{name} is a counter and only grows: compare its rate or increase", at)
    aggregation = next((one for one in reversed(path) if isinstance(one, Aggregate)), None)
    between = path[path.index(aggregation) + 1 :] if aggregation is not None else ()
    plain = all(isinstance(one, Window) or (isinstance(one, Call) and one.function in _OVER_TIME) for one in between)
    if metric.kind != "gauge" or not metric.across or aggregation is None or not plain:
        return
    if aggregation.op in _NONSENSE.get(metric.across, frozenset()):
        why = {
            "max": "several workers write the same thing, or the largest counts",
            "min": "the smallest counts",
            "avg": "it is a share",
        }[metric.across]
        message = f"{aggregation.op} of {name}, a gauge that is taken across workers by {metric.across}: {why}"
        tell("error", "gauge-across", f"{message}; write {metric.across}", at)


def _unknown(name: str, reading: Reading, tell: Tell, at: int) -> None:
    hint = reading.metrics.hint(name)
    if reading.metrics.is_googles(name):
        level: Level = "error" if reading.strict_names else "note"
        tell(level, "unknown-metric", f"{name} is not in our list of Google's metrics{hint}", at)
        return
    level = "error" if reading.strict_names or hint else "warning"
    tell(level, "unknown-metric", f"{name} is in no catalogue{hint}", at)


def _label(metric: Metric, label: str, value: str, operator: str, tell: Tell, at: int) -> None:  # noqa: PLR0917  # one rule
    if not metric.has(label):
        have = ", ".join(sorted([*metric.labels, *metric.resource_labels])) or "none"
        tell("error", "unknown-label", f"{metric.name} has no label {label} (it has {have})", at)
        return
    values = metric.labels.get(label)
    if values and operator == "=" and value and value not in values:
        tell("error", "unknown-value", f"{metric.name}: {label} is never {value} ({', '.join(sorted(values))})", at)


def _call(call: Call, reading: Reading, tell: Tell, blanked: str, *, chosen_by_chart: bool) -> None:
    windows = [one for one in call.args if isinstance(one, Window)]
    for window in windows:
        name = _name(window.selector)
        at = max(blanked.find(name), 0)
        metric = reading.metrics.by_query_name(name)
        every = 60.0 if metric is None else metric.every
        shortest = EXPORT_INTERVALS * every * 1000
        if call.function in _COUNTING and window.length < shortest and not chosen_by_chart:
            have, need = window.length / 1000, shortest / 1000
            message = f"{call.function} over {have:g} s: samples come every {every:g} s, so write at least {need:g} s"
            ours = metric is not None and not reading.metrics.is_googles(name)
            tell("error" if ours or reading.strict_names else "warning", "short-window", message, at)
        if metric is None:
            continue
        if call.function in _COUNTING and metric.kind == "gauge":
            tell("error", "rate-of-a-gauge", f"{call.function} of {name}, which is a gauge", at)
        if call.function in _OF_GAUGES and metric.kind == "counter":
            tell("warning", "gauge-function", f"{call.function} of {name}, which is a counter and restarts at 0", at)


def _aggregate(node: Aggregate, reading: Reading, tell: Tell, blanked: str) -> None:
    below = [one for one, _ in _walk(node.body, ()) if isinstance(one, Selector)]
    metrics = [reading.metrics.by_query_name(_name(one)) for one in below]
    if not metrics or any(one is None for one in metrics):
        return
    inner = {label for one, _ in _walk(node.body, ()) if isinstance(one, Binary) for label in one.matching.include}
    made = any(
        isinstance(one, Call) and one.function in {"label_replace", "label_join"} for one, _ in _walk(node.body, ())
    )
    for label in node.labels:
        if not made and label not in inner and not any(one.has(label) for one in metrics if one is not None):
            names = ", ".join(sorted({one.name for one in metrics if one is not None}))
            tell("error", "unknown-label", f"{names} has no label {label} to group by", max(blanked.rfind(label), 0))


def _alert(tree: Node, tell: Tell, blanked: str) -> None:
    compared = [one for one, _ in _walk(tree, ()) if isinstance(one, Binary) and one.op in _COMPARISONS]
    absent = any(isinstance(one, Call) and one.function.startswith("absent") for one, _ in _walk(tree, ()))
    if not compared and not absent:
        tell("warning", "no-comparison", "the query compares nothing: whatever it returns is a violation", 0)
    ratios = [
        one
        for one in compared
        if isinstance(one.left, Binary) and one.left.op == "/" and _counts(one.left.left) and _counts(one.left.right)
    ]
    if ratios and not _guarded(tree):
        at = max(blanked.find("/"), 0)
        message = "of few requests one failure is a large share: add `and sum(increase(...)) > 20` of the denominator"
        tell("warning", "no-traffic-guard", message, at)


def _counts(node: Any) -> bool:
    return any(isinstance(one, Call) and one.function in _COUNTING for one, _ in _walk(node, ()))


def _guarded(node: Any) -> bool:
    """Whether an `and` beside the ratio compares a plain amount."""
    for one, _ in _walk(node, ()):
        if isinstance(one, Binary) and one.op in {"and", "unless"}:
            for side in (one.left, one.right):
                plain = isinstance(side, Binary) and side.op in _COMPARISONS | {"and"}
                if plain and any(
                    isinstance(each, Binary) and each.op in _COMPARISONS and not _has_ratio(each) and _counts(each)
                    for each, _ in _walk(side, ())
                ):
                    return True
    return False


def _has_ratio(node: Any) -> bool:
    return any(isinstance(one, Binary) and one.op == "/" for one, _ in _walk(node, ()))
