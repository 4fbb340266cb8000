"""ListGroupStats: counts of a group within a time range (error_stats_service.proto)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from google.cloud.errorreporting_v1beta1.types import (
    ErrorGroupOrder,
    ErrorGroupStats,
    QueryTimeRange,
    ServiceContext,
    TimedCountAlignment,
)

from ..clock import NANOS
from ..logging.record import nanos
from ..status import invalid_field
from .store import Group, Occurrence

_Stats = ErrorGroupStats.pb()
_Service = ServiceContext.pb()
_HOUR = 3600 * NANOS
_PERIODS = {
    QueryTimeRange.Period.PERIOD_1_HOUR: _HOUR,
    QueryTimeRange.Period.PERIOD_6_HOURS: 6 * _HOUR,
    QueryTimeRange.Period.PERIOD_1_DAY: 24 * _HOUR,
    QueryTimeRange.Period.PERIOD_1_WEEK: 7 * 24 * _HOUR,
    QueryTimeRange.Period.PERIOD_30_DAYS: 30 * 24 * _HOUR,
}
_SERVICES_SHOWN = 20  # "This list can be truncated if multiple services are affected"
_MOST_COUNTS = 1000  # "timed count durations might be adjusted for lower durations"


class Range(NamedTuple):
    """Nanoseconds; "Query time ranges end at 'now'"."""

    start: int
    end: int


def range_of(time_range: Any, now: int) -> Range:
    """The range of a query; which one is the default is not published: 30 days, everything that is kept."""
    length = _PERIODS.get(time_range.period, _PERIODS[QueryTimeRange.Period.PERIOD_30_DAYS])
    return Range(now - length, now)


def service_test(wanted: Any) -> Callable[[Occurrence], bool]:
    """Exact matches; an empty field matches everything (ServiceContextFilter)."""
    filters = (wanted.service, wanted.version, wanted.resource_type)

    def test(occurrence: Occurrence) -> bool:
        return all(not want or want == have for want, have in zip(filters, occurrence.service, strict=True))

    return test


def stats_of(group: Group, request: Any, span: Range) -> Any:
    """A group as a request sees it."""
    matching = list(filter(service_test(request.service_filter), group.events))
    inside = [occurrence for occurrence in matching if span.start < occurrence.time <= span.end]
    stats = _Stats(group=group.data, count=len(inside))
    stats.affected_users_count = len({occurrence.user for occurrence in inside if occurrence.user})
    if matching:
        # "ignoring the time_range that was specified in the request"
        stats.first_seen_time.FromNanoseconds(matching[0].time)
        stats.last_seen_time.FromNanoseconds(matching[-1].time)
        stats.representative.CopyFrom((inside or matching)[-1].event)
    services = dict.fromkeys(occurrence.service for occurrence in inside)
    stats.num_affected_services = len(services)
    for service, version, resource_type in list(services)[:_SERVICES_SHOWN]:
        stats.affected_services.append(_Service(service=service, version=version, resource_type=resource_type))
    if request.HasField("timed_count_duration"):
        _fill_counts(stats.timed_counts, request, span, [occurrence.time for occurrence in inside])
    return stats


def ordered(found: Iterable[tuple[Group, Any]], order: int) -> list[Any]:
    keys: dict[int, Callable[[Group, Any], Any]] = {
        ErrorGroupOrder.LAST_SEEN_DESC: lambda _, stats: nanos(stats.last_seen_time),
        ErrorGroupOrder.CREATED_DESC: lambda group, _: group.created,
        ErrorGroupOrder.AFFECTED_USERS_DESC: lambda _, stats: stats.affected_users_count,
    }
    key: Callable[[Group, Any], Any] = keys.get(order, lambda _, stats: stats.count)
    # The id last: pages must not depend on the order of arrival.
    return [
        stats
        for _, _, stats in sorted(
            ((-key(group, stats), stats.group.group_id, stats) for group, stats in found), key=lambda entry: entry[:2]
        )
    ]


def _fill_counts(counts: Any, request: Any, span: Range, times: Sequence[int]) -> None:
    width = nanos(request.timed_count_duration)
    if width <= 0:
        raise invalid_field("timedCountDuration", "It must be positive.")
    width = max(width, (span.end - span.start) // _MOST_COUNTS)
    edge = span.end
    if request.alignment == TimedCountAlignment.ALIGNMENT_EQUAL_ROUNDED:
        aligned = nanos(request.alignment_time)  # absent: 00:00 UTC
        edge = span.end + (aligned - span.end) % width
    starts = range(edge - width, span.start - width, -width)
    for start in reversed(starts):
        begin, end = max(start, span.start), min(start + width, span.end)
        if begin >= end:
            continue
        timed = counts.add()
        timed.start_time.FromNanoseconds(begin)
        timed.end_time.FromNanoseconds(end)
        # "start_time (included), end_time (excluded)", but what happens now belongs to the last count.
        last = end == span.end
        timed.count = sum(begin <= time < end or (last and time == end) for time in times)
