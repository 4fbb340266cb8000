"""terraform/monitoring/defaults.yaml: which policies are on, their thresholds, and which are tiers of one symptom.

Terraform decodes the same file; what both make of it is written down in docs/decisions/0009-values-of-templates.md.
"""

import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .document import parse
from .errors import DefinitionError, closest

FILE = "defaults.yaml"
ALL = "all"
DEFAULT = "default"
# No share, no latency in seconds: a tier whose upper neighbour is off has no upper end.
NEVER = 1_000_000
AT_ONCE = "0s"


class Tier(NamedTuple):
    policy: str
    """That takes over where the lower one ends."""
    threshold: str
    """The name of its threshold."""
    wait: str = AT_ONCE
    """How long the lower one waits for it: the time in which a sudden rise passes through its band."""


class Defaults(NamedTuple):
    policies: frozenset[str]
    thresholds: Mapping[str, Mapping[str, Any]]
    tiers: Mapping[str, tuple[Tier, ...]]
    """Of each policy those that may end it; the first that is on does."""


@cache
def defaults(file: Path) -> Defaults:
    data = parse(file.read_text(encoding="utf-8"), str(file)).data
    above = {name: tuple(Tier(**one) for one in tiers) for name, tiers in data["tiers"].items()}
    return Defaults(frozenset(data["policies"]), data["thresholds"], above)


def is_on(policy: str, chosen: str, default: Iterable[str]) -> bool:
    """Whether a choice such as `default,queue_age,-ddos_attempt` holds a policy; the last word about it counts."""
    found = False
    for word in _words(chosen):
        name = word.removeprefix("-")
        if name in {policy, ALL} or (name == DEFAULT and policy in default):
            found = not word.startswith("-")
    return found


def check_choice(chosen: str, known: Iterable[str]) -> None:
    """Raises DefinitionError for a name that is no policy."""
    names = {*known, ALL, DEFAULT}
    for word in _words(chosen):
        if word.removeprefix("-") not in names:
            raise DefinitionError(f"policies: there is no policy {word}{closest(word.removeprefix('-'), names)}")


def thresholds(found: Defaults, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The defaults with those of `given` (`thresholds.<policy>.<name>` -> value) in their place.

    Raises:
        DefinitionError: A name that no policy has, or a number out of range.
    """
    merged = {policy: dict(values) for policy, values in found.thresholds.items()}
    known = {f"thresholds.{policy}.{name}" for policy, values in merged.items() for name in values}
    for name, value in given.items():
        if name not in known:
            raise DefinitionError(f"{name} is no threshold{closest(name, known)}")
        _, policy, key = name.split(".")
        _check_number(name, value)
        merged[policy][key] = value
    return merged


def _check_number(name: str, value: Any) -> None:
    """As in terraform/monitoring/variables.tf: 5 for 5 % would be a policy that never fires."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise DefinitionError(f"{name} = {value}: write a number, and none below 0")
    if number >= 1 and name.endswith(("ratio", "goal")):
        raise DefinitionError(f"{name} = {value}: write a share from 0 to below 1, such as 0.05 for 5 %")


def tiers(found: Defaults, merged: Mapping[str, Mapping[str, Any]], chosen: str) -> dict[str, dict[str, Any]]:
    """Where each tier ends (`below`) and how long it waits (`wait`), by which policies are on."""
    values: dict[str, dict[str, Any]] = {}
    for name, above in found.tiers.items():
        on = [one for one in above if is_on(one.policy, chosen, found.policies)]
        values[name] = {
            "below": merged[on[0].policy][on[0].threshold] if on else NEVER,
            "wait": on[0].wait if on else AT_ONCE,
        }
    return values


def _words(chosen: str) -> list[str]:
    return [word.strip() for word in chosen.split(",") if word.strip()]
