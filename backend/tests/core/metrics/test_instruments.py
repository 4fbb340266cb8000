import asyncio
import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Literal, TypedDict

import pytest

from app.core.metrics import CatalogueError, MetricsClient, catalogue, metrics_client
from app.core.metrics.catalogue import Catalogue
from app.core.metrics.cells import Exemplar, Store, process_store

LABELS = {"signal": "logs", "reason": "undelivered"}


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def client(store) -> MetricsClient:
    return MetricsClient(store, Catalogue(catalogue.own()))


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


def test_the_counts_of_a_parent_that_forks_are_told_as_dropped(client, store):
    client.counter("cloudops_internal_errors_total").add(7)
    client.histogram("gc_pause_seconds", {"generation": 0}).observe(0.5)
    client.gauge("cloudops_series").set(40)
    store.reset_after_fork()
    assert store.dropped_before_fork == 8.0


def test_a_snapshot_is_whole_and_gives_a_retired_series_once_more(client, store):
    for generation in range(3):
        client.histogram("gc_pause_seconds", {"generation": generation}).observe(0.5)
    gone = store.series[1]
    store.retire(gone)
    assert {series.values for series, _cell in store.snapshot()} == {("0",), ("1",), ("2",)}
    assert {series.values for series, _cell in store.snapshot()} == {("0",), ("2",)}
    assert {series.values for series, _cell in store.peek()} == {("0",), ("2",)}
    assert gone.retired


def test_a_snapshot_is_a_copy(client, store):
    counter = client.counter("cloudops_internal_errors_total")
    taken = list(store.snapshot())
    counter.add()
    assert [cell for _series, cell in taken] == [[0.0]]


@pytest.mark.parametrize(
    "count",
    [
        lambda client: client.counter("cloudops_internal_errors_total").add,
        lambda client: client.counter("errors_total", {"type": "KeyError"}).add,
        lambda client: partial(client.gauge("cloudops_series").set, 1),
        lambda client: client.gauge("cloudops_series").add,
        lambda client: client.up_down("cloudops_series").add,
        lambda client: partial(client.histogram("gc_pause_seconds", {"generation": "0"}).observe, 0.1),
    ],
)
def test_who_counts_waits_for_who_reads(client, store, count):
    counting = count(client)
    thread = threading.Thread(target=counting)
    with store.lock:
        thread.start()
        thread.join(0.1)  # long enough to be seen if it did not wait
        assert [sum(series.cell) for series in store.series] in ([], [0.0])
    thread.join()
    assert [sum(series.cell) for series in store.series] in ([1.0], [1.1])


def test_who_counts_while_it_holds_the_lock_does_not_wait_for_itself(client, store):
    # As a garbage collection in the middle of a collection does, that tells how long it took.
    counter = client.counter("cloudops_internal_errors_total")
    with store.lock:
        counter.add()
    assert _value(store) == [1.0]


def test_labels_give_the_same_instrument_for_the_same_values(client):
    family = client.counter("cloudops_dropped_total")
    assert family.labels(**LABELS) is family.labels(**LABELS)
    assert family.labels(**LABELS) is not family.labels(signal="metrics", reason="refused")


def test_what_has_labels_cannot_be_counted_without(client):
    with pytest.raises(CatalogueError, match=r"\.labels\(reason=\.\.\., signal=\.\.\.\) comes first"):
        client.counter("cloudops_dropped_total").add()
    with pytest.raises(CatalogueError, match="comes first"):
        client.histogram("gc_pause_seconds").observe(1.0)


def test_a_decorator_without_its_labels_is_refused_where_it_stands(client):
    with pytest.raises(CatalogueError, match="comes first"):
        client.counter("cloudops_dropped_total")(print)
    with pytest.raises(CatalogueError, match="comes first"):
        client.histogram("gc_pause_seconds").time()


def test_names_of_labels_are_checked_where_they_stand(client):
    assert client.counter("cloudops_dropped_total", labels=["signal", "reason"]).labels(**LABELS)
    with pytest.raises(CatalogueError, match="has the labels"):
        client.counter("cloudops_dropped_total", labels=["signal", "why"])


def test_values_of_labels_are_checked_when_they_come(client):
    family = client.counter("cloudops_dropped_total")
    with pytest.raises(CatalogueError, match="none of"):
        family.labels(signal="smoke", reason="refused")
    with pytest.raises(CatalogueError, match="takes the labels"):
        family.labels(signal="logs")
    with pytest.raises(CatalogueError, match="name the labels"):
        family.labels("logs", "refused")


def test_an_enumeration_counts_as_its_value(client, store):
    class Role(enum.Enum):
        ADMIN = "admin"

    client.counter("auth_login_attempts_total", {"status": "success", "user_role": Role.ADMIN}).add()
    assert store.series[0].values == ("success", "admin")


def test_an_error_counts_as_its_type(client, store):
    for error in (KeyError("secret"), KeyError, "KeyError"):
        client.counter("errors_total", {"type": error}).add()
    assert [(one.values, one.cell) for one in store.series] == [(("KeyError",), [3.0])]


def test_a_number_that_is_none_is_not_counted_and_told(client, store, internal_failures):
    counter = client.counter("cloudops_internal_errors_total")
    counter.add(float("nan"))
    counter.add(float("inf"))
    client.gauge("cloudops_series").set(float("-inf"))
    client.histogram("gc_pause_seconds", {"generation": "0"}).observe(float("nan"))
    assert [sum(one.cell) for one in store.series] == [0.0, 0.0, 0.0]
    assert len(internal_failures) == 4
    internal_failures.clear()


def test_what_is_under_way_goes_up_and_down(client: MetricsClient, store):
    under_way = client.declare.up_down("jobs_running", "Jobs under way.")

    @under_way
    def job() -> list[float]:
        with under_way:
            return list(_value(store))

    assert job() == [2.0]
    assert _value(store) == [0.0]


def test_only_a_gauge_that_adds_up_is_moved_by_each_worker(client):
    with pytest.raises(CatalogueError, match="across=max"):
        client.up_down("auth_active_sessions")


def test_a_histogram_keeps_the_newest_exemplar(client, store):
    histogram = client.histogram("gc_pause_seconds", {"generation": "0"})
    histogram.observe(0.1)
    assert store.series[0].exemplar is None
    exemplar = Exemplar(0.2, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
    histogram.observe(0.2, exemplar)
    assert store.series[0].exemplar is exemplar


def test_time_is_told_in_the_unit_of_the_metric(client, store):
    hours = client.declare.histogram("shift_hours", "A shift.", unit="h", buckets=(1, 8, 12))
    with hours.time():
        pass
    assert 0 < _value(store)[-1] < 1 / 3600
    with pytest.raises(CatalogueError, match="no unit of time"):
        client.declare.histogram("page_bytes", "A page.", unit="By", buckets=(1024,)).time()


class Order(TypedDict):
    channel: Literal["web", "app"]
    ip_address: Annotated[str, "address"]
    shop: str


def test_labels_declared_by_a_typed_dict_are_known_to_type_checker_and_catalogue(client: MetricsClient, store):
    orders = client.declare.counter("orders_total", "Orders taken.", labels=Order)
    orders.labels(channel="web", ip_address="192.0.2.7", shop="12").add()
    with pytest.raises(CatalogueError, match="none of"):
        orders.labels(channel="fax", ip_address="192.0.2.7", shop="12")  # type: ignore[arg-type]  # as the type checker says too
    assert store.series[0].values == ("web", "192.0.2.7", "12")
    assert orders.metric.guards == {"ip_address": "address", "shop": "open"}


def test_a_metric_declared_in_code_is_found_by_its_name(client, store):
    client.declare.counter("orders_total", "Orders taken.", labels={"channel": ("web", "app")})
    client.counter("orders_total", {"channel": "web"}).add()
    assert _value(store) == [1.0]


def test_declared_twice_in_the_same_way_is_once_and_in_another_an_error(client):
    client.declare.counter("orders_total", "Orders taken.")
    client.declare.counter("orders_total", "Orders taken.")
    with pytest.raises(CatalogueError, match="in another way"):
        client.declare.counter("orders_total", "Orders.")
    with pytest.raises(CatalogueError, match="in another way"):
        client.declare.counter("errors_total", "Mine.")


def test_bounds_belong_to_a_unit(client):
    with pytest.raises(CatalogueError, match="give buckets in ms"):
        client.declare.histogram("page_ms", "A page.", unit="ms")


def test_what_was_declared_is_exported_and_read_back(client, tmp_path):
    client.declare.counter("orders_total", "Orders taken.", labels=Order)
    client.declare.gauge("carts", "Carts.", across="max", labels={"channel": ["web", "app"]})
    client.declare.histogram("page_bytes", "A page.", unit="By", buckets=(1024, 2048.5))
    client.export_catalogue(tmp_path / "mine.json")
    other = MetricsClient(Store(), Catalogue(catalogue.own()))
    other.load_catalogue(tmp_path / "mine.json")
    assert dict(other.metrics) == dict(client.metrics)
    assert set(catalogue.read(tmp_path / "mine.json")) == {"orders_total", "carts", "page_bytes"}


# --- the first user's snippet, as it was written


def _living(name):
    return {one.values: one.cell[0] for one in process_store.series if one.metric.name == name}


def test_the_snippet_of_the_first_user_counts_calls():
    path, client_ip = "/api/v1/items", "198.51.100.23"

    class user:  # noqa: N801  # as the snippet has it
        role = "snippet"

    @metrics_client.counter("rate_limit_exceeded_total",
                            labels={"endpoint": path, "ip_address": client_ip})  # fmt: skip
    def record_rate_limit_exceeded():
        pass

    @metrics_client.counter("auth_login_attempts_total",
                            labels={"status": "success", "user_role": user.role})  # fmt: skip
    def record_login_attempt():
        pass

    record_rate_limit_exceeded()
    record_rate_limit_exceeded()
    record_login_attempt()
    assert _living("rate_limit_exceeded_total")[path, client_ip] == 2.0
    assert _living("auth_login_attempts_total")["success", "snippet"] == 1.0


def test_the_label_email_is_taken_in_a_list_of_names_too(client, store):
    lockouts = client.counter("brute_force_lockouts_total", labels=["ip_address", "email"])
    lockouts.labels(ip_address="192.0.2.7", email="Ada@Example.com").add()

    assert [series.values[0][:2] for series in store.series] == ["h:"]


def test_the_label_email_is_taken_and_becomes_a_hash(client, store):
    client.counter("brute_force_lockouts_total", {"ip_address": "192.0.2.7", "email": "Ada@Example.com"}).add()
    client.counter("brute_force_lockouts_total", {"ip_address": "192.0.2.7", "account": " ada@example.com"}).add()
    [series] = store.series
    assert series.cell == [2.0]
    assert series.values == (store.labels.account("ada@example.com"), "192.0.2.7")
    assert "ada" not in str(series.values).lower()


# --- many at once


@contextmanager
def _collecting(store) -> Iterator[list[list[float]]]:
    """Collect every 10 ms; the histograms that were torn."""
    done = threading.Event()
    torn = []

    def collect() -> None:
        while not done.wait(0.01):
            for series, cell in store.snapshot():
                if series.metric.kind == "histogram" and cell[-1] != 0.25 * sum(cell[:-1]):
                    torn.append(cell)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield torn
    finally:
        done.set()
        thread.join()


async def test_threads_and_tasks_lose_nothing_while_it_is_collected(client: MetricsClient, store):
    counter = client.counter("cloudops_internal_errors_total")
    histogram = client.histogram("gc_pause_seconds", {"generation": "0"})

    def count(times: int) -> None:
        for number in range(times):
            counter.add()
            if number % 10 == 0:
                histogram.observe(0.25)

    async def count_in_a_task() -> None:
        for _ in range(20):
            count(50)
            await asyncio.sleep(0)

    threads = [threading.Thread(target=count, args=(100_000,)) for _ in range(8)]
    with _collecting(store) as torn:
        for thread in threads:
            thread.start()
        await asyncio.gather(*(count_in_a_task() for _ in range(200)))
        for thread in threads:
            await asyncio.to_thread(thread.join)
    cells = {series.metric.kind: cell for series, cell in store.snapshot()}
    assert torn == []
    assert cells["counter"] == [1_000_000.0]
    assert sum(cells["histogram"][:-1]) == 100_000
