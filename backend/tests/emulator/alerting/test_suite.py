"""Alerting put together: the loop that a server runs, and the journal of all its parts."""

import asyncio
import contextlib

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.life import Transition
from app.emulator.alerting.messages import NotificationChannel
from app.emulator.alerting.suite import Alerting
from app.emulator.clock import ManualClock
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context
from support.alerting import PROJECT, Journalled, Source, WebhookServer, create_policy, promql_policy
from support.provenance import our_choice
from support.waiting import wait_until_async


def alerting(clock: ManualClock, source: Source, journal: Journalled) -> Alerting:
    return Alerting(
        Context(clock=clock, journal=journal), MetricStore(), source, evaluate_every=1.0, page=lambda: "http://p"
    )


def webhook(parts: Alerting, url: str) -> str:
    channel = NotificationChannel(type_="webhook_tokenauth", labels={"url": url})
    request = types.CreateNotificationChannelRequest.pb()(name=PROJECT, notification_channel=channel)
    name: str = parts.channels.create_notification_channel(request).name
    return name


@our_choice("one webhook that does not answer must hold up neither evaluation nor other webhooks")
async def test_the_loop_evaluates_and_delivers_beside_a_target_that_hangs() -> None:
    clock, source = ManualClock(), Source()
    parts = alerting(clock, source, Journalled())
    seen: list[Transition] = []
    parts.on_transition.append(seen.append)
    async with WebhookServer() as hangs, WebhookServer() as works:
        hangs.hold = asyncio.Event()
        channels = [webhook(parts, f"http://127.0.0.1:{server.port}/") for server in (hangs, works)]
        parts.policies.create_alert_policy(create_policy(promql_policy("m > 1") | {"notificationChannels": channels}))
        loop = asyncio.create_task(parts.run())
        source.set(2)
        clock.advance(1)
        await wait_until_async(lambda: statuses(parts) == ["delivered", "waiting"], what="one delivery")
        source.set(0)
        clock.advance(1)
        await wait_until_async(lambda: [one.kind for one in seen] == ["opened", "closed"], what="the closing")
        await wait_until_async(
            lambda: statuses(parts) == ["delivered", "waiting", "delivered", "waiting"], what="its delivery"
        )
        assert parts.notifier.deliveries()[0].payload["incident"]["url"].startswith("http://p/?incident=0.")
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


def statuses(parts: Alerting) -> list[str]:
    return [one.status for one in parts.notifier.deliveries()]


@our_choice("a bug in one step must not end alerting for the whole session")
async def test_a_step_that_fails_is_told_and_the_loop_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    parts = alerting(ManualClock(), Source(), Journalled())
    calls: list[int] = []

    def broken(now: int) -> list[Transition]:
        calls.append(now)
        raise RuntimeError("planted")

    parts.evaluator.evaluate = broken  # type: ignore[method-assign,assignment]  # a fault planted from outside
    loop = asyncio.create_task(parts.run())
    await wait_until_async(lambda: len(calls) >= 2, what="a second step")
    loop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loop
    assert "planted" in capsys.readouterr().err


def test_all_records_come_back_to_their_parts() -> None:
    journal, source = Journalled(), Source()
    first = alerting(ManualClock(), source, journal)
    channel = webhook(first, "http://127.0.0.1/")
    first.policies.create_alert_policy(create_policy(promql_policy("m > 1") | {"notificationChannels": [channel]}))
    source.set(2)
    first.evaluator.evaluate(first._context.clock.now())

    second = alerting(ManualClock(), source, Journalled())
    for kind, record in journal.kept:
        second.restore(kind, record)
    assert second.policies.policies() == first.policies.policies()
    assert [one.id for one in second.incidents.open()] == [one.id for one in first.incidents.open()]
    with pytest.raises(ValueError, match=r"monitoring\.points"):
        second.restore("monitoring.points", b"")
