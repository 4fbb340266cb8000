"""Incidents in the shape of projects.alerts, and the emulator's own lists."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.emulator.alerting.http_api import routes
from support.alerting import Workbench, promql_policy
from support.provenance import known_from, our_choice

ALERTS = "https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alerts"


async def get(bench: Workbench, path: str, **query: str) -> tuple[int, Any]:
    app = Starlette(routes=routes(bench.context, bench.incidents, bench.evaluator, bench.notifier))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://emulator") as client:
        response = await client.get(path, params=query)
    return response.status_code, response.json()


@pytest.fixture
def bench() -> Workbench:
    """Three incidents, a minute apart, the first of them closed again."""
    bench = Workbench(every=1.0)
    channel = bench.channel(url="http://127.0.0.1/hook?auth_token=secret")
    bench.create(promql_policy("m > 1") | {"notificationChannels": [channel.name]})
    for number in range(3):
        bench.source.set(2, job="items", code=str(number))
        bench.evaluate(60)
    bench.source.set(0, job="items", code="0")
    bench.evaluate(60)
    return bench


@known_from(docs=ALERTS)
async def test_an_alert_has_the_published_shape(bench: Workbench) -> None:
    status, answer = await get(bench, "/v3/projects/demo/alerts", filter='state="CLOSED"')
    (alert,) = answer["alerts"]
    assert status == 200
    assert alert["name"].startswith("projects/demo/alerts/0.")
    assert alert["state"] == "CLOSED"
    assert (alert["openTime"], alert["closeTime"]) == ("2023-11-14T22:14:20.000Z", "2023-11-14T22:17:20.000Z")
    assert alert["resource"] == {"type": "prometheus_target", "labels": {"project_id": "demo", "job": "items"}}
    assert alert["metric"]["labels"] == {"code": "0"}
    policy = alert["policy"]
    assert policy["name"].startswith("projects/demo/alertPolicies/")
    assert (policy["displayName"], policy["severity"]) == ("Policy", "ERROR")
    assert policy["userLabels"] == {"team": "platform"}
    assert await get(bench, f"/v3/{alert['name']}") == (200, alert)


@known_from(docs=ALERTS + "/list")
async def test_alerts_are_ordered_filtered_and_paged(bench: Workbench) -> None:
    async def codes(**query: str) -> list[str]:
        _, answer = await get(bench, "/v3/projects/demo/alerts", **query)
        return [one["metric"]["labels"]["code"] for one in answer.get("alerts", [])]

    assert await codes() == ["2", "1", "0"]
    assert await codes(orderBy="openTime") == ["0", "1", "2"]
    assert await codes(orderBy="closeTime desc, openTime") == ["0", "1", "2"]
    assert await codes(filter='state="OPEN"') == ["2", "1"]
    assert await codes(filter='policy.user_labels.team="other"') == []
    _, first = await get(bench, "/v3/projects/demo/alerts", pageSize="2")
    assert first["totalSize"] == 3
    assert await codes(pageSize="2", pageToken=first["nextPageToken"]) == ["0"]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v3/projects/demo/alerts/0.none", {}, 404),
        ("/v3/projects/other/alerts", {}, 404),
        ("/v3/projects/demo/alerts", {"orderBy": "state"}, 400),
        ("/v3/projects/demo/alerts", {"pageSize": "many"}, 400),
        ("/v3/projects/demo/alerts", {"pageToken": "x"}, 400),
        ("/v3/projects/demo/alerts", {"filter": "("}, 400),
    ],
)
async def test_wrong_questions_get_googles_error_body(
    bench: Workbench, path: str, query: dict[str, str], status: int
) -> None:
    answered, body = await get(bench, path, **query)
    assert answered == status
    assert body["error"]["code"] == status
    assert body["error"]["message"]


@our_choice("what was sent, recorded or refused can be looked at, without the secrets of the channels")
async def test_notifications_are_listed_with_their_attempts(bench: Workbench) -> None:
    _, answer = await get(bench, "/emulator/v1/notifications")
    newest = answer["notifications"][0]
    assert (newest["event"], newest["status"], newest["channelType"]) == ("closed", "waiting", "webhook_tokenauth")
    assert newest["payload"]["incident"]["state"] == "closed"
    assert newest["attempts"] == []
    assert "secret" not in str(answer)


@our_choice("a policy that is not evaluated, or fails, must be visible")
async def test_evaluations_are_listed_with_time_state_and_error(bench: Workbench) -> None:
    _, answer = await get(bench, "/emulator/v1/evaluations")
    (evaluation,) = answer["evaluations"]
    (condition,) = evaluation["conditions"]
    assert (evaluation["displayName"], condition["state"], condition["error"]) == ("Policy", "firing", "")
    assert condition["lastEvaluationTime"] == "2023-11-14T22:17:20.000Z"
    assert condition["nextEvaluationTime"] == "2023-11-14T22:17:21.000Z"
    assert condition["series"] == 2
