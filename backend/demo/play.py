"""Plays a plan: each story until all it is about has happened or its time is over, and what came of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from .stories import Part, Seen, Story, missing, opened_at

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """What came of a story.

    Attributes:
        missing: What has not happened; empty when all has.
        alerts: (policy, seconds from the story's beginning to the opening) of those that opened.
        seconds: How long it took.
    """

    story: Story
    missing: tuple[str, ...]
    alerts: tuple[tuple[str, float], ...]
    seconds: float


class Stage(Protocol):
    """Where stories are played."""

    def act(self, story: Story) -> AbstractAsyncContextManager[None]:
        """What a story does, while the block lasts."""

    async def look(self, story: Story, began: float) -> Seen | None:
        """What is known now; None when nobody could be asked."""

    def begins(self, number: int, story: Story) -> None:
        """A story begins."""

    def opened(self, policy: str) -> None:
        """The alert of a policy has opened, for the first time in this story."""

    def ends(self, outcome: Outcome) -> None:
        """A story is over."""


async def play(
    parts: Sequence[Part],
    stage: Stage,
    *,
    least: float = 0.0,
    now: Callable[[], float] = time.time,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Outcome]:
    """Play stories one after the other; one that fails does not keep the next from being played.

    Args:
        parts: What to play, each with the second, from now on, by which it has to be over.
        stage: Where.
        least: Seconds that each story goes on at least, so that a person can follow.
        now: Seconds since the epoch, by the clock of the emulator.
        pause: Waits between two looks.
    """
    first = now()
    return [await _play(number, part, stage, first, least, now, pause) for number, part in enumerate(parts, 1)]


async def _play(  # noqa: PLR0917  # called once
    number: int,
    part: Part,
    stage: Stage,
    first: float,
    least: float,
    now: Callable[[], float],
    pause: Callable[[float], Awaitable[None]],
) -> Outcome:
    story, began = part.story, now()
    stage.begins(number, story)
    seen = Seen(began)
    told: set[str] = set()
    async with stage.act(story):
        while True:
            seen = await stage.look(story, began) or seen
            for policy in story.opens:
                if policy not in told and opened_at(policy, seen) is not None:
                    told.add(policy)
                    stage.opened(policy)
            happened = not missing(story, seen) and now() - began >= least
            if happened or now() - first >= part.until:
                break
            await pause(_LOOK_SECONDS)
    found = [(policy, at - began) for policy in story.opens if (at := opened_at(policy, seen)) is not None]
    outcome = Outcome(story, tuple(missing(story, seen)), tuple(found), now() - began)
    stage.ends(outcome)
    return outcome
