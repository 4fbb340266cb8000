from collections.abc import Iterator

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.sources import observe_redis
from support.databases import redis_server
from support.servers import free_port
from support.waiting import wait_until


@pytest.fixture
def client(redis_port):
    with redis.Redis(port=redis_port) as client:
        client.flushall()
        yield client


def test_commands_and_pipelines_are_timed(client, metrics, counts):
    observe_redis(client, "main", metrics)
    client.set("a", 1)
    assert client.get("a") == b"1"
    assert client.execute_command("client getname") is None
    with client.pipeline() as pipe:
        assert pipe.incr("a").incr("a").execute() == [2, 3]
    assert counts("redis_command_duration_seconds") == {("SET",): 1, ("GET",): 1, ("OTHER",): 1, ("PIPELINE",): 1}


def test_a_refused_command_raises_as_before_and_is_counted(client, metrics, counts):
    observe_redis(client, "main", metrics)
    client.set("a", "text")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("a")
    assert counts("redis_errors_total") == {("INCRBY", "response"): 1}


def test_no_server_is_a_connection_error(metrics, counts):
    client = redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    observe_redis(client, "main", metrics)
    with pytest.raises(redis.ConnectionError):
        client.get("a")
    assert counts("redis_errors_total") == {("GET", "connection"): 1}


def test_the_pool_tells_its_connections(client, metrics, refresh, counts):
    observe_redis(client, "main", metrics)
    client.ping()
    refresh()
    assert counts("redis_pool_connections") == {("main", "idle"): 1, ("main", "in_use"): 0}


def test_an_observed_client_is_what_it_was(client, metrics, counts):
    base = type(client)
    source = observe_redis(client, "main", metrics)
    assert observe_redis(client, "main", metrics) is source
    assert isinstance(client, redis.Redis)
    assert isinstance(client.pipeline(), redis.client.Pipeline)
    assert "observe" not in repr(client).lower()
    source.close()
    source.close()
    assert type(client) is base
    client.ping()
    assert counts("redis_command_duration_seconds") == {}


def test_another_store_observes_the_same_client_beside_the_first(client, metrics, counts):
    other = Store()
    first = observe_redis(client, "main", metrics)
    second = observe_redis(client, "main", MetricsClient(other))
    first.close()
    client.ping()
    assert counts("redis_command_duration_seconds") == {}
    assert {series.values for series in other.series if series.metric.kind == "histogram"} == {("PING",)}
    second.close()
    assert type(client) is redis.Redis


def test_what_is_no_client_is_refused(metrics):
    with pytest.raises(TypeError, match="takes a client of redis-py, not dict"):
        observe_redis({}, "main", metrics)


def test_an_error_of_ours_never_reaches_the_command(client, metrics, monkeypatch, internal_failures):
    observe_redis(client, "main", metrics)

    def broken(name: str, labels: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(metrics, "histogram", broken)
    assert client.ping() is True
    assert [where for where, _ in internal_failures] == ["redis"]
    internal_failures.clear()


async def test_an_async_client_is_observed_too(redis_port, metrics, refresh, counts):
    async with redis.asyncio.Redis(port=redis_port) as client:
        observe_redis(client, "main", metrics)
        await client.set("b", "text")
        async with client.pipeline(transaction=True) as pipe:
            pipe.get("b")
            assert await pipe.execute() == [b"text"]
        with pytest.raises(redis.ResponseError):
            await client.incr("b")
        refresh()
    assert counts("redis_command_duration_seconds") == {("SET",): 1, ("PIPELINE",): 1, ("INCRBY",): 1}
    assert counts("redis_errors_total") == {("INCRBY", "response"): 1}
    assert counts("redis_pool_connections") == {("main", "idle"): 1, ("main", "in_use"): 0}


@pytest.fixture(scope="module")
def cluster_port(tmp_path_factory) -> Iterator[int]:
    """A cluster of one node that holds every slot."""
    folder = tmp_path_factory.mktemp("cluster")
    bus = str(free_port())
    with redis_server("--cluster-enabled", "yes", "--cluster-port", bus, "--dir", str(folder)) as port:
        with redis.Redis(port=port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30, "the cluster")
        yield port


def test_a_cluster_client_is_observed_too(cluster_port, metrics, counts, refresh):
    client = redis.RedisCluster(host="127.0.0.1", port=cluster_port)
    source = observe_redis(client, "main", metrics)
    client.set("a", 1)
    with client.pipeline() as pipe:
        pipe.incr("a")
        assert pipe.execute() == [2]
    refresh()
    assert counts("redis_command_duration_seconds") == {("SET",): 1, ("PIPELINE",): 1}
    source.close()
    client.close()


async def test_an_async_cluster_client_is_observed_too(cluster_port, metrics, counts, refresh):
    client = redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster_port)
    observe_redis(client, "main", metrics)
    await client.set("a", 1)
    pipe = client.pipeline()
    pipe.incr("a")
    assert await pipe.execute() == [2]
    refresh()
    assert counts("redis_command_duration_seconds") == {("SET",): 1, ("PIPELINE",): 1}
    await client.aclose()
