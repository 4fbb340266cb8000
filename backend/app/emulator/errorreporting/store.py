"""Error groups and their events, in memory."""

from bisect import insort
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from google.cloud.errorreporting_v1beta1.types import ErrorGroup, ResolutionStatus

from .events import Found

_Group = ErrorGroup.pb()
_EVENTS_KEPT = 20_000  # ours: what a laptop keeps in memory; the oldest arrivals give way


class Occurrence(NamedTuple):
    time: int
    number: int  # in the order of arrival: two events may have one time
    event: Any

    @property
    def user(self) -> str:
        """Who was affected: the user, else the address the request came from (common.proto, ErrorContext.user)."""
        context = self.event.context
        return str(context.user or context.http_request.remote_ip)

    @property
    def service(self) -> tuple[str, str, str]:
        context = self.event.service_context
        return context.service, context.version, context.resource_type


class Group:
    def __init__(self, name: str, created: int) -> None:
        self.data = _Group(name=name, group_id=name.rpartition("/")[2], resolution_status=ResolutionStatus.OPEN)
        self.created = created
        self.events: list[Occurrence] = []
        """Ordered by time."""


class ErrorStore:
    def __init__(self, project_id: str) -> None:
        self._project = f"projects/{project_id}"
        self.groups: dict[str, Group] = {}
        self.forgotten = 0
        self._arrivals: deque[tuple[str, Occurrence]] = deque()
        self._number = 0

    def add(self, errors: Iterable[Found], now: int) -> None:
        for error in errors:
            group = self.groups.get(error.group)
            if group is None:
                group = self.groups[error.group] = Group(f"{self._project}/groups/{error.group}", now)
            # "It is also used for errors re-occurring after marked RESOLVED" (common.proto, ResolutionStatus.OPEN).
            if group.data.resolution_status == ResolutionStatus.RESOLVED:
                group.data.resolution_status = ResolutionStatus.OPEN
            self._number += 1
            occurrence = Occurrence(error.time, self._number, error.event)
            insort(group.events, occurrence, key=lambda known: known[:2])
            self._arrivals.append((error.group, occurrence))
        while len(self._arrivals) > _EVENTS_KEPT:
            group_id, oldest = self._arrivals.popleft()
            self.groups[group_id].events.remove(oldest)
            self.forgotten += 1

    def put_group(self, data: Any) -> None:
        """Replace what is editable of a group."""
        group = self.groups.get(data.group_id)
        if group is None:
            group = self.groups[data.group_id] = Group(data.name, 0)
        group.data = data

    def delete_events(self) -> None:
        for group in self.groups.values():
            group.events.clear()
        self._arrivals.clear()
