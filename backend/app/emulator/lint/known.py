"""Metrics that are known: the library's catalogue and those of users, and Google's that we read."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..definitions.catalogue import catalogue_metrics
from ..monitoring.resources import resource_types
from ..promql.mapping import DISTRIBUTION_PARTS, MONITORED_RESOURCE, PROMETHEUS, base_name, label_name

_PLATFORM = Path(__file__).parents[2] / "core" / "metrics" / "platform_metrics.json"
_USERS = (
    "prometheus.googleapis.com/",
    "custom.googleapis.com/",
    "workload.googleapis.com/",
    "external.googleapis.com/",
)
_TARGET = frozenset({"project_id", "location", "cluster", "namespace", "job", "instance"})
_TASK = frozenset({"project_id", "location", "namespace", "job", "task_id"})
# A name that is nearer than this is a misspelling.
_NEAR = 0.88
# Added by PromQL in Cloud Monitoring, on every metric (cloud.google.com/monitoring/promql/promql-mapping).
_ALWAYS = frozenset({"__name__", "le", MONITORED_RESOURCE})


class Metric(NamedTuple):
    name: str
    kind: str
    """counter, gauge or histogram."""
    labels: Mapping[str, frozenset[str] | None]
    """With the values it can have, None when they are open."""
    resource_labels: frozenset[str]
    across: str = ""
    every: float = 60.0
    """Seconds between two samples."""
    open_resource: bool = False
    """Whether the labels of its resource are not known here."""
    is_googles: bool = False
    """Some of Google's metrics exist on more resources than the one that our list names."""

    def has(self, label: str) -> bool:
        if label in _ALWAYS or label in self.labels or label in self.resource_labels:
            return True
        if self.open_resource or (self.is_googles and label in _resource_labels()):
            return True
        # What the platform adds from the metadata of a resource, and a metric label that a resource label hides.
        return label.startswith(("metadata_", "metric_"))


class Metrics:
    def __init__(self, catalogues: Iterable[Path] = (), *, export_seconds: float = 60.0) -> None:
        """Raises OSError or ValueError for a catalogue that cannot be read."""
        self._by_name: dict[str, Metric] = {}
        self._platform: dict[str, Metric] = {}
        catalogue = dict(catalogue_metrics())
        for path in catalogues:
            catalogue |= json.loads(path.read_text(encoding="utf-8"))["metrics"]
        for name, facts in catalogue.items():
            self._by_name[name] = _ours(name, facts, export_seconds)
        for metric_type, facts in platform_metrics().items():
            self._platform[metric_type] = _google(metric_type, facts)
        self._mapped = {base_name(metric_type): metric for metric_type, metric in self._platform.items()}

    def all(self) -> Iterator[Metric]:
        yield from self._by_name.values()

    def by_type(self, metric_type: str) -> Metric | None:
        """Of a metric type, as filters name it."""
        if metric_type.startswith(PROMETHEUS):
            return self._by_name.get(metric_type.removeprefix(PROMETHEUS).rpartition("/")[0])
        for domain in _USERS:
            if metric_type.startswith(domain):
                return self._by_name.get(metric_type.rpartition("/")[2])
        return self._platform.get(metric_type)

    def by_query_name(self, name: str) -> Metric | None:
        """Of a name in PromQL: plain, mapped, or the type itself; with the suffix of a histogram or without."""
        for base in (name, *(name.removesuffix(part) for part in DISTRIBUTION_PARTS if name.endswith(part))):
            if "/" in base:
                found = self.by_type(base)
            elif ":" in base:
                found = self._mapped.get(base)
                if found is None and base.partition(":")[0].removesuffix("_googleapis_com") in {"custom", "workload"}:
                    found = self._by_name.get(base.partition(":")[2].partition("_")[2])
            else:
                found = self._by_name.get(base)
            if found is not None and (base == name or found.kind == "histogram"):
                return found
        return None

    def is_googles(self, name: str) -> bool:
        """Whether Google, not the user, writes it: our list of those is short."""
        if "/" in name:
            return name.startswith("kubernetes.io/") or (".googleapis.com/" in name and not name.startswith(_USERS))
        domain = name.partition(":")[0]
        return domain == "kubernetes_io" or (
            domain.endswith("_googleapis_com") and domain.split("_")[0] not in {"custom", "workload", "external"}
        )

    def hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, [*self._by_name, *self._platform, *self._mapped], n=1, cutoff=_NEAR)
        return f"; did you mean {near[0]}?" if near else ""


@cache
def _resource_labels() -> frozenset[str]:
    return frozenset(label for one in resource_types().values() for label in one.labels)


def platform_metrics(path: Path = _PLATFORM) -> Mapping[str, Any]:
    """Google's own metrics that policies and dashboards may read; none while the list is missing."""
    if not path.is_file():
        return {}
    metrics: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    return metrics


def _ours(name: str, facts: Mapping[str, Any], every: float) -> Metric:
    labels = {key: frozenset(rule["values"]) if "values" in rule else None for key, rule in facts["labels"].items()}
    return Metric(name, facts["kind"], labels, _TARGET | _TASK, facts.get("across", ""), every)


def _google(metric_type: str, facts: Mapping[str, Any]) -> Metric:
    """`kind` is GAUGE, DELTA or CUMULATIVE, `value_type` the API's; both as descriptors have them."""
    distribution = str(facts.get("value_type", facts.get("valueType", ""))).upper() == "DISTRIBUTION"
    kind = "histogram" if distribution else "gauge" if str(facts.get("kind", "")).upper() == "GAUGE" else "counter"
    given = facts.get("labels") or {}
    labels: dict[str, frozenset[str] | None] = {}
    for key in given:
        rule = given[key] if isinstance(given, Mapping) else None
        values = rule.get("values") if isinstance(rule, Mapping) else None
        labels[label_name(key)] = frozenset(map(str, values)) if values else None
    resource = resource_types().get(str(facts.get("resource_type", "")))
    found = frozenset() if resource is None else frozenset(resource.labels)
    return Metric(metric_type, kind, labels, found | {"project_id"}, open_resource=resource is None, is_googles=True)
