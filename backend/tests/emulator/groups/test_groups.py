"""Groups through Google's own client: their tree, their members, their refusals."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.group_service.transports import GroupServiceGrpcTransport

from app.emulator.clock import NANOS, ManualClock
from app.emulator.groups.service import GroupService
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context
from support.alerting import Journalled
from support.emulator import RunningEmulator, running_emulator
from support.monitoring import GAUGE, START, create, moment, one
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/v3/group_service.proto"
GROUP = "google/monitoring/v3/group.proto"
PROJECT = "projects/demo"
Client = monitoring_v3.GroupServiceClient
VMS = 'resource.type = "gce_instance"'


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(clock=ManualClock(START * NANOS)) as running:
        yield running


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    with emulator.channel() as channel:
        yield Client(transport=GroupServiceGrpcTransport(channel=channel))


def made(client: Client, filter_: str = VMS, **fields: Any) -> monitoring_v3.Group:
    group = monitoring_v3.Group({"display_name": "Group", "filter": filter_, **fields})
    return client.create_group(name=PROJECT, group=group)


def write(emulator: RunningEmulator, *instances: tuple[str, str], at: float = 0) -> None:
    """Points of instances in zones."""
    series = [
        one(1, at, resource={"type": "gce_instance", "labels": {"instance_id": identifier, "zone": zone}})
        for identifier, zone in instances
    ]
    emulator.call(lambda: emulator.emulator.parts.metrics.create_time_series(create(*series)))


@known_from(proto=PROTO)
def test_a_group_lives_through_googles_client(client: Client) -> None:
    group = made(client)
    assert group.name.startswith(f"{PROJECT}/groups/")
    group.display_name = "VMs"
    assert client.update_group(group=group).display_name == "VMs"
    assert client.get_group(name=group.name).display_name == "VMs"
    assert [one.name for one in client.list_groups(name=PROJECT)] == [group.name]
    client.delete_group(name=group.name)
    with pytest.raises(exceptions.NotFound):
        client.get_group(name=group.name)


@known_from(proto=PROTO)
def test_validate_only_keeps_nothing(client: Client) -> None:
    group = monitoring_v3.Group(display_name="Group", filter=VMS)
    client.create_group(request={"name": PROJECT, "group": group, "validate_only": True})
    assert list(client.list_groups(name=PROJECT)) == []


@known_from(proto=PROTO)
def test_children_ancestors_and_descendants_are_listed(client: Client) -> None:
    top = made(client)
    middle = made(client, parent_name=top.name)
    bottom = made(client, parent_name=middle.name)

    def names(**which: str) -> list[str]:
        return [one.name for one in client.list_groups(request={"name": PROJECT, **which})]

    assert names(children_of_group=top.name) == [middle.name]
    assert names(ancestors_of_group=bottom.name) == [middle.name, top.name]
    assert names(descendants_of_group=top.name) == [middle.name, bottom.name]
    with pytest.raises(exceptions.FailedPrecondition, match="descendants"):
        client.delete_group(name=top.name)
    client.delete_group(request={"name": top.name, "recursive": True})
    assert names() == []


@known_from(proto=GROUP)
def test_members_pass_the_filters_of_the_group_and_of_its_parents(client: Client, emulator: RunningEmulator) -> None:
    write(emulator, ("1", "us-central1-a"), ("2", "us-central1-a"), ("3", "europe-west1-b"))
    parent = made(client, f'{VMS} AND resource.labels.zone = starts_with("us-")')
    child = made(client, 'resource.labels.instance_id = one_of("1", "3")', parent_name=parent.name)

    def members(group: monitoring_v3.Group, **more: Any) -> list[str]:
        found = client.list_group_members(request={"name": group.name, **more})
        return [one.labels["instance_id"] for one in found]

    assert members(parent) == ["1", "2"]
    assert members(child) == ["1"]
    assert members(parent, filter='resource.labels.instance_id = "2"') == ["2"]
    assert members(parent, page_size=1) == ["1", "2"]
    assert client.list_group_members(name=parent.name).total_size == 2


@known_from(proto=PROTO)
def test_members_of_an_interval_are_those_that_wrote_in_it(client: Client, emulator: RunningEmulator) -> None:
    write(emulator, ("early", "us-central1-a"))
    clock = emulator.emulator.context.clock
    assert isinstance(clock, ManualClock)
    clock.advance(3600)
    write(emulator, ("late", "us-central1-a"), at=3600)
    group = made(client)
    interval = {"start_time": {"seconds": START + 60}, "end_time": {"seconds": START + 3600}}
    found = client.list_group_members(request={"name": group.name, "interval": interval})
    assert [one.labels["instance_id"] for one in found] == ["late"]
    with pytest.raises(exceptions.InvalidArgument, match="endTime"):
        client.list_group_members(request={"name": group.name, "interval": {"start_time": {"seconds": START}}})
    assert moment(0)


@known_from(docs="https://cloud.google.com/monitoring/api/v3/filters")
def test_time_series_and_policies_are_filtered_by_group(client: Client, emulator: RunningEmulator) -> None:
    write(emulator, ("1", "us-central1-a"), ("2", "europe-west1-b"))
    group = made(client, 'resource.labels.zone = starts_with("us-")').name.rpartition("/")[2]
    filter_ = f'metric.type = "{GAUGE}" AND {VMS} AND group.id = "{group}"'
    with httpx.Client(base_url=emulator.http, timeout=30) as http:
        query = {"filter": filter_, "interval.startTime": moment(-60), "interval.endTime": moment(0)}
        answer = http.get("/v3/projects/demo/timeSeries", params=query).json()
        assert [one["resource"]["labels"]["instance_id"] for one in answer["timeSeries"]] == ["1"]
        missing = http.get("/v3/projects/demo/timeSeries", params=query | {"filter": filter_.replace(group, "1")})
        assert missing.status_code == 404
        steps = [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}]
        body = {
            "filter": filter_, "comparison": "COMPARISON_GT", "thresholdValue": 0, "duration": "0s",
            "aggregations": steps,
        }  # fmt: skip
        policy = {
            "displayName": "P",
            "combiner": "OR",
            "conditions": [{"displayName": "C", "conditionThreshold": body}],
        }
        created = http.post("/v3/projects/demo/alertPolicies", json=policy)
        assert created.is_success, created.text
        assert http.post("/control/clock/advance", json={"seconds": 30, "step": 10}).is_success
        alerts = http.get("/v3/projects/demo/alerts").json()["alerts"]
        assert [one["resource"]["labels"]["instance_id"] for one in alerts] == ["1"]


@known_from(proto=GROUP)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"display_name": ""}, "display_name"),
        ({"filter": ""}, "group.filter"),
        ({"filter": "resource.type ="}, "group.filter"),
        ({"filter": 'metric.type = "custom.googleapis.com/x"'}, "monitored resources"),
        ({"name": f"{PROJECT}/groups/1"}, "must not be set"),
    ],
)
def test_a_group_that_is_none_is_refused(client: Client, fields: dict[str, str], message: str) -> None:
    group = monitoring_v3.Group({"display_name": "Group", "filter": VMS, **fields})
    with pytest.raises(exceptions.InvalidArgument, match=message):
        client.create_group(name=PROJECT, group=group)


@our_choice("a tree that bites its tail has no members anybody could tell")
def test_a_group_is_never_inside_itself(client: Client) -> None:
    top = made(client)
    below = made(client, parent_name=top.name)
    top.parent_name = below.name
    with pytest.raises(exceptions.InvalidArgument, match="inside itself"):
        client.update_group(group=top)
    with pytest.raises(exceptions.NotFound):
        made(client, parent_name=f"{PROJECT}/groups/1")


@our_choice("what was acknowledged survives kill -9")
def test_groups_come_back_from_the_journal() -> None:
    journal = Journalled()
    service = GroupService(Context(journal=journal), MetricStore())
    wanted = monitoring_v3.CreateGroupRequest.pb()(name=PROJECT)
    wanted.group.display_name, wanted.group.filter = "Group", VMS
    kept = service.create_group(wanted)
    restored = GroupService(Context(), MetricStore())
    for kind, record in journal.kept:
        restored.restore(kind, record)
    assert restored.get_group(monitoring_v3.GetGroupRequest.pb()(name=kept.name)) == kept
