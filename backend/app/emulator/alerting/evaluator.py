"""Policies over time: violations become pending, then incidents, then history."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from ..clock import NANOS
from ..project import Context
from ..promql.model import SampleSource
from .conditions import PROMQL, EvaluationError, Violation, duration_of, interval_of, violations
from .incidents import Incident, Incidents, LabelSet, split_labels
from .limits import seconds
from .messages import AlertPolicy, Raw
from .metric_names import KnownMetrics, promql_metrics

# docs.cloud.google.com/monitoring/quotas: incidents that one policy can have open at a time.
_MOST_OPEN = 1000
# "The default is 7 days" (docs.cloud.google.com/monitoring/alerts/incidents-events, automatic closure).
_AUTO_CLOSE_SECONDS = 7 * 86_400.0
_PROMPTS = AlertPolicy.AlertStrategy.NotificationPrompt

NOT_EVALUATED = {
    "condition_threshold": "metric threshold (conditionThreshold)",
    "condition_absent": "metric absence (conditionAbsent)",
    "condition_matched_log": "log match (conditionMatchedLog)",
    "condition_monitoring_query_language": "Monitoring Query Language (conditionMonitoringQueryLanguage)",
    "condition_sql": "SQL (conditionSql)",
}


class Transition(NamedTuple):
    """What an evaluation changed."""

    kind: Literal["opened", "closed"]
    incident: Incident
    at: int
    reason: str = ""


class Notifies(Protocol):
    def notify(
        self,
        event: Literal["opened", "closed", "reminder"],
        incident: Incident,
        policy: Raw,
        channels: list[str],
        at: int,
    ) -> None:
        """Take note of a notification to send; must not block."""


class Policies(Protocol):
    def policies(self) -> list[Raw]:
        """A snapshot whose messages nobody changes."""


@dataclass(slots=True)
class _Watch:
    """What is remembered of one condition between evaluations."""

    condition: Raw
    pending: dict[LabelSet, int] = field(default_factory=dict)
    last: int | None = None
    due: int = 0
    error: str = ""
    series: int = 0


class AlertEvaluator:
    """Evaluates policies when told to, on the time it is told. One thread at a time may call `evaluate`."""

    def __init__(
        self,
        context: Context,
        policies: Policies,
        source: SampleSource,
        notifier: Notifies,
        incidents: Incidents | None = None,
        *,
        metrics: KnownMetrics | None = None,
        every: float | None = None,
        warn: Callable[[str], object] = sys.stderr.write,
    ) -> None:
        """`every`: seconds between evaluations instead of what the policies ask; `metrics` names metric types."""
        self._context = context
        self._policies = policies
        self._source = source
        self._notifier = notifier
        self.incidents = incidents if incidents is not None else Incidents(context)
        self._metrics = metrics
        self._every = every
        self._warn = warn
        self._watches: dict[str, _Watch] = {}
        self._warned: set[str] = set()

    def evaluate(self, now: int, *, force: bool = False) -> list[Transition]:
        """Evaluate every condition that is due at `now` (ns), or with `force` every one there is."""
        policies = {policy.name: policy for policy in self._policies.policies()}
        transitions = self._close_orphans(policies, now)
        names = {condition.name for policy in policies.values() for condition in policy.conditions}
        self._watches = {name: watch for name, watch in self._watches.items() if name in names}
        for policy in policies.values():
            if not policy.enabled.value:
                continue
            for condition in policy.conditions:
                if condition.WhichOneof("condition") != PROMQL:
                    self._warn_once(policy, condition)
                    continue
                watch = self._watch(condition)
                if force or now >= watch.due:
                    transitions += self._evaluate(policy, condition, watch, now)
            transitions += self._auto_close(policy, now)
            self._remind(policy, now)
        return transitions

    def _watch(self, condition: Raw) -> _Watch:
        watch = self._watches.get(condition.name)
        if watch is None or watch.condition != condition:
            watch = self._watches[condition.name] = _Watch(condition)
        return watch

    def _evaluate(self, policy: Raw, condition: Raw, watch: _Watch, now: int) -> list[Transition]:
        interval = round((self._every or interval_of(condition)) * NANOS)
        # On the grid of the interval, so that a caller who comes late each time does not make the intervals longer.
        watch.due = watch.due + interval if now < watch.due + interval else now + interval
        watch.last = now
        try:
            found = violations(condition, self._source, now)
        except EvaluationError as error:
            watch.error = str(error)
            return []
        except Exception as error:  # noqa: BLE001  # one policy's failure must not end the evaluation of all others
            watch.error = f"the evaluator failed: {type(error).__name__}: {error}"
            return []
        watch.error = ""
        watch.series = len(found)
        return self._apply(policy, condition, watch, found, now)

    def _apply(self, policy: Raw, condition: Raw, watch: _Watch, found: list[Violation], now: int) -> list[Transition]:
        current = {frozenset(violation.labels.items()): violation for violation in found}
        open_now = {one.label_set: one for one in self.incidents.open() if one.condition.name == condition.name}
        transitions = [
            self._close(incident, policy, now, "the query no longer returns the series")
            for labels, incident in open_now.items()
            if labels not in current
        ]
        watch.pending = {labels: since for labels, since in watch.pending.items() if labels in current}
        opened = len([labels for labels in open_now if labels in current])
        for labels, violation in current.items():
            incident = open_now.get(labels)
            if incident is not None:
                incident.value, incident.last_violated_at = violation.value, now
                continue
            since = watch.pending.setdefault(labels, now)
            if now - since < duration_of(condition):
                continue
            if opened >= _MOST_OPEN:
                watch.error = f"{len(current)} series violate; no more than {_MOST_OPEN} incidents open at a time"
                break
            del watch.pending[labels]
            transitions.append(self._open(policy, condition, violation, now))
            opened += 1
        return transitions

    def _open(self, policy: Raw, condition: Raw, violation: Violation, now: int) -> Transition:
        resource_type, resource_labels, metric_labels = split_labels(violation.labels, self._context.project_id)
        incident = Incident(
            id=self.incidents.new_id(),
            policy=policy,
            condition=condition,
            labels=violation.labels,
            metric_type=self._metric_type(condition),
            resource_type=resource_type,
            resource_labels=resource_labels,
            metric_labels=metric_labels,
            value=violation.value,
            opened_at=now,
            last_violated_at=now,
            notified_at=dict.fromkeys(policy.notification_channels, now),
        )
        self.incidents.keep(incident)
        self._notifier.notify("opened", incident, policy, list(policy.notification_channels), now)
        return Transition("opened", incident, now)

    def _close(self, incident: Incident, policy: Raw, now: int, reason: str) -> Transition:
        incident.closed_at, incident.close_reason = now, reason
        self.incidents.keep(incident)
        prompts = policy.alert_strategy.notification_prompts
        if not prompts or _PROMPTS.CLOSED in prompts:
            self._notifier.notify("closed", incident, policy, list(policy.notification_channels), now)
        return Transition("closed", incident, now, reason)

    def _close_orphans(self, policies: dict[str, Raw], now: int) -> list[Transition]:
        """Close what no longer has a condition to violate: policy deleted or disabled, condition changed."""
        transitions: list[Transition] = []
        for incident in self.incidents.open():
            policy = policies.get(incident.policy.name)
            if policy is None:
                transitions.append(self._close(incident, incident.policy, now, "the policy was deleted"))
            elif not policy.enabled.value:
                transitions.append(self._close(incident, policy, now, "the policy was disabled"))
            elif incident.condition not in policy.conditions:
                transitions.append(self._close(incident, policy, now, "the condition was changed"))
        return transitions

    def _auto_close(self, policy: Raw, now: int) -> list[Transition]:
        """A violation that nothing confirms any more (its query fails) ends when autoClose has passed."""
        strategy = policy.alert_strategy
        limit = seconds(strategy.auto_close) if strategy.HasField("auto_close") else _AUTO_CLOSE_SECONDS
        return [
            self._close(incident, policy, now, "autoClose passed without data")
            for incident in self.incidents.open()
            if incident.policy.name == policy.name and now - incident.last_violated_at >= limit * NANOS
        ]

    def _remind(self, policy: Raw, now: int) -> None:
        for strategy in policy.alert_strategy.notification_channel_strategy:
            interval = round(seconds(strategy.renotify_interval) * NANOS)
            if interval <= 0:
                continue
            for incident in self.incidents.open():
                if incident.policy.name != policy.name:
                    continue
                due = [
                    channel
                    for channel in strategy.notification_channel_names
                    if now - incident.notified_at.get(channel, incident.opened_at) >= interval
                ]
                if due:
                    incident.notified_at.update(dict.fromkeys(due, now))
                    self.incidents.keep(incident)
                    self._notifier.notify("reminder", incident, policy, due, now)

    def _metric_type(self, condition: Raw) -> str:
        """The type of the one metric that a query reads; empty when it reads several or none."""
        names = promql_metrics(condition.condition_prometheus_query_language.query)
        if len(names) != 1 or self._metrics is None:
            return ""
        return self._metrics.type_of(names.pop())

    def _warn_once(self, policy: Raw, condition: Raw) -> None:
        if condition.name not in self._warned:
            self._warned.add(condition.name)
            what = NOT_EVALUATED[condition.WhichOneof("condition")]
            self._warn(f'Alert policy "{policy.display_name}": {what} is stored but not evaluated yet.\n')

    def evaluations(self) -> list[dict[str, Any]]:
        """Per policy and condition: whether and when it is evaluated, its state, its error; times in ns or None."""
        return [
            {
                "policy": policy.name,
                "displayName": policy.display_name,
                "enabled": policy.enabled.value,
                "conditions": [self._describe(policy, condition) for condition in policy.conditions],
            }
            for policy in self._policies.policies()
        ]

    def _describe(self, policy: Raw, condition: Raw) -> dict[str, Any]:
        kind = condition.WhichOneof("condition")
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
        if kind != PROMQL:
            return described | {"state": "not evaluated yet", "error": f"{NOT_EVALUATED[kind]} is not evaluated yet"}
        if not policy.enabled.value:
            return described | {"state": "disabled"}
        watch = self._watches.get(condition.name)
        if watch is None or watch.last is None:
            return described
        firing = any(one.condition.name == condition.name for one in self.incidents.open())
        state = "error" if watch.error else "firing" if firing else "pending" if watch.pending else "ok"
        return described | {
            "state": state,
            "error": watch.error,
            "last": watch.last,
            "next": watch.due,
            "series": watch.series,
            "pending": len(watch.pending),
        }
