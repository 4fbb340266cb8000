"""Checks of the process itself."""

import asyncio
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from sqlalchemy import create_engine

from app.core import HealthRegistry, MetricsClient, Settings
from app.core.health.ready_made import (
    configuration_check,
    disk_check,
    loop_lag_check,
    memory_check,
    pool_check,
    telemetry_check,
)
from app.core.metrics.cells import Store
from app.core.metrics.sources import observe_sqlalchemy
from app.core.metrics.sources.linux import Files

MEBI = 2**20


def test_a_disk_is_judged_by_how_full_it_is(monkeypatch, tmp_path):
    assert disk_check(tmp_path, degraded=1.1, unhealthy=1.2)().status == "healthy"
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # as shutil's
    for used, status in {50: "healthy", 80: "degraded", 96: "unhealthy"}.items():
        monkeypatch.setattr(shutil, "disk_usage", lambda _, used=used: usage(120, used, 100 - used))
        answer = disk_check(tmp_path)()
        assert (answer.status, answer.value) == (status, used / 100)
    assert answer.reason == f"96% of {tmp_path} used"


def _files(root: Path, limit: str, current: int, inactive: int) -> Files:
    group = root / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True, exist_ok=True)
    (group / "memory.max").write_text(limit)
    (group / "memory.current").write_text(str(current))
    (group / "memory.stat").write_text(f"anon 1\nfile 2\ninactive_file {inactive}\nactive_file 4\n")
    return Files(root)


def test_memory_is_judged_against_the_containers_limit_without_what_the_kernel_would_give_back(tmp_path):
    for current, inactive, status in [
        (400, 0, "healthy"),
        (450, 0, "degraded"),
        (500, 100, "healthy"),
        (500, 0, "unhealthy"),
    ]:
        files = _files(tmp_path, str(512 * MEBI), current * MEBI, inactive * MEBI)
        answer = memory_check(files=files)()
        assert (answer.status, answer.value) == (status, round((current - inactive) / 512, 4))
    assert memory_check(files=_files(tmp_path, "max", 1, 0))().status == "healthy"


def test_where_linux_tells_nothing_memory_passes(tmp_path):
    assert memory_check(files=Files(tmp_path / "nothing"))().status == "healthy"


def test_memory_of_the_first_version_of_control_groups(tmp_path):
    group = tmp_path / "sys" / "fs" / "cgroup" / "memory"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("1000")
    (group / "memory.usage_in_bytes").write_text("990")
    (group / "memory.stat").write_text("cache 1\ntotal_inactive_file 90\n")
    assert memory_check(files=Files(tmp_path))().value == 0.9


async def test_a_loop_that_is_held_up_is_noticed():
    registry = HealthRegistry()
    registry.add("loop", loop_lag_check(degraded=0.2, unhealthy=10.0))

    async def hold_up() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.4)  # noqa: ASYNC251  # what must not happen, and does

    [held, _] = await asyncio.gather(registry.results(), hold_up())
    assert held[0].status == "degraded"
    assert "s late" in held[0].answer.reason
    assert (await loop_lag_check(degraded=30.0)()).status == "healthy"


async def test_a_pool_is_judged_by_its_utilisation():
    metrics = MetricsClient(Store())
    engine = create_engine("sqlite://", pool_size=4, max_overflow=0, poolclass=_queue_pool())
    observe_sqlalchemy(engine, "shop", metrics)
    check = pool_check("shop", metrics=metrics)
    assert check().status == "healthy"
    taken = [engine.connect() for _ in range(4)]
    assert (check().status, check().reason) == ("unhealthy", "100% of the pool in use")
    taken.pop().close()
    assert (check().status, check().value) == ("healthy", 0.75)
    for one in taken:
        one.close()
    engine.dispose()
    assert pool_check("other", metrics=metrics)().reason == "no pool of the name 'other' is observed"


def _queue_pool() -> type:
    from sqlalchemy.pool import QueuePool  # noqa: PLC0415  # sqlite in memory has another one

    return QueuePool


class _ShopSettings(BaseSettings):
    database_url: SecretStr
    retries: int = 3


def test_a_configuration_is_told_by_names_and_never_by_values(monkeypatch):
    monkeypatch.setenv("RETRIES", "hunter2")
    answer = configuration_check(_ShopSettings)()  # type: ignore[arg-type,unused-ignore]  # its fields come from the environment
    assert (answer.status, answer.reason) == ("unhealthy", "database_url: missing; retries: int_parsing")
    monkeypatch.setenv("RETRIES", "5")
    monkeypatch.setenv("DATABASE_URL", "postgresql://")
    assert configuration_check(_ShopSettings)().status == "healthy"
    assert configuration_check(Settings.load)().status == "healthy"
    missing = configuration_check(
        required=["DATABASE_URL", "API_KEY", "EMPTY"], environ={"DATABASE_URL": "x", "EMPTY": ""}
    )
    assert missing().reason == "not set: API_KEY, EMPTY"
    assert configuration_check(lambda: int("hunter2"))().reason == "ValueError"


def test_telemetry_is_degraded_when_nothing_was_exported_and_never_critical():
    now = 1_000_000.0
    metrics = MetricsClient(Store())
    check = telemetry_check(metrics=metrics, now=lambda: now)
    assert check().status == "healthy", "the first export takes its time"
    now += 301
    assert (check().status, check().reason) == ("degraded", "nothing exported in the first 301 s")
    metrics.gauge("cloudops_last_export_success_timestamp_seconds").set(now - 60)
    assert (check().status, check().value) == ("healthy", 60)
    registry = HealthRegistry()
    assert not registry.add("telemetry", check).critical
    with pytest.raises(ValueError, match="never takes a service out"):
        registry.add("again", check, critical=True)
