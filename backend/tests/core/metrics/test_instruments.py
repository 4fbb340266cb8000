import threading

import pytest

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store

LABELS = {"signal": "logs", "reason": "undelivered"}


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def client(store) -> MetricsClient:
    return MetricsClient(store)


def _value(store):
    return store.series[0].cell


def test_a_counter_counts(client, store):
    counter = client.counter("cloudops_dropped_total", labels=LABELS)
    counter.add()
    counter.add(2.5)
    assert _value(store) == [3.5]


def test_a_counter_never_goes_down(client):
    with pytest.raises(ValueError, match="cannot be changed by -1"):
        client.counter("cloudops_dropped_total", labels=LABELS).add(-1)


def test_the_same_labels_are_the_same_series(client, store):
    client.counter("cloudops_dropped_total", labels=LABELS).add()
    client.counter("cloudops_dropped_total", labels=dict(reversed(LABELS.items()))).add()
    assert [one.cell for one in store.series] == [[2.0]]


def test_a_counter_decorates_a_function(client: MetricsClient, store):
    @client.counter("cloudops_dropped_total", labels=LABELS)
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    assert [double(2), double(number=3)] == [4, 6]
    assert double.__doc__ == "Twice the number."
    assert _value(store) == [2.0]


async def test_a_counter_decorates_an_async_function(client: MetricsClient, store):
    @client.counter("cloudops_dropped_total", labels=LABELS)
    async def double(number: int) -> int:
        return 2 * number

    assert await double(2) == 4
    assert _value(store) == [1.0]


def test_a_gauge_is_set_and_moved(client, store):
    gauge = client.gauge("http_requests_in_flight")
    gauge.set(5)
    gauge.add(-2)
    assert _value(store) == [3.0]


def test_a_histogram_puts_a_value_on_a_bound_below_it(client, store):
    histogram = client.histogram("http_request_duration_seconds", labels={"endpoint": "/", "method": "GET"})
    for value in (0.005, 0.0051, 61):
        histogram.observe(value)
    cell = _value(store)
    assert (cell[0], cell[1], cell[-2]) == (1, 1, 1)
    assert cell[-1] == pytest.approx(61.0101)


def test_a_histogram_times_a_block_that_raises(client, store):
    histogram = client.histogram("http_request_duration_seconds", labels={"endpoint": "/", "method": "GET"})
    with pytest.raises(KeyError), histogram.time():
        raise KeyError
    assert sum(_value(store)[:-1]) == 1


def test_threads_lose_no_count(client, store):
    counter = client.counter("cloudops_internal_errors_total")

    def count() -> None:
        for _ in range(20_000):
            counter.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _value(store) == [80_000.0]


def test_after_a_fork_everything_counts_from_zero(client, store):
    counter = client.counter("cloudops_internal_errors_total")
    counter.add(7)
    store.lock.acquire()  # as a thread that does not exist in the child would leave it
    store.reset_after_fork()
    counter.add()
    assert _value(store) == [1.0]
