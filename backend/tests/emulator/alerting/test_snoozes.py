"""SnoozeService: what it keeps and refuses, and what a snooze does."""

from typing import Any

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.messages import Snooze
from app.emulator.clock import NANOS
from app.emulator.status import ApiError, Code
from support.alerting import METRIC, PROJECT, RESOURCE, Journalled, Workbench, alerts_of, promql_policy, threshold
from support.provenance import known_from

PROTO = "google/monitoring/v3/snooze.proto"
SERVICE = "google/monitoring/v3/snooze_service.proto"
DOCS = "https://cloud.google.com/monitoring/alerts/snooze"


def snooze_of(bench: Workbench, *policies: str, start: float = 0, end: float = 3600, filter_: str = "") -> Any:
    snooze = Snooze(display_name="Maintenance", criteria={"policies": policies, "filter": filter_})
    snooze.interval.start_time.FromNanoseconds(bench.clock.now() + round(start * NANOS))
    snooze.interval.end_time.FromNanoseconds(bench.clock.now() + round(end * NANOS))
    return snooze


def create(bench: Workbench, snooze: Any) -> Any:
    return bench.snoozes.create_snooze(types.CreateSnoozeRequest.pb()(parent=PROJECT, snooze=snooze))


def listed(bench: Workbench, filter_: str = "") -> list[Any]:
    answer = bench.snoozes.list_snoozes(types.ListSnoozesRequest.pb()(parent=PROJECT, filter=filter_))
    return list(answer.snoozes)


def update(bench: Workbench, snooze: Any, *paths: str) -> Any:
    request = types.UpdateSnoozeRequest.pb()(snooze=snooze)
    request.update_mask.paths.extend(paths)
    return bench.snoozes.update_snooze(request)


@known_from(proto=PROTO)
def test_a_snooze_is_named_kept_and_listed() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    made = create(bench, snooze_of(bench, policy.name))
    assert made.name.startswith(f"{PROJECT}/snoozes/")
    assert bench.snoozes.get_snooze(types.GetSnoozeRequest.pb()(name=made.name)) == made
    assert listed(bench) == [made]
    later = 'interval.start_time > "2030-01-01T00:00:00Z"'
    assert listed(bench, later) == []
    assert listed(bench, 'interval.start_time < "2030-01-01T00:00:00Z" AND interval.end_time > "2000-01-01T00:00:00Z"')


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"start": -16}, Code.INVALID_ARGUMENT, "in the past"),
        ({"end": -1}, Code.INVALID_ARGUMENT, "later than the start"),
        ({"filter_": "resource.labels.zone"}, Code.INVALID_ARGUMENT, "cannot be read from column 1"),
        ({"filter_": 'resource.labels.a="1" OR resource.labels.b="2"'}, Code.INVALID_ARGUMENT, "from column 23"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], code: Code, why: str) -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    with pytest.raises(ApiError, match=why) as caught:
        create(bench, snooze_of(bench, policy.name, **change))
    assert caught.value.code == code
    assert not listed(bench)


@known_from(proto=PROTO)
def test_a_snooze_begins_at_most_15_seconds_ago() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    assert create(bench, snooze_of(bench, policy.name, start=-15))


@known_from(proto=PROTO)
def test_policies_are_one_to_sixteen_that_exist_and_one_with_a_filter() -> None:
    bench = Workbench()
    names = [bench.create(promql_policy()).name for _ in range(17)]
    assert create(bench, snooze_of(bench, *names[:16]))
    for wrong, why in (
        (snooze_of(bench), "criteria.policies"),
        (snooze_of(bench, *names), "up to 16"),
        (snooze_of(bench, *names[:2], filter_='resource.labels.zone="z"'), "exactly one"),
        (snooze_of(bench, f"{PROJECT}/alertPolicies/1"), "Could not find"),
    ):
        with pytest.raises(ApiError, match=why):
            create(bench, wrong)


@known_from(proto=SERVICE)
def test_what_can_be_updated_depends_on_the_time() -> None:
    bench = Workbench()
    policy = bench.create(promql_policy())
    made = create(bench, snooze_of(bench, policy.name, start=100, end=200))
    wanted = snooze_of(bench, policy.name, start=50, end=300)
    wanted.name, wanted.display_name = made.name, "Longer"
    before = update(bench, wanted, "display_name", "interval.start_time", "interval.end_time")
    assert (before.display_name, before.interval) == ("Longer", wanted.interval)
    bench.clock.advance(60)
    with pytest.raises(ApiError, match=r"interval.start_time cannot be updated of a snooze that has begun"):
        update(bench, wanted, "interval.start_time")
    with pytest.raises(ApiError, match="criteria cannot be updated"):
        update(bench, wanted, "criteria")
    wanted.interval.end_time.FromNanoseconds(bench.clock.now() + NANOS)
    assert update(bench, wanted, "interval.end_time").interval.end_time == wanted.interval.end_time
    bench.clock.advance(2)
    with pytest.raises(ApiError, match="has ended"):
        update(bench, wanted, "display_name")


@known_from(docs=DOCS)
def test_a_snooze_closes_what_is_open_in_silence_and_lets_it_open_again_afterwards() -> None:
    tester = alerts_of(threshold())
    tester.write(METRIC, "9x120", kind="gauge", resource=RESOURCE)
    tester.snooze("Policy", delay="10m", duration="30m")
    tester.clock.advance("9m")
    tester.assert_open("Policy")
    tester.clock.advance("20m")
    tester.assert_pending("Policy")
    tester.clock.advance("15m")
    tester.assert_open("Policy")
    assert [(one.event, one.at / 60) for one in tester.told("Policy")] == [("opened", 0), ("opened", 40)]
    assert tester.incidents("Policy")[1].close_reason == "the policy was snoozed"


@known_from(proto=PROTO)
def test_a_filter_snoozes_only_what_has_its_labels() -> None:
    tester = alerts_of(threshold())
    for number in ("1", "2"):
        tester.write(METRIC, "9x120", kind="gauge", resource=RESOURCE | {"instance_id": number})
    wanted = 'resource.labels.instance_id="1" AND resource.labels.zone="us-central1-a"'
    tester.snooze("Policy", duration="30m", filter=wanted)
    tester.clock.advance("5m")
    tester.assert_pending("Policy", instance_id="1")
    tester.assert_open("Policy", instance_id="2")


def test_a_snooze_outlives_a_restart() -> None:
    journal = Journalled()
    bench = Workbench(journal=journal)
    policy = bench.create(promql_policy())
    create(bench, snooze_of(bench, policy.name))
    again = Workbench()
    assert [again.snoozes.restore(kind, record) for kind, record in journal.kept] == [False, True]
    assert listed(again) == listed(bench)
    assert again.snoozes.is_snoozed(policy.name, {}, bench.clock.now())
    assert not again.snoozes.is_snoozed(policy.name, {}, bench.clock.now() + 3600 * NANOS)
