"""The configuration services: what the server fills in, masks, keeps and refuses."""

from typing import Any

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.messages import NotificationChannel
from app.emulator.alerting.service import AlertPolicyService, NotificationChannelService
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from support.alerting import PROJECT, Journalled, Workbench, promql_policy
from support.provenance import known_from, our_choice

POLICIES = "google/monitoring/v3/alert_service.proto"
CHANNELS = "google/monitoring/v3/notification_service.proto"


def listed(bench: Workbench, **query: Any) -> list[str]:
    answer = bench.policies.list_alert_policies(types.ListAlertPoliciesRequest.pb()(name=PROJECT, **query))
    return [policy.display_name for policy in answer.alert_policies]


@known_from(proto=POLICIES)
def test_the_server_names_policy_and_conditions_and_records_the_mutation() -> None:
    policy = Workbench().create(promql_policy())
    assert policy.name.startswith(f"{PROJECT}/alertPolicies/")
    assert policy.conditions[0].name.startswith(f"{policy.name}/conditions/")
    assert policy.enabled.value
    assert policy.creation_record.mutate_time.seconds == 1_700_000_000
    assert policy.mutation_record.mutated_by


@known_from(proto=POLICIES)
def test_a_mask_changes_only_what_it_names() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy() | {"documentation": {"content": "old", "subject": "kept"}})
    wanted = type(policy)(name=policy.name, display_name="ignored")
    wanted.documentation.content = "new"
    wanted.user_labels["team"] = "other"
    bench.clock.advance(60)
    updated = bench.update(wanted, "documentation.content", "user_labels.team", "creation_record")
    assert updated.display_name == "Policy"
    assert (updated.documentation.content, updated.documentation.subject) == ("new", "kept")
    assert dict(updated.user_labels) == {"team": "other"}
    assert updated.conditions[0].name == policy.conditions[0].name
    assert updated.creation_record == policy.creation_record
    assert updated.mutation_record.mutate_time.seconds == policy.mutation_record.mutate_time.seconds + 60


@known_from(proto=POLICIES)
def test_without_a_mask_the_policy_is_replaced_and_named_conditions_keep_their_ids() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    wanted = type(policy)()
    wanted.CopyFrom(policy)
    wanted.ClearField("user_labels")
    wanted.conditions[0].condition_prometheus_query_language.query = "m > 2"
    kept = bench.update(wanted)
    assert kept.conditions[0].name == policy.conditions[0].name
    assert not kept.user_labels
    wanted.conditions[0].name = ""
    assert bench.update(wanted).conditions[0].name != policy.conditions[0].name


@known_from(proto=POLICIES)
def test_an_unknown_field_in_a_mask_is_refused() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    with pytest.raises(ApiError, match="has no field displayNam"):
        bench.update(policy, "displayNam")


@known_from(proto=POLICIES)
def test_a_refused_update_changes_nothing() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    broken = type(policy)()
    broken.CopyFrom(policy)
    broken.conditions[0].condition_prometheus_query_language.query = "m >"
    with pytest.raises(ApiError):
        bench.update(broken)
    assert bench.policies.policies() == [policy]


@known_from(docs="https://cloud.google.com/monitoring/api/v3/sorting-and-filtering")
def test_lists_filter_order_and_page() -> None:
    bench = Workbench()
    for name, team in (("b", "x"), ("a", "x"), ("c", "y")):
        bench.create(promql_policy() | {"displayName": name, "userLabels": {"team": team}})
    assert listed(bench) == ["b", "a", "c"]
    assert listed(bench, filter='user_labels.team="x"', order_by="display_name") == ["a", "b"]
    assert listed(bench, filter='display_name = starts_with("c")') == ["c"]
    assert listed(bench, filter='user_labels.team="x" AND display_name!="a"') == ["b"]
    assert listed(bench, order_by="-display_name") == ["c", "b", "a"]
    assert listed(bench, filter="enabled=true", page_size=1) == ["b"]
    assert listed(bench, page_size=2, page_token="2") == ["c"]
    with pytest.raises(ApiError, match="cannot be read"):
        listed(bench, filter='display_name="a" XOR display_name="b"')


@known_from(proto=POLICIES)
def test_the_project_may_be_spelled_by_its_number_and_another_project_is_not_found() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    get = types.GetAlertPolicyRequest.pb()
    identifier = policy.name.rpartition("/")[2]
    by_number = f"projects/{bench.context.project_number}/alertPolicies/{identifier}"
    assert bench.policies.get_alert_policy(get(name=by_number)) == policy
    for name in (f"projects/other/alertPolicies/{identifier}", f"{PROJECT}/alertPolicies/1"):
        with pytest.raises(ApiError) as caught:
            bench.policies.get_alert_policy(get(name=name))
        assert caught.value.code is Code.NOT_FOUND


@known_from(proto="google/monitoring/v3/notification.proto")
def test_secrets_of_a_channel_come_back_as_stars_and_survive_being_written_back() -> None:
    bench = Workbench()
    channel = bench.channel("webhook_basicauth", url="http://127.0.0.1/x", username="u", password="secret")
    assert channel.labels["password"] == "********"
    assert bench.stored(channel).labels["password"] == "secret"
    channel.display_name = "renamed"
    request = types.UpdateNotificationChannelRequest.pb()(notification_channel=channel)
    assert bench.channels.update_notification_channel(request).labels["password"] == "********"
    stored = bench.stored(channel)
    assert (stored.labels["password"], stored.display_name) == ("secret", "renamed")


@known_from(proto=CHANNELS)
@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("carrier_pigeon", {}, "must be one of"),
        ("email", {}, "missing field"),
        ("email", {"email_address": "a@example.com", "colour": "red"}, "no such label"),
        ("webhook_tokenauth", {"url": "file:///etc/passwd"}, "http or https"),
    ],
)
def test_a_channel_has_the_labels_of_its_type(kind: str, labels: dict[str, str], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        Workbench().channel(kind, **labels)


@known_from(proto="google/monitoring/v3/notification.proto")
def test_the_verification_status_of_a_channel_cannot_be_set() -> None:
    channel = NotificationChannel(type_="email", labels={"email_address": "a@example.com"}, verification_status=2)
    request = types.CreateNotificationChannelRequest.pb()(name=PROJECT, notification_channel=channel)
    bench = Workbench()
    with pytest.raises(ApiError, match="verification_status"):
        bench.channels.create_notification_channel(request)
    existing = bench.channel("email", email_address="a@example.com")
    existing.verification_status = 2
    for paths in (["verification_status"], []):
        update = types.UpdateNotificationChannelRequest.pb()(notification_channel=existing)
        update.update_mask.paths.extend(paths)
        with pytest.raises(ApiError, match="verification_status"):
            bench.channels.update_notification_channel(update)


@known_from(issue="hashicorp/terraform-provider-google#3008")
def test_a_channel_that_a_policy_names_is_deleted_only_by_force() -> None:
    bench = Workbench()
    channel = bench.channel(url="http://127.0.0.1/x")
    bench.create(promql_policy() | {"notificationChannels": [channel.name]})
    delete = types.DeleteNotificationChannelRequest.pb()
    with pytest.raises(ApiError, match="still being referenced by"):
        bench.channels.delete_notification_channel(delete(name=channel.name))
    bench.channels.delete_notification_channel(delete(name=channel.name, force=True))
    assert bench.channels.channel(channel.name) is None


@known_from(proto=CHANNELS)
def test_channel_descriptors_name_the_labels_of_each_type() -> None:
    channels = NotificationChannelService(Context())
    answer = channels.list_notification_channel_descriptors(
        types.ListNotificationChannelDescriptorsRequest.pb()(name=PROJECT)
    )
    by_type = {one.type_: [label.key for label in one.labels] for one in answer.channel_descriptors}
    assert by_type["webhook_basicauth"] == ["url", "username", "password"]
    get = types.GetNotificationChannelDescriptorRequest.pb()
    name = f"{PROJECT}/notificationChannelDescriptors/slack"
    assert channels.get_notification_channel_descriptor(get(name=name)).name == name
    with pytest.raises(ApiError, match="Could not find"):
        channels.get_notification_channel_descriptor(get(name=name + "s"))


@our_choice("what was acknowledged survives kill -9")
def test_everything_comes_back_from_the_journal() -> None:
    journal = Journalled()
    bench = Workbench(journal=journal)
    kept, gone = bench.create(promql_policy()), bench.create(promql_policy())
    bench.delete(gone)
    channel = bench.channel("webhook_basicauth", url="http://127.0.0.1/x", username="u", password="secret")

    again = Workbench()
    for kind, record in journal.kept:
        assert sum(part.restore(kind, record) for part in (again.policies, again.channels)) == 1
    assert again.policies.policies() == [kept]
    assert again.stored(channel).labels["password"] == "secret"


def test_without_channels_and_metrics_a_service_checks_neither() -> None:
    service = AlertPolicyService(Context())
    assert service.policies() == []
