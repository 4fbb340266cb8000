"""Policies over time: violations become pending, then incidents, then history."""

import sys
from collections.abc import Callable
from typing import Any, Protocol

from ..clock import NANOS
from ..logging.record import Record
from ..monitoring.store import MetricStore
from ..project import Context
from ..promql.model import SampleSource
from .combiner import combined
from .conditions import (
    ABSENT,
    EVALUATED,
    LOG,
    NOT_EVALUATED,
    PROMQL,
    THRESHOLD,
    Sources,
    duration_of,
    interval_of,
    kind_of,
    known_before,
    missing_of,
    observe,
    trigger_of,
)
from .incidents import Incident, Incidents
from .life import IncidentLife, Notifies, Snoozes, Transition
from .limits import seconds
from .log_match import DAY, MOST_A_DAY, LogFeed, compiled
from .messages import Raw
from .metric_names import KnownMetrics
from .observed import EvaluationError, Observed
from .selection import MetricSource
from .tracks import REMEMBERED, Track, step, triggered
from .watches import Step, Watch, describe, seen_of, why_closed

# docs.cloud.google.com/monitoring/quotas: incidents that one policy can have open at a time.
_MOST_OPEN = 1000


class Policies(Protocol):
    def policies(self) -> list[Raw]:
        """A snapshot whose messages nobody changes."""


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
        series: MetricSource | None = None,
        logs: LogFeed | None = None,
        snoozes: Snoozes | None = None,
        metrics: KnownMetrics | None = None,
        every: float | None = None,
        warn: Callable[[str], object] = sys.stderr.write,
        on_step: Callable[[Step], None] | None = None,
        see: Callable[[Raw, Sources, int], list[Observed]] = observe,
    ) -> None:
        """`every`: seconds between evaluations instead of what the policies ask; `metrics` names metric types.

        `see` answers what a metric condition sees at a moment (ns).
        """
        self._policies = policies
        self._sources = Sources(source, series or MetricSource(MetricStore()), context.switches, context.project_id)
        self.incidents = incidents if incidents is not None else Incidents(context)
        self._life = IncidentLife(context, self.incidents, notifier, snoozes, metrics)
        self._logs = logs
        self._every = every
        self._warn = warn
        self._on_step = on_step
        self._see = see
        self._watches: dict[str, Watch] = {}
        self._warned: set[str] = set()

    def evaluate(self, now: int, *, force: bool = False) -> list[Transition]:
        """Evaluate every condition that is due at `now` (ns), or with `force` every one there is."""
        policies = {policy.name: policy for policy in self._policies.policies()}
        transitions = self._life.close_orphans(policies, now)
        names = {condition.name for policy in policies.values() for condition in policy.conditions}
        self._watches = {name: watch for name, watch in self._watches.items() if name in names}
        records = self._logs.take() if self._logs is not None else []
        for policy in policies.values():
            if not policy.enabled.value:
                continue
            if kind_of(policy.conditions[0]) == LOG:
                transitions += self._match(policy, records, now)
            else:
                transitions += self._evaluate(policy, now, force=force)
            closed = self._life.auto_close(policy, now)
            for transition in closed:
                # Without data there is nothing that could open it again.
                self._forget(transition.incident)
            transitions += closed
            self._life.remind(policy, now)
        return transitions

    def _forget(self, incident: Incident) -> None:
        watch = self._watches.get(incident.condition.name)
        if watch is not None:
            watch.tracks.pop(incident.label_set, None)

    def state_of(self, policy: Raw) -> list[Watch]:
        """What is remembered of a policy's conditions, for those that were evaluated."""
        return [self._watches[one.name] for one in policy.conditions if one.name in self._watches]

    def _evaluate(self, policy: Raw, now: int, *, force: bool) -> list[Transition]:
        """All conditions of a policy that are due, and what their combination opens and closes."""
        evaluated = False
        for condition in policy.conditions:
            if kind_of(condition) not in EVALUATED:
                self._warn_once(policy, condition)
                continue
            watch = self._watch(policy, condition, now)
            if force or now >= watch.due:
                self._observe(condition, watch, now)
                evaluated = True
                if self._on_step is not None:
                    self._on_step(Step(policy, condition, now, watch))
        transitions = self._life.snooze(policy, now)
        if evaluated:
            transitions += self._apply(policy, now)
        return transitions

    def _watch(self, policy: Raw, condition: Raw, now: int) -> Watch:
        watch = self._watches.get(condition.name)
        if watch is None or (watch.condition is not condition and watch.condition != condition):
            watch = self._watches[condition.name] = Watch(condition)
            self._recall(policy, watch, now)
        return watch

    def _recall(self, policy: Raw, watch: Watch, now: int) -> None:
        """What a condition knew before a restart: its open incidents, and series that had data since it exists.

        "Metric-absence conditions require at least one successful measurement ... after the policy was installed or
        modified" (cloud.google.com/monitoring/alerts/metric-absence).
        """
        condition = watch.condition
        if kind_of(condition) in {THRESHOLD, ABSENT}:
            since = max(now - REMEMBERED, policy.mutation_record.mutate_time.ToNanoseconds())
            if since < now:
                try:
                    for seen, at in known_before(condition, self._sources, since, now):
                        watch.tracks[seen.label_set] = Track(seen, min(at, now))
                except Exception as error:  # noqa: BLE001  # the evaluation that follows tells what is wrong
                    watch.error = str(error)
        for incident in self.incidents.open():
            if incident.condition.name == condition.name:
                known = watch.tracks.get(incident.label_set)
                last = incident.last_violated_at if known is None else known.last_data
                watch.tracks[incident.label_set] = Track(seen_of(incident), last, since=incident.opened_at, met=True)

    def _observe(self, condition: Raw, watch: Watch, now: int) -> None:
        interval = round((self._every or interval_of(condition)) * NANOS)
        # On the grid of the interval, so that a caller who comes late each time does not make the intervals longer.
        watch.due = watch.due + interval if now < watch.due + interval else now + interval
        watch.last = now
        try:
            found = self._see(condition, self._sources, now)
        except EvaluationError as error:
            watch.error = str(error)
            return
        except Exception as error:  # noqa: BLE001  # one policy's failure must not end the evaluation of all others
            watch.error = f"the evaluator failed: {type(error).__name__}: {error}"
            return
        watch.error = ""
        step(watch.tracks, found, missing_of(condition), duration_of(condition), now)
        watch.series = sum(track.since is not None for track in watch.tracks.values())

    def _apply(self, policy: Raw, now: int) -> list[Transition]:
        """Open and close what the policy's conditions say together; a condition in error keeps what it has."""
        watches = self.state_of(policy)
        met = [triggered(one.tracks, missing_of(one.condition), *trigger_of(one.condition)) for one in watches]
        wanted = combined(policy.combiner, met)
        open_now = self._life.of(policy)
        if not open_now and not any(wanted):
            return []
        opened = len(open_now)
        transitions: list[Transition] = []
        for watch, tracks in zip(watches, wanted, strict=True):
            if watch.error:
                continue
            ours = {one.label_set: one for one in open_now if one.condition.name == watch.condition.name}
            for key, incident in ours.items():
                if key not in tracks:
                    transitions.append(self._life.close(incident, policy, now, why_closed(watch, key)))
                    opened -= 1
                elif tracks[key].present or kind_of(watch.condition) == PROMQL:
                    incident.value, incident.last_violated_at = tracks[key].seen.value, tracks[key].last_data
            for key, track in tracks.items():
                if key in ours or self._life.is_snoozed(policy, track.seen, now):
                    continue
                if opened >= _MOST_OPEN:
                    watch.error = f"{len(tracks)} series violate; no more than {_MOST_OPEN} incidents open at a time"
                    break
                transitions.append(self._life.open(policy, watch.condition, track.seen, now))
                opened += 1
        return transitions

    def _match(self, policy: Raw, records: list[Record], now: int) -> list[Transition]:
        """One log condition: an incident for each label set, told again no oftener than the rate limit allows.

        "Another log entry causes the same condition to be met for an open incident. In this case, Monitoring only
        sends another notification for the same incident" (cloud.google.com/logging/docs/alerting/log-based-incidents).
        """
        condition = policy.conditions[0]
        watch = self._watch(policy, condition, now)
        watch.last = now
        if not records:
            return []
        try:
            watch.logs = watch.logs or compiled(condition.condition_matched_log)
            found = watch.logs.observed(records)
        except EvaluationError as error:
            watch.error = str(error)
            return []
        except Exception as error:  # noqa: BLE001  # as in `_observe`
            watch.error = f"the evaluator failed: {type(error).__name__}: {error}"
            return []
        watch.error = ""
        watch.series = len(found)
        period = round(seconds(policy.alert_strategy.notification_rate_limit.period) * NANOS)
        open_now = {one.label_set: one for one in self.incidents.open() if one.condition.name == condition.name}
        transitions: list[Transition] = []
        watch.today = [at for at in watch.today if now - at < DAY]
        for one in found:
            incident = open_now.get(one.label_set)
            if incident is not None:
                incident.last_violated_at = now
            last = watch.told.get(one.label_set)
            if self._life.is_snoozed(policy, one, now) or (last is not None and now - last < period):
                continue
            if len(watch.today) >= MOST_A_DAY:
                watch.error = f"more than {MOST_A_DAY} notifications in 24 hours: no more are sent"
                continue
            watch.told[one.label_set] = now
            watch.today.append(now)
            if incident is None:
                transitions.append(self._life.open(policy, condition, one, now))
            else:
                self._life.tell_again(incident, policy, list(policy.notification_channels), now)
        watch.told = {key: at for key, at in watch.told.items() if now - at < period or key in open_now}
        if self._on_step is not None:
            self._on_step(Step(policy, condition, now, watch))
        return transitions

    def _warn_once(self, policy: Raw, condition: Raw) -> None:
        if condition.name not in self._warned:
            self._warned.add(condition.name)
            what = NOT_EVALUATED[kind_of(condition)]
            self._warn(f'Alert policy "{policy.display_name}": {what} is stored but not evaluated yet.\n')

    def evaluations(self) -> list[dict[str, Any]]:
        """Per policy and condition: whether and when it is evaluated, its state, its error; times in ns or None."""
        return [
            {
                "policy": policy.name,
                "displayName": policy.display_name,
                "enabled": policy.enabled.value,
                "conditions": [
                    describe(policy, one, self._watches.get(one.name), self.incidents.open())
                    for one in policy.conditions
                ],
            }
            for policy in self._policies.policies()
        ]
