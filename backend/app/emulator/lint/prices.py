"""What a policy and a metric cost in a month, by Google's published prices.

Alerting, from 2026-05-01: a price for each condition of a policy (for each metric it refers to, in our reading, the
higher of the two), and one for the points that its queries return. A PromQL query is counted clause by clause: split at
every comparison and every and, or, unless; each clause with a metric returns its own points, whether or not its
threshold holds (docs.cloud.google.com/monitoring/alerts/cost-control). Log conditions are free.

Samples: prometheus.googleapis.com is billed by the sample, a histogram's point as two and one for each bucket that is
not empty (cloud.google.com/products/observability/pricing). Prices change: they stand here once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from ..alerting.conditions import LOG, PROMQL, interval_of, kind_of
from ..alerting.messages import Raw
from ..alerting.metric_names import metric_types
from ..promql.dialect import CLOUD
from ..promql.model import NAME, QueryError
from ..promql.parse import parse
from ..promql.syntax import Aggregate, Binary, Call, Negate, Node, Selector, Subquery, Window
from .known import Metric, Metrics

A_REFERENCE = 0.10
A_MILLION_POINTS = 0.35
A_MILLION_SAMPLES = 0.06
SOURCE = "https://cloud.google.com/products/observability/pricing"

_MONTH = 30 * 86_400
_SPLITTING = frozenset({">", "<", ">=", "<=", "==", "!=", "and", "or", "unless"})
# Our guess where nothing tells: how many values an open label has.
_OPEN_VALUES = 10
_LABELS_OF_TARGET = frozenset({"project_id", "location", "cluster", "namespace", "job", "monitored_resource"})


class PolicyPrice(NamedTuple):
    references: int
    points: int
    """A month."""
    dollars: float


class MetricPrice(NamedTuple):
    series: int
    """Of one instance, at most."""
    samples: int
    """A month, of one instance."""
    dollars: float


def policy_price(policy: Raw, metrics: Metrics, instances: int) -> PolicyPrice:
    """Of a policy as it stands, for a service of so many instances."""
    references = points = 0
    for condition in policy.conditions:
        kind = kind_of(condition)
        if kind == LOG:
            continue
        body = getattr(condition, kind)
        periods = _MONTH / max(interval_of(condition), 1)
        returned = 1
        named = 1
        if kind == PROMQL:
            try:
                tree = parse(body.query, CLOUD)
            except QueryError:
                continue
            named = max(len(set(_names(tree))), 1)
            returned = sum(_returned(clause, metrics, instances) for clause in _clauses(tree))
        elif hasattr(body, "filter"):
            named = max(
                len(set(metric_types(body.filter)) | set(metric_types(getattr(body, "denominator_filter", "")))), 1
            )
            returned = _of_filter(body, metrics, instances)
        references += named
        points += round(max(returned, 1) * periods)
    return PolicyPrice(references, points, references * A_REFERENCE + points / 1e6 * A_MILLION_POINTS)


def metric_price(metric: Metric, buckets: int = 0) -> MetricPrice:
    series = _combinations(metric, metric.labels)
    # Of a histogram's buckets a handful is not empty.
    per_point = 2 + min(buckets, 6) if metric.kind == "histogram" else 1
    samples = round(series * per_point * _MONTH / metric.every)
    return MetricPrice(series, samples, samples / 1e6 * A_MILLION_SAMPLES)


def _clauses(node: Node) -> Iterator[Node]:
    """The parts between comparisons and set operators that name a metric."""
    if isinstance(node, Binary) and node.op in _SPLITTING:
        yield from _clauses(node.left)
        yield from _clauses(node.right)
    elif any(_names(node)):
        yield node


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, Selector):
        yield from (matcher.value for matcher in node.matchers if matcher.label == NAME)
    elif isinstance(node, tuple):
        for one in node:
            yield from _names(one)
    elif is_dataclass(node):
        for part in fields(node):
            yield from _names(getattr(node, part.name))


def _returned(node: Node, metrics: Metrics, instances: int) -> int:
    """How many series a clause answers, at most."""
    if isinstance(node, Aggregate):
        if node.op in {"topk", "bottomk"}:
            return _returned(node.body, metrics, instances)
        inner = _returned(node.body, metrics, instances)
        if node.without:
            return inner
        groups = 1
        for label in node.labels:
            groups *= instances if label == "instance" else _values(node.body, label, metrics)
        return min(groups, inner) if inner else groups
    if isinstance(node, Binary):
        return max(_returned(node.left, metrics, instances), _returned(node.right, metrics, instances))
    if isinstance(node, Call):
        return max((_returned(one, metrics, instances) for one in node.args), default=1)
    if isinstance(node, Negate | Subquery):
        return _returned(node.body, metrics, instances)
    if isinstance(node, Window):
        return _returned(node.selector, metrics, instances)
    if isinstance(node, Selector):
        metric = _metric(node, metrics)
        fixed = {matcher.label for matcher in node.matchers if matcher.op == "="}
        if metric is None:
            return instances
        return instances * _combinations(metric, {key: one for key, one in metric.labels.items() if key not in fixed})
    return 0


def _values(node: Node, label: str, metrics: Metrics) -> int:
    """How many values a label has in the metrics below a node."""
    if label in _LABELS_OF_TARGET:
        return 1
    if label == "le":
        return 14
    found = 1
    for name in _names(node):
        metric = metrics.by_query_name(name)
        known = None if metric is None else metric.labels.get(label)
        found = max(found, len(known) if known else _OPEN_VALUES)
    return found


def _metric(selector: Selector, metrics: Metrics) -> Metric | None:
    name = next(_names(selector), "")
    return metrics.by_query_name(name)


def _combinations(metric: Metric, labels: Mapping[str, frozenset[str] | None]) -> int:
    found = 1
    for key in labels:
        values = metric.labels.get(key)
        found *= min(len(values), _OPEN_VALUES) if values else _OPEN_VALUES
    return min(found, 1000)


def _of_filter(body: Raw, metrics: Metrics, instances: int) -> int:
    metric = next((found for name in metric_types(body.filter) if (found := metrics.by_type(name))), None)
    groups = [list(one.group_by_fields) for one in body.aggregations if one.cross_series_reducer]
    if groups:
        returned = 1
        for field in groups[-1]:
            label = field.rpartition(".")[2]
            values = None if metric is None else metric.labels.get(label)
            returned *= len(values) if values else 1 if label in _LABELS_OF_TARGET else _OPEN_VALUES
        return returned
    return instances if metric is None else instances * _combinations(metric, metric.labels)
