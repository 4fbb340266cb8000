"""Scripts that test alert policies: series in, incidents out, in promtool's notation, through the real store.

A script is YAML:

    policy: high_error_rate            # file name in policies/, without endings
    interval: 60s                      # between two samples of a series, as the exporter writes them
    evaluate_every: 15s                # default: what the policy asks
    tests:
      - name: a burst opens an incident
        series:
          - metric: http_request_total{endpoint="/items",status_code="500"}
            values: "0 0x5 10x3"       # promtool: 1+2x3 is 1 3 5 7, 4x2 is 4 4 4, _ is no sample
            resets: false              # true: a fall of the value starts the series anew, as a restart does
        expect:
          - {at: 10m, open: 0}
          - {at: 11m, open: 1, labels: {}}   # how many incidents are open, and their labels
          - {at: 20m, closed: 1}             # how many have closed so far

A sample is written at its time, then the evaluator runs, so an expectation sees what is known at that moment.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.api import metric_pb2
from google.cloud.monitoring_v3 import types

from ..clock import NANOS, ManualClock
from ..monitoring.service import MetricService
from ..monitoring.store import MetricStore
from ..project import Context, Switches
from ..promql.cloud import CloudSource
from .conditions import interval_of
from .evaluator import AlertEvaluator
from .messages import AlertPolicy, Raw
from .service import AlertPolicyService

_CreateTimeSeriesRequest: Any = types.CreateTimeSeriesRequest.pb()
_CreateAlertPolicyRequest: Any = types.CreateAlertPolicyRequest.pb()

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_METRIC = re.compile(r"\s*([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_VALUES = re.compile(r"(?P<first>_|-?[\d.]+(?:e[+-]?\d+)?)(?:(?P<step>[+-][\d.]+)?x(?P<times>\d+))?")
_TARGET = {"location": "europe-west1", "cluster": "__run__", "namespace": "test", "job": "test", "instance": "0"}


class ScriptError(ValueError):
    """The script itself is wrong."""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    labels: dict[str, str]
    values: list[float | None]
    kind: str = "counter"
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    at: float
    open: int | None = None
    closed: int | None = None
    labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    series: list[Series]
    expect: list[Expectation]


@dataclass(frozen=True, slots=True)
class Script:
    policy: str
    interval: float
    evaluate_every: float | None
    cases: list[Case] = field(default_factory=list)


def read_script(path: Path) -> Script:
    """Read a script.

    Raises:
        ScriptError: A field is missing, unknown or cannot be read; the message names the file and the test.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        _only(data, {"policy", "interval", "evaluate_every", "tests"})
        every = data.get("evaluate_every")
        return Script(
            policy=data["policy"],
            interval=seconds_of(data.get("interval", "60s")),
            evaluate_every=seconds_of(every) if every else None,
            cases=[_case(test) for test in data["tests"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ScriptError(f"{path}: {reason}") from error


def _case(data: dict[str, Any]) -> Case:
    try:
        _only(data, {"name", "series", "expect"})
        series = [_series(one) for one in data["series"]]
        expect = [_expectation(one) for one in data["expect"]]
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ScriptError(f'test "{data.get("name")}": {reason}') from error
    return Case(data["name"], series, sorted(expect, key=lambda one: one.at))


def _series(data: dict[str, Any]) -> Series:
    _only(data, {"metric", "values", "kind", "resets"})
    match = _METRIC.fullmatch(data["metric"])
    if match is None:
        raise ScriptError(f"{data['metric']} is not a metric with labels")
    return Series(
        name=match[1],
        labels=dict(_LABEL.findall(match[2] or "")),
        values=list(expand(str(data["values"]))),
        kind=data.get("kind", "counter"),
        resets=bool(data.get("resets", False)),
    )


def _expectation(data: dict[str, Any]) -> Expectation:
    _only(data, {"at", "open", "closed", "labels"})
    if "open" not in data and "closed" not in data:
        raise ScriptError("an expectation says how many are open or closed")
    return Expectation(seconds_of(data["at"]), data.get("open"), data.get("closed"), data.get("labels"))


def _only(data: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(data.keys() - known)
    if unknown:
        raise ScriptError(f"{unknown[0]} is no field here; there are {', '.join(sorted(known))}")


def seconds_of(text: str) -> float:
    """`90s`, `1m30s`, `2h`."""
    parts = _DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ScriptError(f"{text} is not a duration such as 90s or 5m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def expand(notation: str) -> Iterator[float | None]:
    """The samples of promtool's notation (prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules)."""
    for part in notation.split():
        match = _VALUES.fullmatch(part)
        if match is None:
            raise ScriptError(f"{part} is not in promtool's series notation")
        times = int(match["times"] or 0)
        if match["first"] == "_":
            # promtool: `_x3` is three missing samples, while `4x3` is one 4 and three more.
            yield from [None] * (times if match["times"] else 1)
            continue
        first, step = float(match["first"]), float(match["step"] or 0)
        yield from (first + step * index for index in range(times + 1))


def run_case(script: Script, case: Case, policy: Raw) -> list[str]:
    """What did not come out as expected; empty when everything did."""
    clock = ManualClock()
    context = Context(clock=clock, switches=Switches(minimum_gap_seconds=0.0))
    store = MetricStore()
    metrics = MetricService(context, store)
    policies = AlertPolicyService(context, store)
    sent = AlertPolicy()
    sent.CopyFrom(policy)
    del sent.notification_channels[:]
    policies.create_alert_policy(_CreateAlertPolicyRequest(name=f"projects/{context.project_id}", alert_policy=sent))
    warnings: list[str] = []
    evaluator = AlertEvaluator(
        context,
        policies,
        CloudSource(store, context),
        _Silent(),
        every=script.evaluate_every,
        warn=warnings.append,
    )
    writers = [_Writer(series, clock.now()) for series in case.series]
    failures: list[str] = []
    start = clock.now()
    for moment in _moments(script, case, evaluator_interval(script, policy)):
        clock.advance(moment - (clock.now() - start) / NANOS)
        requests = [one for writer in writers if (one := writer.at(moment, script.interval, clock.now())) is not None]
        for at in range(0, len(requests), 200):
            metrics.create_time_series(
                _CreateTimeSeriesRequest(name=f"projects/{context.project_id}", time_series=requests[at : at + 200])
            )
        evaluator.evaluate(clock.now())
        errors = [one["error"] for state in evaluator.evaluations() for one in state["conditions"] if one["error"]]
        failures += [f"at {moment:g}s: {error}" for error in errors]
        failures += [
            failure
            for expectation in case.expect
            if expectation.at == moment
            for failure in _compare(expectation, evaluator)
        ]
        if errors:
            break
    return failures + warnings


def evaluator_interval(script: Script, policy: Raw) -> float:
    return script.evaluate_every or min(interval_of(condition) for condition in policy.conditions)


def _moments(script: Script, case: Case, every: float) -> list[float]:
    """All times, in seconds from the start, at which something is written, evaluated or expected."""
    last = max(one.at for one in case.expect)
    grid = {index * every for index in range(int(last // every) + 1)}
    writes = {index * script.interval for index in range(int(last // script.interval) + 1)}
    return sorted(grid | writes | {one.at for one in case.expect})


def _compare(expectation: Expectation, evaluator: AlertEvaluator) -> Iterator[str]:
    incidents = evaluator.incidents.all()
    opened = [one for one in incidents if one.state == "open"]
    closed = [one for one in incidents if one.state == "closed"]
    at = f"at {expectation.at:g}s"
    if expectation.open is not None and len(opened) != expectation.open:
        yield f"{at}: {len(opened)} incidents are open, expected {expectation.open}"
    if expectation.closed is not None and len(closed) != expectation.closed:
        yield f"{at}: {len(closed)} incidents have closed, expected {expectation.closed}"
    if expectation.labels is not None and expectation.labels not in [one.labels for one in opened]:
        yield f"{at}: no open incident has the labels {expectation.labels}: {[one.labels for one in opened]}"


class _Silent:
    def notify(self, *_: object) -> None:
        """Scripts look at incidents; nobody is told."""


class _Writer:
    """Writes one series as the library's exporter does."""

    def __init__(self, series: Series, start: int) -> None:
        self._series = series
        # A cumulative point needs a start before its end.
        self._start = start - NANOS
        self._last: float | None = None

    def at(self, moment: float, interval: float, now: int) -> Raw | None:
        index, rest = divmod(moment, interval)
        values: Sequence[float | None] = self._series.values
        if rest or index >= len(values):
            return None
        value = values[int(index)]
        if value is None:
            return None
        if self._last is not None and value < self._last:
            if self._series.kind == "counter" and not self._series.resets:
                raise ScriptError(f"{self._series.name} is a counter and falls from {self._last:g} to {value:g}")
            self._start = now - NANOS
        self._last = value
        return _point(self._series, value, self._start, now)


def _point(series: Series, value: float, start: int, now: int) -> Raw:
    time_series: Any = types.TimeSeries.pb()()
    time_series.metric.type = f"prometheus.googleapis.com/{series.name}/{series.kind}"
    time_series.resource.type = "prometheus_target"
    for key, default in _TARGET.items():
        time_series.resource.labels[key] = series.labels.get(key, default)
    for key, text in series.labels.items():
        if key not in _TARGET:
            time_series.metric.labels[key] = text
    kinds = metric_pb2.MetricDescriptor
    time_series.metric_kind = kinds.CUMULATIVE if series.kind == "counter" else kinds.GAUGE
    point = time_series.points.add()
    point.value.double_value = value
    point.interval.end_time.seconds, point.interval.end_time.nanos = divmod(now, NANOS)
    if series.kind == "counter":
        point.interval.start_time.seconds, point.interval.start_time.nanos = divmod(start, NANOS)
    return time_series
