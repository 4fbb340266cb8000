"""The stories as plain data: what happens, which alerts it raises, which dashboard shows it, how long it takes.

What is done for a story is in `acts.py`; whether it has happened is told by `missing`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: Answers that a story wants to see before it calls the service healthy.
HEALTHY_ANSWERS: Final = 100


@dataclass(frozen=True)
class Story:
    """One chapter.

    Attributes:
        name: What `STORY=` takes.
        what: What happens, in one sentence.
        dashboard: The beginning of the display name of the dashboard that shows it.
        look: What to look at there.
        seconds: How long it takes on an ordinary laptop.
        most: Seconds after which it is given up.
        opens: Policies whose alert it raises, by the names of their files, which are their runbooks' names too.
        closes: Policies whose alert has to be closed at its end.
        arrives: Metrics and access entries have to arrive.
        healthy: So many requests have to be answered, none of them with 5xx.
        after: A story without which this one says nothing.
    """

    name: str
    title: str
    what: str
    dashboard: str
    look: str
    seconds: float
    most: float
    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    arrives: bool = False
    healthy: int = 0
    after: str = ""


STORIES: Final = (
    Story(
        "normal",
        "Normal traffic",
        "People sign up, sign in, and look at items; some put new ones up.",
        "Overview",
        "requests, latency, no failures",
        seconds=12,
        most=40,
        arrives=True,
        healthy=HEALTHY_ANSWERS,
    ),
    Story(
        "brute_force",
        "Brute-force attack",
        "One address tries six passwords on each of six accounts, until the service locks them, and then the address.",
        "Sign-in",
        "Failed logins by reason, Brute-force lockouts",
        seconds=18,
        most=50,
        opens=("brute_force_attack",),
    ),
    Story(
        "flood",
        "Flood",
        "One address sends all it can; beyond its limit every request is refused with 429.",
        "Rate limits",
        "Refused in five minutes, Addresses with the most refused requests",
        seconds=28,
        most=70,
        opens=("ddos_attempt",),
    ),
    Story(
        "slow_database",
        "Slow database",
        "At night a batch job holds the database's write lock for seconds at a time; sessions wait, the pool is full.",
        "Performance",
        "95th percentile by route, Queries, Pools in use",
        seconds=45,
        most=100,
        opens=("database_connections", "performance_degradation"),
    ),
    Story(
        "bad_deploy",
        "Bad deploy",
        "At a busy hour a new revision takes all traffic, and a mistake in it answers every new item with 500.",
        "Operations",
        "Errors by route and status, Failing share by revision, Error groups",
        seconds=40,
        most=100,
        opens=("high_error_rate", "revision_regression"),
    ),
    Story(
        "recovery",
        "Recovery",
        "Traffic goes back to the revision before, the bad one is stopped; what has ended closes by itself.",
        "Overview",
        "failures and latency fall; incidents that are still open close when their windows have passed",
        seconds=18,
        most=50,
        closes=("database_connections",),
        healthy=HEALTHY_ANSWERS,
        after="slow_database",
    ),
)


class ChoiceError(ValueError):
    """There is nothing to play; the message says what there would be."""


@dataclass(frozen=True)
class Part:
    """A story, and the second of the demo by which it has to be over."""

    story: Story
    until: float


def chosen(name: str) -> tuple[Story, ...]:
    """All stories for an empty name; else the one of that name, behind the one it needs.

    Raises:
        ChoiceError: There is no such story.
    """
    if not name:
        return STORIES
    known = {story.name: story for story in STORIES}
    if name not in known:
        raise ChoiceError(f"There is no story {name}. There are: {', '.join(known)}.")
    story = known[name]
    return (known[story.after], story) if story.after else (story,)


def plan(stories: Sequence[Story], seconds: float | None) -> list[Part]:
    """Which stories are played, in order, and by when each has to be over.

    With a limit as many from the beginning as usually fit; what they leave over is slack for those that take longer.

    Raises:
        ChoiceError: The limit is too short for the first, or for the one that was asked for.
    """
    if seconds is None:
        ends: list[float] = []
        for story in stories:
            ends.append((ends[-1] if ends else 0.0) + story.most)
        return [Part(story, end) for story, end in zip(stories, ends, strict=True)]
    wanted = [
        story for index, story in enumerate(stories) if sum(one.seconds for one in stories[: index + 1]) <= seconds
    ]
    least = stories[: 2 if stories[0].name == "normal" or stories[-1].after else 1]
    if len(wanted) < len(least):
        shortest = sum(story.seconds for story in least)
        names = " and ".join(story.name for story in least)
        raise ChoiceError(f"{seconds:g} s are too short: {names} take about {shortest:g} s.")
    return [
        Part(story, seconds - sum(later.seconds for later in wanted[index + 1 :])) for index, story in enumerate(wanted)
    ]


@dataclass(frozen=True)
class Incident:
    """One incident of the emulator.

    Attributes:
        policy: The name of the policy's file.
        opened: Seconds since the epoch.
        closed: The same; None while it is open.
    """

    policy: str
    opened: float
    closed: float | None = None


@dataclass(frozen=True)
class Seen:
    """What is known at one moment of a story.

    Attributes:
        began: When the story began, in seconds since the epoch.
        series: Request series in the emulator.
        entries: Access entries in the emulator.
        incidents: All there have been.
        told: (policy, state) of each notification that was delivered, such as ("high_error_rate", "open").
        statuses: How many answers of each status the story has had.
    """

    began: float
    series: int = 0
    entries: int = 0
    incidents: tuple[Incident, ...] = ()
    told: frozenset[tuple[str, str]] = frozenset()
    statuses: Mapping[int, int] = field(default_factory=dict)


def opened_at(policy: str, seen: Seen) -> float | None:
    """When the alert of a policy opened in this story; one that was open before is none of this story's."""
    times = [one.opened for one in seen.incidents if one.policy == policy and one.opened >= seen.began]
    return min(times, default=None)


def missing(story: Story, seen: Seen) -> list[str]:
    """What has not happened yet of what the story is about, as words for a person."""
    wanted: list[tuple[str, bool]] = []
    if story.arrives:
        wanted += [
            ("metrics in the emulator", seen.series > 0),
            ("access entries in the emulator", seen.entries > 0),
        ]
    for policy in story.opens:
        wanted += [
            (f"the alert {policy}", opened_at(policy, seen) is not None),
            (f"the notification of {policy}", (policy, "open") in seen.told),
        ]
    for policy in story.closes:
        incidents = [one for one in seen.incidents if one.policy == policy]
        ended = bool(incidents) and all(one.closed is not None for one in incidents)
        wanted += [
            (f"the end of the alert {policy}", ended),
            (f"the notification of the end of {policy}", (policy, "closed") in seen.told),
        ]
    if story.healthy:
        answers = sum(seen.statuses.values())
        wanted.append((f"{story.healthy} answers", answers >= story.healthy))
        failed = failures(seen.statuses)
        wanted.append((f"answers without 5xx ({failed} failed)", not failed))
    return [what for what, happened in wanted if not happened]


def failures(statuses: Mapping[int, int]) -> int:
    return sum(count for status, count in statuses.items() if status >= 500)  # noqa: PLR2004  # HTTP's


def listing(stories: Iterable[Story] = STORIES) -> str:
    """The stories, two lines each."""
    return "\n".join(
        f"{story.name:<14} {story.title}, about {story.seconds:g} s"
        + (f"; alerts: {', '.join(story.opens)}" if story.opens else "")
        + f"\n{'':<14} {story.what}"
        for story in stories
    )
