"""The metric catalogue: what may be recorded, and nothing else."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


class CatalogueError(ValueError):
    """Code names a metric or label that the catalogue does not have; the message names the nearest one."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `labels` holds a set of allowed values for a closed label, None for a guarded one."""

    name: str
    kind: Kind
    unit: str
    description: str
    labels: Mapping[str, frozenset[str] | None]
    buckets: tuple[float, ...] = ()

    def values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Label values in the catalogue's order.

        Raises:
            CatalogueError: A label is missing, unknown, or has a value outside of its closed set.
        """
        if labels.keys() != self.labels.keys():
            raise CatalogueError(
                f"{self.name} takes the labels {sorted(self.labels)}, not {sorted(labels)}: see catalogue.json"
            )
        for name, allowed in self.labels.items():
            if allowed is not None and labels[name] not in allowed:
                raise CatalogueError(f"{self.name}: {name}={labels[name]!r} is none of {sorted(allowed)}")
        return tuple(str(labels[name]) for name in self.labels)


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


def read(path: Path) -> Catalogue:
    """A catalogue file; its shape is checked by `catalogue.schema.json` in the tests, not at every start."""
    return Catalogue(
        {
            name: Metric(
                name=name,
                kind=spec["kind"],
                unit=spec["unit"],
                description=spec["description"],
                labels={
                    label: frozenset(rule["values"]) if "values" in rule else None
                    for label, rule in sorted(spec["labels"].items())
                },
                buckets=tuple(float(bound) for bound in spec.get("buckets", ())),
            )
            for name, spec in json.loads(path.read_text())["metrics"].items()
        }
    )


@cache
def own() -> Catalogue:
    """The catalogue that ships with the library."""
    return read(Path(__file__).with_name("catalogue.json"))
