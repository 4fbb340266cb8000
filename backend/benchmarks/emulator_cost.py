"""What the emulator does in which time: queries, ingest, searches, start-up.

CPU time of this process; for start-up, time on the wall. Figures depend on the machine. Beside each stands the goal
and, where there is one, a baseline of the same run: promtool for a rule over a week, protobuf parsing for ingest.

Run: python backend/benchmarks/emulator_cost.py [--only NAME ...] [--promtool]
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from google.api import distribution_pb2, metric_pb2, monitored_resource_pb2
from google.cloud import monitoring_v3
from google.cloud.logging_v2.types import ListLogEntriesRequest, WriteLogEntriesRequest

from app.emulator.clock import NANOS, ManualClock
from app.emulator.journal import Journal, MemoryJournal, open_data_dir
from app.emulator.parts import Parts
from app.emulator.project import Context
from app.emulator.promql.evaluate import evaluate_range

BACKEND = Path(__file__).parents[1]
WEEK = 7 * 86_400
NOW = 1_760_000_000
STEP = 60
_TYPE = "prometheus.googleapis.com/{}/{}"


class Figure(NamedTuple):
    name: str
    value: float
    unit: str
    goal: float
    smaller_is_better: bool = True
    note: str = ""

    @property
    def shown(self) -> str:
        met = self.value <= self.goal if self.smaller_is_better else self.value >= self.goal
        sign = "<=" if self.smaller_is_better else ">="
        return (
            f"{self.name:<52} {self.value:>12,.3f} {self.unit:<10} goal {sign} {self.goal:<10,g}"
            f"{'met' if met else 'MISSED'}  {self.note}"
        )


def seconds(work: Callable[[], Any], times: int = 3, clock: Callable[[], float] = time.process_time) -> float:
    """The median of a few runs."""
    taken = []
    for _ in range(times):
        began = clock()
        work()
        taken.append(clock() - began)
    return sorted(taken)[times // 2]


def parts_of(**options: Any) -> Parts:
    return Parts(Context(clock=ManualClock(NOW * NANOS), **options))


def fill_counters(parts: Parts, series: int = 300, length: int = WEEK, step: int = STEP) -> None:
    """http_request_total: `series` counters with a point a minute for a week."""

    metric_type = _TYPE.format("http_request_total", "counter")
    parts.store.put_descriptor(metric_pb2.MetricDescriptor(type=metric_type, metric_kind=3, value_type=3))
    dice = np.random.default_rng(1)
    ends = np.arange(NOW - length, NOW + 1, step) * NANOS
    for number in range(series):
        metric = metric_pb2.Metric(
            type=metric_type,
            labels={
                "endpoint": f"/v1/{number // 6}",
                "method": "GET",
                "status_code": ("200", "201", "404", "500", "502", "503")[number % 6],
            },
        )
        found = parts.store.find_or_create(metric, _resource(), "demo")
        values = np.cumsum(dice.poisson(5, len(ends))).astype(float)
        for end, value in zip(ends.tolist(), values.tolist(), strict=True):
            found.append(ends[0] - NANOS, end, value)


def fill_histograms(parts: Parts, series: int = 10, length: int = WEEK, step: int = STEP) -> None:

    metric_type = _TYPE.format("http_request_duration_seconds", "histogram")
    parts.store.put_descriptor(metric_pb2.MetricDescriptor(type=metric_type, metric_kind=3, value_type=5))
    bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    dice = np.random.default_rng(2)
    ends = np.arange(NOW - length, NOW + 1, step) * NANOS
    for number in range(series):
        metric = metric_pb2.Metric(type=metric_type, labels={"endpoint": f"/v1/{number}", "method": "GET"})
        found = parts.store.find_or_create(metric, _resource(), "demo")
        buckets = np.cumsum(dice.poisson(2, (len(ends), len(bounds) + 1)), axis=0)
        for end, row in zip(ends.tolist(), buckets.tolist(), strict=True):
            value = distribution_pb2.Distribution(count=sum(row), mean=0.3, bucket_counts=row)
            value.bucket_options.explicit_buckets.bounds.extend(bounds)
            found.append_distribution(ends[0] - NANOS, end, value)


def _resource() -> Any:
    labels = {"location": "europe-west1", "cluster": "__run__", "namespace": "production", "job": "items"}
    return monitored_resource_pb2.MonitoredResource(type="prometheus_target", labels={**labels, "instance": "i-1"})


_SCOPE = 'job="items",namespace="production"'
RATIO = (
    f'sum by (endpoint) (rate(http_request_total{{{_SCOPE},status_code=~"5.."}}[5m]))'
    f" / sum by (endpoint) (rate(http_request_total{{{_SCOPE}}}[5m])) > 0.1"
)
CHARTS = [
    f"sum(rate(http_request_total{{{_SCOPE}}}[5m]))",
    f"sum by (status_code) (rate(http_request_total{{{_SCOPE}}}[5m]))",
    f"sum by (endpoint) (rate(http_request_total{{{_SCOPE}}}[5m]))",
    f"topk(5, sum by (endpoint) (rate(http_request_total{{{_SCOPE}}}[5m])))",
    f"sum(increase(http_request_total{{{_SCOPE}}}[1h]))",
    f'sum(rate(http_request_total{{{_SCOPE},status_code=~"5.."}}[5m])) / sum(rate(http_request_total{{{_SCOPE}}}[5m]))',
    f"histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{{{_SCOPE}}}[5m])))",
    f"histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{{_SCOPE}}}[5m])))",
    f"histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket{{{_SCOPE}}}[5m])))",
    (
        f"sum(rate(http_request_duration_seconds_sum{{{_SCOPE}}}[5m]))"
        f" / sum(rate(http_request_duration_seconds_count{{{_SCOPE}}}[5m]))"
    ),
]


def ratio_rule(with_promtool: bool) -> list[Figure]:
    parts = parts_of()
    fill_counters(parts)
    taken = seconds(lambda: evaluate(parts, RATIO, 60))
    note = ""
    if with_promtool:
        other = promtool_seconds()
        note = f"promtool test rules: {other:.1f} s, {other / taken:.0f} times as long"
    return [Figure("ratio rule, 300 series, a week at 60 s", taken, "s", 0.5, note=note)]


def evaluate(parts: Parts, query: str, step: int, length: int = WEEK) -> Any:

    return evaluate_range(query, parts.source, (NOW - length) * 1000, NOW * 1000, step * 1000)


def dashboard(_: bool) -> list[Figure]:
    parts = parts_of()
    fill_counters(parts, series=120)
    fill_histograms(parts)
    # the console asks for about a thousand points of a week
    taken = seconds(lambda: [evaluate(parts, query, 600) for query in CHARTS * 2])
    slowest = max((seconds(partial(evaluate, parts, query, 600), 1), query) for query in CHARTS)
    return [
        Figure(
            "20 charts over a week (120 counters, 10 histograms)",
            taken,
            "s",
            1.0,
            note=f"slowest: {slowest[0]:.3f} s {slowest[1][:60]}",
        )
    ]


def promtool_seconds() -> float:
    lines = []
    dice = np.random.default_rng(1)
    for number in range(300):
        status = ("200", "201", "404", "500", "502", "503")[number % 6]
        name = f'http_request_total{{endpoint="/v1/{number // 6}",method="GET",status_code="{status}",{_SCOPE}}}'
        values = np.cumsum(dice.poisson(5, WEEK // STEP + 1))
        lines.append({"series": name, "values": " ".join(str(value) for value in values.tolist())})
    rules = {"groups": [{"name": "a", "interval": "1m", "rules": [{"record": "ratio", "expr": RATIO}]}]}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yaml").write_text(json.dumps(rules))
        test = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": lines,
                    "promql_expr_test": [
                        {"expr": "vector(1)", "eval_time": "7d", "exp_samples": [{"labels": "{}", "value": 1}]}
                    ],
                }
            ],
        }
        path = Path(folder, "test.yaml")
        path.write_text(json.dumps(test))
        began = time.perf_counter()
        subprocess.run(["promtool", "test", "rules", str(path)], check=True, capture_output=True)
        return time.perf_counter() - began


def entry_request(count: int, offset: int = 0, at: int | None = None) -> Any:

    request = WriteLogEntriesRequest.pb()()
    base = NOW if at is None else at
    for number in range(offset, offset + count):
        entry = request.entries.add()
        entry.log_name = "projects/demo/logs/run.googleapis.com%2Fstdout"
        entry.resource.type = "cloud_run_revision"
        entry.resource.labels["service_name"] = "items"
        entry.resource.labels["location"] = "europe-west1"
        entry.timestamp.FromNanoseconds((base - 3600) * NANOS + number * 36_000_000 % (3600 * NANOS))
        entry.insert_id = f"{number:09x}"
        entry.severity = 500 if number % 20 == 0 else 200
        entry.trace = f"projects/demo/traces/{number // 4:032x}"
        payload = entry.json_payload
        payload.update(
            {
                "message": f"GET /v1/items/{number} took {number % 900} ms",
                "item_id": number,
                "user": f"u{number % 977}",
                "request": {"endpoint": f"/v1/items/{number % 40}", "cached": number % 3 == 0},
            }
        )
    return request


SEARCHES = {
    "severity": "severity>=ERROR",
    "time and severity": 'timestamp>="2025-10-09T08:00:00Z" severity>=ERROR',
    "JSON field": 'jsonPayload.user="u17"',
    "number": "jsonPayload.item_id>99990",
    "substring of the message": 'jsonPayload.message:"took 899 ms"',
    "regex": 'jsonPayload.message=~"items/9{4}\\\\d took"',
    "bare word": '"took 899 ms"',
    "trace": f'trace="projects/demo/traces/{20_000:032x}"',
    "nothing found": 'jsonPayload.absent="x" AND severity>=ERROR',
    "label and log": 'resource.labels.service_name="items" LOG_ID("run.googleapis.com/stdout") jsonPayload.user="u1"',
}


# What so few entries match that every page of them can be asked for: then all entries are looked at.
FEW = {name: SEARCHES[name] for name in ("JSON field", "number", "regex", "bare word", "trace", "nothing found")}


def search(_: bool) -> list[Figure]:

    parts = parts_of()
    for offset in range(0, 100_000, 1000):
        parts.logging.write_log_entries(entry_request(1000, offset))
    figures = []

    def pages(text: str, *, every: bool) -> None:
        token = ""
        while True:
            request = ListLogEntriesRequest.pb()(
                resource_names=["projects/demo"], filter=text, page_size=50, order_by="timestamp desc", page_token=token
            )
            answer = parts.logging.list_log_entries(request)
            token = answer.next_page_token
            if not token or (answer.entries and not every):
                return

    for name, text in SEARCHES.items():
        taken = seconds(partial(pages, text, every=False))
        figures.append(Figure(f"100,000 entries, first page: {name}", taken, "s", 0.5))
    for name, text in FEW.items():
        taken = seconds(partial(pages, text, every=True))
        figures.append(Figure(f"100,000 entries, every page: {name}", taken, "s", 0.5))
    return figures


def ingest_points(_: bool) -> list[Figure]:
    request_type = monitoring_v3.CreateTimeSeriesRequest.pb()
    messages = [point_request(NOW - 86400 + call * 10) for call in range(250)]
    return [
        _ingest("points, 200 a call", "points/s", 50_000, 200, request_type, messages, "metrics.create_time_series"),
        _ingest(
            "points, 200 a call", "points/s", 50_000, 200, request_type, messages, "metrics.create_time_series", True
        ),
    ]


def _ingest(  # noqa: PLR0917  # called four times, just above and below
    what: str, unit: str, goal: float, each: int, kind: Any, messages: list[bytes], call: str, stored: bool = False
) -> Figure:
    """Calls of the service, with parsing as the wire does it, beside parsing alone."""

    def parse() -> None:
        for message in messages:
            kind.FromString(message)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as closing:
        journal: Journal = open_data_dir(Path(folder), closing) if stored else MemoryJournal()
        parts = parts_of(journal=journal)
        service, _, method = call.partition(".")
        write = getattr(getattr(parts, service), method)
        plain = seconds(parse)
        began = time.process_time()
        for message in messages:
            write(kind.FromString(message))
        taken = time.process_time() - began
    where = "into --data-dir" if stored else "in memory"
    note = f"{taken / plain:.1f} times plain parsing"
    return Figure(f"{what}, {where}", len(messages) * each / taken, unit, goal, smaller_is_better=False, note=note)


def point_request(at: int) -> bytes:

    request = monitoring_v3.CreateTimeSeriesRequest.pb()(name="projects/demo")
    for number in range(200):
        series = request.time_series.add()
        series.metric.type = _TYPE.format("http_request_total", "counter")
        series.metric.labels["endpoint"] = f"/v1/{number}"
        series.metric.labels["method"] = "GET"
        series.metric.labels["status_code"] = "200"
        series.resource.type = "prometheus_target"
        series.resource.labels.update(
            {
                "location": "europe-west1",
                "cluster": "__run__",
                "namespace": "production",
                "job": "items",
                "instance": "i",
            }
        )
        series.metric_kind = 3
        series.value_type = 3
        point = series.points.add()
        point.interval.start_time.seconds = NOW - 100_000
        point.interval.end_time.seconds = at
        point.value.double_value = float(at - NOW + 100_000)
    return bytes(request.SerializeToString())


def ingest_entries(_: bool) -> list[Figure]:
    kind = WriteLogEntriesRequest.pb()
    messages = [entry_request(500, offset).SerializeToString() for offset in range(0, 20_000, 500)]
    write = "logging.write_log_entries"
    return [
        _ingest("log entries, 500 a call", "entries/s", 20_000, 500, kind, messages, write),
        _ingest("log entries, 500 a call", "entries/s", 20_000, 500, kind, messages, write, True),
    ]


def start_up(_: bool) -> list[Figure]:
    return [Figure("cloudops up, ready", seconds(_started, clock=time.perf_counter), "s", 1.5)]


def start_with_points(_: bool) -> list[Figure]:
    request_type = monitoring_v3.CreateTimeSeriesRequest.pb()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.ExitStack() as closing:
            # Closed as kill -9 would leave it: nothing is written at the end.
            parts = parts_of(journal=open_data_dir(Path(folder), closing))
            for call in range(5_000):
                parts.metrics.create_time_series(request_type.FromString(point_request(NOW - 86_400 + call * 10)))
        taken = seconds(partial(_started, "--data-dir", folder), clock=time.perf_counter)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
    return [Figure("cloudops up, ready, with 1,000,000 points", taken, "s", 2.0, note=f"{size:.0f} MiB of --data-dir")]


def _started(*arguments: str) -> None:
    command = [sys.executable, "-c", "from app.cli import main; main()", "up", "--grpc-port", "0", "--http-port", "0"]
    with subprocess.Popen(
        [*command, *arguments], cwd=BACKEND, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()


SECTIONS: dict[str, Callable[[bool], list[Figure]]] = {
    "ratio": ratio_rule,
    "dashboard": dashboard,
    "search": search,
    "points": ingest_points,
    "entries": ingest_entries,
    "start": start_up,
    "million": start_with_points,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--promtool", action="store_true", help="run the rule through promtool too; half a minute")
    arguments = parser.parse_args()
    for name in arguments.only:
        for figure in SECTIONS[name](arguments.promtool):
            print(figure.shown, flush=True)


if __name__ == "__main__":
    main()
