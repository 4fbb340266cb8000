"""Notifications in the shape of each kind of channel, and the ways out of the emulator."""

import asyncio
import base64
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.emulator.clock import NANOS
from support.alerting import Workbench, promql_policy
from support.emulator import running_emulator
from support.provenance import known_from, our_choice
from support.uptime import Site, site
from support.waiting import wait_until

LABELS: dict[str, dict[str, str]] = {
    "slack": {"channel_name": "#alerts", "auth_token": "xoxb-secret"},
    "pagerduty": {"service_key": "secret-key"},
    "sms": {"number": "+15550100"},
    "google_chat": {"space": "spaces/AAA"},
    "pubsub": {"topic": "projects/demo/topics/alerts"},
    "email": {"email_address": "oncall@example.com"},
}


@pytest.fixture
def receiver() -> Iterator[Site]:
    with site() as running:
        yield running


def fired(bench: Workbench, kind: str) -> Any:
    channel = bench.channel(kind, **LABELS[kind])
    documentation = {"content": "Look at ${metric.label.instance}", "subject": "Down:\nitems"}
    bench.create(
        promql_policy("m > 1", strategy={}) | {"notificationChannels": [channel.name], "documentation": documentation}
    )
    bench.source.set(2, instance="a", job="items")
    bench.evaluate()
    (delivery,) = bench.notifier.deliveries()
    return delivery


async def deliver(bench: Workbench) -> None:
    await bench.notifier.deliver_due(bench.clock.now())


@our_choice("without a place to send to, people see what would have gone out, without its secrets")
@pytest.mark.parametrize("kind", LABELS)
def test_what_has_no_way_out_is_recorded_in_its_own_shape(kind: str) -> None:
    delivery = fired(Workbench(), kind)
    assert delivery.status == "recorded"
    assert "secret" not in json.dumps(delivery.message)
    assert delivery.payload["version"] == "1.2"
    assert delivery.message != delivery.payload


@known_from(docs="https://docs.slack.dev/reference/methods/chat.postMessage")
async def test_slack_gets_a_message_for_its_channel_with_its_token(receiver: Site) -> None:
    bench = Workbench(notification_urls={"slack": f"http://127.0.0.1:{receiver.port}/api/chat.postMessage"})
    fired(bench, "slack")
    await deliver(bench)
    (seen,) = receiver.seen
    body = json.loads(seen.body)
    assert body["channel"] == "#alerts"
    assert "Look at a" in body["attachments"][0]["text"]
    assert seen.headers["authorization"] == "Bearer xoxb-secret"


@known_from(docs="https://developer.pagerduty.com/docs/events-api-v2/trigger-events/")
async def test_pagerduty_gets_a_trigger_and_a_resolve_with_one_key(receiver: Site) -> None:
    bench = Workbench(notification_urls={"pagerduty": f"http://127.0.0.1:{receiver.port}/v2/enqueue"})
    fired(bench, "pagerduty")
    bench.source.set(None, instance="a", job="items")
    bench.evaluate(30)
    await deliver(bench)
    opened, closed = sorted((json.loads(seen.body) for seen in receiver.seen), key=lambda one: "payload" not in one)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert opened["routing_key"] == "secret-key"
    assert opened["payload"]["severity"] == "error"
    assert opened["payload"]["custom_details"]["version"] == "1.2"


@known_from(docs="https://cloud.google.com/pubsub/docs/push")
async def test_pubsub_by_push_carries_the_json_in_its_data(receiver: Site) -> None:
    url = f"http://127.0.0.1:{receiver.port}/push"
    bench = Workbench(notification_urls={"projects/demo/topics/alerts": url})
    fired(bench, "pubsub")
    await deliver(bench)
    message = json.loads(receiver.seen[0].body)["message"]
    assert json.loads(base64.b64decode(message["data"]))["incident"]["state"] == "open"


@our_choice("an SMS is a text of 160 letters")
def test_an_sms_is_short() -> None:
    message = fired(Workbench(), "sms").message
    assert message["to"] == "+15550100"
    assert 0 < len(message["body"]) <= 160


@our_choice("mail is readable by every mail program as a file")
async def test_mail_goes_into_a_folder(tmp_path: Path) -> None:
    bench = Workbench(mail_folder=str(tmp_path / "mail"))
    delivery = fired(bench, "email")
    await deliver(bench)
    assert delivery.status == "delivered"
    (file,) = (tmp_path / "mail").glob("*.eml")
    mail = message_from_bytes(file.read_bytes())
    assert (mail["To"], mail["Subject"]) == ("oncall@example.com", "Down: items")
    assert "Look at a" in str(mail.get_payload())


@our_choice("mail reaches a server on this machine, such as the ones developers run to look at mail")
async def test_mail_goes_to_an_smtp_server_on_this_machine() -> None:
    with smtp_server() as (port, mails):
        bench = Workbench(smtp_address=f"127.0.0.1:{port}")
        delivery = fired(bench, "email")
        await asyncio.wait_for(deliver(bench), 30)
        assert delivery.status == "delivered"
    assert "Subject: Down: items" in mails[0]


@our_choice("a policy file must not make a laptop call strangers")
async def test_a_stranger_gets_no_mail_and_no_message() -> None:
    for switches in ({"smtp_address": "192.0.2.1:25"}, {"notification_urls": {"email": "http://192.0.2.1/"}}):
        bench = Workbench(**switches)
        delivery = fired(bench, "email")
        await deliver(bench)
        assert delivery.status == "refused"


@known_from(docs="https://cloud.google.com/monitoring/support/notification-options#pubsub")
def test_a_pubsub_channel_publishes_to_the_emulators_own_topic(receiver: Site) -> None:
    with running_emulator(evaluate_every=0.5) as emulator, httpx.Client(base_url=emulator.http) as http:
        topic = "projects/demo/topics/alerts"
        assert http.put(f"/v1/{topic}", json={}).is_success
        push = {"topic": topic, "pushConfig": {"pushEndpoint": f"http://127.0.0.1:{receiver.port}/"}}
        assert http.put("/v1/projects/demo/subscriptions/push", json=push).is_success
        channel = http.post(
            "/v3/projects/demo/notificationChannels", json={"type": "pubsub", "labels": {"topic": topic}}
        )
        policy = promql_policy("vector(1)") | {"notificationChannels": [channel.json()["name"]]}
        assert http.post("/v3/projects/demo/alertPolicies", json=policy).is_success
        wait_until(lambda: bool(receiver.seen), seconds=30, what="a push of the notification")
        data = json.loads(receiver.seen[0].body)["message"]["data"]
        assert json.loads(base64.b64decode(data))["incident"]["state"] == "open"


@contextlib.contextmanager
def smtp_server() -> Iterator[tuple[int, list[str]]]:
    """As much of RFC 5321 as a client asks that has one mail."""
    mails: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 here\r\n")
            while line := stream.readline():
                command = line[:4].upper()
                if command == b"DATA":
                    stream.write(b"354 go on\r\n")
                    lines: list[bytes] = []
                    while (text := stream.readline()) not in {b".\r\n", b""}:
                        lines.append(text)
                    mails.append(b"".join(lines).decode())
                stream.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
                if command == b"QUIT":
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], mails
        thread.join(30)


@known_from(proto="google/monitoring/v3/notification.proto")
def test_a_number_that_must_be_verified_gets_nothing_before() -> None:
    bench = Workbench(verify_channels=True, notification_urls={"sms": "http://127.0.0.1:1/"})
    delivery = fired(bench, "sms")
    assert (delivery.status, delivery.note) == ("dropped", "the channel is not verified")
    assert bench.clock.now() > NANOS
