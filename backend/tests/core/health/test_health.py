import asyncio
import functools
import logging
import threading
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from app.core import HealthRegistry, bind
from app.core.context import current
from app.core.health import Answer, Degraded, Paths, Result, health_app, router
from support.service import observed
from support.waiting import wait_until_async

TOKEN = {"authorization": "Bearer s3cret"}
PATHS = ["/health", "/health/live", "/health/ready", "/health/startup", "/health/detailed"]


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _told(answer: httpx.Response, check: str) -> Any:
    return answer.json()["checks"][f"{check}:responseTime"][0]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_healthy_service_says_so(path, method):
    with observed() as service:
        async with service.client() as client:
            answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["content-type"] == "application/health+json"
        assert answer.text == ('{"status":"pass"}' if method == "GET" else answer.text)
        assert service.access == []


async def test_readiness_fails_with_a_critical_check_and_liveness_does_not():
    with observed() as service:

        @service.observability.health.check("database")
        async def database() -> None:
            raise ConnectionError("password=hunter2 refused")

        async with service.client() as client:
            ready, live = await client.get("/health/ready"), await client.get("/health/live")
        assert (ready.status_code, ready.json()) == (503, {"status": "fail"})
        assert live.status_code == 200
        assert service.series("health_check_status") == {("database",): [0.0]}
        assert [entry["httpRequest"]["status"] for entry in service.access] == [503], "a failing probe is told"
        assert "hunter2" not in str(service.lines)


async def test_a_check_that_is_not_critical_never_takes_the_service_out():
    with observed() as service:
        service.observability.health.add("mail", lambda: False, critical=False)
        async with service.client() as client:
            await client.get("/health/detailed")
            answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "warn"})


async def test_readiness_does_not_wait_for_a_check_that_is_not_critical():
    released = asyncio.Event()
    with observed(health_check_timeout=60) as service:
        service.observability.health.add("mail", released.wait, critical=False)
        async with service.client() as client:
            answer = await client.get("/health/ready")
        assert answer.json() == {"status": "pass"}
        released.set()


async def test_liveness_asks_nobody():
    with observed() as service:
        service.observability.health.background = False
        service.observability.health.add("database", lambda: pytest.fail("asked"))
        async with service.client() as client:
            for path in ("/health", "/health/live"):
                assert (await client.get(path)).status_code == 200
        assert service.series("health_check_status") == {}


class Callable:
    async def __call__(self) -> bool:
        return False


async def _raise(error: BaseException) -> None:
    raise error


async def _cancelled() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def _blocks_the_loop(seconds: float):
    async def block() -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # what must not happen, and does

    return block


WRONG = {
    "raises": (lambda: _raise(ValueError("no")), "ValueError: no"),
    "raises in a thread": (lambda: (_ for _ in ()).throw(OSError("gone")), "OSError: gone"),
    "returns False": (lambda: False, "the check returned False"),
    "an object with an async call": (Callable(), "the check returned False"),
    "cancelled": (_cancelled, "the check was cancelled"),
    "exits": (functools.partial(_raise, SystemExit(3)), "SystemExit: 3"),
    "exits in a thread": (lambda: exit(4), "SystemExit: 4"),  # noqa: PLR1722  # as a check may
    "interrupts": (functools.partial(_raise, KeyboardInterrupt()), "KeyboardInterrupt: "),
    "stops an iteration in a thread": (lambda: next(iter(())), "RuntimeError: the check raised StopIteration"),
    "has no text": (functools.partial(_raise, type("Mute", (Exception,), {"__str__": lambda _: 1 / 0})()), "Mute: <"),
    "hangs": (lambda: asyncio.sleep(60), "no answer within 0.2 s"),
    "blocks the loop": (_blocks_the_loop(0.3), "in which it blocked the event loop"),
    "says so": (lambda: Answer("unhealthy", "by itself"), "by itself"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_whatever_goes_wrong_in_a_check_is_its_answer(kind):
    function, reason = WRONG[kind]
    with observed(health_check_timeout=0.2, health_token="s3cret", health_check_background=False) as service:
        service.observability.health.add("it", function)
        async with service.client() as client:
            answer = await client.get("/health/detailed", headers=TOKEN)
            assert (await client.get("/health/ready")).status_code == 503
        assert answer.status_code == 503
        told = _told(answer, "it")
        assert told["status"] == "fail"
        assert reason in told["output"]


async def test_a_check_that_blocks_for_ever_holds_one_thread_and_is_not_called_again():
    released = threading.Event()
    calls = 0

    def hang() -> None:
        nonlocal calls
        calls += 1
        released.wait(60)

    with observed(health_check_timeout=0.05, health_check_retry_interval=0.001, health_token="s3cret") as service:
        registry = service.observability.health
        registry.add("stuck", hang)
        registry.add("fine", lambda: True)
        async with service.client() as client:
            for _ in range(5):
                answer = await client.get("/health/detailed", headers=TOKEN)
                assert _told(answer, "fine")["status"] == "pass"
            assert "has not come back" in _told(answer, "stuck")["output"]
            assert sum(thread.name == "health-stuck" for thread in threading.enumerate()) == calls == 1
            released.set()
            await wait_until_async(lambda: not any(one.name == "health-stuck" for one in threading.enumerate()))
            assert (await client.get("/health/ready")).status_code == 200, "it has recovered"


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
            told = _told(await client.get("/health/detailed", headers=TOKEN), "replica")
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


async def test_a_service_starts_is_ready_and_drains():
    with observed() as service:
        registry = service.observability.health
        async with service.client() as client:

            async def states() -> list[int]:
                return [(await client.get(f"/health/{name}")).status_code for name in ("live", "startup", "ready")]

            assert await states() == [200, 200, 200], "a server without lifespan"
            registry.starting()
            assert (registry.state, await states()) == ("starting", [200, 503, 503])
            loaded = registry.hold("the model is being loaded")
            registry.started()
            assert (registry.state, await states()) == ("starting", [200, 503, 503])
            loaded()
            assert (registry.state, await states()) == ("ready", [200, 200, 200])
            registry.drain()
            assert (registry.state, await states()) == ("draining", [200, 200, 503])
            registry.broken = "the worker pool is dead"
            assert await states() == [503, 200, 503]


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


async def test_groups_have_endpoints_of_their_own():
    app = FastAPI()
    registry = HealthRegistry()
    registry.add("primary", lambda: True, tags=["ready", "database"])
    registry.add("archive", lambda: False, tags=["database"])
    app.include_router(router(registry, Paths("/internal", live="livez", ready="readyz", groups=(("db", "database"),))))
    with observed(app, health_routes=False) as service:
        async with service.client() as client:
            assert (await client.get("/internal/db")).status_code == 503
            assert (await client.get("/internal/readyz")).status_code == 200
            assert (await client.get("/internal/livez")).status_code == 200
            assert (await client.get("/internal")).status_code == 200


def test_two_checks_cannot_share_a_name():
    registry = HealthRegistry()
    registry.check("database")(lambda: True)
    with pytest.raises(ValueError, match="database"):
        registry.check("database")
    registry.remove("database")
    registry.add("database", lambda: True)
    assert [check.name for check in registry.checks] == ["database"]


async def test_an_app_that_includes_the_router_itself_has_each_route_once():
    app = FastAPI()
    registry = HealthRegistry()
    app.include_router(router(registry), prefix="/internal")
    with observed(app) as service:
        async with service.client() as client:
            assert (await client.get("/internal/health/ready")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 404
        assert [entry["httpRequest"]["status"] for entry in service.access] == [404], "no probe is told, wherever"


async def test_prefix_and_names_come_from_settings():
    with observed(health_prefix="/-/status", health_names={"ready": "readyz"}) as service:
        async with service.client() as client:
            for path in ("/-/status", "/-/status/live", "/-/status/readyz", "/-/status/startup"):
                assert (await client.get(path)).status_code == 200
            assert (await client.get("/health/ready")).status_code == 404
        assert len(service.access) == 1


@pytest.mark.parametrize("outer", [FastAPI, Starlette])
async def test_it_is_an_asgi_app_too(outer):
    registry = HealthRegistry()
    app = outer(routes=[Mount("/probes", health_app(registry))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        assert (await client.get("/probes/live")).json() == {"status": "pass"}
        assert (await client.head("/probes/ready")).status_code == 200


async def test_health_routes_are_in_openapi_only_when_asked_for():
    with observed() as service:
        assert service.app.openapi()["paths"] == {}
    with observed(health_in_openapi=True) as service:
        assert set(service.app.openapi()["paths"]) == set(PATHS)
        async with service.client() as client:
            for path in PATHS:
                assert (await client.head(path)).status_code == 200


async def test_liveness_answers_while_every_check_hangs_and_requests_come():
    released = asyncio.Event()
    with observed(health_check_timeout=60) as service:
        for number in range(20):
            service.observability.health.add(f"check {number}", released.wait)
        async with service.client() as client:
            stuck = [asyncio.create_task(client.get("/health/ready")) for _ in range(100)]
            await asyncio.sleep(0)
            answer = await client.get("/health/live")
            assert answer.status_code == 200
            assert not any(task.done() for task in stuck), "and they still wait"
            released.set()
            await asyncio.gather(*stuck)


async def test_the_error_of_telling_a_result_is_no_failure_of_the_check(internal_failures):
    registry = HealthRegistry()
    registry.metrics = None  # type: ignore[assignment]  # whatever may be broken there
    registry.add("database", lambda: True)
    assert await registry.ready() == "pass"
    assert [where for where, _ in internal_failures] == ["health"]
    internal_failures.clear()
    logging.getLogger("httpx").setLevel(logging.NOTSET)
