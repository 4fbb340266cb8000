"""The metric catalogue: what may be recorded, and nothing else."""

import difflib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, get_args

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "max", "min", "avg"]
Guard = Literal["route", "status_code", "declared", "address", "account", "type", "open"]

#: Guards of labels that may have any value: the heaviest are told apart, the rest is `other`.
FOLDING: Final = frozenset({"address", "account", "type", "open"})

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
# What Managed Prometheus takes from the resource, and what Prometheus adds to histograms and summaries.
_TAKEN: Final = frozenset({"project_id", "location", "cluster", "namespace", "job", "instance", "le", "quantile"})
_SUFFIXES: Final = ("_total", "_bucket", "_count", "_sum")
# google/api/metric.proto, MetricDescriptor.unit: the grammar, its units and its prefixes.
_UNIT: Final = re.compile(
    r"""(?x)
    (?P<component>(?:1 | (?:%|(?:[kMGTPEZYmunpfazy]|[KMGTP]i)?(?:bit|By|s|min|h|d))(?:\{[^{}\s]+\})? | \{[^{}\s]+\}))
    (?:[./](?:1 | (?:%|(?:[kMGTPEZYmunpfazy]|[KMGTP]i)?(?:bit|By|s|min|h|d))(?:\{[^{}\s]+\})? | \{[^{}\s]+\}))*
    """
)
# google/api/distribution.proto and the limits of user-defined metrics.
_MOST_BUCKETS: Final = 200
_MOST_LABELS: Final = 20
_KEYS: Final = frozenset({"kind", "unit", "description", "across", "buckets", "labels", "recorded_by"})


class CatalogueError(ValueError):
    """Code names a metric or label that the catalogue does not have; the message names the nearest one."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        labels: A set of allowed values for a closed label, None for a guarded one.
        buckets: Upper bounds of a histogram.
        guards: By label, what keeps the values of a label that is not closed few.
        across: How a gauge adds up over workers.
        recorded_by: The file that records it, below backend/app.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: Mapping[str, frozenset[str] | None]
    buckets: tuple[float, ...] = ()
    guards: Mapping[str, str] = field(default_factory=dict)
    across: str = ""
    recorded_by: str = ""

    def values(self, labels: Mapping[str, object]) -> tuple[str, ...]:
        """Label values in the catalogue's order.

        Raises:
            CatalogueError: A label is missing, unknown, or has a value outside of its closed set.
        """
        if labels.keys() != self.labels.keys():
            raise CatalogueError(
                f"{self.name} takes the labels {sorted(self.labels)}, not {sorted(labels)}: see catalogue.json"
            )
        for name, allowed in self.labels.items():
            if allowed is not None and str(labels[name]) not in allowed:
                raise CatalogueError(f"{self.name}: {name}={labels[name]!r} is none of {sorted(allowed)}")
        return tuple(str(labels[name]) for name in self.labels)

    def specification(self) -> dict[str, Any]:
        """As it stands in a catalogue file."""
        spec: dict[str, Any] = {"kind": self.kind, "unit": self.unit, "description": self.description}
        if self.across:
            spec["across"] = self.across
        if self.buckets:
            spec["buckets"] = list(self.buckets)
        spec["labels"] = {
            label: {"guard": self.guards[label]} if allowed is None else {"values": sorted(allowed)}
            for label, allowed in self.labels.items()
        }
        if self.recorded_by:
            spec["recorded_by"] = self.recorded_by
        return spec


class Catalogue(dict[str, Metric]):
    """Metrics by name."""

    def metric(self, name: str, kind: Kind) -> Metric:
        """The metric of that name and kind.

        Raises:
            CatalogueError: There is none, or it is of another kind.
        """
        metric = self.get(name)
        if metric is None:
            near = difflib.get_close_matches(name, self, n=1)
            hint = f"did you mean {near[0]}?" if near else "declare it there first"
            raise CatalogueError(f"no metric {name!r} in catalogue.json: {hint}")
        if metric.kind != kind:
            raise CatalogueError(f"{name} is a {metric.kind}, not a {kind}")
        return metric

    def declare(self, metric: Metric) -> Metric:
        """Take in a metric; the same one twice is one.

        Raises:
            CatalogueError: It breaks a rule, or another metric has its name.
        """
        check(metric)
        if self.setdefault(metric.name, metric) != metric:
            raise CatalogueError(f"{metric.name} is declared already, in another way: choose another name")
        return metric


def check(metric: Metric) -> None:
    """Whether Prometheus and Cloud Monitoring take a metric as we write it.

    Raises:
        CatalogueError: They do not; every broken rule is named.
    """
    problems = [*_problems_of_name(metric), *_problems_of_labels(metric), *_problems_of_kind(metric)]
    if not _UNIT.fullmatch(metric.unit):
        problems.append(f"unit {metric.unit!r} is no UCUM unit that Cloud Monitoring takes, such as 1, s, ms, By, %")
    if not metric.description.strip():
        problems.append("it has no description")
    if problems:
        raise CatalogueError(f"metric {metric.name!r}: {'; '.join(problems)}")


def _problems_of_name(metric: Metric) -> Iterable[str]:
    if not _NAME.fullmatch(metric.name):
        yield "a name has small letters, digits and _, begins with a letter, and has 100 of them at most"
    if metric.kind == "counter":
        if not metric.name.endswith("_total"):
            yield "the name of a counter ends in _total"
    elif metric.name.endswith(_SUFFIXES):
        yield f"only Prometheus' own series of a {metric.kind} may end in {', '.join(_SUFFIXES)}"


def _problems_of_labels(metric: Metric) -> Iterable[str]:
    if len(metric.labels) > _MOST_LABELS:
        yield f"more than {_MOST_LABELS} labels"
    for label, allowed in metric.labels.items():
        if not _NAME.fullmatch(label):
            yield f"label {label!r}: small letters, digits and _, beginning with a letter"
        elif label in _TAKEN:
            yield f"label {label!r} is the resource's, or Prometheus' own; choose another name"
        guard = metric.guards.get(label)
        if allowed is None and guard not in get_args(Guard):
            yield f"label {label!r} has neither values nor one of the guards {', '.join(get_args(Guard))}"
        elif allowed is not None and not allowed:
            yield f"label {label!r} has an empty set of values"
        elif guard in FOLDING and metric.kind == "gauge":
            yield f"label {label!r} of a gauge cannot be open: what is folded into `other` does not add up"


def _problems_of_kind(metric: Metric) -> Iterable[str]:
    if metric.kind not in get_args(Kind):
        yield f"kind {metric.kind!r} is none of {', '.join(get_args(Kind))}"
    if metric.kind == "gauge" and metric.across not in get_args(Across):
        yield f"a gauge says how it adds up over workers: across={'|'.join(get_args(Across))}"
    if metric.kind != "gauge" and metric.across:
        yield f"a {metric.kind} always adds up over workers: no `across`"
    if metric.kind == "histogram":
        bounds = metric.buckets
        if not 1 <= len(bounds) <= _MOST_BUCKETS:
            yield f"a histogram has 1 to {_MOST_BUCKETS} bounds"
        if not all(map(math.isfinite, bounds)) or any(low >= high for low, high in pairwise(bounds)):
            yield "bounds are finite and ascend"
    elif metric.buckets:
        yield f"a {metric.kind} has no buckets"


def parse(name: str, spec: Mapping[str, Any]) -> Metric:
    """A metric from its place in a catalogue file.

    Raises:
        CatalogueError: It has a key that nobody reads.
        KeyError: It lacks one.
    """
    if unknown := spec.keys() - _KEYS:
        raise CatalogueError(f"metric {name!r}: nobody reads {sorted(unknown)}")
    labels = sorted(spec["labels"].items())
    return Metric(
        name=name,
        kind=spec["kind"],
        unit=spec["unit"],
        description=spec["description"],
        labels={label: frozenset(rule["values"]) if "values" in rule else None for label, rule in labels},
        buckets=tuple(float(bound) for bound in spec.get("buckets", ())),
        guards={label: rule["guard"] for label, rule in labels if "guard" in rule},
        across=spec.get("across", ""),
        recorded_by=spec.get("recorded_by", ""),
    )


def read(path: Path) -> Catalogue:
    """A catalogue file of a service, checked.

    Raises:
        CatalogueError: It cannot be read, or a metric breaks a rule.
    """
    found = Catalogue()
    try:
        metrics = json.loads(path.read_text())["metrics"]
        for name, spec in metrics.items():
            found.declare(parse(name, spec))
    except CatalogueError as error:
        raise CatalogueError(f"{path}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogueError(f"{path} is no catalogue ({type(error).__name__}: {error})") from error
    return found


def write(metrics: Iterable[Metric], path: Path) -> None:
    """Write a catalogue file, for Terraform, the emulator and `METRICS_CATALOGUE`."""
    listed = {metric.name: metric.specification() for metric in sorted(metrics, key=lambda one: one.name)}
    path.write_text(json.dumps({"metrics": listed}, indent=2) + "\n")


@cache
def own() -> Catalogue:
    """The catalogue that ships with the library; its shape and rules are checked by the tests, not at every start."""
    metrics = json.loads(Path(__file__).with_name("catalogue.json").read_text())["metrics"]
    return Catalogue({name: parse(name, spec) for name, spec in metrics.items()})


@cache
def installed() -> Catalogue:
    """What this process may record: the library's metrics, those of `METRICS_CATALOGUE`, and what code declares.

    Raises:
        CatalogueError: A file that `METRICS_CATALOGUE` names cannot be used.
    """
    found = Catalogue(own())
    for name in filter(None, map(str.strip, os.environ.get("METRICS_CATALOGUE", "").split(","))):
        for metric in read(Path(name)).values():
            found.declare(metric)
    return found
