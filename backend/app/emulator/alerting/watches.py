"""What is remembered of a condition between evaluations, and what people see of it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .conditions import ABSENT, EVALUATED, LOG, NOT_EVALUATED, PROMQL, kind_of
from .incidents import Incident
from .log_match import LogCondition
from .messages import Raw
from .observed import LabelSet, Observed
from .tracks import Tracks


@dataclass(slots=True)
class Watch:
    """What is remembered of one condition between evaluations."""

    condition: Raw
    tracks: Tracks = field(default_factory=dict)
    last: int | None = None
    due: int = 0
    error: str = ""
    series: int = 0
    """How many series violated at the last evaluation."""
    logs: LogCondition | None = None
    told: dict[LabelSet, int] = field(default_factory=dict)
    """When people were last told of each label set of a log condition."""
    today: list[int] = field(default_factory=list)
    """The notifications of the last 24 hours, of a log condition."""


class Step(NamedTuple):
    """One evaluation of one condition, for those who want to see it happen."""

    policy: Raw
    condition: Raw
    at: int
    watch: Watch


def describe(policy: Raw, condition: Raw, watch: Watch | None, open_now: list[Incident]) -> dict[str, Any]:
    kind = kind_of(condition)
    described: dict[str, Any] = {
        "name": condition.name,
        "displayName": condition.display_name,
        "kind": condition.DESCRIPTOR.fields_by_name[kind].json_name,
        "state": "waiting",
        "error": "",
        "last": None,
        "next": None,
        "series": 0,
        "pending": 0,
    }
    if kind not in EVALUATED:
        return described | {"state": "not evaluated yet", "error": f"{NOT_EVALUATED[kind]} is not evaluated yet"}
    if not policy.enabled.value:
        return described | {"state": "disabled"}
    if watch is None or watch.last is None:
        return described
    firing = {one.label_set for one in open_now if one.condition.name == condition.name}
    pending = sum(one.since is not None and key not in firing for key, one in watch.tracks.items())
    state = "error" if watch.error else "firing" if firing else "pending" if pending else "ok"
    return described | {
        "state": state,
        "error": watch.error,
        "last": watch.last,
        "next": None if kind == LOG else watch.due,
        "series": watch.series,
        "pending": pending,
    }


def seen_of(incident: Incident) -> Observed:
    return Observed(
        incident.labels,
        incident.value,
        violates=True,
        metric_type=incident.metric_type,
        resource_type=incident.resource_type,
        resource_labels=incident.resource_labels,
        metric_labels=incident.metric_labels,
        extracted=incident.extracted,
    )


def why_closed(watch: Watch, key: LabelSet) -> str:
    """Why an incident has no reason to be open any more."""
    kind = kind_of(watch.condition)
    track = watch.tracks.get(key)
    if kind == PROMQL:
        return "the query no longer returns the series"
    if track is not None and track.met:
        return "another condition of the policy is no longer met"
    if kind == ABSENT:
        return "the series has data again"
    return "the value no longer violates" if track is None or track.present else "the series has no more data"
