"""Requests are noted at their end, and counted together: nobody who reads sees the difference."""

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.metrics.cells import Store
from app.core.metrics.requests import RequestCells, RequestMetrics


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def requests(store) -> RequestMetrics:
    return RequestMetrics(store, "items")


@pytest.fixture
def cells(requests: RequestMetrics) -> RequestCells:
    return requests.cells("GET", "/items", 200, "ok")


def response(*, seconds: float = 0.2, first_byte: float = 0.1, size: int = 300, uploaded: int = 0) -> Any:
    """A finished one, as far as its metrics go; a negative `first_byte`: there was no response."""
    return SimpleNamespace(
        started=10.0, ended=10.0 + seconds, first_byte=10.0 + first_byte, response_bytes=size, request_bytes=uploaded
    )


def told(store: Store) -> dict[str, list[float]]:
    return {series.metric.name: cell for series, cell in store.peek()}


def test_a_single_request_is_told_at_once(store, requests, cells):
    requests.enter()
    requests.record(response(), cells)
    found = told(store)
    assert found["http_request_total"] == [1.0]
    assert sum(found["http_request_duration_seconds"][:-1]) == 1.0
    assert found["http_request_duration_seconds"][-1] == pytest.approx(0.2)
    assert found["http_time_to_first_byte_seconds"][-1] == pytest.approx(0.1)
    assert found["http_response_size_bytes"][-1] == 300.0
    assert found["http_request_size_bytes"] == [0.0] * len(found["http_request_size_bytes"])
    assert found["http_requests_in_flight"] == [0.0]


def test_what_never_answered_has_a_duration_and_neither_first_byte_nor_size(store, requests, cells):
    requests.enter()
    requests.record(response(first_byte=-10.0, uploaded=7), cells)
    found = told(store)
    assert found["http_request_duration_seconds"][-1] == pytest.approx(0.2)
    assert not any(found["http_time_to_first_byte_seconds"] + found["http_response_size_bytes"])
    assert found["http_request_size_bytes"][-1] == 7.0


def test_requests_that_are_under_way_are_told_whoever_asks(store, requests, cells):
    for _ in range(5):
        requests.enter()
    requests.record(response(), cells)
    requests.leave()  # a probe
    assert requests.in_flight == 3
    assert told(store)["http_requests_in_flight"] == [3.0]
    assert requests.in_flight == 3


def test_two_layers_of_one_service_add_up(store, requests, cells):
    other = RequestMetrics(store, "items")
    requests.enter()
    other.enter()
    other.enter()
    other.record(response(), cells)
    assert requests.in_flight == other.in_flight == 2


def test_apps_that_come_and_go_leave_nothing_behind(store, requests):
    assert all(RequestMetrics.of(store, "items") is requests for _ in range(3))
    assert RequestMetrics.of(store, "orders") is not requests
    assert not RequestMetrics.of(store, "items", enabled=False).enabled
    assert len(store.late) == 2


def test_notes_never_pile_up_where_nobody_reads(requests, cells):
    for _ in range(10_000):
        requests.enter()
        requests.record(response(), cells)
        assert len(requests._noted) < 100


def test_without_metrics_nothing_is_counted(store):
    silent = RequestMetrics(store, "items", enabled=False)
    silent.enter()
    assert silent.in_flight == 0
    assert told(store)["http_requests_in_flight"] == [0.0]


def test_no_request_of_many_threads_is_lost_or_torn_while_others_read(store, requests, cells):
    each = 30_000
    together = threading.Barrier(9)

    def serve() -> None:
        together.wait(30)
        for _ in range(each):
            requests.enter()
            requests.record(response(seconds=0.25, size=256), cells)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=serve) for _ in range(8)]
    torn = []
    try:
        for thread in threads:
            thread.start()
        together.wait(30)
        while any(thread.is_alive() for thread in threads):
            for _series, cell in store.snapshot():
                if len(cell) > 1 and cell[-1] not in {sum(cell[:-1]) * 0.25, sum(cell[:-1]) * 256, 0.0}:
                    name = _series.metric.name
                    if name != "http_time_to_first_byte_seconds":
                        torn.append((name, cell))
    finally:
        sys.setswitchinterval(before)
    for thread in threads:
        thread.join()
    found = told(store)
    assert not torn
    assert found["http_request_total"] == [8.0 * each]
    assert found["http_request_duration_seconds"][-1] == 8.0 * each * 0.25
    assert found["http_response_size_bytes"][-1] == 8.0 * each * 256
    assert requests.in_flight == 0


def test_a_child_begins_at_zero_and_knows_what_it_threw_away(store, requests, cells):
    for _ in range(3):
        requests.enter()
    requests.record(response(), cells)
    # What `os.fork` calls in the child.
    store.reset_after_fork()
    assert requests.in_flight == 0
    assert told(store)["http_request_total"] == [0.0]
    # Its total, duration, first byte and size.
    assert store.dropped_before_fork == 4.0
    requests.enter()
    assert requests.in_flight == 1
