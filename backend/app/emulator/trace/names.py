"""Names and ids of traces and spans (google/devtools/cloudtrace/v2/trace.proto)."""

import re

from ..names import require_project
from ..project import Context
from ..status import invalid, invalid_field

_NAME = re.compile(r"projects/[^/]+/traces/([0-9a-fA-F]{32})/spans/([0-9a-fA-F]{16})")
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")


def read_span_name(name: str, context: Context) -> tuple[str, str]:
    """Trace id and span id, in lower case.

    Raises:
        ApiError: INVALID_ARGUMENT for a malformed name or a zero id, NOT_FOUND for a foreign project.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        why = "It must be projects/[PROJECT_ID]/traces/[32 hexadecimal digits]/spans/[16 hexadecimal digits]."
        raise invalid_field("name", why, name)
    trace_id, span_id = match.group(1).lower(), match.group(2).lower()
    require_project(name, context.project_id, context.project_number)
    if not int(trace_id, 16) or not int(span_id, 16):
        raise invalid_field("name", "The trace id and the span id must not be zero.", name)
    return trace_id, span_id


def check_trace_id(trace_id: str) -> str:
    if _TRACE_ID.fullmatch(trace_id) is None or not int(trace_id, 16):
        raise invalid(f"Invalid trace id '{trace_id}': it must be 32 hexadecimal digits, not all zero.")
    return trace_id.lower()


def is_span_id(span_id: str) -> bool:
    return _SPAN_ID.fullmatch(span_id) is not None
