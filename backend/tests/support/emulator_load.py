"""A day's load on the emulator's parts, on a clock of its own, and how much memory it takes."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from google.cloud import monitoring_v3
from google.cloud.logging_v2.types import WriteLogEntriesRequest

from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import Journal, MemoryJournal
from app.emulator.parts import Parts
from app.emulator.project import Context, Switches

START = 1_760_000_000
_Points = monitoring_v3.CreateTimeSeriesRequest.pb()
_Entries = WriteLogEntriesRequest.pb()


class Look(NamedTuple):
    second: int
    resident: int
    entries: int
    entry_bytes: int
    points: int
    point_bytes: int
    journal_bytes: int


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def points(at: int, series: int) -> Any:
    request = _Points(name="projects/demo")
    for number in range(series):
        one = request.time_series.add()
        one.metric.type = "custom.googleapis.com/depth"
        one.metric.labels["queue"] = str(number)
        one.resource.type = "global"
        point = one.points.add()
        point.interval.end_time.seconds = at
        point.value.double_value = at % 977
    return request


def entries(at: int, number: int, first: int) -> Any:
    request = _Entries(log_name="projects/demo/logs/run.googleapis.com%2Fstdout")
    request.resource.type = "cloud_run_revision"
    request.resource.labels["service_name"] = "items"
    for offset in range(number):
        entry = request.entries.add(severity=200, insert_id=f"{first + offset:012x}")
        entry.timestamp.seconds = at
        entry.timestamp.nanos = offset
        entry.json_payload.update({"message": f"GET /v1/items/{first + offset}", "ms": offset % 900})
    return request


def load(
    seconds: int, *, entries_a_second: int, points_a_second: int, switches: Switches, journal: Journal | None = None
) -> Iterator[Look]:
    """A look after each minute of the emulator's clock; points come every ten seconds, 200 series a call."""
    clock = ManualClock(START * NANOS)
    parts = Parts(Context(clock=clock, switches=switches, journal=journal or MemoryJournal()))
    written = 0
    for second in range(1, seconds + 1):
        clock.advance(1)
        at = START + second
        for part in range(0, entries_a_second, 1000):
            number = min(1000, entries_a_second - part)
            parts.logging.write_log_entries(entries(at, number, written))
            written += number
        if second % 10 == 0:
            for _ in range(1):
                for first in range(0, 10 * points_a_second, 200):
                    parts.metrics.create_time_series(_shifted(points(at, min(200, 10 * points_a_second)), first))
        if second % 30 == 0:
            parts.sweep()
        if second % 60 == 0:
            kept = parts.kept()
            yield Look(
                second,
                resident(),
                int(kept["logEntries"]),
                int(kept["logBytes"]),
                int(kept["points"]),
                int(kept["pointBytes"]),
                parts.logging._context.journal.size(),
            )


def _shifted(request: Any, first: int) -> Any:
    for number, series in enumerate(request.time_series):
        series.metric.labels["queue"] = str(first + number)
    return request
