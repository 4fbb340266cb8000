"""Lines as Cloud Run's logging agent reads them (docs.cloud.google.com/logging/docs/structured-logging).

A line that is one JSON object becomes an entry whose special fields are lifted out of the payload; any other line is
text. A special field with a value that it cannot have stays in the payload, so that nothing a service wrote is lost.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from google.cloud.logging_v2.types import LogEntry
from google.logging.type.log_severity_pb2 import LogSeverity

from ..clock import NANOS
from ..logging.validation import ENTRY_BYTES
from ..logging.values import duration, timestamp
from .lines import Line

_ENTRY = LogEntry.pb()
_PREFIX = "logging.googleapis.com/"

# Levels of other log libraries (GoogleCloudPlatform/fluent-plugin-google-cloud, lib/fluent/plugin/out_google_cloud.rb).
_VARIANTS = {
    "WARN": "WARNING",
    "FATAL": "CRITICAL",
    "TRACE": "DEBUG",
    "TRACE_INT": "DEBUG",
    "FINE": "DEBUG",
    "FINER": "DEBUG",
    "FINEST": "DEBUG",
    "CONFIG": "DEBUG",
    "SEVERE": "ERROR",
    "CRIT": "CRITICAL",
    "EMERG": "EMERGENCY",
    "INFORMATION": "INFO",
    "ERR": "ERROR",
    "D": "DEBUG",
    "I": "INFO",
    "N": "NOTICE",
    "W": "WARNING",
    "E": "ERROR",
    "F": "CRITICAL",
    "C": "CRITICAL",
    "A": "ALERT",
}
_SEVERITIES: dict[str, int] = {name: number for name, number in LogSeverity.items()}  # noqa: C416  # upb's view is no dict
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)

# Room for the labels and the resource in an entry that holds nothing but a text.
_TEXT_BYTES = ENTRY_BYTES - 4096


@dataclass(frozen=True, slots=True)
class Source:
    """Whose lines they are."""

    project: str
    service: str
    revision: str
    region: str
    instance_id: str
    run_id: str
    """In every insertId, so that a retry is no duplicate and two runs never collide."""
    _template: Any = field(init=False, repr=False, compare=False)

    @property
    def resource_labels(self) -> dict[str, str]:
        """Of the monitored resource cloud_run_revision."""
        return {
            "project_id": self.project,
            "service_name": self.service,
            "revision_name": self.revision,
            "location": self.region,
            "configuration_name": self.service,
        }

    def __post_init__(self) -> None:
        template = _ENTRY()
        template.resource.type = "cloud_run_revision"
        template.resource.labels.update(self.resource_labels)
        template.labels["instanceId"] = self.instance_id
        object.__setattr__(self, "_template", template)

    def entry(self, line: Line) -> Any:
        """The log entry of a line, complete: a repeated write of it is recognised as one."""
        payload = json_object(line.text)
        entry = self._new(line)
        if payload is None or not _fill(entry, payload) or entry.ByteSize() > ENTRY_BYTES:
            entry = self._new(line)
            entry.text_payload = line.text[:_TEXT_BYTES].decode(errors="replace")
        return entry

    def _new(self, line: Line) -> Any:
        entry = _ENTRY()
        entry.CopyFrom(self._template)
        entry.log_name = f"projects/{self.project}/logs/run.googleapis.com%2F{line.stream}"
        entry.timestamp.FromNanoseconds(line.arrived)
        entry.insert_id = f"{self.run_id}-{line.number:012x}"
        return entry


def json_object(text: bytes) -> dict[str, Any] | None:
    """The object a line holds, or None: NaN and Infinity, which Python's json writes, are not JSON."""
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(text.decode(), parse_constant=_not_json, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value)


def severity_of(value: Any) -> int | None:
    """The number of a severity name, of a level of another library, or of a number; DEFAULT for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip().upper()
    if _INTEGER.fullmatch(text):
        return min(max(int(text) // 100 * 100, 0), 800)
    return _SEVERITIES.get(_VARIANTS.get(text, text), 0)


def severity_name(value: Any) -> str:
    number = severity_of(value) or 0
    return LogSeverity.Name(number) if number in _SEVERITIES.values() else str(number)


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is beyond a double")
    return value


def _fill(entry: Any, payload: dict[str, Any]) -> bool:
    """Move an object into an entry; false when protobuf cannot hold it (lone surrogates, integers beyond a double)."""
    try:
        for key in [key for key in payload if key in _SPECIAL]:
            rest = _SPECIAL[key](entry, payload[key])
            if rest is None:
                del payload[key]
            else:
                payload[key] = rest
        _lift_seconds(entry, payload)
        if list(payload) == ["message"] and isinstance(payload["message"], str):
            entry.text_payload = payload["message"]
        else:
            entry.json_payload.update(payload)
    except (ValueError, OverflowError, RecursionError, TypeError):
        return False
    return True


# Each takes the entry and the value, and gives back what is to stay in the payload: None for nothing.
Lift = Callable[[Any, Any], Any]


def _lift_severity(entry: Any, value: Any) -> Any:
    severity = severity_of(value)
    if severity is None:
        return value
    entry.severity = severity
    return None


def _lift_time(entry: Any, value: Any) -> Any:
    nanos = timestamp(value) if isinstance(value, str) else None
    if nanos is None:
        return value
    entry.timestamp.FromNanoseconds(nanos)
    return None


def _lift_timestamp(entry: Any, value: Any) -> Any:
    if not isinstance(value, dict) or (nanos := _seconds_and_nanos(value.get("seconds"), value.get("nanos"))) is None:
        return value
    entry.timestamp.FromNanoseconds(nanos)
    return None


def _lift_seconds(entry: Any, payload: dict[str, Any]) -> None:
    nanos = _seconds_and_nanos(payload.get("timestampSeconds"), payload.get("timestampNanos"))
    if nanos is not None:
        entry.timestamp.FromNanoseconds(nanos)
        payload.pop("timestampSeconds", None)
        payload.pop("timestampNanos", None)


def _seconds_and_nanos(seconds: Any, nanos: Any) -> int | None:
    whole, part = _integer(seconds), _integer(nanos or 0)
    return None if whole is None or part is None else whole * NANOS + part


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _nanos(value: Any) -> int | None:
    return duration(value) if isinstance(value, str) else None


def _fields(message: str, table: dict[str, tuple[str, Callable[[Any], Any]]]) -> Lift:
    """Lift the members of an object that a message of LogEntry knows; the others stay."""

    def lift(entry: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        rest = {}
        target = getattr(entry, message)
        for key, given in value.items():
            name, convert = table.get(key, ("", _text))
            converted = convert(given) if name else None
            if converted is None:
                rest[key] = given
            elif name == "latency":
                target.latency.FromNanoseconds(converted)
            else:
                setattr(target, name, converted)
        return rest or None

    return lift


def _plain(name: str, convert: Callable[[Any], Any]) -> Lift:
    def lift(entry: Any, value: Any) -> Any:
        converted = convert(value)
        if converted is None:
            return value
        setattr(entry, name, converted)
        return None

    return lift


def _lift_labels(entry: Any, value: Any) -> Any:
    if not isinstance(value, dict) or not all(isinstance(label, str) for label in value.values()):
        return value
    entry.labels.update(value)
    return None


_HTTP_REQUEST: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "requestMethod": ("request_method", _text),
    "requestUrl": ("request_url", _text),
    "requestSize": ("request_size", _integer),
    "status": ("status", _integer),
    "responseSize": ("response_size", _integer),
    "userAgent": ("user_agent", _text),
    "remoteIp": ("remote_ip", _text),
    "serverIp": ("server_ip", _text),
    "referer": ("referer", _text),
    "latency": ("latency", _nanos),
    "cacheLookup": ("cache_lookup", _boolean),
    "cacheHit": ("cache_hit", _boolean),
    "cacheValidatedWithOriginServer": ("cache_validated_with_origin_server", _boolean),
    "cacheFillBytes": ("cache_fill_bytes", _integer),
    "protocol": ("protocol", _text),
}
_OPERATION: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "id": ("id", _text),
    "producer": ("producer", _text),
    "first": ("first", _boolean),
    "last": ("last", _boolean),
}
_SOURCE_LOCATION: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "file": ("file", _text),
    "line": ("line", _integer),
    "function": ("function", _text),
}
_SPECIAL: dict[str, Lift] = {
    "severity": _lift_severity,
    "httpRequest": _fields("http_request", _HTTP_REQUEST),
    "time": _lift_time,
    "timestamp": _lift_timestamp,
    f"{_PREFIX}insertId": _plain("insert_id", _text),
    f"{_PREFIX}labels": _lift_labels,
    f"{_PREFIX}operation": _fields("operation", _OPERATION),
    f"{_PREFIX}sourceLocation": _fields("source_location", _SOURCE_LOCATION),
    f"{_PREFIX}spanId": _plain("span_id", _text),
    f"{_PREFIX}trace": _plain("trace", _text),
    f"{_PREFIX}trace_sampled": _plain("trace_sampled", _boolean),
}
