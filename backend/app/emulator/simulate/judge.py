"""What came out, against what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..alerttest.notation import duration_text
from ..alerttest.policies import Policy
from ..clock import NANOS
from .play import Episode, Played
from .stretch import Stretch
from .world import Case

PAGES = ("p1", "p2")


def pages(policy: Policy, priorities: Sequence[str] = PAGES) -> bool:
    """Whether an incident of the policy calls somebody out of bed."""
    return policy.message.user_labels.get("priority") in priorities


@dataclass(slots=True)
class Fired:
    """One policy in one case; seconds."""

    policy: str
    page: bool
    opened: int
    """How many incidents."""
    detected_after: float
    """Since the accident began."""
    recovered_after: float | None
    """Since it ended; None while an incident is still open at the end."""
    labels: dict[str, str]


@dataclass(slots=True)
class Verdict:
    """Of one case, or of the week without one."""

    name: str
    says: str
    fired: list[Fired] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    """Expected policies that did not open."""
    unknown: list[str] = field(default_factory=list)
    """Expected policies that are not there."""
    pages: int = 0
    allowed_pages: int = 1
    unexpected: list[str] = field(default_factory=list)
    """Policies that opened and that nobody expected."""
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not (self.silent or self.errors or self.unexpected) and self.pages <= self.allowed_pages

    def problems(self) -> list[str]:
        found = [f"{name} stayed silent" for name in self.silent]
        found += [f"{name} fired, which nobody expected" for name in self.unexpected]
        if self.pages > self.allowed_pages:
            paging = ", ".join(f"{one.policy} ({one.opened})" for one in self.fired if one.page)
            found.append(f"{self.pages} pages for {self.allowed_pages} symptom: {paging}")
        return found + [f"{name} cannot be evaluated: {error}" for name, error in self.errors.items()]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "says": self.says,
            "passed": self.passed,
            "pages": self.pages,
            "allowedPages": self.allowed_pages,
            "fired": [
                {
                    "policy": one.policy,
                    "page": one.page,
                    "incidents": one.opened,
                    "detectedAfterSeconds": one.detected_after,
                    "recoveredAfterSeconds": one.recovered_after,
                    "labels": one.labels,
                }
                for one in self.fired
            ],
            "silent": self.silent,
            "unexpected": self.unexpected,
            "notLoaded": self.unknown,
            "errors": self.errors,
            "seconds": round(self.seconds, 3),
        }


def judge_week(played: Sequence[Played], stretch: Stretch, priorities: Sequence[str]) -> Verdict:
    """Nothing happened, so nothing may fire."""
    verdict = Verdict("week", "ordinary days: daily shape, weekend, deploys, blips", allowed_pages=0)
    for one in played:
        if one.error:
            verdict.errors[one.policy.key] = one.error
        for episode in one.episodes:
            verdict.fired.append(_fired(one, [episode], stretch.start, episode.opened, priorities))
    verdict.unexpected = list(dict.fromkeys(one.policy for one in verdict.fired))
    verdict.pages = sum(one.opened for one in verdict.fired if one.page)
    return verdict


def judge_case(case: Case, played: Sequence[Played], stretch: Stretch, priorities: Sequence[str]) -> Verdict:
    verdict = Verdict(case.name, case.says, allowed_pages=case.symptoms)
    begin = stretch.start + round(case.begins * NANOS)
    end = begin + round(case.lasts * NANOS)
    for one in played:
        if one.error:
            verdict.errors[one.policy.key] = one.error
        if one.episodes:
            verdict.fired.append(_fired(one, one.episodes, begin, end, priorities))
    verdict.fired.sort(key=lambda one: one.detected_after)
    keys = {one.policy.key for one in played}
    firing = {one.policy for one in verdict.fired}
    wanted = [[name.strip() for name in each.split("|")] for each in case.expect]
    for names in wanted:
        there = [name for name in names if name in keys]
        if not there:
            verdict.unknown.append(" | ".join(names))
        elif not firing.intersection(there):
            verdict.silent.append(" | ".join(there))
    known = {name for names in wanted for name in names} | set(case.allow)
    verdict.unexpected = [one.policy for one in verdict.fired if one.policy not in known]
    verdict.pages = sum(one.opened for one in verdict.fired if one.page)
    return verdict


def _fired(played: Played, episodes: Sequence[Episode], begin: int, end: int, priorities: Sequence[str]) -> Fired:
    first = min(episodes, key=lambda one: one.opened)
    closed = [one.closed for one in episodes]
    last = None if None in closed else max(one for one in closed if one is not None)
    return Fired(
        policy=played.policy.key,
        page=pages(played.policy, priorities),
        opened=len(episodes),
        detected_after=(first.opened - begin) / NANOS,
        recovered_after=None if last is None else (last - end) / NANOS,
        labels=dict(first.labels),
    )


def signed(seconds: float) -> str:
    return duration_text(seconds) if seconds >= 0 else f"-{duration_text(-seconds)}"
