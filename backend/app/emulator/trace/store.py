"""The project's traces, in memory: spans by trace, the oldest trace giving way."""

from collections.abc import Iterable
from typing import Any

from ..clock import NANOS

_DAY = 86_400 * NANOS


class Trace:
    """The spans of one trace by id; times in nanoseconds."""

    __slots__ = ("first", "last", "spans", "trace_id")

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.spans: dict[str, Any] = {}
        self.first = 0
        self.last = 0

    def put(self, span: Any) -> None:
        self.spans[span.span_id] = span
        start, end = nanos(span.start_time), nanos(span.end_time)
        self.first = min(self.first or start, start)
        self.last = max(self.last, end, start)

    def roots(self) -> list[Any]:
        """Spans without a parent, or whose parent is not (yet) here; the earliest first."""
        found = [span for span in self.spans.values() if span.parent_span_id not in self.spans]
        return sorted(found, key=lambda span: nanos(span.start_time))

    @property
    def root(self) -> Any:
        """The span that names the trace: one without any parent, before one whose parent was not sent."""
        roots = self.roots() or sorted(self.spans.values(), key=lambda span: nanos(span.start_time))
        return next((span for span in roots if not span.parent_span_id), roots[0])


class TraceStore:
    """Keeps at most `most` spans, for `days` days."""

    def __init__(self, most: int, days: float) -> None:
        self._most = most
        self._age = round(days * _DAY)
        self._traces: dict[str, Trace] = {}
        self._spans = 0
        self.evicted = 0

    def __len__(self) -> int:
        return self._spans

    def get(self, trace_id: str, now: int) -> Trace | None:
        trace = self._traces.get(trace_id)
        return trace if trace is not None and trace.last >= now - self._age else None

    def all(self, now: int) -> list[Trace]:
        """Traces inside the retention, in the order of their first write."""
        return [trace for trace in self._traces.values() if trace.last >= now - self._age]

    def put(self, spans: Iterable[tuple[str, Any]], *, overwrite: bool = False) -> None:
        """Keep spans (by trace id); a span that is there already stays as it is unless `overwrite`."""
        for trace_id, span in spans:
            trace = self._traces.get(trace_id)
            if trace is None:
                trace = self._traces[trace_id] = Trace(trace_id)
            known = span.span_id in trace.spans
            if known and not overwrite:
                continue
            trace.put(span)
            self._spans += not known
        while self._spans > self._most and len(self._traces) > 1:
            oldest = next(iter(self._traces))
            gone = len(self._traces.pop(oldest).spans)
            self._spans -= gone
            self.evicted += gone

    def sweep(self, now: int) -> int:
        """Forget traces that are too old; no span of a kept trace ends before the answered time."""
        horizon = now - self._age
        for trace in [trace for trace in self._traces.values() if trace.last < horizon]:
            self._spans -= len(trace.spans)
            del self._traces[trace.trace_id]
        return min((trace.first for trace in self._traces.values()), default=now)


def nanos(stamp: Any) -> int:
    return int(stamp.seconds) * NANOS + int(stamp.nanos)
