"""The emulator itself without wires, on a clock that a test moves: its metric store, its log store, its evaluator."""

import heapq
from collections.abc import Callable, Iterable, Mapping
from math import gcd
from typing import Any, Literal, NamedTuple

from google.cloud.logging_v2.types import LogEntry, WriteLogEntriesRequest
from google.cloud.monitoring_v3 import types
from google.protobuf import json_format

from ..alerting.conditions import EVALUATED, NOT_EVALUATED, PROMQL, interval_of, kind_of
from ..alerting.evaluator import AlertEvaluator
from ..alerting.incidents import Incident
from ..alerting.log_match import LogFeed
from ..alerting.messages import AlertPolicy, Raw, Snooze
from ..alerting.metric_names import KnownMetrics
from ..alerting.payload import notification
from ..alerting.selection import MetricSource
from ..alerting.service import AlertPolicyService
from ..alerting.snoozes import SnoozeService
from ..alerting.watches import Step
from ..clock import NANOS, ManualClock
from ..monitoring.model import Series as StoredSeries
from ..parts import Parts
from ..project import Context, Switches
from ..promql.model import SampleSource
from ..status import ApiError
from .clock import TestClock
from .errors import ScriptError
from .notation import duration_text, seconds_of
from .policies import Policy, chosen
from .series import Series, Writer, series_of
from .sides import compared_values

State = Literal["none", "pending", "open", "closed"]

# Monday 2026-01-05, midnight UTC: whole minutes, and no summer time within weeks.
START = 1_767_571_200 * NANOS
_GRID_SECONDS = 60
_MOST_IN_ONE_CALL = 200
_CreateTimeSeriesRequest: Any = types.CreateTimeSeriesRequest.pb()
_CreateAlertPolicyRequest: Any = types.CreateAlertPolicyRequest.pb()
_CreateSnoozeRequest: Any = types.CreateSnoozeRequest.pb()
_WriteLogEntriesRequest: Any = WriteLogEntriesRequest.pb()
_LogEntry: Any = LogEntry.pb()


class Notification(NamedTuple):
    """What people were told, to whatever channels."""

    event: Literal["opened", "closed", "reminder"]
    policy: str
    """Display name."""
    at: float
    """Seconds since the beginning of the test."""
    incident: dict[str, Any]
    """The `incident` of notification format 1.2."""
    channels: tuple[str, ...]

    @property
    def subject(self) -> str:
        return str(self.incident["documentation"]["subject"])

    @property
    def text(self) -> str:
        """Subject, content and summary: what people read."""
        documentation = self.incident["documentation"]
        return "\n".join((self.subject, documentation["content"], self.incident["summary"]))


class Timeline:
    __test__ = False

    def __init__(
        self,
        policies: Iterable[Policy] = (),
        *,
        variables: Mapping[str, Any] | None = None,
        interval: float = 60.0,
        evaluate_every: float | None = None,
        ingest_delay: float = 0.0,
        start: int = START,
        switches: Switches | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        """`interval`: seconds between two samples of a series; `start`: nanoseconds since the epoch.

        `ingest_delay`: how many seconds later than written threshold and absence conditions see data.
        """
        self.notifications: list[Notification] = []
        self.errors: dict[str, str] = {}
        """What kept a policy from being evaluated, by display name."""
        self.on_evaluated: list[Callable[[], None]] = []
        self.clock = TestClock(self._advance_to, lambda: (self._manual.now() - self._start) / NANOS)
        self.variables = dict(variables or {})
        self.written: set[str] = set()
        """The metric types that have series."""
        self._interval = interval
        self._every = evaluate_every
        self._start = start
        self._on_step = on_step
        self._manual = ManualClock(start)
        switches = switches or Switches()
        switches.minimum_gap_seconds, switches.metric_validation = 0.0, False
        switches.alert_delay_seconds = ingest_delay
        self._context = Context(project_id="demo", clock=self._manual, switches=switches)
        self._parts = Parts(self._context)
        self._metadata: dict[int, Mapping[str, str]] = {}
        self._policies = AlertPolicyService(self._context)
        self._snoozes = SnoozeService(self._context, self._policies.has)
        feed = LogFeed()
        self._parts.logging.watchers.append(feed.put)
        self._evaluator = AlertEvaluator(
            self._context,
            self._policies,
            self._parts.source,
            self,
            series=MetricSource(self._parts.store, self._metadata_of),
            logs=feed,
            snoozes=self._snoozes,
            metrics=KnownMetrics(self._parts.store.descriptors),
            every=evaluate_every,
            warn=lambda _: None,
            on_step=self._step,
        )
        self._known: list[Policy] = []
        self._stored: dict[str, Raw] = {}
        self._metadata_by_identity: dict[tuple[Any, ...], Mapping[str, str]] = {}
        self._due: list[tuple[int, int, Callable[[], int | None]]] = []
        self._order = 0
        self._batch: list[Any] = []
        self._next_evaluation = start
        for policy in policies:
            self.add(policy)

    def add(self, policy: Policy | Mapping[str, Any]) -> None:
        """Take in a policy: one that `read_policies` answered, or the JSON of an AlertPolicy."""
        if not isinstance(policy, Policy):
            try:
                message = json_format.ParseDict(dict(policy), AlertPolicy())
            except json_format.ParseError as error:
                raise ScriptError(f"not an AlertPolicy: {error}") from error
            policy = Policy(message.display_name, message, "the test")
        request = _CreateAlertPolicyRequest(name=self._project, alert_policy=policy.message)
        try:
            self._stored[policy.display_name] = self._policies.create_alert_policy(request)
        except ApiError as error:
            raise ScriptError(f"{policy.origin}: {error.message}") from error
        self._known.append(policy)
        for condition in policy.message.conditions:
            if kind_of(condition) not in EVALUATED:
                self.errors[policy.display_name] = f"{NOT_EVALUATED[kind_of(condition)]} is not evaluated"

    def write(
        self,
        metric: str,
        values: str | Iterable[float | None],
        *,
        interval: str | float | None = None,
        delay: str | float = 0,
        **more: Any,
    ) -> None:
        """A series from now on, in promtool's notation; `more` as in `series_of`: kind, resource, labels, ..."""
        series = series_of(
            metric,
            values,
            interval=self._interval if interval is None else seconds_of(interval),
            variables=self.variables,
            start=seconds_of(delay),
            **more,
        )
        self.write_series(series)

    def write_series(self, series: Series) -> None:
        self.written.add(series.metric_type)
        if series.metadata:
            self._metadata_by_identity[_identity(series.metric_type, series.labels, series.resource_labels)] = (
                series.metadata
            )
        writer = Writer(series, self._manual.now())

        def write() -> int | None:
            message = writer.take()
            if message is not None:
                self._batch.append((series, message))
            return None if writer.done else writer.next_at

        if not writer.done:
            self._at(writer.next_at, write)

    def log(
        self,
        entry: Mapping[str, Any] | None = None,
        *,
        delay: str | float = 0,
        every: str | float = 60,
        times: int = 1,
        **fields: Any,
    ) -> None:
        """A log entry, now or later, once or `times` times: fields of LogEntry as the API's JSON names them.

        `log="run.googleapis.com/stdout"` stands for the whole logName.
        """
        data = {**(entry or {}), **fields}
        name = str(data.pop("log", "test"))
        data.setdefault("logName", f"{self._project}/logs/{name.replace('/', '%2F')}")
        data.setdefault("resource", {"type": "global"})
        try:
            message = json_format.ParseDict(data, _LogEntry())
        except json_format.ParseError as error:
            raise ScriptError(f"not a LogEntry: {error}") from error
        first = self._manual.now() + round(seconds_of(delay) * NANOS)
        step = round(seconds_of(every) * NANOS)
        written = 0

        def write() -> int | None:
            nonlocal written
            copy = _LogEntry()
            copy.CopyFrom(message)
            if not copy.HasField("timestamp"):
                copy.timestamp.FromNanoseconds(self._manual.now())
            self._call(self._parts.logging.write_log_entries, _WriteLogEntriesRequest(entries=[copy]), "a log entry")
            written += 1
            return first + written * step if written < times else None

        self._at(first, write)

    def snooze(self, *policies: str, duration: str | float, delay: str | float = 0, filter: str = "") -> None:  # noqa: A002  # the API's word
        """Snooze policies, from now or later, for so long."""
        names = [self._stored[chosen(self._known, name).display_name].name for name in policies]
        snooze = Snooze(display_name="test", criteria={"policies": names, "filter": filter})
        begin = self._manual.now() + round(seconds_of(delay) * NANOS)
        snooze.interval.start_time.FromNanoseconds(begin)
        snooze.interval.end_time.FromNanoseconds(begin + round(seconds_of(duration) * NANOS))
        self._call(self._snoozes.create_snooze, _CreateSnoozeRequest(parent=self._project, snooze=snooze), "the snooze")

    def incidents(self, policy: str, labels: Mapping[str, str] | None = None) -> list[Incident]:
        """Of a policy, the newest first; with labels, those that have them (an empty value: that do not)."""
        name = chosen(self._known, policy).display_name
        return [
            one
            for one in self._evaluator.incidents.all()
            if one.policy.display_name == name and has_labels(one.labels, labels)
        ]

    def state(self, policy: str, labels: Mapping[str, str] | None = None) -> State:
        """`open` when an incident is, else `pending` when a series violates, else `closed` when one was open before."""
        found = self.incidents(policy, labels)
        if any(one.state == "open" for one in found):
            return "open"
        stored = self._stored[chosen(self._known, policy).display_name]
        for watch in self._evaluator.state_of(stored):
            if any(
                track.since is not None and has_labels(track.seen.labels, labels) for track in watch.tracks.values()
            ):
                return "pending"
        return "closed" if found else "none"

    def told(self, policy: str) -> list[Notification]:
        """The notifications of a policy, the oldest first."""
        name = chosen(self._known, policy).display_name
        return [one for one in self.notifications if one.policy == name]

    def policy_names(self) -> list[str]:
        return [policy.display_name for policy in self._known]

    def policy(self, name: str) -> Policy:
        return chosen(self._known, name)

    def seen(self, policy: str) -> list[str]:
        """What the policy saw at its last evaluation, a line a series."""
        stored = self._stored[chosen(self._known, policy).display_name]
        lines: list[str] = []
        for watch in self._evaluator.state_of(stored):
            for track in watch.tracks.values():
                labels = ", ".join(f"{key}={value}" for key, value in sorted(track.seen.labels.items()))
                since = (
                    "" if track.since is None else f", violates since {duration_text(self.since_start(track.since))}"
                )
                missing = "" if track.present else ", no data now"
                lines.append(f"{{{labels}}} {track.seen.value:g}{missing}{since}")
        for condition in stored.conditions:
            if kind_of(condition) == PROMQL:
                query = condition.condition_prometheus_query_language.query
                for text, values in compared_values(query, self.source, self._manual.now()):
                    lines += [f"{value}  in  {text}" for value in values]
        return lines

    @property
    def source(self) -> SampleSource:
        return self._parts.source

    def since_start(self, moment: int) -> float:
        return (moment - self._start) / NANOS

    @property
    def _project(self) -> str:
        return f"projects/{self._context.project_id}"

    def notify(
        self,
        event: Literal["opened", "closed", "reminder"],
        incident: Incident,
        policy: Raw,
        channels: list[str],
        at: int,
    ) -> None:
        """As the evaluator tells the notifier."""
        payload = notification(self._context, policy, incident, "")["incident"]
        self.notifications.append(
            Notification(event, policy.display_name, self.since_start(at), payload, tuple(channels))
        )

    def _at(self, moment: int, do: Callable[[], int | None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (moment, self._order, do))

    def _advance_to(self, seconds: float) -> None:
        target = self._start + round(seconds * NANOS)
        if target < self._manual.now():
            raise ValueError(f"the clock only moves forward, not back to {duration_text(seconds)}")
        step = self._grid()
        while True:
            moment = min(self._next_evaluation, self._due[0][0] if self._due else target, target)
            self._manual.advance((moment - self._manual.now()) / NANOS)
            if self._write_due(moment) or moment >= self._next_evaluation or moment == target:
                self._evaluator.evaluate(moment)
                for look in self.on_evaluated:
                    look()
            while self._next_evaluation <= moment:
                self._next_evaluation += step
            if moment >= target:
                return

    def _grid(self) -> int:
        """Nanoseconds between two evaluations: the greatest step that meets all policies' own."""
        if self._every is not None:
            return max(round(self._every * NANOS), 1)
        intervals = [
            round(interval_of(condition))
            for policy in self._known
            for condition in policy.message.conditions
            if kind_of(condition) in EVALUATED
        ]
        return gcd(*[one or _GRID_SECONDS for one in intervals] or [_GRID_SECONDS]) * NANOS

    def _write_due(self, moment: int) -> bool:
        """Write everything of this moment; whether there was a log entry (which policies look at when it comes)."""
        logged = False
        while self._due and self._due[0][0] <= moment:
            _, order, do = heapq.heappop(self._due)
            before = len(self._batch)
            again = do()
            logged = logged or len(self._batch) == before
            if again is not None:
                heapq.heappush(self._due, (again, order, do))
        for users in (True, False):
            messages = [message for series, message in self._batch if series.is_users == users]
            method = self._parts.metrics.create_time_series if users else self._parts.metrics.create_service_time_series
            for first in range(0, len(messages), _MOST_IN_ONE_CALL):
                several = messages[first : first + _MOST_IN_ONE_CALL]
                request = _CreateTimeSeriesRequest(name=self._project, time_series=several)
                self._call(method, request, several[0].metric.type)
        self._batch.clear()
        return logged

    @staticmethod
    def _call(method: Callable[[Any], Any], request: Any, what: str) -> None:
        try:
            method(request)
        except ApiError as error:
            raise ScriptError(f"{what} was refused: {error.message}") from error

    def _step(self, step: Step) -> None:
        if step.watch.error:
            self.errors.setdefault(step.policy.display_name, step.watch.error)
        if self._on_step is not None:
            self._on_step(step)

    def _metadata_of(self, series: StoredSeries) -> Mapping[str, str]:
        resource = {key: value for key, value in series.resource_labels.items() if key != "project_id"}
        return self._metadata_by_identity.get(_identity(series.metric_type, series.metric_labels, resource), {})


def _identity(metric_type: str, labels: Mapping[str, str], resource: Mapping[str, str]) -> tuple[Any, ...]:
    return metric_type, frozenset(labels.items()), frozenset(resource.items())


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(labels.get(key, "") == value for key, value in (wanted or {}).items())
