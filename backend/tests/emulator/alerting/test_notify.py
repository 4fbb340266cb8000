"""Notifications: what is sent where, how often, and what is never called."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.targets import RefusedTargetError, resolve
from app.emulator.clock import NANOS
from support.alerting import WebhookServer, Workbench, promql_policy
from support.provenance import known_from, our_choice

PAYLOAD = "https://cloud.google.com/monitoring/support/notification-options"


class Receiver(httpx.AsyncBaseTransport):
    """Answers as told and keeps what came."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"location": "http://127.0.0.1/elsewhere"})

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def bench_with(receiver: Receiver, **switches: Any) -> Workbench:
    return Workbench(transport=receiver, **switches)


def fire(bench: Workbench, *channels: Any, **policy: Any) -> Any:
    created = bench.create(promql_policy("m > 1") | {"notificationChannels": [c.name for c in channels]} | policy)
    bench.source.set(2, instance="a", job="items")
    bench.evaluate()
    return created


async def deliver(bench: Workbench, after: float = 0.0) -> int:
    bench.clock.advance(after)
    return await bench.notifier.deliver_due(bench.clock.now())


@known_from(docs=PAYLOAD)
async def test_a_webhook_receives_the_opening_and_the_closing_in_format_1_2() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    documentation = {
        "content": "${policy.display_name}/${condition.display_name}: ${metric.label.instance}, ${metric.label.none}",
        "subject": "${resource.label.job} in ${project} ${unknown}",
        "links": [{"displayName": "Runbook", "url": "https://example.com/${policy.user_label.team}"}],
    }
    policy = fire(bench, bench.channel(url="http://127.0.0.1:9/hook?auth_token=t"), documentation=documentation)
    await deliver(bench)
    bench.source.set(0, instance="a", job="items")
    bench.evaluate(30)
    await deliver(bench)

    opened, closed = receiver.bodies
    assert receiver.requests[0].method == "POST"
    assert str(receiver.requests[0].url) == "http://127.0.0.1:9/hook?auth_token=t"
    assert receiver.requests[0].headers["content-type"] == "application/json"
    incident = opened["incident"]
    assert opened["version"] == "1.2"
    assert incident["scoping_project_id"] == "demo"
    assert incident["scoping_project_number"] == 123_456_789_012
    assert (incident["state"], incident["ended_at"], incident["started_at"]) == ("open", None, 1_700_000_000)
    assert incident["severity"] == "Error"
    assert (incident["policy_name"], incident["condition_name"]) == ("Policy", "Condition")
    assert incident["policy_user_labels"] == {"team": "platform"}
    assert incident["condition"]["name"] == policy.conditions[0].name
    assert incident["condition"]["conditionPrometheusQueryLanguage"]["query"] == "m > 1"
    assert incident["resource"] == {
        "type": "prometheus_target",
        "labels": {"project_id": "demo", "job": "items", "instance": "a"},
    }
    assert incident["observed_value"] == "2.000"
    assert incident["documentation"] == {
        "content": "Policy/Condition: a, (none)",
        "mime_type": "text/markdown",
        "subject": "items in demo (none)",
        "links": [{"displayName": "Runbook", "url": "https://example.com/platform"}],
    }
    assert closed["incident"]["state"] == "closed"
    assert closed["incident"]["ended_at"] == 1_700_000_030
    assert closed["incident"]["incident_id"] == incident["incident_id"]


@known_from(proto="google/monitoring/v3/alert.proto")
async def test_a_subject_is_cut_at_255_bytes_between_characters() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    fire(bench, bench.channel(url="http://127.0.0.1/"), documentation={"subject": "ä" * 200})
    await deliver(bench)
    assert receiver.bodies[0]["incident"]["documentation"]["subject"] == "ä" * 127


@known_from(proto="google/monitoring/v3/alert.proto")
async def test_the_closing_is_told_only_when_the_prompts_say_so() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    fire(bench, bench.channel(url="http://127.0.0.1/"), alertStrategy={"notificationPrompts": ["OPENED"]})
    bench.source.set(0, instance="a", job="items")
    bench.evaluate(30)
    await deliver(bench)
    assert [body["incident"]["state"] for body in receiver.bodies] == ["open"]


@known_from(proto="google/monitoring/v3/alert.proto")
async def test_an_open_incident_is_repeated_to_the_channels_of_a_strategy() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    loud, quiet = bench.channel(url="http://127.0.0.1/loud"), bench.channel(url="http://127.0.0.1/quiet")
    strategy = {"notificationChannelNames": [loud.name], "renotifyInterval": "1800s"}
    fire(bench, loud, quiet, alertStrategy={"notificationChannelStrategy": [strategy]})
    bench.evaluate_until(3601, step=1)
    bench.source.set(0, instance="a", job="items")
    bench.evaluate_until(3600, step=60)
    await deliver(bench)
    events = [(one.event, one.target.rpartition("/")[2]) for one in bench.notifier.deliveries()[::-1]]
    assert events == [
        ("opened", "loud"), ("opened", "quiet"),
        ("reminder", "loud"), ("reminder", "loud"),
        ("closed", "loud"), ("closed", "quiet"),
    ]  # fmt: skip


@known_from(docs=PAYLOAD)
async def test_basic_authentication_is_sent_and_never_shown() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    url = "http://127.0.0.1/hook"
    fire(bench, bench.channel("webhook_basicauth", url=url, username="u", password="secret"))
    await deliver(bench)
    expected = base64.b64encode(b"u:secret").decode()
    assert receiver.requests[0].headers["authorization"] == f"Basic {expected}"
    assert "secret" not in repr(bench.notifier.deliveries())


@our_choice("a token in the query of a webhook is a secret like any other")
async def test_the_token_of_a_webhook_is_not_shown() -> None:
    bench = bench_with(Receiver())
    fire(bench, bench.channel(url="http://u:p@127.0.0.1:9/hook?auth_token=secret"))
    assert [one.target for one in bench.notifier.deliveries()] == ["http://127.0.0.1:9/hook?..."]


@our_choice("Google says that it retries, not how often")
async def test_failures_are_tried_again_with_growing_pauses_until_one_succeeds() -> None:
    receiver = Receiver(500, httpx.ConnectError("refused"), 302, 200)
    bench = bench_with(receiver)
    fire(bench, bench.channel(url="http://127.0.0.1/"))
    made = [await deliver(bench, after) for after in (0, 0.9, 0.1, 1.9, 0.1, 4.9, 0.1, 600)]
    assert made == [1, 0, 1, 0, 1, 0, 1, 0]
    (delivery,) = bench.notifier.deliveries()
    assert delivery.status == "delivered"
    assert [(one.status_code, one.error) for one in delivery.attempts] == [
        (500, "answered 500"),
        (None, "ConnectError: refused"),
        (302, "answered 302"),
        (200, ""),
    ]
    assert [(one.at - delivery.created_at) / NANOS for one in delivery.attempts] == [0, 1, 3, 8]


@our_choice("a target that is gone for good must not be called for ever")
async def test_after_seven_attempts_a_notification_is_given_up() -> None:
    receiver = Receiver(*[503] * 20)
    bench = bench_with(receiver)
    fire(bench, bench.channel(url="http://127.0.0.1/"))
    for _ in range(20):
        await deliver(bench, 60)
    (delivery,) = bench.notifier.deliveries()
    assert (delivery.status, len(delivery.attempts), len(receiver.requests)) == ("failed", 7, 7)


@our_choice("the emulator says what it does not send")
async def test_other_channel_types_are_recorded_not_sent() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    fire(
        bench,
        bench.channel("email", email_address="a@example.com"),
        bench.channel("pubsub", topic="projects/p/topics/t"),
    )
    assert await deliver(bench) == 0
    assert {(one.status, one.target) for one in bench.notifier.deliveries()} == {
        ("recorded", "a@example.com"),
        ("recorded", "projects/p/topics/t"),
    }
    assert all(one.payload["incident"]["policy_name"] == "Policy" for one in bench.notifier.deliveries())


@our_choice("a laptop must not call strangers because a policy file says so")
@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/computeMetadata", "http://[2001:db8::1]/", "http://0.0.0.0/"]
)
async def test_targets_beyond_loopback_are_refused(url: str) -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    fire(bench, bench.channel(url=url))
    await deliver(bench)
    (delivery,) = bench.notifier.deliveries()
    assert delivery.status == "refused"
    assert "loopback" in delivery.note
    assert receiver.requests == []


@our_choice("whoever wants real webhooks says so")
async def test_a_switch_allows_other_targets() -> None:
    receiver = Receiver()
    bench = bench_with(receiver, webhooks_beyond_loopback=True)
    fire(bench, bench.channel(url="http://192.0.2.1/"))
    await deliver(bench)
    assert [str(one.url) for one in receiver.requests] == ["http://192.0.2.1/"]


@our_choice("a name that first is this machine and then another one must not lead there")
async def test_a_name_is_resolved_once_and_the_address_is_what_is_called() -> None:
    target = await resolve("https://localhost:8443/hook", anywhere=False)
    assert target.url.host in {"127.0.0.1", "::1"}
    assert target.headers == {"Host": "localhost:8443"}
    assert target.extensions == {"sni_hostname": "localhost"}
    with pytest.raises(RefusedTargetError):
        await resolve("ftp://localhost/", anywhere=True)


async def test_a_disabled_channel_gets_nothing() -> None:
    receiver = Receiver()
    bench = bench_with(receiver)
    channel = bench.channel(url="http://127.0.0.1/")
    stored = bench.stored(channel)
    stored.enabled.value = False
    fire(bench, channel)
    await deliver(bench)
    assert [one.status for one in bench.notifier.deliveries()] == ["dropped"]
    assert receiver.requests == []


async def test_a_channel_that_is_deleted_while_a_notification_waits_is_not_called() -> None:
    receiver = Receiver(500)
    bench = bench_with(receiver)
    channel = bench.channel(url="http://127.0.0.1/")
    fire(bench, channel)
    await deliver(bench)
    request = types.DeleteNotificationChannelRequest.pb()(name=channel.name, force=True)
    bench.channels.delete_notification_channel(request)
    await deliver(bench, 60)
    (delivery,) = bench.notifier.deliveries()
    assert (delivery.status, delivery.note, len(receiver.requests)) == ("dropped", "the channel was deleted", 1)


async def test_a_channel_that_is_disabled_while_a_notification_waits_is_not_called() -> None:
    receiver = Receiver(500)
    bench = bench_with(receiver)
    channel = bench.channel(url="http://127.0.0.1/")
    fire(bench, channel)
    await deliver(bench)
    bench.stored(channel).enabled.value = False
    await deliver(bench, 60)
    assert len(receiver.requests) == 1


@our_choice("memory is bounded: what cannot wait is dropped, and told")
async def test_more_than_five_hundred_waiting_notifications_are_dropped() -> None:
    bench = bench_with(Receiver())
    channel = bench.channel(url="http://127.0.0.1/")
    bench.create(promql_policy("m > 1") | {"notificationChannels": [channel.name]})
    for number in range(501):
        bench.source.set(2, number=str(number))
    bench.evaluate()
    statuses = [one.status for one in bench.notifier.deliveries()]
    assert (statuses.count("waiting"), statuses.count("dropped")) == (500, 1)


async def test_a_real_server_gets_the_notification_over_http() -> None:
    bench = Workbench()
    async with WebhookServer(204) as server:
        fire(bench, bench.channel(url=f"http://localhost:{server.port}/hook"))
        await deliver(bench)
    assert [one.status for one in bench.notifier.deliveries()] == ["delivered"]
    assert json.loads(server.bodies[0])["incident"]["state"] == "open"


async def test_a_target_that_never_answers_is_left_after_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.emulator.alerting.notify._TIMEOUT_SECONDS", 0.05)
    bench = Workbench()
    async with WebhookServer() as server:
        server.hold = asyncio.Event()
        fire(bench, bench.channel(url=f"http://127.0.0.1:{server.port}/"))
        await deliver(bench)
    (delivery,) = bench.notifier.deliveries()
    assert (delivery.status, delivery.attempts[0].error) == ("waiting", "no answer within 0.05 s")


def test_the_notifier_takes_notifications_without_a_loop() -> None:
    bench = Workbench()
    fire(bench, bench.channel(url="http://127.0.0.1/"))
    assert [one.status for one in bench.notifier.deliveries()] == ["waiting"]
