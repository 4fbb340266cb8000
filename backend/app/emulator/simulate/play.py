"""Policies against a stretch: the emulator's own evaluator, called only at moments at which something can change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from google.protobuf import json_format

from ..alerting.conditions import ABSENT, EVALUATED, LOG, NOT_EVALUATED, THRESHOLD, Sources, interval_of, kind_of
from ..alerting.evaluator import AlertEvaluator
from ..alerting.incidents import Incident
from ..alerting.log_match import LogFeed
from ..alerting.messages import AlertPolicy, Raw
from ..alerting.observed import EvaluationError, Observed
from ..alerting.selection import MetricSource
from ..alerttest.errors import ScriptError
from ..alerttest.policies import Policy
from ..clock import NANOS, ManualClock
from ..logging.record import LOG_ENTRY, Record
from ..monitoring.store import MetricStore
from ..project import Context, Switches
from ..promql.cloud import CloudSource
from .expression import evaluate
from .foresee import Foreseen, foresee
from .signals import signals, store_of
from .stretch import Stretch
from .world import World

PROJECT = "demo"
_ACTIVE = AlertPolicy.Condition.EvaluationMissingData.Value("EVALUATION_MISSING_DATA_ACTIVE")


class Episode(NamedTuple):
    """One incident."""

    policy: str
    """The key of the policy."""
    labels: Mapping[str, str]
    value: float
    opened: int
    closed: int | None


class Told(NamedTuple):
    event: Literal["opened", "closed", "reminder"]
    at: int


@dataclass(slots=True)
class Played:
    """What one policy did."""

    policy: Policy
    episodes: list[Episode] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    error: str = ""


class Scene(NamedTuple):
    """A stretch with everything that is written in it."""

    stretch: Stretch
    store: MetricStore
    logs: Sequence[Record]

    @property
    def sources(self) -> Sources:
        context = Context(project_id=PROJECT, clock=ManualClock(self.stretch.end))
        return Sources(CloudSource(self.store, context), MetricSource(self.store), context.switches, PROJECT)


def stage(world: World, stretch: Stretch, variables: Mapping[str, Any]) -> Scene:
    """Write everything.

    Raises:
        ScriptError: The world cannot be used.
    """
    store = store_of(signals(world, stretch, variables), stretch, PROJECT)
    return Scene(stretch, store, _logs(world, stretch, variables))


def play(policy: Policy, scene: Scene) -> Played:
    """Evaluate one policy over the whole stretch."""
    played = Played(policy)
    message = AlertPolicy()
    message.CopyFrom(policy.message)
    message.name = f"projects/{PROJECT}/alertPolicies/{policy.key}"
    message.enabled.value = True
    for index, condition in enumerate(message.conditions):
        condition.name = f"{message.name}/conditions/{index}"
    unknown = [kind_of(one) for one in message.conditions if kind_of(one) not in EVALUATED]
    if unknown:
        played.error = f"{NOT_EVALUATED[unknown[0]]} is not evaluated"
        return played
    stage_ = _Stage(message, scene, played)
    try:
        stage_.run()
    except EvaluationError as error:
        played.error = str(error)
    return played


class _Stage:
    """One policy, its evaluator, and what becomes known of both."""

    def __init__(self, policy: Raw, scene: Scene, played: Played) -> None:
        self._policy = policy
        self._scene = scene
        self._played = played
        self._foreseen: dict[str, Foreseen] = {}
        self._feed = LogFeed()
        sources = scene.sources
        context = Context(project_id=PROJECT, clock=ManualClock(scene.stretch.start), switches=Switches())
        self._evaluator = AlertEvaluator(
            context,
            self,
            sources.samples,
            self,
            series=sources.metrics,
            logs=self._feed,
            warn=lambda _: None,
            see=self._see,
        )

    def policies(self) -> list[Raw]:
        return [self._policy]

    def notify(
        self,
        event: Literal["opened", "closed", "reminder"],
        incident: Incident,
        policy: Raw,
        channels: list[str],
        at: int,
    ) -> None:
        del incident, policy, channels
        self._played.told.append(Told(event, at))

    def _see(self, condition: Raw, sources: Sources, at: int) -> list[Observed]:
        del sources
        return self._foreseen[condition.name].see(at)

    def run(self) -> None:
        if kind_of(self._policy.conditions[0]) == LOG:
            self._run_logs()
        else:
            self._run_metrics()
        for one in reversed(self._evaluator.incidents.all()):
            key = self._played.policy.key
            self._played.episodes.append(Episode(key, one.labels, one.value, one.opened_at, one.closed_at))

    def _run_logs(self) -> None:
        stretch, logs = self._scene.stretch, self._scene.logs
        at = 0
        for moment in stretch.times.tolist():
            first = at
            while at < len(logs) and logs[at].time <= moment:
                at += 1
            self._feed.put(logs[first:at])
            if at > first or self._evaluator.incidents.open():
                self._evaluate(moment)

    def _run_metrics(self) -> None:
        stretch = self._scene.stretch
        step = gcd(*(round(interval_of(one)) for one in self._policy.conditions)) * NANOS
        moments = list(range(stretch.start, stretch.end + 1, step))
        sources = self._scene.sources
        for condition in self._policy.conditions:
            self._foreseen[condition.name] = foresee(condition, sources, moments)
        needed = set().union(*(one.violations for one in self._foreseen.values()))
        every = any(_sees_silence(one) for one in self._policy.conditions)
        for moment in moments:
            # At the moment after a violation it may end.
            if every or moment in needed or moment - step in needed or self._evaluator.incidents.open():
                self._evaluate(moment)

    def _evaluate(self, moment: int) -> None:
        self._evaluator.evaluate(moment, force=False)
        errors = [one.error for one in self._evaluator.state_of(self._policy) if one.error]
        if errors and not self._played.error:
            self._played.error = errors[0]


def _sees_silence(condition: Raw) -> bool:
    """Whether the condition can be met where nothing is seen."""
    kind = kind_of(condition)
    return kind == ABSENT or (kind == THRESHOLD and condition.condition_threshold.evaluation_missing_data == _ACTIVE)


def _logs(world: World, stretch: Stretch, variables: Mapping[str, Any]) -> list[Record]:
    """One entry a minute of each kind that came at all in it: an incident needs no more."""
    records: list[Record] = []
    for number, line in enumerate(world.logs):
        if "counter" not in line or not isinstance(line.get("entry"), Mapping):
            raise ScriptError(f"{world.path}: a log entry has counter and entry")
        generator = np.random.default_rng((stretch.seed, 1_000_000 + number))
        counts = generator.poisson(np.maximum(evaluate(line["counter"], stretch.knobs), 0))
        text = {f"{{{name}}}": str(variables[name]) for name in ("service", "environment", "location")}
        for step in np.flatnonzero(counts):
            entry = json_format.ParseDict(_entry(line["entry"], text), LOG_ENTRY())
            entry.timestamp.FromNanoseconds(int(stretch.times[step]))
            records.append(Record(entry, entry.ByteSize()))
    return sorted(records, key=lambda one: one.time)


def _entry(value: Any, text: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        filled = {str(key): _entry(one, text) for key, one in value.items()}
        if "log" in filled:
            filled["logName"] = f"projects/{PROJECT}/logs/{str(filled.pop('log')).replace('/', '%2F')}"
        return filled
    if isinstance(value, str):
        for name, what in text.items():
            value = value.replace(name, what)
    return cast("Any", value)
