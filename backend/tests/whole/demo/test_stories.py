"""The stories as data: which are played, how long each has, and what has to happen."""

import pytest

from demo.acts import ACTS
from demo.line import POLICIES
from demo.shortened import PENDING
from demo.stories import STORIES, ChoiceError, Incident, Part, Seen, Story, chosen, listing, missing, opened_at, plan
from tools.reference_pages import ROOT

BY_NAME = {story.name: story for story in STORIES}
FIRST = Story("first", "First", "It begins.", "Overview", "", seconds=10, most=30, opens=("one",))
SECOND = Story("second", "Second", "It goes on.", "Overview", "", seconds=20, most=60)
THIRD = Story("third", "Third", "It ends.", "Overview", "", seconds=30, most=90, closes=("one",), healthy=10)
OPEN = Incident("one", opened=105.0)
CLOSED = Incident("one", opened=105.0, closed=120.0)


def test_all_stories_are_played_in_the_order_of_the_telling():
    names = [story.name for story in chosen("")]
    assert names == ["normal", "brute_force", "flood", "slow_database", "bad_deploy", "recovery"]


def test_one_story_is_played_alone():
    assert chosen("flood") == (BY_NAME["flood"],)


def test_recovery_is_played_behind_what_it_recovers_from():
    assert [story.name for story in chosen("recovery")] == ["slow_database", "recovery"]


def test_an_unknown_story_is_refused_with_the_list():
    with pytest.raises(ChoiceError, match=r"no story tsunami\. There are: normal, brute_force, flood, slow_"):
        chosen("tsunami")


def test_the_list_has_every_story_with_its_alerts():
    told = listing()
    for story in STORIES:
        assert story.name in told
        assert all(policy in told for policy in story.opens)


def test_without_a_limit_each_story_has_its_own():
    assert plan([FIRST, SECOND, THIRD], None) == [Part(FIRST, 30), Part(SECOND, 90), Part(THIRD, 180)]


def test_with_a_limit_as_many_are_played_as_fit_and_the_rest_is_slack():
    assert plan([FIRST, SECOND, THIRD], 45) == [Part(FIRST, 25), Part(SECOND, 45)]
    assert plan([FIRST, SECOND, THIRD], 60) == [Part(FIRST, 10), Part(SECOND, 30), Part(THIRD, 60)]


def test_a_limit_that_is_too_short_for_an_alert_is_refused():
    with pytest.raises(ChoiceError, match="25 s are too short: normal and brute_force take about 30 s"):
        plan(chosen(""), 25)
    with pytest.raises(ChoiceError, match="5 s are too short: flood take"):
        plan(chosen("flood"), 5)
    with pytest.raises(ChoiceError, match="slow_database and recovery"):
        plan(chosen("recovery"), 50)


def test_the_gate_s_ninety_seconds_hold_two_alerts():
    parts = plan(chosen(""), 90)
    assert [part.story.name for part in parts] == ["normal", "brute_force", "flood"]
    assert parts[-1].until == 90


def test_all_six_usually_take_about_three_minutes():
    assert 120 <= sum(story.seconds for story in STORIES) <= 200


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_is_about_policies_dashboards_and_runbooks_that_exist(story):
    monitoring = ROOT / "terraform" / "monitoring"
    assert story.name in ACTS
    for policy in (*story.opens, *story.closes):
        assert policy in POLICIES
        assert (monitoring / "policies" / f"{policy}.yaml.tftpl").is_file()
        assert (ROOT / "docs" / "runbooks" / f"{policy}.md").is_file()
    titles = [file.read_text() for file in (monitoring / "dashboards").glob("*.tftpl")]
    assert sum(f'"displayName": "{story.dashboard} of ' in text for text in titles) == 1


def test_every_shortened_policy_is_applied_and_raised_by_a_story():
    assert set(PENDING) <= set(POLICIES)
    assert {policy for story in STORIES for policy in story.opens} == set(POLICIES)


def test_an_alert_counts_when_it_opened_in_the_story_and_was_told():
    began = Seen(began=100.0)
    assert missing(FIRST, began) == ["the alert one", "the notification of one"]
    told = Seen(began=100.0, incidents=(OPEN,), told=frozenset({("one", "open")}))
    assert missing(FIRST, told) == []
    assert missing(FIRST, Seen(began=100.0, incidents=(OPEN,))) == ["the notification of one"]


def test_an_alert_that_was_open_before_is_none_of_the_story_s():
    seen = Seen(began=110.0, incidents=(OPEN,), told=frozenset({("one", "open")}))
    assert missing(FIRST, seen) == ["the alert one"]
    assert opened_at("one", seen) is None


def test_an_alert_that_has_closed_again_has_opened():
    seen = Seen(began=100.0, incidents=(CLOSED,), told=frozenset({("one", "open"), ("one", "closed")}))
    assert missing(FIRST, seen) == []


def test_recovery_wants_the_end_told_and_no_failure():
    healthy = {200: 9, 404: 1}
    ended = frozenset({("one", "open"), ("one", "closed")})
    assert missing(THIRD, Seen(100.0, incidents=(CLOSED,), told=ended, statuses=healthy)) == []
    assert missing(THIRD, Seen(100.0, incidents=(OPEN,), told=ended, statuses=healthy)) == ["the end of the alert one"]
    assert missing(THIRD, Seen(100.0, told=ended, statuses=healthy)) == ["the end of the alert one"]
    reopened = (CLOSED, Incident("one", opened=130.0))
    assert missing(THIRD, Seen(100.0, incidents=reopened, told=ended, statuses=healthy)) == ["the end of the alert one"]
    assert missing(THIRD, Seen(100.0, incidents=(CLOSED,), told=ended, statuses={200: 3})) == ["10 answers"]
    failed = missing(THIRD, Seen(100.0, incidents=(CLOSED,), told=ended, statuses={200: 9, 503: 1}))
    assert failed == ["answers without 5xx (1 failed)"]


def test_normal_traffic_has_to_arrive():
    statuses = {200: 100}
    arrived = missing(BY_NAME["normal"], Seen(100.0, statuses=statuses))
    assert arrived == ["metrics in the emulator", "access entries in the emulator"]
    assert missing(BY_NAME["normal"], Seen(100.0, series=3, entries=1, statuses=statuses)) == []
