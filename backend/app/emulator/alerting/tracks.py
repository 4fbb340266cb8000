"""What is remembered of a condition's series between evaluations: since when each one violates."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..clock import NANOS
from .observed import LabelSet, Observed

# A series without data is known for this long: the most that an absence condition can wait
# (cloud.google.com/monitoring/alerts/metric-absence).
REMEMBERED = round(24.5 * 3600 * NANOS)

Missing = Literal["ends", "inactive", "active", "keep", "absent"]
"""What it means that a known series has no data now.

    ends      The violation is over and the series forgotten: a PromQL query answers violating series only.
    inactive  The condition is false (EVALUATION_MISSING_DATA_INACTIVE).
    active    The condition is true (EVALUATION_MISSING_DATA_ACTIVE): it behaves like an absence condition.
    keep      What is met stays met, what is not stays so (EVALUATION_MISSING_DATA_NO_OP, and unspecified).
    absent    That is the violation (conditionAbsent).
"""


@dataclass(slots=True)
class Track:
    seen: Observed
    """As the series was when it last had data."""
    last_data: int
    """Nanoseconds: the evaluation that last found data."""
    since: int | None = None
    """Since when it has violated without a break."""
    met: bool = False
    """Whether that is long enough."""
    present: bool = True
    """Whether the last evaluation found data."""


Tracks = dict[LabelSet, Track]


def step(tracks: Tracks, observed: Iterable[Observed], missing: Missing, duration: int, now: int) -> None:
    """Take in what one evaluation found.

    A series must violate at every evaluation of the duration (ns); one value that does not, or one gap without data,
    starts it anew ("A condition resets its retest window each time a measurement doesn't satisfy the condition",
    cloud.google.com/monitoring/alerts/concepts-indepth).
    """
    found = {one.label_set: one for one in observed}
    for key, one in found.items():
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = Track(one, now)
        track.seen, track.last_data, track.present = one, now, True
        _set(track, (track.since if track.since is not None else now) if one.violates else None, duration, now)
    for key in [key for key in tracks if key not in found]:
        track = tracks[key]
        track.present = False
        if missing == "ends" or (now - track.last_data > REMEMBERED + duration and not track.met):
            del tracks[key]
        elif missing == "inactive":
            _set(track, None, duration, now)
        elif missing in {"active", "absent"}:
            _set(track, track.since if track.since is not None else track.last_data, duration, now)
        elif not track.met:
            track.since = None


def _set(track: Track, since: int | None, duration: int, now: int) -> None:
    track.since = since
    track.met = since is not None and now - since >= duration


def triggered(tracks: Tracks, missing: Missing, count: int, percent: float) -> Tracks:
    """The series that are met, if they are as many as the condition's trigger asks (alert.proto, `Trigger`): else none.

    A percentage is one of all series that could be judged.
    """
    met = {key: track for key, track in tracks.items() if track.met}
    if percent > 0:
        judged = sum(track.present or track.met or missing in {"active", "absent"} for track in tracks.values())
        return met if len(met) * 100 >= percent * judged else {}
    return met if len(met) >= max(count, 1) else {}
