"""A stretch of time and what the knobs are at each of its minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..alerttest.errors import ScriptError
from ..alerttest.timeline import START
from ..clock import NANOS
from ..monitoring.model import Floats, Ints
from .world import Case, World

MINUTE = 60
DAY = 86_400
WEEK = 7 * DAY


class Lane(NamedTuple):
    """One revision and the steps at which it serves."""

    revision: int
    steps: Ints
    knobs: Mapping[str, Floats]
    """As long as `steps`."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One minute a step. `START` is a Monday midnight."""

    times: Ints
    """Nanoseconds."""
    knobs: Mapping[str, Floats]
    lanes: Sequence["Lane"]
    seed: int

    @property
    def start(self) -> int:
        return int(self.times[0])

    @property
    def end(self) -> int:
        return int(self.times[-1])


def week(world: World, *, days: float = 7, seed: int = 1) -> Stretch:
    """Ordinary days: traffic that follows the sun and rests at weekends, deploys, blips."""
    seconds = np.arange(0, days * DAY + 1, MINUTE)
    generator = np.random.default_rng(seed)
    knobs = _ordinary(world, seconds, generator)
    per_week = world.blips.get("a_week", 0)
    for _ in range(generator.poisson(per_week * days / 7) if per_week else 0):
        first = int(generator.integers(0, len(seconds)))
        last = first + max(1, int(world.blips.get("minutes", 1)))
        for name, value in world.blips.get("set", {}).items():
            _known(name, knobs, "blips")
            knobs[name][first:last] = _target(value, knobs[name][first:last])
    deploys = [at + number * WEEK for number in range(int(days // 7) + 1) for at in world.deploys]
    revisions = (seconds[:, None] >= np.array([0, *deploys])[None, :]).sum(axis=1) - 1
    lanes = [_lane(number, np.flatnonzero(revisions == number), knobs) for number in range(int(revisions.max()) + 1)]
    times = START + seconds.astype(np.int64) * NANOS
    return Stretch(times, knobs, [lane for lane in lanes if len(lane.steps)], seed)


def accident(world: World, case: Case, *, seed: int = 1) -> Stretch:
    """Hours around something that happens; nothing else does."""
    seconds = case.hour * 3600 + np.arange(0, case.seconds + 1, MINUTE)
    knobs = _ordinary(world, seconds, np.random.default_rng(seed))
    begin, end = round(case.begins / MINUTE), round((case.begins + case.lasts) / MINUTE)
    times = START + seconds.astype(np.int64) * NANOS
    usual = {name: column.copy() for name, column in knobs.items()}
    for name, value in case.set.items():
        _known(name, knobs, f"case {case.name}")
        wanted = _target(value, usual[name][begin:end])
        share = np.linspace(0, 1, end - begin) if case.ramp else 1.0
        knobs[name][begin:end] += (wanted - usual[name][begin:end]) * share
    everything = np.arange(len(seconds))
    if not case.canary:
        return Stretch(times, knobs, [_lane(0, everything, knobs)], seed)
    # A new revision takes its share of the traffic while the case lasts, and only there things are different.
    usual["traffic"][begin:end] *= 1 - case.canary
    knobs["traffic"] = knobs["traffic"] * case.canary
    lanes = [_lane(0, everything, usual), _lane(1, everything[begin:end], knobs)]
    return Stretch(times, usual, lanes, seed)


def _lane(revision: int, steps: Ints, knobs: Mapping[str, Floats]) -> Lane:
    return Lane(revision, steps, {name: column[steps] for name, column in knobs.items()})


def _ordinary(world: World, seconds: Floats | Ints, generator: np.random.Generator) -> dict[str, Floats]:
    knobs = {name: np.full(len(seconds), value) for name, value in world.knobs.items()}
    if "traffic" in knobs and world.shape:
        shape = world.shape
        hours = seconds / 3600 % 24
        night = shape.get("night", 0.3)
        daily = night + (1 - night) * (1 + np.cos((hours - shape.get("peak_hour", 14)) / 24 * 2 * np.pi)) / 2
        weekend = np.where(seconds // DAY % 7 >= 5, shape.get("weekend", 1.0), 1.0)  # noqa: PLR2004  # Saturday
        noise = 1 + shape.get("noise", 0.0) * generator.standard_normal(len(seconds))
        knobs["traffic"] *= daily * weekend * np.maximum(noise, 0.1)
    return knobs


def _target(value: float | str, usual: Floats) -> Floats:
    if isinstance(value, str) and value.startswith("x"):
        return usual * float(value[1:])
    return np.full(len(usual), float(value))


def _known(name: str, knobs: Mapping[str, Floats], where: str) -> None:
    if name not in knobs:
        raise ScriptError(f"{where}: there is no knob {name} (there are {', '.join(sorted(knobs))})")
