import pytest
from fastapi import FastAPI, HTTPException

from app.core.health import Answer
from app.core.health.rates import RequestRates
from support.service import observed

TOKEN = {"authorization": "Bearer s3cret"}


class Totals:
    requests = errors = 0.0
    now = 100.0

    def __call__(self) -> tuple[float, float]:
        return self.requests, self.errors


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "bad \udcff", object(), 2**80])
async def test_no_answer_of_a_check_makes_the_details_a_500(value):
    with observed(health_token="s3cret") as service:
        service.observability.health.add("odd", lambda: Answer("degraded", f"about {value}", value))
        async with service.client() as client:
            answer = await client.get("/health/detailed", headers=TOKEN)
    assert answer.status_code == 200
    assert answer.json()["checks"]["odd:responseTime"][0]["status"] == "warn"


async def test_the_details_have_the_shape_of_the_draft():
    app = FastAPI()

    @app.get("/fails")
    async def fails() -> None:
        raise HTTPException(500)

    environment = {"service_version": "1.4.0", "commit_sha": "0af7651", "health_token": "s3cret"}
    with observed(app, **environment) as service:
        health = service.observability.health
        health.add("queue", lambda: Answer("degraded", "password=hunter2 behind", 7, "messages"), critical=False)
        async with service.client() as client:
            for _ in range(3):
                await client.get("/fails")
            await client.get("/nothing")
            answer = await client.get("/health/detailed", headers=TOKEN)
    told = answer.json()
    assert answer.headers["content-type"] == "application/health+json"
    assert (told["status"], told["state"], told["version"], told["releaseId"]) == ("warn", "ready", "1.4.0", "0af7651")
    assert told["serviceId"] == "items"
    [queue] = told["checks"]["queue:responseTime"]
    assert queue.pop("time").endswith("Z")
    assert queue.pop("ageSeconds") >= 0
    assert 0 <= queue.pop("observedValue") < 60
    assert queue == {
        "componentType": "component",
        "status": "warn",
        "observedUnit": "s",
        "critical": False,
        "tags": ["ready"],
        "value": 7,
        "unit": "messages",
        "output": "password=[redacted] behind",
    }
    assert told["checks"]["uptime"][0]["observedValue"] > 0
    assert told["checks"]["memory:resident"][0]["observedUnit"] == "bytes"
    assert all(one[0]["observedValue"] > 0 for name, one in told["checks"].items() if name.endswith(":limit"))
    assert [
        (one["windowMinutes"], one["requests"], one["errors"], one["observedValue"])
        for one in told["checks"]["requests:errorRatio"]
    ] == [(1, 4, 3, 0.75), (5, 4, 3, 0.75), (15, 4, 3, 0.75)]
    assert all(isinstance(values, list) and len(values) >= 1 for values in told["checks"].values())


async def test_a_start_that_waits_says_for_what():
    with observed(health_token="s3cret") as service:
        service.observability.health.hold("the model is being loaded")
        async with service.client() as client:
            answer = await client.get("/health/detailed", headers=TOKEN)
    assert answer.status_code == 503
    assert (answer.json()["state"], answer.json()["notes"]) == ("starting", ["starting: the model is being loaded"])


def test_the_windows_tell_what_happened_within_them():
    totals = Totals()
    rates = RequestRates(totals, lambda: totals.now)
    for minute in range(20):
        totals.now += 60
        totals.requests += 60
        totals.errors += 30 if minute == 17 else 0
        rates.sample()
    assert [(one.minutes, one.requests, one.errors, one.seconds) for one in rates.read()] == [
        (1, 60, 0, 60),
        (5, 300, 30, 300),
        (15, 900, 30, 900),
    ]


def test_a_young_or_frozen_process_tells_how_long_it_has_looked():
    totals = Totals()
    rates = RequestRates(totals, lambda: totals.now)
    totals.now += 20
    totals.requests += 10
    assert [one.seconds for one in rates.read()] == [20, 20, 20]
    rates.sample()
    totals.now += 7200  # no sample meanwhile
    totals.requests += 2
    totals.errors += 1
    [minute, *_] = rates.read()
    assert (minute.requests, minute.errors, minute.ratio, minute.seconds) == (2, 1, 0.5, 7200)


def test_samples_do_not_grow_with_how_often_somebody_asks():
    totals = Totals()
    rates = RequestRates(totals, lambda: totals.now)
    for _ in range(10_000):
        totals.now += 0.5
        rates.sample()
    assert len(rates._samples) <= 900 / 5 + 2


def test_no_requests_are_no_errors():
    totals = Totals()
    assert RequestRates(totals, lambda: totals.now).read()[0].ratio == pytest.approx(0.0)
