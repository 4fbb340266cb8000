"""Results of checks: shared, kept for a while, renewed, told when they change."""

import asyncio
import functools
import threading

from fastapi import FastAPI

from app.core import HealthRegistry, bind
from app.core.context import current
from app.core.health import Degraded, Result
from support.health import TOKEN, Time, told_of
from support.service import observed
from support.waiting import wait_until_async


async def test_a_check_that_swallows_its_cancellation_does_not_hold_up_the_probe():
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with observed(health_check_timeout=0.05) as service:
        service.observability.health.add("stubborn", stubborn)
        async with service.client() as client:
            assert (await client.get("/health/ready")).status_code == 503
        released.set()
        await asyncio.sleep(0)


async def test_sync_checks_run_beside_the_loop_and_all_at_once():
    together = threading.Barrier(3, timeout=10)
    with observed(health_check_timeout=10) as service:
        for number in range(3):
            service.observability.health.add(f"check {number}", together.wait)
        async with service.client() as client:
            assert (await client.get("/health/ready")).status_code == 200


async def test_probes_at_the_same_time_share_one_run_although_the_first_of_them_goes_away():
    runs = 0
    going = asyncio.Event()
    release = asyncio.Event()
    with observed(health_check_background=False, health_check_timeout=10) as service:

        @service.observability.health.check("database")
        async def database() -> None:
            nonlocal runs
            runs += 1
            going.set()
            await release.wait()

        async with service.client() as client:
            first = asyncio.create_task(client.get("/health/ready"))
            await going.wait()
            others = [asyncio.create_task(client.get("/health/ready")) for _ in range(50)]
            await asyncio.sleep(0)
            first.cancel()
            release.set()
            answers = await asyncio.gather(*others)
            await client.get("/health/ready")
        assert {answer.status_code for answer in answers} == {200}
        assert runs == 1


def _registry(now: Time, **options: float) -> tuple[HealthRegistry, list[str]]:
    registry = HealthRegistry(now)
    registry.interval, registry.retry_interval, registry.expiry = 10.0, 3.0, 30.0
    for name, value in options.items():
        setattr(registry, name, value)
    return registry, []


def _newest(registry: HealthRegistry) -> Result:
    result = registry._slots["database"].result
    assert result is not None
    return result


async def test_a_good_result_is_used_while_fresh_told_once_more_while_it_is_renewed_and_expires():
    now = Time()
    registry, runs = _registry(now)
    registry.add("database", lambda: runs.append("run"))
    assert await registry.ready() == "pass"
    now.now += 10
    await registry.ready()
    assert len(runs) == 1, "fresh"
    now.now += 1
    [known] = await registry.results()
    assert registry.age(known) == 11, "the old one is told"
    await wait_until_async(lambda: registry.age(known) > registry.age(_newest(registry)), what="the run behind it")
    assert len(runs) == 2
    now.now += 30.001
    [known] = await registry.results()
    assert registry.age(known) == 0, "expired: nobody is told it"
    assert len(runs) == 3


async def test_a_bad_result_lives_shorter_and_is_asked_again_before_it_is_told_again():
    now = Time()
    registry, runs = _registry(now)
    works = False

    @registry.check("database")
    def database() -> bool:
        runs.append("run")
        return works

    assert await registry.ready() == "fail"
    now.now += 3
    assert await registry.ready() == "fail"
    assert len(runs) == 1
    works = True
    now.now += 0.001
    assert await registry.ready() == "pass"


async def test_a_check_may_have_lives_and_a_time_limit_of_its_own():
    now = Time()
    registry, runs = _registry(now)
    registry.add("certificate", lambda: runs.append("run"), good_for=3600)
    registry.add("slow", lambda: asyncio.sleep(60), timeout=0.02, critical=False)
    await registry.results()
    now.now += 3600
    _, slow = await registry.results()
    assert len(runs) == 1
    assert slow.answer.reason == "no answer within 0.02 s"


async def test_degraded_is_told_and_takes_nothing_out():
    def slow() -> None:
        raise Degraded("replica is 20 s behind")

    with observed(health_token="s3cret") as service:
        service.observability.health.add("replica", slow)
        async with service.client() as client:
            ready = await client.get("/health/ready")
            told = told_of(await client.get("/health/detailed", headers=TOKEN), "replica")
        assert (ready.status_code, ready.json()) == (200, {"status": "warn"})
        assert (told["status"], told["output"]) == ("warn", "replica is 20 s behind")
        assert service.series("health_check_status") == {("replica",): [0.5]}


async def test_the_background_asks_again_without_any_probe(monkeypatch):
    runs = []
    with observed(health_check_interval=0.05, health_check_retry_interval=0.05) as service:
        registry = service.observability.health
        registry.add("database", lambda: runs.append("run"))
        service.observability.start()
        await wait_until_async(lambda: len(runs) >= 3, what="three runs")
        registry.stop()
        counted = len(runs)
        assert registry._timer is None
        await asyncio.sleep(0.2)  # three intervals and more: nothing comes
        assert len(runs) <= counted + 1


async def test_without_the_background_nobody_asks_but_probes():
    runs = []
    with observed(health_check_interval=0.01, health_check_background=False) as service:
        service.observability.health.add("database", lambda: runs.append("run"))
        service.observability.start()
        await asyncio.sleep(0.2)  # the background's first round would come within 0.01 s
        assert runs == []


async def test_a_change_of_state_is_one_log_line_with_its_reason():
    answers = [True, True, False, False, True]
    now = Time()
    with observed(health_check_background=False) as service:
        registry = service.observability.health
        registry._monotonic = now

        @registry.check("database")
        def database() -> None:
            if not answers.pop(0):
                raise ConnectionError("password=hunter2 refused")

        while answers:
            now.now += 31
            await registry.results()
        lines = [entry for entry in service.entries if entry.get("check") == "database"]
    assert [(line["severity"], line["status_before"], line["status"]) for line in lines] == [
        ("ERROR", "healthy", "unhealthy"),
        ("INFO", "unhealthy", "healthy"),
    ]
    assert lines[0]["reason"].startswith("ConnectionError: password=[redacted]")
    assert "hunter2" not in str(service.lines)


async def test_a_check_does_not_run_on_behalf_of_the_probe_that_came_first():
    seen: list[object] = []
    app = FastAPI()
    with observed(app, health_check_background=False) as service:
        service.observability.health.add("async", functools.partial(_see, seen))
        service.observability.health.add("sync", lambda: seen.append(current.get()))

        @app.get("/mine")
        async def mine() -> None:
            bind(order="7")
            await service.observability.health.results()

        async with service.client() as client:
            await client.get("/mine")
    assert seen == [None, None]


async def _see(seen: list[object]) -> None:
    seen.append(current.get())


async def test_a_startup_check_has_to_pass_once_and_never_again():
    works = False
    now = Time()
    registry, _ = _registry(now)
    registry.add("migrations", lambda: works, tags=["startup"])
    assert (await registry.startup(), await registry.ready(), registry.state) == (False, "fail", "starting")
    works = True
    now.now += 4
    assert (await registry.startup(), await registry.ready(), registry.state) == (True, "pass", "ready")
    works = False
    now.now += 60
    assert (await registry.startup(), await registry.ready()) == (True, "pass")
