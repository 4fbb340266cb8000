"""google.monitoring.v3.SnoozeService, and what a snooze does to incidents."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..clock import NANOS
from ..logging.values import timestamp
from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, invalid_field, missing_field, not_found
from .limits import check_display_name
from .messages import ListSnoozesResponse, Raw, Snooze
from .resources import Resources, masked

# google/monitoring/v3/snooze.proto: "There is a limit of 16 policies per snooze", "a 15 second clock skew".
_MOST_POLICIES = 16
_SKEW = 15 * NANOS
_LARGEST_PAGE = 1000
# "Filters must be a string formatted as one or more resource labels with specific label values ... connected with an
# AND operator" (snooze.proto, Criteria.filter).
_LABEL = re.compile(r"""\s*resource\.labels?\.(?:"([^"]+)"|([\w-]+))\s*=\s*(?:"((?:\\.|[^"\\])*)"|([\w./-]+))\s*""")
_AND = re.compile(r"AND\b\s*")
_TIMES = re.compile(r"""\s*interval\.(start_time|end_time)\s*(<=|>=|<|>|=)\s*"([^"]+)"\s*""")
_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
}
_UPDATED = {"display_name", "interval.start_time", "interval.end_time"}


class SnoozeService:
    """Snoozes; they can be ended, not deleted."""

    def __init__(self, context: Context, has_policy: Callable[[str], bool]) -> None:
        self._context = context
        self._snoozes = Resources(context, "snoozes", "alerting.snooze", Snooze)
        self._has_policy = has_policy

    def restore(self, kind: str, record: bytes) -> bool:
        return self._snoozes.restore(kind, record)

    def create_snooze(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        snooze = Snooze()
        snooze.CopyFrom(request.snooze)
        if snooze.name:
            raise invalid_field("snooze.name", "must not be set on create.", snooze.name)
        self._check_criteria(snooze)
        self._check_interval(snooze)
        start, end = interval(snooze)
        if start < self._context.clock.now() - _SKEW:
            raise invalid_field("snooze.interval.start_time", "cannot be in the past.")
        assert start < end
        snooze.name = self._snoozes.name_of(new_id())
        self._snoozes.put(snooze)
        return snooze

    def get_snooze(self, request: Raw) -> Raw:
        return self._snoozes.get(request.name)

    def list_snoozes(self, request: Raw) -> Raw:
        self._check_parent(request.parent)
        holds = _times_filter(request.filter)
        found = [snooze for snooze in self._snoozes.all() if holds(snooze)]
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListSnoozesResponse(snoozes=items, next_page_token=token)

    def update_snooze(self, request: Raw) -> Raw:
        """Which fields may change depends on the time (google/monitoring/v3/snooze_service.proto)."""
        existing = self._snoozes.get(request.snooze.name)
        paths = list(request.update_mask.paths)
        if not paths:
            raise missing_field("update_mask")
        start, end = interval(existing)
        now = self._context.clock.now()
        allowed = set() if end <= now else _UPDATED - ({"interval.start_time"} if start <= now else set())
        for path in paths:
            if path not in allowed:
                when = "has ended" if end <= now else "has begun" if start <= now else "has not begun"
                raise invalid_field("update_mask", f"{path} cannot be updated of a snooze that {when}.", path)
        updated = masked(existing, request.snooze, paths)
        self._check_interval(updated)
        self._snoozes.put(updated)
        return updated

    def is_snoozed(self, policy: str, resource_labels: Mapping[str, str], at: int) -> bool:
        """Whether a snooze that is active at `at` (ns) covers this policy's incident on this resource."""
        for snooze in self._snoozes.all():
            start, end = interval(snooze)
            if start <= at < end and policy in snooze.criteria.policies:
                wanted = _labels(snooze.criteria.filter)
                if all(resource_labels.get(key) == value for key, value in wanted.items()):
                    return True
        return False

    def _check_parent(self, parent: str) -> None:
        if not parent:
            raise missing_field("parent")
        require_project(parent, self._context.project_id, self._context.project_number, "parent")

    def _check_criteria(self, snooze: Raw) -> None:
        policies = snooze.criteria.policies
        if not policies:
            raise missing_field("snooze.criteria.policies")
        if len(policies) > _MOST_POLICIES:
            raise invalid_field(
                "snooze.criteria.policies", f"can name up to {_MOST_POLICIES} policies, not {len(policies)}."
            )
        if snooze.criteria.filter:
            if len(policies) != 1:
                raise invalid_field("snooze.criteria.filter", "needs exactly one alert policy.", snooze.criteria.filter)
            _labels(snooze.criteria.filter)
        for name in policies:
            if not self._has_policy(name):
                raise not_found(f"Could not find alert policy {name}.")

    def _check_interval(self, snooze: Raw) -> None:
        if not snooze.display_name:
            raise missing_field("snooze.display_name")
        check_display_name(snooze.display_name, "snooze.display_name")
        for field in ("start_time", "end_time"):
            if not snooze.interval.HasField(field):
                raise missing_field(f"snooze.interval.{field}")
        start, end = interval(snooze)
        if end <= start:
            raise invalid_field("snooze.interval.end_time", "must be later than the start time.")


def interval(snooze: Raw) -> tuple[int, int]:
    """Begin and end in nanoseconds."""
    return snooze.interval.start_time.ToNanoseconds(), snooze.interval.end_time.ToNanoseconds()


def _labels(filter_: str) -> dict[str, str]:
    """The resource labels that a snooze's filter names.

    Raises:
        ApiError: It is not of the form that snooze.proto describes.
    """
    wanted: dict[str, str] = {}
    at = 0
    while at < len(filter_.rstrip()):
        if wanted:
            joined = _AND.match(filter_, at)
            if joined is None:
                raise _unreadable(filter_, at)
            at = joined.end()
        match = _LABEL.match(filter_, at)
        if match is None:
            raise _unreadable(filter_, at)
        quoted_key, key, quoted, word = match.groups()
        wanted[quoted_key or key] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else word
        at = match.end()
    return wanted


def _unreadable(filter_: str, at: int) -> ApiError:
    return invalid_field(
        "snooze.criteria.filter",
        f'cannot be read from column {at + 1} on: resource labels joined by AND, such as resource.labels.zone="Z".',
        filter_,
    )


def _times_filter(filter_: str) -> Callable[[Raw], bool]:
    """`interval.start_time > "RFC 3339" AND interval.end_time < "..."` (snooze_service.proto, ListSnoozesRequest)."""
    tests: list[Callable[[Raw], bool]] = []
    rest: Any = filter_.strip()
    while rest:
        match = _TIMES.match(rest)
        moment = timestamp(match[3]) if match else None
        if match is None or moment is None:
            raise invalid_field("filter", "compares interval.start_time and interval.end_time with times.", filter_)
        tests.append(_time_test(match[1], match[2], moment))
        rest = rest[match.end() :]
        joined = _AND.match(rest)
        if rest and joined is None:
            raise ApiError(Code.INVALID_ARGUMENT, f'Field filter had an invalid value of "{filter_}": AND is missing.')
        rest = rest[joined.end() :] if joined else ""
    return lambda snooze: all(test(snooze) for test in tests)


def _time_test(field: str, operator: str, moment: int) -> Callable[[Raw], bool]:
    compare = _COMPARE[operator]
    return lambda snooze: compare(getattr(snooze.interval, field).ToNanoseconds(), moment)
