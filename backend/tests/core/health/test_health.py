"""Health endpoints: who is asked, and what is told."""

import asyncio
import functools
import logging
import threading
import time

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from app.core import HealthRegistry
from app.core.health import Answer, Paths, health_app, router
from support.health import TOKEN, told_of
from support.probe_app import without_native_telemetry
from support.service import observed
from support.waiting import wait_until_async

PATHS = ["/health", "/health/live", "/health/ready", "/health/startup", "/health/detailed"]


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
        told = told_of(answer, "it")
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
                assert told_of(answer, "fine")["status"] == "pass"
            assert "has not come back" in told_of(answer, "stuck")["output"]
            assert sum(thread.name == "health-stuck" for thread in threading.enumerate()) == calls == 1
            released.set()
            await wait_until_async(lambda: not any(one.name == "health-stuck" for one in threading.enumerate()))
            assert (await client.get("/health/ready")).status_code == 200, "it has recovered"


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


@pytest.mark.parametrize("in_openapi", [False, True])
async def test_an_app_has_its_own_beside_those_of_an_observed_app_that_it_mounts(in_openapi):
    inner = FastAPI()
    with observed(inner, health_in_openapi=in_openapi):
        outer = FastAPI()
        outer.mount("/inner", inner)
        with observed(outer, health_in_openapi=in_openapi) as service:
            async with service.client() as client:
                answers = [await client.get(path) for path in ("/health/live", "/inner/health/live")]
            assert [answer.status_code for answer in answers] == [200, 200]


async def test_prefix_and_names_come_from_settings():
    with observed(health_prefix="/-/status", health_names={"ready": "readyz"}) as service:
        async with service.client() as client:
            for path in ("/-/status", "/-/status/live", "/-/status/readyz", "/-/status/startup"):
                assert (await client.get(path)).status_code == 200
            assert (await client.get("/health/ready")).status_code == 404
        assert len(service.access) == 1


@pytest.mark.parametrize(("outer", "options"), [(FastAPI, without_native_telemetry()), (Starlette, {})])
async def test_it_is_an_asgi_app_too(outer, options):
    registry = HealthRegistry()
    app = outer(routes=[Mount("/probes", health_app(registry))], **options)
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
