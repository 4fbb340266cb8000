"""Time series requests for tests: small, valid, and wrong in one place at a time."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import monitoring_v3
from google.protobuf import json_format

from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import Journal, MemoryJournal
from app.emulator.monitoring.model import Series
from app.emulator.monitoring.service import MetricService
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context, Switches
from app.emulator.status import ApiError, Code

START = 1_700_000_000
"""Seconds; where the manual clock of these tests begins."""
GAUGE = "custom.googleapis.com/queue/depth"
COUNTER = "custom.googleapis.com/requests"
LATENCY = "custom.googleapis.com/latency"
TASK = {"location": "europe-west1", "namespace": "test", "job": "items", "task_id": "0"}
BUCKETS = {"explicitBuckets": {"bounds": [1.0, 2.0, 4.0]}}

_Create = monitoring_v3.CreateTimeSeriesRequest.pb()
_List = monitoring_v3.ListTimeSeriesRequest.pb()


def moment(after: float) -> str:
    """A time as JSON, in seconds after START."""
    whole, fraction = divmod(round(after * NANOS), NANOS)
    return f"{datetime.fromtimestamp(START + whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def one(value: Any, at: float, **changes: Any) -> dict[str, Any]:
    """A TimeSeries with one point as JSON; `at` in seconds after START.

    `changes` are metric, kind, since (the start), labels, resource, or other fields of the series.
    """
    field = {bool: "boolValue", int: "int64Value", float: "doubleValue", str: "stringValue", dict: "distributionValue"}
    interval = {"endTime": moment(at)}
    if "since" in changes:
        interval["startTime"] = moment(changes.pop("since"))
    resource = changes.pop("resource", {"type": "generic_task", "labels": TASK})
    answer = {
        "metric": {"type": changes.pop("metric", GAUGE), "labels": changes.pop("labels", {})},
        "resource": resource,
        "points": [{"interval": interval, "value": {field[type(value)]: _json(value)}}],
    }
    kind = changes.pop("kind", None)
    return answer | ({"metricKind": kind} if kind else {}) | changes


def _json(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def count(value: float, at: float, **changes: Any) -> dict[str, Any]:
    """As `one`, for a counter that began at START - 60."""
    return one(value, at, **{"metric": COUNTER, "kind": "CUMULATIVE", "since": -60, **changes})


def latencies(buckets: list[int], at: float, **changes: Any) -> dict[str, Any]:
    """As `count`, for a distribution over BUCKETS whose mean is 2."""
    total = sum(buckets)
    value = {"count": str(total), "mean": 2.0 if total else 0.0, "bucketOptions": BUCKETS, "bucketCounts": buckets}
    return one(value, at, **{"metric": LATENCY, "kind": "CUMULATIVE", "since": -60, **changes})


def create(*series: dict[str, Any], name: str = "projects/demo") -> Any:
    return json_format.ParseDict({"name": name, "timeSeries": list(series)}, _Create())


class Metrics:
    """A MetricService of its own, on a clock of its own."""

    def __init__(self, journal: Journal | None = None, **switches: Any) -> None:
        self.clock = ManualClock(START * NANOS)
        self.store = MetricStore()
        self.context = Context(clock=self.clock, journal=journal or MemoryJournal(), switches=Switches(**switches))
        self.service = MetricService(self.context, self.store)

    def write(self, *series: dict[str, Any]) -> None:
        self.service.create_time_series(create(*series))

    def only_series(self, metric: str = GAUGE) -> Series:
        [series] = self.store.series(metric)
        return series

    def read(self, metric: str, start: float, end: float, *, where: str = "", **fields: Any) -> list[dict[str, Any]]:
        """ListTimeSeries as JSON; times in seconds after START."""
        request = json_format.ParseDict(
            {
                "name": "projects/demo",
                "filter": f'metric.type = "{metric}" {where}',
                "interval": {"startTime": moment(start), "endTime": moment(end)},
                **fields,
            },
            _List(),
        )
        answer = json_format.MessageToDict(self.service.list_time_series(request))
        found: list[dict[str, Any]] = answer.get("timeSeries", [])
        return found

    def values(self, metric: str, start: float, end: float, **fields: Any) -> list[list[Any]]:
        """The values that `read` finds, oldest first, a list for each series."""
        return [
            [next(iter(point["value"].values())) for point in reversed(series["points"])]
            for series in self.read(metric, start, end, **fields)
        ]


def refusal(metrics: Metrics, *series: dict[str, Any], code: Code = Code.INVALID_ARGUMENT) -> str:
    """The sentence with which a call is refused."""
    with pytest.raises(ApiError) as caught:
        metrics.write(*series)
    assert caught.value.code == code
    return caught.value.message


def aggregation(aligner: str, reducer: str = "", *, period: int = 60, by: tuple[str, ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = {"alignmentPeriod": f"{period}s", "perSeriesAligner": aligner, "groupByFields": list(by)}
    return answer | ({"crossSeriesReducer": reducer} if reducer else {})
