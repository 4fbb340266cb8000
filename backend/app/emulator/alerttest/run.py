"""Running a script's cases and telling what came out otherwise."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..alerting.conditions import PROMQL, kind_of
from ..alerting.metric_names import metric_types, promql_metrics
from ..promql.mapping import asked_as
from ..promql.model import QueryError
from .errors import ScriptError
from .explain import Explanation
from .notation import duration_text
from .policies import Policy, chosen
from .script import ALL, Case, Expectation, Script
from .timeline import START, Timeline, has_labels

_MOST_SEEN = 10

Progress = Callable[[float], None]
"""Told how much of a case has passed, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Failure:
    at: float
    policy: str
    what: str
    expected: str
    got: str
    seen: Sequence[str] = ()
    """What the policy saw at that moment."""

    def __str__(self) -> str:
        lines = [f"at {duration_text(self.at)}  {self.policy}: {self.what}"]
        for word, text in (("expected", self.expected), ("got", self.got), ("it saw", "\n".join(self.seen))):
            for index, line in enumerate(text.splitlines()):
                lines.append(f"    {word if index == 0 else '':<8}  {line}".rstrip())
        return "\n".join(lines)


@dataclass(slots=True)
class Outcome:
    case: str
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    explanation: Explanation | None = None

    @property
    def passed(self) -> bool:
        return not self.failures


def run_case(
    script: Script,
    case: Case,
    policies: Sequence[Policy],
    *,
    explain: bool = False,
    progress: Progress | None = None,
    ingest_delay: float = 0.0,
) -> Outcome:
    """Play one case from its beginning to its last expectation.

    Raises:
        ScriptError: The case cannot be played: a policy it names is not there, a point or an entry is refused.
    """
    began = time.perf_counter()
    outcome = Outcome(case.name, explanation=Explanation(START) if explain else None)
    involved = _involved(case, policies)
    timeline = Timeline(
        involved,
        variables=script.variables,
        interval=script.interval,
        evaluate_every=script.evaluate_every,
        ingest_delay=ingest_delay,
        on_step=None if outcome.explanation is None else outcome.explanation.add,
    )
    if outcome.explanation is not None:
        outcome.explanation.source = timeline.source
    try:
        _set_up(timeline, case)
        _play(timeline, case, outcome, involved, progress)
    except ScriptError as error:
        raise ScriptError(f'{script.path}: test "{case.name}": {error}') from error
    outcome.seconds = time.perf_counter() - began
    return outcome


def _involved(case: Case, policies: Sequence[Policy]) -> list[Policy]:
    if ALL in case.policies:
        return list(policies)
    found = {policy.display_name: policy for policy in (chosen(policies, name) for name in sorted(case.policies))}
    return list(found.values())


def _set_up(timeline: Timeline, case: Case) -> None:
    for series in case.series:
        timeline.write_series(series)
    for log in case.logs:
        timeline.log(log.fields, delay=log.at, every=log.every, times=log.times)
    for snooze in case.snoozes:
        timeline.snooze(*snooze.policies, delay=snooze.at, duration=snooze.duration, filter=snooze.filter)


def _play(
    timeline: Timeline, case: Case, outcome: Outcome, involved: Sequence[Policy], progress: Progress | None
) -> None:
    last = max(one.until for one in case.expect)
    expected = [(one, name) for one in case.expect for name in (
        timeline.policy_names() if one.policy == ALL else [timeline.policy(one.policy).display_name]
    )]  # fmt: skip
    lasting = [(one, name) for one, name in expected if one.until > one.at]
    broken: set[tuple[int, str]] = set()

    def look() -> None:
        now = timeline.clock.seconds
        if progress is not None:
            progress(now / last if last else 1.0)
        for one, name in lasting:
            key = (id(one), name)
            if one.at <= now <= one.until and key not in broken and (found := list(_compare(one, name, timeline))):
                # Once is enough: the rest of the time follows from the first moment.
                broken.add(key)
                outcome.failures += found

    timeline.on_evaluated.append(look)
    for moment in sorted({one.at for one in case.expect} | {last}):
        timeline.clock.advance_to(moment)
        if timeline.errors:
            outcome.failures += [
                Failure(timeline.clock.seconds, name, "its evaluation", "no error", error)
                for name, error in timeline.errors.items()
            ]
            return
        for one, name in expected:
            if one.at == moment and one.until == one.at:
                outcome.failures += _compare(one, name, timeline)
    if outcome.failures:
        outcome.failures += _without_data(timeline, involved, {one.policy for one in outcome.failures})


def _compare(expectation: Expectation, policy: str, timeline: Timeline) -> Iterator[Failure]:
    at, labels = timeline.clock.seconds, expectation.labels
    shown: list[str] = []
    where = "" if labels is None else " of " + (_shown(labels) or "no labels")

    def failure(what: str, expected: object, got: object, *, seen: bool = True) -> Failure:
        # Once a moment: the lines would be the same.
        seen = seen and not shown
        shown.extend(timeline.seen(policy)[:_MOST_SEEN] if seen else ())
        return Failure(at, policy, what, str(expected), str(got), tuple(shown) if seen else ())

    if expectation.state:
        state = timeline.state(policy, labels)
        if state != expectation.state:
            yield failure(f"state{where}", expectation.state, state)
    for name, wanted in (("open", expectation.open), ("closed", expectation.closed)):
        if wanted is None:
            continue
        # Here labels say that one of them has these, not which ones are counted.
        found = [one for one in timeline.incidents(policy) if one.state == name]
        if len(found) != wanted:
            yield failure(f"{name} incidents", wanted, len(found))
        elif name == "open" and labels is not None and not any(has_labels(one.labels, labels) for one in found):
            yield failure("labels of an open incident", _shown(labels), [_shown(one.labels) for one in found])
    yield from _told(expectation, policy, timeline, failure)


def _told(
    expectation: Expectation, policy: str, timeline: Timeline, failure: Callable[..., Failure]
) -> Iterator[Failure]:
    told = timeline.told(policy)
    last = told[-1] if told else None
    wanted = expectation.notified
    history = ", ".join(f"{one.event} at {duration_text(one.at)}" for one in told) or "nothing"
    if isinstance(wanted, bool):
        if wanted != bool(told):
            yield failure("notifications", "some" if wanted else "none", history)
    elif isinstance(wanted, str):
        if last is None or last.event != wanted:
            yield failure("the newest notification", wanted, history)
    elif wanted is not None:
        counts = {event: sum(one.event == event for one in told) for event in wanted}
        if counts != wanted:
            yield failure("notifications so far", _shown(wanted), f"{_shown(counts)} ({history})")
    if expectation.subject is not None and (last is None or last.subject != expectation.subject):
        yield failure("subject", expectation.subject, "nothing was told" if last is None else last.subject, seen=False)
    for text in expectation.texts:
        if last is None or text not in last.text:
            yield failure("text", f"...{text}...", "nothing was told" if last is None else last.text, seen=False)


def _without_data(timeline: Timeline, policies: Sequence[Policy], failed: set[str]) -> Iterator[Failure]:
    """A hint that saves an hour: the metric that a policy reads and no series of the test is called."""
    for policy in policies:
        if policy.display_name not in failed:
            continue
        for name in sorted(_metrics(policy)):
            if not any(
                name == one or asked_as(name, one, distribution=part) is not None
                for one in timeline.written
                for part in (True, False)
            ):
                yield Failure(
                    timeline.clock.seconds,
                    policy.display_name,
                    f"it reads {name}",
                    "a series of that name",
                    ", ".join(sorted(timeline.written)) or "no series at all",
                )


def _metrics(policy: Policy) -> set[str]:
    names: set[str] = set()
    for condition in policy.message.conditions:
        body = getattr(condition, kind_of(condition))
        if kind_of(condition) == PROMQL:
            try:
                names |= promql_metrics(body.query)
            except QueryError:
                continue
        elif kind_of(condition) in {"condition_threshold", "condition_absent"}:
            names.update(name for name in metric_types(body.filter) if name)
    return names


def _shown(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(values.items()))
