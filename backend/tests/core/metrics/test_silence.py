"""Series that begin, fall silent, go and come back: what a reader sees of their bursts."""

import time
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pytest

from app.core.metrics import MetricsClient
from app.core.metrics.catalogue import Metric
from app.core.metrics.cells import Series, Store
from app.core.metrics.encoding import CloudEncoding
from app.core.metrics.export import Exporter
from app.core.metrics.refusals import Refused
from app.core.metrics.slot import Slot
from app.core.metrics.target import Target
from app.core.metrics.transport import CloudConnection
from app.emulator.clock import ManualClock
from support.emulator import running_emulator
from support.provenance import known_from
from support.strict_backend import StrictBackend

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
TARGET = Target("demo", "global", "__run__", "test", "items", "i-0", "prometheus", "cloudops")
LOCKOUTS = Metric("lockouts_total", "counter", "1", "Lockouts.", {"ip_address": None})


class Rig:
    def __init__(self) -> None:
        self.now = T0
        self.store = Store()
        self.backend = StrictBackend(now=lambda: self.now)
        self.exporter = Exporter(self.store, CloudEncoding(TARGET), Slot("0"), self, gap=5)

    def time_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def open(self, address: str) -> Series:
        return self.store.add(Series("", LOCKOUTS, (address,), [0.0], open=True))

    def count(self, series: Series, amount: float) -> None:
        series.cell[0] += amount

    def export(self, seconds: float = 60.0) -> None:
        self.now += round(seconds * SECOND)
        report = self.exporter.export(lambda request, _: self.backend.write(request))
        assert report.ok
        assert not self.backend.refusals

    def points(self, address: str) -> list[tuple[float, float, float]]:
        """(seconds from T0 to start, to end, value)."""
        [points] = [points for key, points in self.backend.points.items() if dict(key[1]).get("ip_address") == address]
        return [((point.start - T0) / SECOND, (point.end - T0) / SECOND, point.value) for point in points]


@pytest.fixture
def rig():
    return Rig()


def test_an_open_series_that_stays_the_same_is_not_written_after_a_quarter_of_an_hour(rig):
    series = rig.open("192.0.2.1")
    rig.count(series, 5)
    for _ in range(40):
        rig.export()
    assert rig.points("192.0.2.1")[-1][1:] == (15 * 60, 5)
    rig.count(series, 20)
    rig.export()
    assert rig.points("192.0.2.1")[-2:] == [(0, 40 * 60, 5), (0, 41 * 60, 25)]


def test_a_closed_series_is_always_written(rig):
    client = MetricsClient(rig.store)
    client.counter("cloudops_internal_errors_total").add(5)
    for _ in range(40):
        rig.export()
    [points] = rig.backend.of("cloudops_internal_errors_total").values()
    assert len(points) == 41


@known_from(proto="google/monitoring/v3/metric_service.proto")
@pytest.mark.parametrize("pause", [0, 1, 5])
def test_what_comes_back_after_it_was_retired_starts_later_and_from_zero(rig, pause):
    first = rig.open("192.0.2.1")
    rig.count(first, 50)
    rig.export()
    rig.store.retire(first)
    for _ in range(pause):
        rig.export()
    second = rig.open("192.0.2.1")
    rig.count(second, 60)
    rig.export()
    rig.export()
    points = rig.points("192.0.2.1")
    (zero,) = [point for point in points if point[2] == 0 and point[0] > 0]
    last = max(end for start, end, value in points if start == 0)
    assert zero[0] > last
    assert points[-1] == (zero[0], rig.now / SECOND - T0 / SECOND, 60)
    assert sum(after[2] - before[2] for before, after in pairwise(points) if after[2]) == 110


def test_what_was_retired_during_an_outage_arrives_after_it(rig):
    series = rig.open("192.0.2.1")
    rig.count(series, 50)
    rig.export()
    rig.count(series, 7)
    rig.store.retire(series)
    for _ in range(3):
        rig.now += 60 * SECOND
        rig.exporter.export(lambda *_: Refused("UNAVAILABLE", "down"))
    rig.export()
    assert rig.points("192.0.2.1")[-1][2] == 57


@known_from(docs="https://prometheus.io/docs/prometheus/latest/querying/functions/#increase")
def test_six_lockouts_of_a_new_address_within_one_interval_are_seen_by_increase():
    clock = ManualClock(now=time.time_ns())

    class Wall:
        def time_ns(self) -> int:
            return clock.now()

        def monotonic(self) -> float:
            return clock.now() / SECOND

    store = Store()
    with running_emulator(clock=clock) as emulator:
        exporter = Exporter(store, CloudEncoding(TARGET), Slot("0"), Wall(), gap=5)
        connection = CloudConnection(emulator.grpc)
        MetricsClient(store).counter("cloudops_internal_errors_total").add(0)
        for minute in range(6):
            clock.advance(60)
            if minute == 3:
                store.add(Series("", LOCKOUTS, ("192.0.2.9",), [6.0], open=True))
                store.add(Series("", LOCKOUTS, ("192.0.2.8",), [1.0], open=True))
            assert exporter.export(connection.write).ok
        connection.close()
        with running_query(emulator) as query:
            [seen] = query('increase(lockouts_total{ip_address="192.0.2.9"}[5m])')
            assert seen >= 5.9
            [first] = query('increase(lockouts_total{ip_address="192.0.2.8"}[5m]) > 0')
            assert first >= 0.98


@contextmanager
def running_query(emulator):
    with httpx.Client(base_url=emulator.http) as client:

        def query(text: str) -> list[float]:
            path = f"/v1/{emulator.project}/location/global/prometheus/api/v1/query"
            answer = client.get(path, params={"query": text}).json()
            return [float(one["value"][1]) for one in answer["data"]["result"]]

        yield query
