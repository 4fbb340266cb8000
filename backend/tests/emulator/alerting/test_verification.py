"""Verification codes of notification channels, through Google's own client."""

from collections.abc import Iterator

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.notification_channel_service.transports import (
    NotificationChannelServiceGrpcTransport,
)

from app.emulator.clock import NANOS, ManualClock
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from

PROTO = "google/monitoring/v3/notification_service.proto"
PROJECT = "projects/demo"
Client = monitoring_v3.NotificationChannelServiceClient
Status = monitoring_v3.NotificationChannel.VerificationStatus


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(clock=ManualClock(1_760_000_000 * NANOS)) as running:
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    with emulator.channel() as channel:
        yield Client(transport=NotificationChannelServiceGrpcTransport(channel=channel))


def made(client: Client, number: str = "+15550100", kind: str = "sms") -> monitoring_v3.NotificationChannel:
    labels = {"number": number} if kind == "sms" else {"url": "http://127.0.0.1/"}
    channel = monitoring_v3.NotificationChannel(type_=kind, labels=labels)
    return client.create_notification_channel(name=PROJECT, notification_channel=channel)


def sent(emulator: RunningEmulator) -> str:
    code: str = httpx.get(f"{emulator.http}/emulator/v1/verificationCodes").json()["verificationCodes"][-1]["code"]
    return code


@known_from(proto=PROTO)
def test_the_code_that_was_sent_verifies_the_channel(client: Client, emulator: RunningEmulator) -> None:
    channel = made(client)
    client.send_notification_channel_verification_code(name=channel.name)
    with pytest.raises(exceptions.InvalidArgument, match="verification code"):
        client.verify_notification_channel(name=channel.name, code="G-not-it")
    verified = client.verify_notification_channel(name=channel.name, code=sent(emulator))
    assert verified.verification_status == Status.VERIFIED
    assert client.get_notification_channel(name=channel.name).verification_status == Status.VERIFIED


@known_from(proto=PROTO)
def test_a_verified_channel_gives_a_code_for_others_with_its_address(client: Client, emulator: RunningEmulator) -> None:
    first, same, other = made(client), made(client), made(client, "+15550199")
    with pytest.raises(exceptions.FailedPrecondition, match="not verified"):
        client.get_notification_channel_verification_code(name=first.name)
    client.send_notification_channel_verification_code(name=first.name)
    client.verify_notification_channel(name=first.name, code=sent(emulator))
    answer = client.get_notification_channel_verification_code(name=first.name)
    with pytest.raises(exceptions.InvalidArgument):
        client.verify_notification_channel(name=other.name, code=answer.code)
    assert client.verify_notification_channel(name=same.name, code=answer.code).verification_status == Status.VERIFIED


@known_from(proto=PROTO)
def test_a_code_ends_when_it_was_asked_to(client: Client, emulator: RunningEmulator) -> None:
    first = made(client)
    client.send_notification_channel_verification_code(name=first.name)
    client.verify_notification_channel(name=first.name, code=sent(emulator))
    clock = emulator.emulator.context.clock
    assert isinstance(clock, ManualClock)
    wanted = {"name": first.name, "expire_time": {"seconds": clock.now() // NANOS + 600}}
    answer = client.get_notification_channel_verification_code(request=wanted)
    clock.advance(601)
    with pytest.raises(exceptions.InvalidArgument, match="expired"):
        client.verify_notification_channel(name=first.name, code=answer.code)


@known_from(proto=PROTO)
def test_a_new_address_has_to_be_verified_again(client: Client, emulator: RunningEmulator) -> None:
    channel = made(client)
    client.send_notification_channel_verification_code(name=channel.name)
    verified = client.verify_notification_channel(name=channel.name, code=sent(emulator))
    verified.display_name = "on call"
    kept = client.update_notification_channel(notification_channel=verified)
    assert (kept.display_name, kept.verification_status) == ("on call", Status.VERIFIED)
    verified.labels["number"] = "+15550199"
    assert client.update_notification_channel(notification_channel=verified).verification_status == 0


@known_from(proto=PROTO)
def test_channels_without_an_address_to_prove_have_no_codes(client: Client) -> None:
    webhook = made(client, kind="webhook_tokenauth")
    with pytest.raises(exceptions.FailedPrecondition, match="not verified by a code"):
        client.send_notification_channel_verification_code(name=webhook.name)
