"""Error Reporting v1beta1: ReportErrorsService, ErrorGroupService and ErrorStatsService over one store."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from google.cloud.errorreporting_v1beta1.types import (
    DeleteEventsResponse,
    ErrorGroup,
    ListEventsResponse,
    ListGroupStatsResponse,
    ReportErrorEventResponse,
    ResolutionStatus,
)
from google.cloud.logging_v2.types import WriteLogEntriesRequest
from google.protobuf.json_format import MessageToDict, ParseDict

from ..clock import NANOS
from ..logging.record import Record, nanos
from ..names import require_project
from ..paging import page_of
from ..project import Context
from ..status import invalid, missing_field, not_found
from .events import EVENT_TYPE, error_in
from .stacks import find_stack
from .stats import ordered, range_of, service_test, stats_of
from .store import ErrorStore, Group

_Group = ErrorGroup.pb()
_PUT, _DELETED = "errorreporting.group", "errorreporting.deleted"
_DAY = 86_400 * NANOS
_RETENTION = 30 * _DAY
_GROUP_NAME = re.compile(r"projects/[^/]+(?:/locations/[^/]+)?/groups/([^/]+)")
_PARENT = re.compile(r"projects/[^/]+(?:/locations/[^/]+)?")
_DEFAULT_PAGE, _LARGEST_PAGE = 20, 1000

Write = Callable[[Any], Any]
"""WriteLogEntries of the emulated Cloud Logging."""


class ErrorReporting:
    """The three services in one object; `notice` is told of every accepted log entry.

    A reported event becomes a log entry, as in the cloud ("log entries with properly formatted error messages are
    automatically generated", docs.cloud.google.com/error-reporting/docs/formatting-error-messages), and is picked out
    of it like every other error. So the journal of Cloud Logging keeps the events.
    """

    def __init__(self, context: Context, write: Write, has_own_key: Callable[[str], bool]) -> None:
        self._context = context
        self._write = write
        self._has_own_key = has_own_key
        self.store = ErrorStore(context.project_id)
        service = "google.devtools.clouderrorreporting.v1beta1"
        self.services: dict[str, object] = {
            f"{service}.{name}": self for name in ("ErrorGroupService", "ErrorStatsService", "ReportErrorsService")
        }

    def notice(self, records: Sequence[Record]) -> bool:
        """Pick the errors out of entries; false, because only entries that a bucket stores are looked at.

        Buckets with a key of their own are left out (google/devtools/clouderrorreporting/v1beta1,
        report_errors_service.proto).
        """
        stored = [record for record in records if any(not self._has_own_key(bucket) for bucket in record.buckets)]
        found = [error for record in stored if (error := error_in(record)) is not None]
        if found:
            self.store.add(found, nanos(stored[0].entry.receive_timestamp))
        return False

    def report_error_event(self, request: Any) -> Any:
        self._check_project(request.project_name)
        event = request.event
        if not event.service_context.service:
            raise missing_field("event.serviceContext.service")
        if event.service_context.resource_type:
            raise invalid(
                "ServiceContext.resource_type is set automatically and must not be set when reporting errors."
            )
        if not event.message.strip():
            raise missing_field("event.message")
        if not event.context.report_location.function_name and find_stack(event.message) is None:
            # The sentence of GoogleCloudPlatform/stackdriver-errors-js#64.
            raise invalid(
                "ReportedErrorEvent.context must contain a location unless `message` contain an exception or "
                "stacktrace."
            )
        now = self._context.clock.now()
        time = nanos(event.event_time) if event.HasField("event_time") else now
        if not now - _RETENTION <= time <= now + _DAY:
            raise invalid("ReportedErrorEvent.event_time is older than 30 days or more than 24 hours in the future.")
        self._write(self._as_entry(event, time))
        return ReportErrorEventResponse.pb()()

    def get_group(self, request: Any) -> Any:
        return self._group(request.group_name).data

    def update_group(self, request: Any) -> Any:
        """Replace what can be changed: the tracking issues and the resolution status."""
        stored = self._group(request.group.name)
        for issue in request.group.tracking_issues:
            if not issue.url.startswith(("http://", "https://")):
                raise invalid(f"TrackingIssue.url '{issue.url}' is not the address of a web page.")
        data = _Group()
        data.CopyFrom(stored.data)
        del data.tracking_issues[:]
        data.tracking_issues.extend(request.group.tracking_issues)
        # "When left unspecified in requests, it is treated like OPEN" (common.proto).
        data.resolution_status = request.group.resolution_status or ResolutionStatus.OPEN
        self._context.journal.append(_PUT, data.SerializeToString())
        self.store.put_group(data)
        return data

    def list_group_stats(self, request: Any) -> Any:
        self._check_project(request.project_name)
        span = range_of(request.time_range, self._context.clock.now())
        wanted = set(request.group_id)
        found = []
        for group_id, group in self.store.groups.items():
            if wanted and group_id not in wanted:
                continue
            # "The error group is muted and excluded by default on group stats requests" (common.proto).
            if not wanted and group.data.resolution_status == ResolutionStatus.MUTED:
                continue
            stats = stats_of(group, request, span)
            # Groups that were asked for by id are listed even when nothing happened (ListGroupStatsRequest.time_range).
            if stats.count or wanted:
                found.append((group, stats))
        page, token = self._page(ordered(found, request.order), request)
        response = ListGroupStatsResponse.pb()(error_group_stats=page, next_page_token=token)
        response.time_range_begin.FromNanoseconds(span.start)
        return response

    def list_events(self, request: Any) -> Any:
        """The events of a group, newest first (the order is not published)."""
        self._check_project(request.project_name)
        if not request.group_id:
            raise missing_field("groupId")
        group = self.store.groups.get(request.group_id)
        span = range_of(request.time_range, self._context.clock.now())
        matches = service_test(request.service_filter)
        found = [
            occurrence.event
            for occurrence in reversed(group.events if group is not None else ())
            if span.start < occurrence.time <= span.end and matches(occurrence)
        ]
        page, token = self._page(found, request)
        response = ListEventsResponse.pb()(error_events=page, next_page_token=token)
        response.time_range_begin.FromNanoseconds(span.start)
        return response

    def delete_events(self, request: Any) -> Any:
        self._check_project(request.project_name)
        self._context.journal.append(_DELETED, b"")
        self.store.delete_events()
        return DeleteEventsResponse.pb()()

    def restore(self, kind: str, record: bytes) -> None:
        """Apply a journalled record; events come back with the log entries."""
        if kind == _PUT:
            self.store.put_group(_Group.FromString(record))
        elif kind == _DELETED:
            self.store.delete_events()
        else:
            raise ValueError(f"the journal holds a record of an unknown kind: {kind}")

    def _page(self, found: list[Any], request: Any) -> tuple[Sequence[Any], str]:
        if request.page_size < 0:
            raise invalid(f"page_size {request.page_size} is negative.")
        return page_of(found, request.page_size or _DEFAULT_PAGE, request.page_token, _LARGEST_PAGE)

    def _check_project(self, name: str) -> None:
        if not name:
            raise missing_field("projectName")
        if _PARENT.fullmatch(name) is None:
            raise invalid(f"Name '{name}' is not of the form projects/[PROJECT_ID] or projects/[..]/locations/[..].")
        require_project(name, self._context.project_id, self._context.project_number, "projectName")

    def _group(self, name: str) -> Group:
        match = _GROUP_NAME.fullmatch(name)
        if match is None:
            raise invalid(f"Name '{name}' is not of the form projects/[PROJECT_ID]/groups/[GROUP_ID].")
        require_project(name, self._context.project_id, self._context.project_number)
        group = self.store.groups.get(match[1])
        if group is None:
            raise not_found(f"Error group {match[1]} does not exist")
        return group

    def _as_entry(self, event: Any, time: int) -> Any:
        log = f"projects/{self._context.project_id}/logs/clouderrorreporting.googleapis.com%2Freported_errors"
        request = WriteLogEntriesRequest.pb()(log_name=log)
        # The resource of these entries is not published.
        request.resource.type = "global"
        entry = request.entries.add(severity=500)
        entry.timestamp.FromNanoseconds(time)
        ParseDict({**MessageToDict(event), "@type": EVENT_TYPE}, entry.json_payload)
        return request
