"""The whole run: an ordinary week, then every accident."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..alerttest.policies import DEFAULT_VARIABLES, Policy
from .judge import PAGES, Verdict, judge_case, judge_week
from .play import Played, play, stage
from .stretch import Stretch, accident, week
from .world import Case, World

Progress = Callable[[float, str], None]
"""Told the share that is done, and what comes next."""


class Options(NamedTuple):
    days: float = 7.0
    seed: int = 1
    priorities: Sequence[str] = PAGES
    """Values of userLabels.priority that call somebody."""
    variables: Mapping[str, Any] = DEFAULT_VARIABLES


def run_week(world: World, policies: Sequence[Policy], options: Options, progress: Progress | None = None) -> Verdict:
    """An ordinary week.

    Raises:
        ScriptError: The world cannot be used.
    """
    began = time.perf_counter()
    stretch = week(world, days=options.days, seed=options.seed)
    verdict = judge_week(_played(world, stretch, policies, options, progress), stretch, options.priorities)
    verdict.seconds = time.perf_counter() - began
    return verdict


def run_case(
    world: World, case: Case, policies: Sequence[Policy], options: Options, progress: Progress | None = None
) -> Verdict:
    """One accident.

    Raises:
        ScriptError: The world or the case cannot be used.
    """
    began = time.perf_counter()
    stretch = accident(world, case, seed=options.seed)
    verdict = judge_case(case, _played(world, stretch, policies, options, progress), stretch, options.priorities)
    verdict.seconds = time.perf_counter() - began
    return verdict


def _played(
    world: World, stretch: Stretch, policies: Sequence[Policy], options: Options, progress: Progress | None
) -> list[Played]:
    scene = stage(world, stretch, {**DEFAULT_VARIABLES, **options.variables})
    found = []
    for number, policy in enumerate(policies):
        if progress is not None:
            progress(number / len(policies), policy.key)
        found.append(play(policy, scene))
    return found
