"""Incidents: opened by a violation, closed once, kept for a while."""

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from google.protobuf import json_format

from ..project import Context
from .messages import AlertPolicy, Raw
from .observed import LabelSet

_KIND = "alerting.incident"
_MOST_CLOSED = 1000
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Incident:
    """One violation of one condition by one series. Times are nanoseconds since the epoch."""

    id: str
    policy: Raw
    """The policy as it was when the incident opened."""
    condition: Raw
    labels: dict[str, str]
    metric_type: str
    resource_type: str
    resource_labels: dict[str, str]
    """Metadata among them, as `observed` names it."""
    metric_labels: dict[str, str]
    value: float
    opened_at: int
    last_violated_at: int
    """When data last confirmed it."""
    closed_at: int | None = None
    close_reason: str = ""
    notified_at: dict[str, int] = field(default_factory=dict)
    """When each channel was last told, for reminders."""
    extracted: dict[str, str] = field(default_factory=dict)
    """Labels that a log condition took out of the entry."""
    threshold: float | None = None

    @property
    def state(self) -> Literal["open", "closed"]:
        return "open" if self.closed_at is None else "closed"

    @property
    def label_set(self) -> LabelSet:
        return frozenset(self.labels.items())


# Labels of an incident that belong to the monitored resource `prometheus_target` rather than to the metric.
_TARGET = ("project_id", "location", "cluster", "namespace", "job", "instance")


def split_labels(labels: Mapping[str, str], project_id: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Resource type, resource labels and metric labels of a PromQL result, which no longer tells them apart.

    Google does not publish how it fills `resource` for a PromQL policy; the target's labels go there by their names.
    """
    target = {key: value for key, value in labels.items() if key in _TARGET}
    rest = {key: value for key, value in labels.items() if key not in _TARGET and key != "monitored_resource"}
    kind = labels.get("monitored_resource") or ("prometheus_target" if target.keys() - {"project_id"} else "global")
    return kind, {"project_id": project_id} | target, rest


class Incidents:
    """Every open incident, and the newest closed ones."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._by_id: dict[str, Incident] = {}
        # Apart, because every evaluation asks for them.
        self._open: dict[str, Incident] = {}

    def all(self) -> list[Incident]:
        """Newest first."""
        with self._lock:
            return sorted(self._by_id.values(), key=lambda one: one.opened_at, reverse=True)

    def get(self, identifier: str) -> Incident | None:
        with self._lock:
            return self._by_id.get(identifier)

    def open(self) -> list[Incident]:
        with self._lock:
            return list(self._open.values())

    def new_id(self) -> str:
        """Such as `0.n4x1pbz0s2ul`, the form that Google's notifications show."""
        return "0." + "".join(secrets.choice(_ID_LETTERS) for _ in range(12))

    def keep(self, incident: Incident) -> None:
        """Journal an incident as it is now, and hold it."""
        with self._lock:
            self._context.journal.append(_KIND, json.dumps(_to_json(incident)).encode())
            self._hold(incident)

    def restore(self, kind: str, record: bytes) -> bool:
        if kind != _KIND:
            return False
        self._hold(_from_json(json.loads(record)))
        return True

    def _hold(self, incident: Incident) -> None:
        self._by_id[incident.id] = incident
        if incident.closed_at is None:
            self._open[incident.id] = incident
            return
        self._open.pop(incident.id, None)
        if len(self._by_id) - len(self._open) > _MOST_CLOSED:
            self._forget()

    def _forget(self) -> None:
        closed = sorted((one.closed_at, one.id) for one in self._by_id.values() if one.closed_at is not None)
        for _, identifier in closed[: max(0, len(closed) - _MOST_CLOSED)]:
            del self._by_id[identifier]


_PLAIN = (
    "id", "labels", "metric_type", "resource_type", "resource_labels", "metric_labels", "value",
    "opened_at", "last_violated_at", "closed_at", "close_reason", "notified_at", "extracted", "threshold",
)  # fmt: skip


def _to_json(incident: Incident) -> dict[str, Any]:
    return {name: getattr(incident, name) for name in _PLAIN} | {
        "policy": json_format.MessageToDict(incident.policy),
        "condition": incident.condition.name,
    }


def _from_json(data: dict[str, Any]) -> Incident:
    policy = json_format.ParseDict(data["policy"], AlertPolicy())
    condition = next(one for one in policy.conditions if one.name == data["condition"])
    # Older records lack the newest fields.
    return Incident(policy=policy, condition=condition, **{name: data[name] for name in _PLAIN if name in data})
