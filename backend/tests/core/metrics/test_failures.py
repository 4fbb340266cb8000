"""The exporter against a back end that knows the documents: what is refused, how it is told, who suffers."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud.monitoring_v3 import CreateTimeSeriesSummary
from google.rpc import status_pb2

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.encoding import CloudEncoding
from app.core.metrics.export import Exporter
from app.core.metrics.refusals import Refused
from app.core.metrics.slot import Slot
from app.core.metrics.target import Target
from app.core.metrics.transport import code_name, read_status
from support.provenance import known_from
from support.strict_backend import StrictBackend

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
TARGET = Target("shop", "europe-west1", "__run__", "test", "items", "i-0", "prometheus", "cloudops")


@dataclass
class Rig:
    """An exporter and its back end on a clock that is moved by hand."""

    store: Store = field(default_factory=Store)
    now: int = T0
    backend: StrictBackend = field(init=False)
    lost: set[int] = field(default_factory=set)
    timeouts: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        self.backend = StrictBackend(now=lambda: self.now)
        self.exporter = Exporter(self.store, CloudEncoding(TARGET), Slot("0"), self, gap=5)

    def time_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def write(self, request: bytes, timeout: float) -> Refused | None:
        self.calls += 1
        status = self.backend.write(request)
        if self.calls in self.lost:
            return Refused("UNAVAILABLE", "the answer was lost")
        if status is None:
            return None
        points, retry_after = read_status(status.SerializeToString())
        return Refused(code_name(status.code), status.message, points is not None, points or {}, retry_after)

    def export(self, seconds: float = 60, **options: Any) -> Any:
        self.now += round(seconds * SECOND)
        return self.exporter.export(self.write, **options)

    def gauges(self, number: int) -> None:
        client = MetricsClient(self.store)
        for one in range(number):
            client.gauge("health_check_status", {"check": f"c{one}"}).set(1)


@pytest.fixture
def rig():
    return Rig()


def _poison(*checks: str):
    return lambda series: "Unrecognized label." if series.metric.labels.get("check") in checks else None


@known_from(issue="https://github.com/open-telemetry/opentelemetry-collector-contrib/issues/31507")
def test_a_refused_series_does_not_keep_the_others_of_its_call_back(rig):
    rig.gauges(50)
    rig.backend.poison = _poison("c7")
    report = rig.export()
    assert report.refused == {"INVALID_ARGUMENT": 1}
    assert sum(len(points) for points in rig.backend.of("health_check_status").values()) == 49


def test_a_series_that_is_refused_again_and_again_is_set_aside_named_once_and_tried_rarely(rig):
    rig.gauges(3)
    rig.backend.poison = _poison("c1")
    reports = [rig.export() for _ in range(20)]
    refused = [index for index, report in enumerate(reports) if report.refused]
    assert refused == [0, 1, 2, 7, 17]  # three times, then after 5 and 10 minutes
    named = [one for report in reports for one in report.set_aside]
    [(metric, labels, answer)] = named
    assert (metric, labels) == ("health_check_status", {"check": "c1"})
    assert "Unrecognized label." in answer


def test_a_series_that_was_set_aside_comes_back_when_the_reason_is_gone(rig):
    rig.gauges(3)
    rig.backend.poison = _poison("c1")
    for _ in range(4):
        rig.export()
    rig.backend.poison = _poison()
    for _ in range(6):
        report = rig.export()
    assert report.ok
    [points] = [points for key, points in rig.backend.points.items() if ("check", "c1") in key[1]]
    assert points


def _anonymous(refused: int, total: int) -> status_pb2.Status:
    """A partial failure whose sentence names nobody."""
    summary = CreateTimeSeriesSummary.pb()(total_point_count=total, success_point_count=total - refused)
    summary.errors.add(point_count=refused).status.code = 3
    status = status_pb2.Status(code=3, message="One or more TimeSeries could not be written.")
    status.details.add().Pack(summary)
    return status


def test_where_the_answer_names_nobody_the_culprit_is_found_in_smaller_calls(rig):
    rig.gauges(200)
    real = rig.backend._write

    def silent(request: Any) -> Any:
        status = real(request)
        if status is None or len(request.time_series) == 1:
            return status
        return _anonymous(1, len(request.time_series))

    rig.backend._write = silent
    rig.backend.poison = _poison("c111")
    named = [one for _ in range(8) for one in rig.export().set_aside]
    assert [labels for _, labels, _ in named] == [{"check": "c111"}]
    rig.backend.calls.clear()
    rig.export()
    assert rig.backend.calls == [199]


@known_from(issue="https://github.com/Stackdriver/stackdriver-prometheus-sidecar/issues/251")
def test_a_call_that_is_refused_whole_for_one_series_is_sent_again_without_it(rig):
    rig.gauges(5)
    why = 'Field timeSeries[2].metric.type had an invalid value of "x": The metric type must be a URL-formatted string.'
    rig.backend.answers = [status_pb2.Status(code=3, message=why)]
    rig.export()
    assert rig.backend.calls == [5, 4]


def _first_values(rig: Rig) -> list[float]:
    return [points[0].value for points in rig.backend.of("auth_token_refresh_total").values()]


def test_a_zero_that_was_refused_in_passing_is_written_before_its_first_burst(rig):
    _refreshes(rig, 6)
    once = iter(["Internal error encountered."] * 2)
    rig.backend.poison = lambda _series: next(once, None)
    rig.export()
    assert rig.backend.calls == [2, 2, 2]  # the zeros, those that were refused, the values
    assert _first_values(rig) == [0.0, 0.0]


def test_a_call_of_zeros_that_is_refused_whole_for_one_series_is_sent_again_without_it(rig):
    _refreshes(rig, 6)
    why = 'Field timeSeries[0].metric.type had an invalid value of "x": The metric type must be a URL-formatted string.'
    rig.backend.answers = [status_pb2.Status(code=3, message=why)]
    rig.export()
    assert rig.backend.calls == [2, 1, 2]
    assert sorted(_first_values(rig)) == [0.0, 6.0]


def _refreshes(rig: Rig, times: int) -> None:
    for status in ("success", "failure"):
        MetricsClient(rig.store).counter("auth_token_refresh_total", {"status": status}).add(times)


def test_a_label_that_looks_like_a_place_blames_nobody_else(rig):
    client = MetricsClient(rig.store)
    for one in range(10):
        client.gauge("health_check_status", {"check": f"x; timeSeries[0-9] {one}"}).set(1)
    real = rig.backend._why_not

    def why_not(series: Any, seen: Any) -> Any:
        code, why = real(series, seen)
        return (code, f"{why} {series.metric.labels['check']}") if why else (0, "")

    rig.backend._why_not = why_not
    rig.backend.poison = lambda series: "bad" if series.metric.labels["check"].endswith(" 3") else None
    named = [labels for _ in range(8) for _, labels, _ in rig.export().set_aside]
    assert named == [{"check": "x; timeSeries[0-9] 3"}]


def test_quota_ends_an_export_and_the_next_one_goes_on_where_it_ended(rig):
    rig.gauges(600)
    rig.backend.answers = [None, status_pb2.Status(code=8, message="Quota exceeded")]
    report = rig.export()
    assert report.aborted.code == "RESOURCE_EXHAUSTED"
    assert rig.backend.calls == [200, 200]
    rig.backend.answers = [None, None, status_pb2.Status(code=8, message="Quota exceeded")]
    rig.export()
    assert len(rig.backend.points) == 600, "those that did not get their turn came first"


def test_a_point_whose_answer_was_lost_is_no_loss(rig):
    counter = MetricsClient(rig.store).counter("cloudops_internal_errors_total")
    counter.add(5)
    rig.export()
    counter.add(2)
    rig.lost = {rig.calls + 1}
    assert rig.export().aborted.code == "UNAVAILABLE"
    counter.add(1)
    assert rig.export().ok
    assert rig.backend.total("cloudops_internal_errors_total") == 8
    [points] = rig.backend.of("cloudops_internal_errors_total").values()
    assert [point.value for point in points] == [0, 5, 7, 8]


def test_what_may_have_arrived_is_never_followed_by_less(rig):
    counter = MetricsClient(rig.store).counter("cloudops_internal_errors_total")
    counter.add(5)
    rig.export()
    counter.add(2)
    rig.lost = {rig.calls + 1}
    rig.export()
    rig.backend.answers = [status_pb2.Status(code=14, message="down")]
    rig.export()
    counter.add(1)
    assert rig.export().ok
    assert rig.backend.refusals == []
    [points] = rig.backend.of("cloudops_internal_errors_total").values()
    assert [point.value for point in points] == [0, 5, 7, 7, 8]


def test_a_final_write_that_came_too_soon_is_tried_again_without_spoiling_its_chance(rig):
    rig.backend.gap = 8.0
    counter = MetricsClient(rig.store).counter("cloudops_internal_errors_total")
    counter.add(5)
    rig.export()
    counter.add(2)
    assert rig.export(5, last=True).refused == {"FAILED_PRECONDITION": 1}
    assert len(rig.exporter.pending()) == 1
    assert rig.export(3.5, last=True, history=False).ok
    assert rig.backend.total("cloudops_internal_errors_total") == 7
    assert not rig.exporter.pending()


@known_from(proto="google/monitoring/v3/metric_service.proto")
@pytest.mark.parametrize("seed", range(5))
def test_whatever_fails_totals_equal_the_ledger_and_no_document_is_broken(rig, seed):
    dice = random.Random(seed)
    client = MetricsClient(rig.store)
    counters = [client.counter("http_request_total", _labels(number)) for number in range(250)]
    ledger = [0.0] * len(counters)
    codes = (4, 8, 13, 14)
    for _ in range(60):
        for _ in range(30):
            number = dice.randrange(len(counters))
            counters[number].add()
            ledger[number] += 1
        if dice.random() < 0.3:
            rig.backend.answers = [status_pb2.Status(code=dice.choice(codes), message="failed")]
        elif dice.random() < 0.2:
            rig.lost = {rig.calls + dice.randrange(1, 4)}
        rig.export(dice.choice((10, 60, 200)))
    rig.backend.answers, rig.lost = [], set()
    for _ in range(3):  # a series that came back while its predecessor was on its way out has to wait its turn
        assert rig.export().ok
    assert rig.backend.total("http_request_total") == sum(ledger)
    assert rig.exporter.pending() == []
    unexpected = [why for why in rig.backend.refusals if "older end time" not in why]
    assert unexpected == []


def _labels(number: int) -> dict[str, str]:
    return {"method": "GET", "endpoint": f"/{number}", "status_code": "200", "outcome": "ok"}
