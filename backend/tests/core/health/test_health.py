import asyncio
import threading
import time

import pytest
from fastapi import FastAPI

from app.core import HealthRegistry
from app.core.health import router
from support.service import observed

TOKEN = {"authorization": "Bearer s3cret"}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/detailed"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_healthy_service_says_so(path, method):
    with observed() as service:
        async with service.client() as client:
            answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        if method == "GET":
            assert answer.json() == {"status": "healthy"}


async def test_readiness_fails_with_a_critical_check_and_liveness_does_not():
    with observed() as service:

        @service.observability.health.check("database")
        async def database() -> None:
            raise ConnectionError("password=hunter2 refused")

        async with service.client() as client:
            ready, live = await client.get("/health/ready"), await client.get("/health/live")
        assert (ready.status_code, ready.json()) == (503, {"status": "unhealthy"})
        assert live.status_code == 200
        assert service.series("health_check_status") == {("database",): [0.0]}


async def test_a_check_that_is_not_critical_never_takes_the_service_out():
    with observed() as service:

        @service.observability.health.check("mail", critical=False)
        def mail() -> bool:
            return False

        async with service.client() as client:
            assert (await client.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_a_check_that_hangs_is_unhealthy_after_the_deadline(kind):
    released = threading.Event()
    with observed(health_check_timeout=0.1, health_token="s3cret") as service:
        check = service.observability.health.check("slow")
        if kind == "async":
            check(lambda: asyncio.sleep(60))
        else:
            check(lambda: released.wait(60))
        async with service.client() as client:
            start = time.monotonic()
            answer = await client.get("/health/detailed", headers=TOKEN)
        released.set()
        assert time.monotonic() - start < 5
        assert answer.json()["checks"]["slow"]["reason"] == "no answer within 0.1 s"


async def test_probes_at_the_same_time_share_one_run():
    runs = 0
    with observed() as service:

        @service.observability.health.check("database")
        async def database() -> None:
            nonlocal runs
            runs += 1
            await asyncio.sleep(0.05)

        async with service.client() as client:
            answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(50)))
            await client.get("/health/ready")
        assert {answer.status_code for answer in answers} == {200}
        assert runs == 1


async def test_a_result_older_than_the_interval_is_not_used():
    runs = 0
    with observed(health_check_interval=0.01) as service:

        @service.observability.health.check("database")
        async def database() -> None:
            nonlocal runs
            runs += 1

        async with service.client() as client:
            await client.get("/health/ready")
            await asyncio.sleep(0.02)  # the interval itself, not a synchroniser
            await client.get("/health/ready")
        assert runs == 2


@pytest.mark.parametrize("given", ["", "Bearer wrong", "s3cre", "Bearer "])
async def test_details_are_for_those_who_hold_the_token(given):
    with observed(health_token="s3cret") as service:
        service.observability.health.check("database")(lambda: True)
        async with service.client() as client:
            assert (await client.get("/health/detailed", headers={"authorization": given})).json() == {
                "status": "healthy"
            }
            told = (await client.get("/health/detailed", headers=TOKEN)).json()
        assert told["checks"]["database"]["status"] == "healthy"


async def test_without_a_token_there_are_no_details():
    with observed() as service:
        service.observability.health.check("database")(lambda: True)
        async with service.client() as client:
            answer = await client.get("/health/detailed", headers={"authorization": "Bearer "})
        assert answer.json() == {"status": "healthy"}


def test_two_checks_cannot_share_a_name():
    registry = HealthRegistry()
    registry.check("database")(lambda: True)
    with pytest.raises(ValueError, match="database"):
        registry.check("database")


async def test_an_app_that_includes_the_router_itself_has_each_route_once():
    app = FastAPI()
    registry = HealthRegistry()
    app.include_router(router(registry), prefix="/internal")
    with observed(app, health_routes=False) as service:
        async with service.client() as client:
            assert (await client.get("/internal/health/ready")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 404
        assert service.access[0]["route"] == "/internal/health/ready"


async def test_health_routes_are_not_in_openapi():
    with observed() as service:
        assert service.app.openapi()["paths"] == {}
