"""The life of incidents: opened, told of, told of again, closed."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from ..clock import NANOS
from ..project import Context
from .conditions import LOG, PROMQL, kind_of, threshold_of
from .incidents import Incident, Incidents
from .limits import seconds
from .messages import AlertPolicy, Raw
from .metric_names import KnownMetrics, promql_metrics
from .observed import Observed

# "The default is 7 days" (docs.cloud.google.com/monitoring/alerts/incidents-events, automatic closure).
_AUTO_CLOSE_SECONDS = 7 * 86_400.0
_PROMPTS = AlertPolicy.AlertStrategy.NotificationPrompt


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


class Snoozes(Protocol):
    def is_snoozed(self, policy: str, resource_labels: Mapping[str, str], at: int) -> bool:
        """Whether an incident must not be open now."""


class IncidentLife:
    def __init__(
        self,
        context: Context,
        incidents: Incidents,
        notifier: Notifies,
        snoozes: Snoozes | None,
        metrics: KnownMetrics | None,
    ) -> None:
        self._context = context
        self.incidents = incidents
        self._notifier = notifier
        self._snoozes = snoozes
        self._metrics = metrics

    def of(self, policy: Raw) -> list[Incident]:
        """The open incidents of a policy."""
        return [one for one in self.incidents.open() if one.policy.name == policy.name]

    def open(self, policy: Raw, condition: Raw, seen: Observed, now: int) -> Transition:
        incident = Incident(
            id=self.incidents.new_id(),
            policy=policy,
            condition=condition,
            labels=seen.labels,
            metric_type=seen.metric_type or self._metric_type(condition),
            resource_type=seen.resource_type,
            resource_labels=seen.resource_labels,
            metric_labels=seen.metric_labels,
            value=seen.value,
            opened_at=now,
            last_violated_at=now,
            notified_at=dict.fromkeys(policy.notification_channels, now),
            extracted=dict(seen.extracted),
            threshold=threshold_of(condition),
        )
        self.incidents.keep(incident)
        self._notifier.notify("opened", incident, policy, list(policy.notification_channels), now)
        return Transition("opened", incident, now)

    def close(self, incident: Incident, policy: Raw, now: int, reason: str, *, tell: bool = True) -> Transition:
        incident.closed_at, incident.close_reason = now, reason
        self.incidents.keep(incident)
        prompts = policy.alert_strategy.notification_prompts
        # "For log-based alert policies, the notification prompts is always [OPENED]" (alert.proto).
        wanted = (not prompts or _PROMPTS.CLOSED in prompts) and kind_of(incident.condition) != LOG
        if tell and wanted:
            self._notifier.notify("closed", incident, policy, list(policy.notification_channels), now)
        return Transition("closed", incident, now, reason)

    def close_orphans(self, policies: dict[str, Raw], now: int) -> list[Transition]:
        """Close what no longer has a condition to violate: policy deleted or disabled, condition changed."""
        transitions: list[Transition] = []
        for incident in self.incidents.open():
            policy = policies.get(incident.policy.name)
            if policy is None:
                transitions.append(self.close(incident, incident.policy, now, "the policy was deleted"))
            elif not policy.enabled.value:
                transitions.append(self.close(incident, policy, now, "the policy was disabled"))
            elif incident.condition not in policy.conditions:
                transitions.append(self.close(incident, policy, now, "the condition was changed"))
        return transitions

    def auto_close(self, policy: Raw, now: int) -> list[Transition]:
        """An incident that no data confirms any more ends when autoClose has passed."""
        strategy = policy.alert_strategy
        limit = seconds(strategy.auto_close) if strategy.HasField("auto_close") else _AUTO_CLOSE_SECONDS
        return [
            self.close(incident, policy, now, "autoClose passed without data")
            for incident in self.of(policy)
            if now - incident.last_violated_at >= limit * NANOS
        ]

    def remind(self, policy: Raw, now: int) -> None:
        for strategy in policy.alert_strategy.notification_channel_strategy:
            interval = round(seconds(strategy.renotify_interval) * NANOS)
            if interval <= 0:
                continue
            for incident in self.of(policy):
                due = [
                    channel
                    for channel in strategy.notification_channel_names
                    if now - incident.notified_at.get(channel, incident.opened_at) >= interval
                ]
                if due:
                    self.tell_again(incident, policy, due, now)

    def tell_again(self, incident: Incident, policy: Raw, channels: list[str], now: int) -> None:
        incident.notified_at.update(dict.fromkeys(channels, now))
        self.incidents.keep(incident)
        self._notifier.notify("reminder", incident, policy, channels, now)

    def is_snoozed(self, policy: Raw, seen: Observed, now: int) -> bool:
        return self._snoozes is not None and self._snoozes.is_snoozed(policy.name, seen.resource_labels, now)

    def snooze(self, policy: Raw, now: int) -> list[Transition]:
        """A snooze closes what is open, without a word; incidents of log conditions stay.

        cloud.google.com/monitoring/alerts/snooze, "How snoozes work".
        """
        if self._snoozes is None:
            return []
        return [
            self.close(incident, policy, now, "the policy was snoozed", tell=False)
            for incident in self.of(policy)
            if self._snoozes.is_snoozed(policy.name, incident.resource_labels, now)
        ]

    def _metric_type(self, condition: Raw) -> str:
        """The type of the one metric that a query reads; empty when it reads several or none."""
        if kind_of(condition) != PROMQL or self._metrics is None:
            return ""
        names = promql_metrics(condition.condition_prometheus_query_language.query)
        return self._metrics.type_of(names.pop()) if len(names) == 1 else ""
