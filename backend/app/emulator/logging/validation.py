"""What WriteLogEntries refuses and what it repairs (google/logging/v2: logging.proto, log_entry.proto)."""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from ..names import require_project
from ..project import Context
from ..status import ApiError, Code, invalid

ENTRY_BYTES = 256 * 1024
_LABEL_KEY_BYTES = 512
_LABEL_VALUE_BYTES = 64 * 1024
_LOG_ID_LENGTH = 512
_LOG_NAME = re.compile(r"(projects|organizations|folders|billingAccounts)/([^/]+)/logs/(.+)", re.DOTALL)
_ILLEGAL = re.compile(r"[^A-Za-z0-9/_.\-]")
_ELLIPSIS = "…"


def canonical_log_name(log_name: str, context: Context) -> str:
    """The name as entries carry it: no leading slash, the project's id instead of its number, the log id URL-encoded.

    Raises:
        ApiError: INVALID_ARGUMENT for a malformed name, PERMISSION_DENIED for a parent that is not emulated.
    """
    return _canonical(log_name, context.project_id, context.project_number)


# A service has a handful of logs and writes thousands of entries a second to them.
@lru_cache(maxsize=1024)
def _canonical(log_name: str, project_id: str, project_number: int) -> str:
    if not log_name:
        raise invalid("Log name is missing: set log_name on the entry or on the request.")
    # "the log entry is ingested as usual, but the forward-slash is removed" (log_entry.proto).
    match = _LOG_NAME.fullmatch(log_name.removeprefix("/"))
    if match is None:
        raise invalid(f"Log name '{log_name}' is not of the form projects/[PROJECT_ID]/logs/[LOG_ID].")
    collection, parent, encoded = match.groups()
    log_id = unquote(encoded)
    illegal = _ILLEGAL.search(log_id)
    if illegal is not None:
        raise invalid(f"Log name contains illegal character '{illegal.group()}': {log_name}")
    if len(log_id) >= _LOG_ID_LENGTH:
        raise invalid(f"Log id has {len(log_id)} characters, it must have fewer than {_LOG_ID_LENGTH}.")
    if collection != "projects":
        raise ApiError(Code.PERMISSION_DENIED, f"{collection}/{parent} is not emulated: {project_id} is.")
    require_project(f"projects/{parent}", project_id, project_number, "log_name")
    return f"projects/{project_id}/logs/{quote(log_id, safe='')}"


def checked(entry: Any, request: Any, context: Context) -> Any:
    """A copy of an entry with the request's defaults, as it is stored.

    Raises:
        ApiError: INVALID_ARGUMENT, with the API's text where one is known.
    """
    result = type(entry)()
    result.CopyFrom(entry)
    result.log_name = canonical_log_name(entry.log_name or request.log_name, context)
    if not entry.resource.type:
        if not request.resource.type:
            raise invalid("A monitored resource must be specified for each log entry.")
        result.resource.CopyFrom(request.resource)
    for key, value in request.labels.items():
        if key not in result.labels:
            result.labels[key] = value
    _cut_labels(result.labels)
    size = result.ByteSize()
    if size > ENTRY_BYTES:
        # The text of googleapis/nodejs-logging#520.
        raise invalid(f"Log entry with size {size_text(size)} exceeds maximum size of {size_text(ENTRY_BYTES)}")
    return result


def size_text(size: int) -> str:
    """555.6K, 2.30M: how Cloud Logging prints sizes (googleapis/nodejs-logging#520)."""
    kibibytes = size / 1024
    return f"{kibibytes:.1f}K" if kibibytes < 1024 else f"{kibibytes / 1024:.2f}M"  # noqa: PLR2004  # binary units


def _cut_labels(labels: Any) -> None:
    """Too long keys and values are cut and end in an ellipsis (log_entry.proto, `labels`)."""
    for key, value in list(labels.items()):
        short_key, short_value = _cut(key, _LABEL_KEY_BYTES), _cut(value, _LABEL_VALUE_BYTES)
        if short_key != key:
            del labels[key]
        if short_key != key or short_value != value:
            labels[short_key] = short_value


def _cut(text: str, limit: int) -> str:
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(_ELLIPSIS.encode())].decode(errors="ignore") + _ELLIPSIS
