"""What every helper owes the service it observes."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.sources import observe_httpx, observe_redis, observe_sqlalchemy, refreshers, system_metrics
from app.core.metrics.sources.refresh import Refreshers


def _httpx() -> Any:
    return httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))


def _engine() -> Any:
    return create_engine("sqlite://", poolclass=QueuePool)


@pytest.mark.parametrize(
    ("make", "observe"),
    [(_httpx, observe_httpx), (redis.Redis, observe_redis), (_engine, observe_sqlalchemy)],
    ids=["httpx", "redis", "sqlalchemy"],
)
def test_what_is_observed_is_freed_when_the_service_lets_go_of_it(metrics, make, observe: Callable[..., Any]):
    def use() -> "weakref.ref[Any]":
        observed = make()
        observe(observed, metrics=metrics)
        return weakref.ref(observed)

    gone = [use() for _ in range(20)]
    gc.collect()
    assert [found() for found in gone] == [None] * 20


def test_a_store_that_ends_leaves_nothing_behind():
    gc.collect()  # what other tests have left
    callbacks = len(gc.callbacks)

    def use() -> "weakref.ref[Store]":
        store = Store()
        system_metrics(MetricsClient(store))
        engine = create_engine("sqlite://")
        observe_sqlalchemy(engine, metrics=MetricsClient(store)).close()
        refreshers(store)()
        return weakref.ref(store)

    gone = use()
    gc.collect()
    assert gone() is None
    assert len(gc.callbacks) == callbacks


def test_one_gauge_that_fails_does_not_hold_up_the_others(internal_failures):
    functions = Refreshers()
    told: list[int] = []

    def broken() -> None:
        raise RuntimeError("planted")

    functions.add(broken)
    functions.add(lambda: told.append(1))
    functions()
    assert told == [1]
    assert [str(error) for _, error in internal_failures] == ["planted"]
    internal_failures.clear()


def test_readers_take_turns():
    functions = Refreshers()
    inside: list[int] = []
    most: list[int] = []

    def look() -> None:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()

    functions.add(look)
    threads = [threading.Thread(target=functions) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (max(most), len(most)) == (1, 8)


def test_queries_of_eight_threads_are_counted_exactly(metrics, counts, refresh, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/items.db", poolclass=QueuePool, pool_size=8)
    observe_sqlalchemy(engine, "main", metrics)

    def work() -> None:
        with engine.connect() as connection:
            for _ in range(250):
                connection.execute(text("SELECT 1"))
                refresh()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts("db_query_duration_seconds") == {("select", "main"): 2000}
    engine.dispose()
