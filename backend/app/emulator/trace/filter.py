"""The filter language of ListTraces (google/devtools/cloudtrace/v1/trace.proto, `filter`).

Terms are joined by AND; a term is a prefix, or exact after a plus sign.
"""

import re
from collections.abc import Callable
from typing import Any

from ..clock import NANOS
from ..status import invalid
from .convert import labels_of
from .store import Trace, nanos

Test = Callable[[Trace], bool]

_TERM = re.compile(
    r'\s*(?P<plus>\+)?+(?:(?P<key>"(?:[^"\\]|\\.)*"|[^\s":]+):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|$)'
)
_LATENCY = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)?")
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NANOS}
_SHORT = {"method": "/http/method", "url": "/http/url"}
_LONGEST = 20_000


def parse_filter(text: str) -> Test:
    """What decides whether a trace is listed.

    Raises:
        ApiError: INVALID_ARGUMENT that names the place.
    """
    if len(text) > _LONGEST:
        raise invalid(f"The filter has {len(text)} characters, the limit is {_LONGEST}.")
    tests: list[Test] = []
    at = 0
    while at < len(text) and not text[at:].isspace():
        match = _TERM.match(text, at)
        if match is None:
            raise invalid(f"Could not parse filter '{text}': unexpected text at position {at + 1}.")
        tests.append(
            _term(_unquoted(match["key"] or "root"), _unquoted(match["value"]), exact=match["plus"] is not None)
        )
        at = match.end()
    return lambda trace: all(test(trace) for test in tests)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _term(key: str, value: str, *, exact: bool) -> Test:
    def fits(text: str) -> bool:
        return text == value if exact else text.startswith(value)

    def name_fits(span: Any) -> bool:
        return fits(span.display_name.value)

    if key == "root":
        return lambda trace: any(name_fits(span) for span in trace.roots())
    if key == "span":
        return lambda trace: any(name_fits(span) for span in trace.spans.values())
    if key == "latency":
        least = _latency(value)
        return lambda trace: trace.last - trace.first >= least
    if key == "label":
        return lambda trace: any(value in span.attributes.attribute_map for span in trace.spans.values())
    label = _SHORT.get(key, key)
    return lambda trace: any(
        label in span.attributes.attribute_map and fits(labels_of(span)[label]) for span in trace.spans.values()
    )


def _latency(text: str) -> int:
    match = _LATENCY.fullmatch(text)
    if match is None:
        raise invalid(f"Could not parse filter: '{text}' is no latency; write 24ms, 2s or 500ns.")
    return round(float(match[1]) * _UNITS[match[2] or "ms"])


_ORDERS: dict[str, Callable[[Trace], Any]] = {
    "trace_id": lambda trace: trace.trace_id,
    "name": lambda trace: trace.root.display_name.value,
    "duration": lambda trace: nanos(trace.root.end_time) - nanos(trace.root.start_time),
    "start": lambda trace: nanos(trace.root.start_time),
}


def in_order(traces: list[Trace], order_by: str) -> list[Trace]:
    """Sorted as `order_by` says; the newest first when it says nothing, which is our choice."""
    field, _, direction = " ".join(order_by.split()).partition(" ")
    if (field or "start") not in _ORDERS or direction not in {"", "desc"}:
        raise invalid(f"order_by '{order_by}' is none of {', '.join(_ORDERS)}, with or without ' desc'.")
    return sorted(traces, key=_ORDERS[field or "start"], reverse=direction == "desc" or not field)
