"""Which metrics a condition names, and whether they exist."""

import re
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from ..promql.dialect import CLOUD
from ..promql.mapping import DISTRIBUTION_PARTS, PROMETHEUS, asked_as, base_name
from ..promql.model import NAME
from ..promql.parse import parse
from ..promql.syntax import Selector
from .messages import Raw

_METRIC_TYPE = re.compile(r"""\bmetric\.type\s*(?:=|:)\s*(?:"([^"]+)"|'([^']+)'|one_of\(([^)]*)\))""")
_METRIC_TYPE_OTHER = re.compile(r"""\bmetric\.type\s*=\s*(?:starts_with|ends_with|has_substring|monitoring\.regex)""")
_QUOTED = re.compile(r"""["']([^"']+)["']""")
# Metrics in these domains exist once somebody wrote them; all others are Google's own, and Google's list of those is
# thousands of descriptors long, so the emulator takes them on trust.
_WRITABLE = (
    "custom.googleapis.com/",
    "external.googleapis.com/",
    "workload.googleapis.com/",
    "prometheus.googleapis.com/",
    "logging.googleapis.com/user/",
)
_WRITABLE_MAPPED = tuple(base_name(domain) for domain in _WRITABLE if domain != PROMETHEUS)


def metric_types(filter_: str) -> list[str]:
    """The metric types a Monitoring filter is restricted to; a prefix or regex restriction counts as an empty name."""
    found: list[str] = []
    for double, single, several in _METRIC_TYPE.findall(filter_):
        found += _QUOTED.findall(several) if several else [double or single]
    return found or ([""] if _METRIC_TYPE_OTHER.search(filter_) else [])


def promql_metrics(query: str) -> set[str]:
    """The metric names that a query selects.

    Raises:
        QueryError: The query is not PromQL as Cloud Monitoring reads it.
    """
    names: set[str] = set()
    waiting: list[Any] = [parse(query, CLOUD)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Selector):
            names.update(matcher.value for matcher in node.matchers if matcher.label == NAME and matcher.op == "=")
        elif isinstance(node, tuple):
            waiting.extend(node)
        elif is_dataclass(node):
            waiting.extend(getattr(node, part.name) for part in fields(node))
    return names


def _asks(name: str, descriptor: Raw) -> bool:
    kinds = descriptor.DESCRIPTOR.fields_by_name["value_type"].enum_type.values_by_number
    distribution = kinds[descriptor.value_type].name == "DISTRIBUTION"
    return asked_as(name, descriptor.type, distribution=distribution) is not None


class KnownMetrics:
    """The metrics of a project: what its descriptors say, and Google's own."""

    def __init__(self, descriptors: Callable[[], Iterable[Raw]]) -> None:
        self._descriptors = descriptors

    def by_type(self, metric_type: str) -> bool:
        if not metric_type.startswith(_WRITABLE):
            return True
        return any(descriptor.type == metric_type for descriptor in self._descriptors())

    def descriptor(self, metric_type: str) -> Raw | None:
        """What the project knows of a metric; None for Google's own that nobody wrote here."""
        return next((one for one in self._descriptors() if one.type == metric_type), None)

    def by_promql_name(self, name: str) -> bool:
        """Whether a PromQL selector's name stands for a metric (cloud.google.com/monitoring/promql/promql-mapping)."""
        if "/" in name:
            return self.by_type(name) or any(
                name.endswith(part) and self.by_type(name.removesuffix(part)) for part in DISTRIBUTION_PARTS
            )
        if ":" in name and "_googleapis_com:" in name and not name.startswith(_WRITABLE_MAPPED):
            return True
        return bool(self.type_of(name))

    def type_of(self, name: str) -> str:
        """The metric type that a PromQL name stands for, empty when no descriptor tells."""
        return next((one.type for one in self._descriptors() if _asks(name, one)), "")
