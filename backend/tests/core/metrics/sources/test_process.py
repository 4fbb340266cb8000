import asyncio
import gc
import os
import threading
import time

import anyio.to_thread
import psutil
import pytest

from app.core.metrics.sources import service_info, system_metrics
from app.core.metrics.sources.linux import Files
from app.core.metrics.sources.process import Collections
from support.waiting import wait_until_async


@pytest.fixture
def system(metrics):
    source = system_metrics(metrics, environ={"CONTAINER_CONCURRENCY": "80"})
    yield source
    source.close()


def test_the_figures_are_those_that_psutil_finds(system, refresh, counts):
    refresh()
    here = psutil.Process()
    assert counts("process_resident_memory_bytes")[()] == pytest.approx(here.memory_info().rss, rel=0.2)
    assert counts("process_open_file_descriptors")[()] == pytest.approx(here.num_fds(), abs=3)
    assert counts("instance_age_seconds")[()] == pytest.approx(time.time() - here.create_time(), abs=2)
    cpu = here.cpu_times()
    assert counts("process_cpu_seconds_total")[()] == pytest.approx(cpu.user + cpu.system, abs=1)
    assert counts("process_file_descriptors_limit")[()] == here.rlimit(psutil.RLIMIT_NOFILE)[0]
    assert counts("http_concurrency_limit") == {(): 80}
    assert counts("cold_starts_total") == {(): 1}


def test_processor_time_only_grows(system, refresh, counts):
    refresh()
    before = counts("process_cpu_seconds_total")[()]
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    refresh()
    assert 0.05 < counts("process_cpu_seconds_total")[()] - before < 10


def test_starting_twice_counts_one_cold_start(system, metrics, counts):
    assert system_metrics(metrics) is system
    system.ready()
    assert counts("cold_starts_total") == {(): 1}
    assert counts("cold_start_duration_seconds")[()] > 0


def _container(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Files(tmp_path)


def test_limits_of_cgroup_v2(tmp_path):
    files = _container(tmp_path, memory_dot_max="536870912\n", cpu_dot_max="150000 100000\n")
    assert (files.memory_limit(), files.cpu_limit()) == (512 * 2**20, 1.5)


def test_no_limits_in_cgroup_v2(tmp_path):
    files = _container(tmp_path, memory_dot_max="max\n", cpu_dot_max="max 100000\n")
    assert (files.memory_limit(), files.cpu_limit()) == (0, 0)


def test_limits_of_cgroup_v1(tmp_path):
    files = _container(
        tmp_path,
        memory__memory_dot_limit_in_bytes="268435456\n",
        cpu__cpu_dot_cfs_quota_us="50000\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
    )
    assert (files.memory_limit(), files.cpu_limit()) == (256 * 2**20, 0.5)


def test_no_limits_in_cgroup_v1(tmp_path):
    files = _container(
        tmp_path,
        memory__memory_dot_limit_in_bytes="9223372036854771712\n",
        cpu__cpu_dot_cfs_quota_us="-1\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
    )
    assert (files.memory_limit(), files.cpu_limit()) == (0, 0)


def test_where_linux_tells_nothing_nothing_is_told(tmp_path):
    files = Files(tmp_path)
    told = {name for name, value in files.gauges().items() if value is not None}
    assert told == {"process_file_descriptors_limit"}
    assert 0 <= files.age() < 60


def test_the_age_survives_brackets_in_the_name_of_the_process(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    ticks = os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S", *["0"] * 18, str(100 * ticks), *["0"] * 30])
    (tmp_path / "proc/self/stat").write_text(f"7 (a) b (c) {fields}\n")
    (tmp_path / "proc/uptime").write_text("160.00 300.00\n")
    assert Files(tmp_path).age() == pytest.approx(60, abs=1)


def test_collections_are_timed_by_generation(system, refresh, counts):
    for generation in (0, 1, 2):
        gc.collect(generation)
    refresh()
    told = counts("gc_pause_seconds")
    assert all(told[(generation,)] >= 1 for generation in "012")


def test_a_collection_while_the_store_is_locked_waits_for_nobody(system, store, refresh, counts):
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with store.lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    gc.collect(2)  # hangs if the callback wanted the lock
    done.set()
    thread.join(10)
    refresh()
    assert counts("gc_pause_seconds")[("2",)] >= 1


def test_pauses_between_two_exports_are_bounded():
    collections = Collections()
    for _ in range(20_000):
        collections("start", {"generation": 0})
        collections("stop", {"generation": 0})
    assert len(collections._pauses[0]) == 10_000


def test_closing_takes_everything_off(metrics, refresh, counts):
    before = len(gc.callbacks)
    source = system_metrics(metrics)
    assert len(gc.callbacks) == before + 1
    source.close()
    source.close()
    assert len(gc.callbacks) == before
    refresh()
    assert counts("instance_age_seconds") == {}


async def test_a_blocked_loop_is_seen(metrics, cells, counts):
    source = system_metrics(metrics)
    source.watch_loop()
    source.watch_loop()
    await wait_until_async(lambda: counts("event_loop_lag_seconds")[()] >= 1)
    before = cells("event_loop_lag_seconds")[()][-1]
    time.sleep(0.9)  # noqa: ASYNC251  # what this test is about
    seen = counts("event_loop_lag_seconds")[()]
    await wait_until_async(lambda: counts("event_loop_lag_seconds")[()] > seen)
    assert cells("event_loop_lag_seconds")[()][-1] - before > 0.2
    source.close()


@pytest.mark.parametrize(("serving", "told"), [(0, 0), (1, 1)])
def test_a_frozen_process_is_not_taken_for_a_slow_loop(metrics, counts, serving, told):
    source = system_metrics(metrics, serving=lambda: serving)

    async def frozen() -> None:
        source.watch_loop()
        loop = asyncio.get_running_loop()
        source._lag._due(loop.time() - 600)  # the timer of ten minutes ago

    asyncio.run(frozen())
    assert counts("event_loop_lag_seconds")[()] == told
    source.close()


def test_the_timer_keeps_no_loop_from_ending(metrics):
    source = system_metrics(metrics)

    async def nothing() -> None:
        source.watch_loop()

    asyncio.run(nothing())
    asyncio.run(nothing())  # a loop after the first is watched in its place
    source.close()


async def test_the_thread_pool_tells_busy_threads_and_their_limit(system, refresh, counts):
    system.watch_loop()
    entered, leave = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        leave.wait(30)

    task = asyncio.create_task(anyio.to_thread.run_sync(block))
    await wait_until_async(entered.is_set)
    refresh()
    limit = anyio.to_thread.current_default_thread_limiter().total_tokens
    assert counts("thread_pool_threads") == {("busy",): 1, ("limit",): limit}
    leave.set()
    await task


def test_service_info_carries_what_is_deployed(metrics, counts):
    service_info(metrics, "1.2", "abc", "shop-00007")
    assert counts("service_info") == {("abc", "shop-00007", "1.2"): 1}
