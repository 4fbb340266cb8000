from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud.monitoring_v3 import CreateTimeSeriesRequest

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.encoding import CloudEncoding
from app.core.metrics.export import Exporter
from app.core.metrics.refusals import Refused
from app.core.metrics.slot import Slot
from app.core.metrics.target import Target
from support.provenance import known_from

REQUEST = CreateTimeSeriesRequest.pb()
SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND


@dataclass
class Hands:
    """A clock that is moved by hand, and a back end that keeps what it gets."""

    now: int = T0
    requests: list[Any] = field(default_factory=list)
    answer: Refused | None = None

    def time_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def write(self, request: bytes, timeout: float) -> Refused | None:
        self.requests.append(REQUEST.FromString(request))
        return self.answer

    def points(self, name: str) -> list[tuple[float, float, float]]:
        """(seconds from T0 to start, to end, value or count) of every point written to a metric, in order."""
        found = []
        for request in self.requests:
            for series in request.time_series:
                if f"/{name}/" in series.metric.type:
                    [point] = series.points
                    start, end = point.interval.start_time, point.interval.end_time
                    value = point.value.double_value or float(point.value.distribution_value.count)
                    seconds = [round((stamp.ToNanoseconds() - T0) / SECOND, 3) for stamp in (start, end)]
                    found.append((*seconds, value))
        return found


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def store():
    return Store()


def _exporter(store, hands, domain="prometheus", slot=None):
    target = Target("shop", "europe-west1", "__run__", "test", "items", "i-0", domain, "cloudops")
    return Exporter(store, CloudEncoding(target), slot or Slot("0"), hands, gap=10)


@pytest.fixture
def counter(store):
    return MetricsClient(store).counter("cloudops_internal_errors_total")


def test_the_first_burst_of_a_series_stands_against_a_zero(store, hands, counter):
    exporter = _exporter(store, hands)
    counter.add(6)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    assert hands.points("cloudops_internal_errors_total") == [(0, 0.001, 0), (0, 60, 6)]


def test_a_series_born_later_is_zero_at_the_previous_collection(store, hands, counter):
    exporter = _exporter(store, hands)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    MetricsClient(store).counter("cloudops_samples_written_total").add(3)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    assert hands.points("cloudops_samples_written_total") == [(0, 60, 0), (0, 120, 3)]


def test_a_steady_series_is_written_once_an_interval_with_one_start(store, hands, counter):
    exporter = _exporter(store, hands)
    for _ in range(3):
        counter.add()
        hands.now += 60 * SECOND
        exporter.export(hands.write)
    assert hands.points("cloudops_internal_errors_total") == [(0, 0.001, 0), (0, 60, 1), (0, 120, 2), (0, 180, 3)]


def test_after_an_outage_the_old_total_is_repeated_before_the_new_one(store, hands, counter):
    exporter = _exporter(store, hands)
    counter.add(5)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    hands.answer = Refused("UNAVAILABLE", "down")
    for _ in range(28):
        hands.now += 60 * SECOND
        assert not exporter.export(hands.write).ok
    counter.add(20)
    hands.answer, hands.requests = None, []
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    assert hands.points("cloudops_internal_errors_total") == [(0, 29 * 60, 5), (0, 30 * 60, 25)]


def test_a_successor_starts_after_its_predecessors_last_end(store, hands, counter):
    exporter = _exporter(store, hands, slot=Slot("0", last_end=T0 + 7 * SECOND))
    counter.add()
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    assert hands.points("cloudops_internal_errors_total")[0][0] == 7.001


@known_from(proto="google/monitoring/v3/metric_service.proto")
def test_calls_carry_at_most_200_series(store, hands):
    client = MetricsClient(store)
    for number in range(450):
        client.gauge("health_check_status", {"check": f"c{number}"}).set(1)
    exporter = _exporter(store, hands)
    hands.now += 60 * SECOND
    report = exporter.export(hands.write)
    assert [len(request.time_series) for request in hands.requests] == [200, 200, 50]
    assert (report.series, report.samples) == (450, 450)


def test_unit_and_description_go_with_the_first_write_only(store, hands, counter):
    exporter = _exporter(store, hands)
    for _ in range(2):
        counter.add()
        hands.now += 60 * SECOND
        exporter.export(hands.write)
    assert [bool(request.time_series[0].description) for request in hands.requests] == [True, False, False]


def test_a_gauge_is_one_value_without_history(store, hands):
    MetricsClient(store).gauge("http_requests_in_flight").set(4)
    exporter = _exporter(store, hands)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    [request] = hands.requests
    assert not request.time_series[0].points[0].interval.HasField("start_time")
    assert request.time_series[0].points[0].value.double_value == 4


def test_the_wall_clock_set_back_writes_nothing_until_it_catches_up(store, hands, counter):
    exporter = _exporter(store, hands)
    counter.add()
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    hands.requests = []
    hands.now -= 30 * SECOND
    counter.add()
    assert exporter.export(hands.write).series == 0
    assert len(exporter.pending()) == 1
    hands.now += 90 * SECOND
    exporter.export(hands.write)
    assert hands.points("cloudops_internal_errors_total") == [(0, 120, 2)]


@pytest.mark.parametrize("domain", ["custom", "workload"])
def test_other_domains_write_a_path_of_ours_on_a_generic_task(store, hands, counter, domain):
    counter.add()
    exporter = _exporter(store, hands, domain)
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    series = hands.requests[0].time_series[0]
    assert series.metric.type == f"{domain}.googleapis.com/cloudops/cloudops_internal_errors_total"
    assert series.resource.type == "generic_task"
    assert dict(series.resource.labels) == {
        "project_id": "shop",
        "location": "europe-west1",
        "namespace": "test",
        "job": "items",
        "task_id": "i-0",
    }


def test_billed_samples_of_a_distribution_are_two_and_its_filled_buckets(store, hands):
    histogram = MetricsClient(store).histogram("http_request_duration_seconds", {"endpoint": "/", "method": "GET"})
    for value in (0.001, 0.001, 3):
        histogram.observe(value)
    exporter = _exporter(store, hands)
    hands.now += 60 * SECOND
    assert exporter.export(hands.write).samples == 4


def test_what_was_written_is_no_longer_pending(store, hands, counter):
    exporter = _exporter(store, hands)
    assert exporter.pending() == []
    counter.add()
    assert len(exporter.pending()) == 1
    hands.now += 60 * SECOND
    exporter.export(hands.write)
    assert exporter.pending() == []
