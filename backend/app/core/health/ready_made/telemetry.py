"""The export of telemetry itself: told, and never a reason to take a service out."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...metrics.sources.source import client_of, store_of
from ..checks import Answer

if TYPE_CHECKING:
    from ...metrics import MetricsClient

_METRIC: Final = "cloudops_last_export_success_timestamp_seconds"


class TelemetryCheck:
    """How long ago metrics were last exported."""

    never_critical = True

    def __init__(self, metrics: "MetricsClient | None", longest: float, now: Callable[[], float]) -> None:
        self._store = store_of(client_of(metrics))
        self._longest = longest
        self._now = now
        self._began = now()

    def __call__(self) -> Answer:
        last = max((series.cell[0] for series in self._store.series if series.metric.name == _METRIC), default=0.0)
        seconds = round(max(0.0, self._now() - (last or self._began)), 1)
        if seconds <= self._longest:
            return Answer(value=seconds, unit="s")
        why = f"nothing exported for {seconds:.0f} s" if last else f"nothing exported in the first {seconds:.0f} s"
        return Answer("degraded", why, seconds, "s")


def telemetry_check(
    *, longest: float = 300.0, metrics: "MetricsClient | None" = None, now: Callable[[], float] = time.time
) -> TelemetryCheck:
    """Degraded when no metrics were exported for `longest` seconds."""
    return TelemetryCheck(metrics, longest, now)
