"""Google's own clients, unmodified, and plain REST against the three configuration services of a running emulator."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.alert_policy_service.transports import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.notification_channel_service.transports import (
    NotificationChannelServiceGrpcTransport,
)
from google.cloud.monitoring_v3.services.snooze_service.transports import SnoozeServiceGrpcTransport
from google.cloud.monitoring_v3.services.uptime_check_service.transports import UptimeCheckServiceGrpcTransport
from google.protobuf import field_mask_pb2, json_format

from support.alerting import log_match, promql_policy
from support.emulator import RunningEmulator, running_emulator
from support.provenance import known_from
from support.waiting import wait_until

PROJECT = "projects/demo"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator() as running:
        yield running


@known_from(proto="google/monitoring/v3/alert_service.proto")
def test_a_policy_lives_through_googles_client(emulator: RunningEmulator) -> None:
    with emulator.channel() as channel:
        policies = monitoring_v3.AlertPolicyServiceClient(transport=AlertPolicyServiceGrpcTransport(channel=channel))
        channels = monitoring_v3.NotificationChannelServiceClient(
            transport=NotificationChannelServiceGrpcTransport(channel=channel)
        )
        webhook = channels.create_notification_channel(
            name=PROJECT,
            notification_channel=monitoring_v3.NotificationChannel(
                type_="webhook_tokenauth", labels={"url": "http://127.0.0.1/"}
            ),
        )
        condition = {"display_name": "C", "condition_prometheus_query_language": {"query": "vector(1)"}}
        policy = policies.create_alert_policy(
            name=PROJECT,
            alert_policy=monitoring_v3.AlertPolicy(
                display_name="P", combiner="OR", conditions=[condition], notification_channels=[webhook.name]
            ),
        )
        policy.display_name = "Q"
        updated = policies.update_alert_policy(
            alert_policy=policy, update_mask=field_mask_pb2.FieldMask(paths=["display_name"])
        )
        assert updated.display_name == "Q"
        assert policy.name in [one.name for one in policies.list_alert_policies(name=PROJECT)]
        with pytest.raises(exceptions.InvalidArgument, match="still being referenced"):
            channels.delete_notification_channel(name=webhook.name)
        policies.delete_alert_policy(name=policy.name)
        with pytest.raises(exceptions.NotFound):
            policies.get_alert_policy(name=policy.name)
        channels.delete_notification_channel(name=webhook.name)
        assert "email" in [one.type_ for one in channels.list_notification_channel_descriptors(name=PROJECT)]


@known_from(proto="google/monitoring/v3/uptime_service.proto")
def test_an_uptime_check_lives_through_googles_client(emulator: RunningEmulator) -> None:
    with emulator.channel() as channel:
        checks = monitoring_v3.UptimeCheckServiceClient(transport=UptimeCheckServiceGrpcTransport(channel=channel))
        wanted = monitoring_v3.UptimeCheckConfig(
            display_name="Public",
            monitored_resource={"type": "uptime_url", "labels": {"host": "example.com"}},
            http_check={"use_ssl": True},
        )
        created = checks.create_uptime_check_config(parent=PROJECT, uptime_check_config=wanted)
        assert created.http_check.port == 443
        assert [one.name for one in checks.list_uptime_check_configs(parent=PROJECT)] == [created.name]
        checks.delete_uptime_check_config(name=created.name)


@known_from(proto="google/monitoring/v3/snooze_service.proto")
def test_a_snooze_lives_through_googles_client(emulator: RunningEmulator) -> None:
    with emulator.channel() as channel:
        policies = monitoring_v3.AlertPolicyServiceClient(transport=AlertPolicyServiceGrpcTransport(channel=channel))
        snoozes = monitoring_v3.SnoozeServiceClient(transport=SnoozeServiceGrpcTransport(channel=channel))
        condition = {"display_name": "C", "condition_prometheus_query_language": {"query": "vector(1)"}}
        policy = policies.create_alert_policy(
            name=PROJECT,
            alert_policy=monitoring_v3.AlertPolicy(display_name="S", combiner="OR", conditions=[condition]),
        )
        begin = datetime.now(UTC)
        created = snoozes.create_snooze(
            parent=PROJECT,
            snooze=monitoring_v3.Snooze(
                display_name="Night",
                criteria={"policies": [policy.name]},
                interval={"start_time": begin, "end_time": begin + timedelta(hours=1)},
            ),
        )
        longer = monitoring_v3.Snooze(name=created.name, interval={"end_time": begin + timedelta(hours=2)})
        paths = field_mask_pb2.FieldMask(paths=["interval.end_time"])
        updated = snoozes.update_snooze(snooze=longer, update_mask=paths)
        assert snoozes.get_snooze(name=created.name) == updated
        assert [one.name for one in snoozes.list_snoozes(parent=PROJECT)] == [created.name]
        policies.delete_alert_policy(name=policy.name)
    with httpx.Client(base_url=emulator.http, trust_env=False) as rest:
        (read,) = rest.get(f"/v3/{PROJECT}/snoozes").json()["snoozes"]
        assert read["displayName"] == "Night"


@known_from(proto="google/monitoring/v3/alert.proto")
def test_an_entry_that_is_written_over_the_wire_opens_an_incident_of_a_log_policy(emulator: RunningEmulator) -> None:
    with httpx.Client(base_url=emulator.http, trust_env=False) as rest:
        policy = log_match("textPayload:wire", {"who": "EXTRACT(labels.who)"}) | {"displayName": "On the wire"}
        assert rest.post(f"/v3/{PROJECT}/alertPolicies", json=policy).status_code == 200
        entry = {
            "logName": f"{PROJECT}/logs/test",
            "resource": {"type": "global"},
            "textPayload": "over the wire",
            "labels": {"who": "ann"},
        }
        assert rest.post("/v2/entries:write", json={"entries": [entry]}).status_code == 200

        def found() -> list[Any]:
            alerts = rest.get(f"/v3/{PROJECT}/alerts").json().get("alerts", [])
            return [one for one in alerts if one["policy"]["displayName"] == "On the wire"]

        wait_until(found, what="the incident")
        (alert,) = found()
        assert (alert["state"], alert["log"]) == ("OPEN", {"extractedLabels": {"who": "ann"}})


@known_from(docs="https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies")
def test_both_wires_give_the_same_answer(emulator: RunningEmulator) -> None:
    with httpx.Client(base_url=emulator.http, trust_env=False) as rest:
        created: dict[str, Any] = rest.post(f"/v3/{PROJECT}/alertPolicies", json=promql_policy()).json()
        patched = rest.patch(
            f"/v3/{created['name']}", params={"updateMask": "userLabels,displayName"}, json={"displayName": "R"}
        ).json()
        assert (patched["displayName"], patched.get("userLabels")) == ("R", None)
        with emulator.channel() as channel:
            policies = monitoring_v3.AlertPolicyServiceClient(
                transport=AlertPolicyServiceGrpcTransport(channel=channel)
            )
            policy = policies.get_alert_policy(name=created["name"])
        read = rest.get(f"/v3/{created['name']}").json()
        assert read == patched == json_format.MessageToDict(monitoring_v3.AlertPolicy.pb(policy))
        assert rest.delete(f"/v3/{created['name']}").status_code == 200
        missing = rest.get(f"/v3/{created['name']}")
        assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
