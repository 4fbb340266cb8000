"""google.monitoring.v3.GroupService: sets of monitored resources, chosen by a filter, nested in one another."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from google.api import monitored_resource_pb2
from google.protobuf import empty_pb2

from ..alerting.limits import check_display_name
from ..alerting.resources import Resources
from ..clock import NANOS
from ..monitoring.filter import Predicate, parse_filter
from ..monitoring.model import Series
from ..names import new_id, require_project
from ..paging import page_of
from ..project import Context
from ..status import ApiError, Code, invalid_field, missing_field
from .messages import Group, ListGroupMembersResponse, ListGroupsResponse, Raw

_LARGEST_PAGE = 1000
# "The maximum depth" is not in group.proto; cloud.google.com/monitoring/quotas counts six levels of subgroups.
_DEEPEST = 6
_MOST_GROUPS = 500
_NOTHING: Mapping[str, str] = MappingProxyType({})
# "If the interval is absent, the current membership is returned" (group_service.proto); what wrote a point in the last
# 24 hours counts as current, which Google does not publish.
_CURRENT = 24 * 3600 * NANOS


_GROUP_ID = re.compile(
    r"""\bgroup\.id\s*=\s*["']?(?P<id>[\w-]+)["']?"""
    r"""|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
)


class _Store(Protocol):
    def descriptors(self) -> list[Raw]: ...
    def series(self, metric_type: str) -> list[Series]: ...


class _Resource(NamedTuple):
    """A monitored resource, as filters look at it."""

    resource_type: str
    resource_labels: Mapping[str, str]
    metric_type: str = ""
    metric_labels: Mapping[str, str] = _NOTHING


class GroupService:
    """Groups; a group's members are those of its own filter that are also members of its parent."""

    def __init__(self, context: Context, store: _Store, checks: Callable[[], list[Raw]] = list) -> None:
        """`checks` answers the uptime check configurations: one that names a group keeps it from being deleted."""
        self._context = context
        self._store = store
        self._groups = Resources(context, "groups", "groups.group", Group)
        self.checks = checks

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record whose kind begins with `groups.`."""
        if not self._groups.restore(kind, record):
            raise ValueError(f"no part of groups knows records of kind {kind}")

    def create_group(self, request: Raw) -> Raw:
        self._check_project(request.name)
        group = Group()
        group.CopyFrom(request.group)
        if group.name:
            raise invalid_field("group.name", "must not be set on create.", group.name)
        self._check(group)
        if len(self._groups.all()) >= _MOST_GROUPS:
            raise ApiError(Code.RESOURCE_EXHAUSTED, f"A project has at most {_MOST_GROUPS} groups.")
        group.name = self._groups.name_of(new_id())
        return self._keep(group, validate_only=request.validate_only)

    def get_group(self, request: Raw) -> Raw:
        return self._groups.get(request.name)

    def list_groups(self, request: Raw) -> Raw:
        """All groups, or the children, ancestors or descendants of one."""
        self._check_project(request.name)
        match request.WhichOneof("filter"):
            case "children_of_group":
                parent = self._groups.get(request.children_of_group).name
                found = [one for one in self._groups.all() if one.parent_name == parent]
            case "ancestors_of_group":
                # "The groups are returned in order, starting with the immediate parent" (group_service.proto).
                found = self._ancestors(self._groups.get(request.ancestors_of_group))
            case "descendants_of_group":
                ancestor = self._groups.get(request.descendants_of_group).name
                found = [one for one in self._groups.all() if ancestor in {up.name for up in self._ancestors(one)}]
            case _:
                found = self._groups.all()
        items, token = page_of(found, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListGroupsResponse(group=items, next_page_token=token)

    def update_group(self, request: Raw) -> Raw:
        """Everything may change but the name (group_service.proto)."""
        existing = self._groups.get(request.group.name)
        updated = Group()
        updated.CopyFrom(request.group)
        updated.name = existing.name
        self._check(updated)
        return self._keep(updated, validate_only=request.validate_only)

    def delete_group(self, request: Raw) -> Raw:
        group = self._groups.get(request.name)
        below = [one for one in self._groups.all() if group.name in {up.name for up in self._ancestors(one)}]
        if below and not request.recursive:
            # "If this field is true, then the request means to delete a group with all its descendants" (same proto).
            why = f"Group {group.name} has {len(below)} descendants; delete it with recursive=true."
            raise ApiError(Code.FAILED_PRECONDITION, why)
        gone = {group.name, *(one.name for one in below)}
        used = [one.name for one in self.checks() if self._groups.name_of(one.resource_group.group_id) in gone]
        if used:
            why = f"Group {group.name} is used by the uptime check {used[0]}."
            raise ApiError(Code.FAILED_PRECONDITION, why)
        for name in gone:
            self._groups.remove(name)
        return empty_pb2.Empty()

    def list_group_members(self, request: Raw) -> Raw:
        group = self._groups.get(request.name)
        if request.HasField("interval"):
            end: int = request.interval.end_time.ToNanoseconds()
            if not end:
                raise missing_field("interval.endTime")
            start: int = request.interval.start_time.ToNanoseconds() if request.interval.HasField("start_time") else end
            if start > end:
                raise invalid_field("interval.startTime", "The start time must not be later than the end time.")
        else:
            end = self._context.clock.now()
            start = end - _CURRENT
        members = self.members(group, min(start, end - 1), end, parse_filter(request.filter).matches)
        items, token = page_of(members, request.page_size, request.page_token, _LARGEST_PAGE)
        return ListGroupMembersResponse(members=items, next_page_token=token, total_size=len(members))

    def members(self, group: Raw, start: int, end: int, also: Predicate = lambda _: True) -> list[Raw]:
        """The resources of a group that wrote a point in (start, end], by type and labels."""
        holds = self.holds(group)
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Raw] = {}
        for descriptor in self._store.descriptors():
            for series in self._store.series(descriptor.type):
                resource = _Resource(series.resource_type, series.resource_labels)
                key = (resource.resource_type, tuple(sorted(resource.resource_labels.items())))
                if key in found or not holds(resource) or not also(resource):
                    continue
                if len(series.window(start, end).ends):
                    found[key] = monitored_resource_pb2.MonitoredResource(
                        type=resource.resource_type, labels=dict(resource.resource_labels)
                    )
        return [found[key] for key in sorted(found)]

    def current_members(self, identifier: str) -> list[Raw]:
        """The members of a group now, by the last part of its name.

        Raises:
            ApiError: NOT_FOUND.
        """
        end = self._context.clock.now()
        return self.members(self._groups.get(self._groups.name_of(identifier)), end - _CURRENT, end)

    def expanded(self, filter_: str) -> str:
        """A filter of time series with `group.id = "..."` replaced by what the group and its ancestors ask.

        Raises:
            ApiError: NOT_FOUND for a group that does not exist.
        """

        def asked(match: re.Match[str]) -> str:
            if match["string"] is not None:
                return match[0]
            group = self._groups.get(self._groups.name_of(match["id"]))
            return "(" + " AND ".join(f"({one.filter})" for one in (group, *self._ancestors(group))) + ")"

        return _GROUP_ID.sub(asked, filter_)

    def holds(self, group: Raw) -> Predicate:
        """Whether something with resource type and labels belongs to a group."""
        tests = [parse_filter(one.filter).matches for one in (group, *self._ancestors(group))]
        return lambda subject: all(test(subject) for test in tests)

    def _ancestors(self, group: Raw) -> list[Raw]:
        """From the parent to the root."""
        found: list[Raw] = []
        above = group.parent_name
        while above and self._groups.has(above) and above not in {one.name for one in found}:
            found.append(self._groups.get(above))
            above = found[-1].parent_name
        return found

    def _check(self, group: Raw) -> None:
        if not group.display_name:
            raise missing_field("group.display_name")
        check_display_name(group.display_name, "group.display_name")
        if not group.filter:
            raise missing_field("group.filter")
        try:
            parsed = parse_filter(group.filter)
        except ApiError as error:
            if error.code == Code.UNIMPLEMENTED:
                raise
            raise invalid_field(
                "group.filter", error.message.partition(": ")[2] or error.message, group.filter
            ) from error
        if parsed.metric_types:
            raise invalid_field("group.filter", "a group selects monitored resources, not metrics.", group.filter)
        if group.parent_name:
            group.parent_name = self._groups.get(group.parent_name).name
            above = [group.parent_name, *(one.name for one in self._ancestors(group)[1:])]
            if group.name in above:
                raise invalid_field("group.parent_name", "a group cannot be inside itself.", group.parent_name)
            if len(above) >= _DEEPEST:
                raise invalid_field(
                    "group.parent_name", f"groups nest at most {_DEEPEST} levels deep.", group.parent_name
                )

    def _keep(self, group: Raw, *, validate_only: bool) -> Raw:
        if not validate_only:
            self._groups.put(group)
        return group

    def _check_project(self, name: str) -> None:
        if not name:
            raise missing_field("name")
        require_project(name, self._context.project_id, self._context.project_number)
