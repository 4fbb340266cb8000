"""opentelemetry.proto.collector.logs.v1.LogsService: log records as log entries.

Source: docs.cloud.google.com/stackdriver/docs/reference/telemetry/otlp-log-record-to-log-entry.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from google.cloud.logging_v2.types import LogEntry, WriteLogEntriesPartialErrors, WriteLogEntriesRequest
from google.logging.type import http_request_pb2, log_severity_pb2
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from ..logging.record import SEVERITIES
from ..project import Context
from ..status import ApiError
from .attributes import plain, text, texts
from .partial import Rejected
from .projects import check_project
from .resources import monitored_resource

_ENTRY = LogEntry.pb()
_REQUEST = WriteLogEntriesRequest.pb()
_PARTIAL = WriteLogEntriesPartialErrors.pb()
_SEVERITIES = log_severity_pb2.LogSeverity
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_SAMPLED = 1  # LogRecordFlags: the W3C trace flags in the lowest eight bits
_DEFAULT_LOG = "otel"  # opentelemetry-operations-python, MIGRATION.md
_LOG_NAMES = ("gcp.log_name", "log_name", "event_name")
_HTTP_REQUEST, _SAMPLED_KEY, _SOURCE = "gcp.http_request", "gcp.trace_sampled", "gcp.source_location"
_FIRST = (
    # The first number of each severity: SEVERITY_MAPPING of opentelemetry-operations-python's logging exporter.
    (24, _SEVERITIES.EMERGENCY),
    (23, _SEVERITIES.ALERT),
    (21, _SEVERITIES.CRITICAL),
    (17, _SEVERITIES.ERROR),
    (13, _SEVERITIES.WARNING),
    (11, _SEVERITIES.NOTICE),
    (9, _SEVERITIES.INFO),
    (1, _SEVERITIES.DEBUG),
)
_LATEST = 2**63


class LogsService:
    """`write` is Cloud Logging's WriteLogEntries."""

    def __init__(self, context: Context, write: Callable[[Any], Any]) -> None:
        self._context = context
        self._write = write

    def export(self, request: Any) -> ExportLogsServiceResponse:
        rejected = Rejected()
        entries = []
        for group in request.resource_logs:
            attributes = texts(group.resource.attributes)
            check_project(attributes, self._context)
            resource = monitored_resource(attributes)
            for scope in group.scope_logs:
                for record in scope.log_records:
                    try:
                        entry = self._entry(record)
                    except ValueError as error:
                        rejected.add(str(error))
                        continue
                    entry.resource.CopyFrom(resource)
                    entries.append(entry)
        if entries:
            self._store(entries, rejected)
        answer = ExportLogsServiceResponse()
        if rejected.count:
            answer.partial_success.CopyFrom(
                ExportLogsPartialSuccess(rejected_log_records=rejected.count, error_message=rejected.message)
            )
        return answer

    def _store(self, entries: list[Any], rejected: Rejected) -> None:
        try:
            self._write(_REQUEST(entries=entries, partial_success=True))
        except ApiError as error:
            listing = next((one for one in error.details if isinstance(one, _PARTIAL)), None)
            if listing is None:
                # Not one was stored; the message is that of the first.
                rejected.add(error.message, len(entries))
                return
            for status in listing.log_entry_errors.values():
                rejected.add(status.message)

    def _entry(self, record: Any) -> Any:
        entry = _ENTRY()
        attributes = {one.key: one.value for one in record.attributes}
        project = self._context.project_id
        entry.log_name = f"projects/{project}/logs/{quote(_log_id(record, attributes), safe='')}"
        moment = record.time_unix_nano or record.observed_time_unix_nano
        if moment >= _LATEST:
            raise ValueError("The time of a log record is out of range")
        if moment:
            entry.timestamp.FromNanoseconds(moment)
        entry.severity = _severity(record)
        if len(record.trace_id) == _TRACE_BYTES and any(record.trace_id):
            entry.trace = f"projects/{project}/traces/{record.trace_id.hex()}"
            entry.trace_sampled = bool(record.flags & _SAMPLED)
        if len(record.span_id) == _SPAN_BYTES and any(record.span_id):
            entry.span_id = record.span_id.hex()
        if _SAMPLED_KEY in attributes:
            entry.trace_sampled = text(attributes[_SAMPLED_KEY]).lower() == "true"
        _set_structures(entry, attributes)
        for key, value in attributes.items():
            if key not in {"gcp.log_name", _HTTP_REQUEST, _SAMPLED_KEY, _SOURCE}:
                entry.labels[key] = text(value)
        _set_payload(entry, record.body)
        return entry


def _log_id(record: Any, attributes: dict[str, Any]) -> str:
    """From these attributes, then the record's event name; characters that a log id cannot hold become underscores."""
    found = next((text(attributes[key]) for key in _LOG_NAMES if key in attributes and text(attributes[key])), "")
    name = found or record.event_name or _DEFAULT_LOG
    return "".join(one if one.isascii() and (one.isalnum() or one in "/_.-") else "_" for one in name)


def _severity(record: Any) -> int:
    for number, severity in _FIRST:
        if record.severity_number >= number:
            return int(severity)
    return int(SEVERITIES.get(record.severity_text.upper(), 0))


def _set_structures(entry: Any, attributes: dict[str, Any]) -> None:
    """gcp.http_request and gcp.source_location have the shape of the entry's own fields; another shape is left out."""
    for key, field in ((_HTTP_REQUEST, entry.http_request), (_SOURCE, entry.source_location)):
        given = plain(attributes[key]) if key in attributes else None
        if not isinstance(given, dict):
            continue
        try:
            json_format.ParseDict(given, field, ignore_unknown_fields=True)
        except json_format.ParseError:
            field.Clear()
            entry.ClearField("http_request" if isinstance(field, http_request_pb2.HttpRequest) else "source_location")


def _set_payload(entry: Any, body: Any) -> None:
    """A map is jsonPayload, everything else text."""
    found = plain(body)
    if isinstance(found, dict):
        try:
            json_format.ParseDict(found, entry.json_payload)
        except json_format.ParseError as error:
            raise ValueError(f"The body of a log record is no JSON: {error}") from None
    else:
        entry.text_payload = text(body)
