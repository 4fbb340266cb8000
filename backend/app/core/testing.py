"""Look at the telemetry of requests in tests: `with observe(app) as seen: ...`, then `seen.logs`, `seen.metrics`, ...

Works with any test runner. For pytest, `fastapi_cloudops.core.pytest_plugin` has it as a fixture.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from fastapi import FastAPI

from .clock import Clock
from .errors.reports import EVENT_TYPE
from .health import HealthRegistry
from .lifecycle import Worker
from .logging import setup as logging_setup
from .logging.levels import threshold
from .metrics.catalogue import Metric
from .metrics.catalogue import installed as catalogued
from .metrics.cells import Cell, Series, process_store
from .monitoring_middleware import ATTRIBUTE
from .route import RouteTree
from .settings import Settings
from .setup import Observability, instrument
from .tracing.choose import EXTRA, installed

if TYPE_CHECKING:
    from .tracing.buffer import Waiting

__all__ = ["Entry", "ManualClock", "Measured", "Measurement", "Metrics", "Seen", "SpanRecord", "observe"]

Entry = dict[str, Any]
# What tests themselves write: their client's log, and the event loop's.
_OF_TESTS: Final = frozenset({"httpx", "httpcore", "asyncio"})
_READY_SECONDS: Final = 30.0


class ManualClock(Clock):
    """A clock that stands still until a test moves it; `seconds` since the epoch."""

    def __init__(self, seconds: float = 1_700_000_000.0) -> None:
        self._seconds = seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def time_ns(self) -> int:
        return round(self._seconds * 1e9)

    def monotonic(self) -> float:
        return self._seconds


class Measurement(NamedTuple):
    """One series of a metric: what was counted in the block; of a gauge, what it is."""

    labels: dict[str, str]
    value: float
    """Of a histogram, how many observations."""
    sum: float
    """Of a histogram, what was observed in all; otherwise the value."""


class Measured(tuple[Measurement, ...]):
    """All series of one metric."""

    __slots__ = ()

    def value(self, **labels: str) -> float:
        """What all series with these labels make together; 0 where there is none."""
        return sum(one.value for one in self._with(labels))

    def sum(self, **labels: str) -> float:
        """What all histograms with these labels observed in all."""
        return sum(one.sum for one in self._with(labels))

    def _with(self, labels: dict[str, str]) -> Iterator[Measurement]:
        return (one for one in self if labels.items() <= one.labels.items())


class Metrics:
    """What was counted since the block began, by names of metrics."""

    def __init__(self, observability: Observability) -> None:
        self._observability = observability
        self._store = observability.worker.store
        self._store.settle()
        self._before = {id(series): cell for series, cell in self._store.peek()}
        # Series are told apart by their identity, which is theirs as long as they live.
        self._kept = list(self._store.series)

    def __getitem__(self, name: str) -> Measured:
        """The series of a metric.

        Raises:
            KeyError: Nothing was ever counted under the name, and no catalogue has it: it is probably misspelt.
        """
        self._store.settle()
        mine = {"", self._observability.settings.service}
        found = [(series, cell) for series, cell in self._store.peek() if series.metric.name == name]
        if not found and name not in catalogued():
            raise KeyError(f"{name}: no catalogue has this metric, and nothing was counted under this name")
        told = (self._told(series, cell) for series, cell in found if series.job in mine)
        return Measured(one for one in told if one is not None)

    def _told(self, series: Series, cell: Cell) -> Measurement | None:
        labels = dict(zip(series.metric.labels, series.values, strict=True))
        if series.metric.kind == "gauge":
            return Measurement(labels, cell[0], cell[0])
        before = self._before.get(id(series), [0.0] * len(cell))
        new = [now - then for now, then in zip(cell, before, strict=True)]
        value, total = _numbers(series.metric, new)
        return Measurement(labels, value, total) if value else None


def _numbers(metric: Metric, cell: Sequence[float]) -> tuple[float, float]:
    return (sum(cell[:-1]), cell[-1]) if metric.kind == "histogram" else (cell[0], cell[0])


class SpanRecord(NamedTuple):
    """A finished span; ids are hexadecimal, `parent` is empty for the first one of a trace."""

    name: str
    kind: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    failed: bool
    trace_id: str
    span_id: str
    parent: str
    seconds: float


@dataclass
class Seen:
    """What was told of an app in the block.

    Attributes:
        app: The app.
        metrics: What was counted, by names of metrics.
        lines: Log lines as they were written.
    """

    app: FastAPI
    metrics: Metrics
    lines: list[bytes] = field(default_factory=list)
    _waiting: "list[Waiting]" = field(default_factory=list)
    _traced: bool = False

    @property
    def entries(self) -> list[Entry]:
        """All log entries, without those that HTTP clients write about the test's own requests."""
        parsed = [json.loads(line) for line in self.lines]
        return [entry for entry in parsed if entry.get("logger") not in _OF_TESTS]

    @property
    def logs(self) -> list[Entry]:
        """What the app itself logged."""
        return [entry for entry in self.entries if "httpRequest" not in entry and not _is_error(entry)]

    @property
    def access(self) -> list[Entry]:
        """One entry for each request."""
        return [entry for entry in self.entries if "httpRequest" in entry and not _is_error(entry)]

    @property
    def errors(self) -> list[Entry]:
        """What Error Reporting would show."""
        return [entry for entry in self.entries if _is_error(entry)]

    @property
    def spans(self) -> list[SpanRecord]:
        """Finished spans of requests that have ended, the innermost first.

        Raises:
            RuntimeError: The package for spans is not installed, or the app does not trace.
        """
        if not self._traced:
            raise RuntimeError(f"no spans are made here: ENABLE_TRACING is off, or they need {EXTRA}")
        return [_record(span) for waiting in self._waiting for span in waiting.spans()]


def _is_error(entry: Entry) -> bool:
    return entry.get("@type") == EVENT_TYPE


def _record(span: Any) -> SpanRecord:
    return SpanRecord(
        span.name,
        span.kind.name,
        dict(span.attributes or {}),
        [(event.name, dict(event.attributes or {})) for event in span.events],
        span.status.status_code.name == "ERROR",
        f"{span.context.trace_id:032x}",
        f"{span.context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent else "",
        (span.end_time - span.start_time) / 1e9,
    )


@contextmanager
def observe(app: FastAPI, *, clock: Clock | None = None, **settings: Any) -> Iterator[Seen]:
    """Keep the telemetry of an app to oneself for the length of a block: nothing is written or sent.

    The app may be instrumented or not. Afterwards it, and the process's logging, are as they were. Blocks of one
    process do not overlap: logging is the process's own.

    Args:
        app: The app.
        clock: Wall time of log entries, and deadlines of exports; the system's when None.
        settings: By field name, over those of the app. Every request is traced and no entry is left out by sampling
            unless said otherwise here.
    """
    before: Observability | None = getattr(app, ATTRIBUTE, None)
    given = {
        **(before.settings.model_dump() if before is not None else {}),
        "metrics_backend": "none",
        "traces_backend": "otlp" if installed() else "none",
        "log_destination": "stdout",
        "log_sample_rates": {},
        "trace_sample_rate": 1.0,
        **settings,
    }
    chosen = Settings.load(**given)
    if not chosen.google_cloud_project:
        chosen = Settings.load(**{**given, "google_cloud_project": "test-project"})
    lines: list[bytes] = []
    options: dict[str, Any] = {
        "worker": Worker(process_store, clock),
        "write": lines.append,
        "health_checks": before.health if before is not None else HealthRegistry(),
        **({"time_ns": clock.time_ns} if clock is not None else {}),
    }
    with _logging_as_before():
        undo = _replace(app, before, chosen, options)
        observability: Observability = getattr(app, ATTRIBUTE)
        waiting: list[Waiting] = []
        traces = observability.traces
        if traces is not None:
            traces.export = waiting.append  # type: ignore[method-assign, assignment]  # instead of the exporter
            # Load the SDK now, so that not even the first request goes without it; the app starts its own thread.
            traces.start()
            traces.ready.wait(_READY_SECONDS)
            traces.close()
        try:
            yield Seen(app, Metrics(observability), lines, waiting, traces is not None)
        finally:
            observability.worker.stop_now()
            if traces is not None:
                traces.close()
            undo()


def _replace(
    app: FastAPI, before: Observability | None, settings: Settings, options: dict[str, Any]
) -> Callable[[], None]:
    """Give an app other telemetry; what is returned gives it back what it had."""
    if before is None:
        kind = app.__class__
        instrument(app, settings, **options)

        def forget() -> None:
            app.__class__ = kind
            delattr(app, ATTRIBUTE)

        return forget
    other = Observability(settings, **options)
    other.configure_logging()
    other.routes = RouteTree(app)
    setattr(app, ATTRIBUTE, other)

    def restore() -> None:
        setattr(app, ATTRIBUTE, before)
        before._configure_health()  # noqa: SLF001  # the registry is the same, and knows the block's app

    return restore


@contextmanager
def _logging_as_before() -> Iterator[None]:
    """`instrument` configures the process's logging; afterwards it is what it was."""
    root = logging.getLogger()
    pipeline = logging_setup._pipeline  # noqa: SLF001  # loggers are cached, so it is the object that changes
    before = replace(pipeline)
    handlers, level = root.handlers[:], root.level
    configured, least = structlog.get_config(), threshold.name
    was_configured = structlog.is_configured()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        pipeline.processors, pipeline.sampling, pipeline.write = before.processors, before.sampling, before.write
        threshold.set(least)
        structlog.configure(**configured)
        if not was_configured:
            structlog.reset_defaults()
            logging.captureWarnings(capture=False)
