"""Errors in log entries: what Error Reporting picks out, and what it reads from it.

docs.cloud.google.com/error-reporting/docs/formatting-error-messages
"""

from typing import Any, NamedTuple

from google.cloud.errorreporting_v1beta1.types import ErrorEvent

from ..logging.record import SEVERITIES, Record, log_id
from ..logging.values import timestamp
from .grouping import group_id
from .stacks import Stack, find_stack

EVENT_TYPE = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"

_Event = ErrorEvent.pb()
_ERROR = SEVERITIES["ERROR"]
# Labels that name service and version when the entry does not; which ones Google takes is not published.
_SERVICE_LABELS = {
    "cloud_run_revision": ("service_name", "revision_name"),
    "cloud_run_job": ("job_name", ""),
    "cloud_function": ("function_name", ""),
    "gae_app": ("module_id", "version_id"),
    "k8s_container": ("container_name", ""),
    "prometheus_target": ("job", ""),
    "generic_task": ("job", ""),
}


class Found(NamedTuple):
    """An error in an entry; `time` in nanoseconds."""

    time: int
    group: str
    event: Any


def error_in(record: Record) -> Found | None:
    """The error that an entry reports, if it does."""
    payload = (record.payload or {}) if record.payload_field == "json_payload" else {}
    if payload.get("@type") == EVENT_TYPE:
        # "... evaluates the log entry as though all required fields are present and captures the error event."
        text = _first_text(payload)
        return _found(record, payload, text, find_stack(text)) if text else None
    text = _text(payload, "message")
    if _is_report(payload, text):
        return _found(record, payload, text, find_stack(text))
    if record.severity < _ERROR:
        return None
    for field in ("stack_trace", "exception"):
        trace = _text(payload, field)
        if trace:
            return _found(record, payload, trace, find_stack(trace))
    # "If the message field is evaluated, the stack trace is captured only when the field contains a stack trace."
    text = record.entry.text_payload or text
    stack = find_stack(text)
    return None if stack is None else _found(record, payload, text, stack)


def _is_report(payload: dict[str, Any], message: str) -> bool:
    """Whether a payload is "formatted like ReportedErrorEvent", as google-cloud-error-reporting writes it without gRPC.

    Such an entry has neither `@type` nor a severity; what the event itself demands, it has.
    """
    if not message or not _text(_object(payload, "serviceContext"), "service"):
        return False
    location = _object(_object(payload, "context"), "reportLocation")
    return bool(_text(location, "functionName")) or find_stack(message) is not None


def _first_text(payload: dict[str, Any]) -> str:
    return next((text for field in ("stack_trace", "exception", "message") if (text := _text(payload, field))), "")


def _found(record: Record, payload: dict[str, Any], text: str, stack: Stack | None) -> Found:
    event = _Event(message=text)
    time = timestamp(_text(payload, "eventTime")) or record.time
    event.event_time.FromNanoseconds(time)
    _fill_service(event.service_context, record, _object(payload, "serviceContext"))
    _fill_context(event.context, record, _object(payload, "context"))
    return Found(time, group_id(text, stack, event.context.report_location.function_name), event)


def _fill_service(context: Any, record: Record, given: dict[str, Any]) -> None:
    resource = record.entry.resource
    service_label, version_label = _SERVICE_LABELS.get(resource.type, ("", ""))
    labels = resource.labels
    context.service = _text(given, "service") or labels.get(service_label, "") or log_id(record.entry.log_name)
    context.version = _text(given, "version") or labels.get(version_label, "")
    context.resource_type = resource.type


def _fill_context(context: Any, record: Record, given: dict[str, Any]) -> None:
    context.user = _text(given, "user")
    request = _object(given, "httpRequest")
    entry = record.entry
    if request:
        for field, key in (
            ("method", "method"),
            ("url", "url"),
            ("user_agent", "userAgent"),
            ("referrer", "referrer"),
            ("remote_ip", "remoteIp"),
        ):
            setattr(context.http_request, field, _text(request, key))
        context.http_request.response_status_code = _number(request, "responseStatusCode")
    elif entry.HasField("http_request"):
        seen = entry.http_request
        target = context.http_request
        target.method, target.url, target.user_agent = seen.request_method, seen.request_url, seen.user_agent
        target.referrer, target.remote_ip, target.response_status_code = seen.referer, seen.remote_ip, seen.status
    location = _object(given, "reportLocation")
    if location:
        target = context.report_location
        target.file_path, target.function_name = _text(location, "filePath"), _text(location, "functionName")
        target.line_number = _number(location, "lineNumber")
    elif entry.HasField("source_location"):
        source = entry.source_location
        target = context.report_location
        target.file_path, target.function_name = source.file, source.function
        target.line_number = min(source.line, 2**31 - 1)


def _text(holder: dict[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def _object(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _number(holder: dict[str, Any], key: str) -> int:
    value = holder.get(key)
    if isinstance(value, str) and value.isdecimal():
        value = float(value)
    return int(value) if isinstance(value, float | int) and 0 <= value < 2**31 else 0
