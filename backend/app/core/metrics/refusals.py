"""Which series of a call were refused, and why: read from what the API says.

The forms of the sentences: GoogleCloudPlatform/opentelemetry-operations-python#431 (parts with ranges),
GoogleCloudPlatform/prometheus-engine#823 and micrometer-metrics/micrometer#2160 (older: the reason first, the places
after it), Stackdriver/stackdriver-prometheus-sidecar#251 (`Field timeSeries[i]...`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

INTRODUCTION: Final = "One or more TimeSeries could not be written: "
# Only where a part begins, or at its end after a colon: a label's value stands in the sentence too, and anybody may
# have chosen it.
_PLACES: Final = re.compile(r"(?:^|; )(?:Field )?time_?[sS]eries\[([\d, -]{1,2000})\]")
_OLD_PLACES: Final = re.compile(r"(?:: |\} )time_?[sS]eries\[([\d, -]{1,2000})\](?:: [^;]*)?(?=;|$)")
_MAX_ANSWER: Final = 8192
_TOO_OFTEN: Final = "written more frequently"
_OLDER_END: Final = "older end time"

#: Whole-call answers that say nothing about the series in it; the rest of an export waits for better days.
ABORTING: Final = frozenset(
    {
        "ABORTED",
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
        "UNKNOWN",
    }
)


@dataclass(frozen=True)
class Refused:
    """Part or all of a write was not accepted.

    Attributes:
        code: Canonical name of the call's status.
        message: What the back end said; at most some kilobytes.
        partial: The series that are not refused were written.
        points: How many were refused, by code; empty when the back end did not say.
        retry_after: Seconds it asks us to wait; 0 when it does not.
        resent: The same request was sent before, and may have been taken then.
    """

    code: str
    message: str
    partial: bool = False
    points: dict[str, int] = field(default_factory=dict)
    retry_after: float = 0.0
    resent: bool = False

    @property
    def aborting(self) -> bool:
        return not self.partial and self.code in ABORTING


#: Sends one serialised request; the seconds it may take.
Write = Callable[[bytes, float], Refused | None]


def places(refused: Refused, length: int) -> dict[int, str] | None:
    """The refused places of a call of `length` series, each with its reason; None when the answer leaves it open.

    What the sentence names has to agree with the number in the summary: a sentence may be cut short, and parts of it
    are label values.
    """
    if length == 1:
        return {0: refused.message[:_MAX_ANSWER].removeprefix(INTRODUCTION)}
    text = refused.message[:_MAX_ANSWER].removeprefix(INTRODUCTION)
    found: dict[int, str] = {}
    for pattern in (_PLACES, _OLD_PLACES):
        matches = list(pattern.finditer(text))
        ends = [*(match.start() for match in matches[1:]), len(text)]
        for match, end in zip(matches, ends, strict=False):  # without a match, there is one end too many
            part = text[match.start() : end]
            for place in _numbers(match[1], length):
                found.setdefault(place, part.removeprefix("; "))
        if found:
            break
    told = sum(refused.points.values())
    if not found or max(found) >= length or (told and len(found) != told):
        return None
    return found


def is_passing(why: str) -> bool:
    """Whether a part's reason is a matter of time, not of the series."""
    return _TOO_OFTEN in why


def is_there(why: str) -> bool:
    """Whether the back end has a point of this time or later already."""
    return _OLDER_END in why


def _numbers(ranges: str, length: int) -> list[int]:
    numbers: list[int] = []
    for part in ranges.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit():
            numbers.extend(range(int(low), min(int(high) if high.isdigit() else int(low), length) + 1))
    return numbers
