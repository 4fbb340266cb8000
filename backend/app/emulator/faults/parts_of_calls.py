"""Faults that change what a call does: a write of which a part fails, a read that does not see the newest data."""

from collections.abc import Callable
from typing import Any

from ..logging.record import nanos
from ..logging.write_errors import refusal
from ..monitoring.write_errors import Rejection, partial_failure
from ..monitoring.write_rules import Refused
from ..status import Code, invalid


def write_in_part(call: Callable[[Any], Any], request: Any, why: str) -> Any:
    """Write every second entry or series of a request, beginning with the second, and refuse the others.

    Raises:
        ApiError: Always; shaped as the real partial failures of the two APIs.
    """
    if hasattr(request, "entries"):
        _write_entries(call, request, why)
    total = len(request.time_series)
    refused = range(0, total, 2)
    rest = _reduced(request, "time_series")
    if rest is not None:
        call(rest)
    rejections = [Rejection(place, request.time_series[place], Refused(why, code=Code.INTERNAL)) for place in refused]
    raise partial_failure(rejections, total)


def _write_entries(call: Callable[[Any], Any], request: Any, why: str) -> None:
    errors = {place: invalid(why) for place in range(0, len(request.entries), 2)}
    if not request.partial_success:
        raise refusal({0: errors[0]}, stored=0)
    rest = _reduced(request, "entries")
    if rest is not None:
        call(rest)
    raise refusal(errors, stored=len(request.entries) // 2, partial=True)


def _reduced(request: Any, field: str) -> Any:
    """A copy of a request with every second item, or None when nothing is left."""
    kept = getattr(request, field)[1::2]
    if not kept:
        return None
    rest = type(request)()
    rest.CopyFrom(request)
    del getattr(rest, field)[:]
    getattr(rest, field).extend(kept)
    return rest


def without_recent(response: Any, until: int) -> Any:
    """A list without what arrived (entries) or ended (points) after a time in nanoseconds."""
    answer = type(response)()
    answer.CopyFrom(response)
    if hasattr(answer, "entries"):
        kept = [entry for entry in response.entries if nanos(entry.receive_timestamp) <= until]
        del answer.entries[:]
        answer.entries.extend(kept)
        return answer
    del answer.time_series[:]
    for series in response.time_series:
        points = [point for point in series.points if nanos(point.interval.end_time) <= until]
        if points:
            shown = answer.time_series.add()
            shown.CopyFrom(series)
            del shown.points[:]
            shown.points.extend(points)
    return answer
