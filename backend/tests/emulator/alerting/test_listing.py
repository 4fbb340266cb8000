"""Filters and order of list calls."""

import pytest
from google.cloud.monitoring_v3 import types

from app.emulator.alerting.listing import select
from app.emulator.status import ApiError
from support.provenance import known_from, our_choice

DOCS = "https://cloud.google.com/monitoring/api/v3/sorting-and-filtering"
POLICIES = [
    types.AlertPolicy.pb()(display_name=name, user_labels={"team": team}, notification_channels=[channel])
    for name, team, channel in (("a", "red", "c1"), ("b", "red", "c2"), ("c", "blue", "c1"))
]


def found(filter_: str, order: str = "") -> str:
    return "".join(one.display_name for one in select(POLICIES, filter_, order))


@known_from(docs=DOCS)
@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("", "abc"),
        ('user_labels.team = "red"', "ab"),
        ('user_labels.team = "red" AND notification_channels = "c1"', "a"),
        ('user_labels.team = "red" notification_channels = "c1"', "a"),
        ('display_name = "a" OR display_name = "c"', "ac"),
        ('NOT user_labels.team = "red"', "c"),
        ('-user_labels.team = "red"', "c"),
        # OR binds closer than AND.
        ('notification_channels = "c1" AND display_name = "b" OR display_name = "c"', "c"),
        ('(notification_channels = "c1" AND display_name = "b") OR display_name = "b"', "b"),
        ('NOT (display_name = "a" OR display_name = "b")', "c"),
        ('display_name = starts_with("b")', "b"),
    ],
)
def test_comparisons_are_joined_by_and_or_not_and_parentheses(filter_: str, names: str) -> None:
    assert found(filter_) == names


@known_from(docs=DOCS)
def test_lists_are_ordered_by_fields_up_or_down() -> None:
    assert found("", "-display_name") == "cba"
    assert found("", "user_labels.team, display_name desc") == "cba"


@our_choice("a filter that cannot be read is refused with the column")
@pytest.mark.parametrize(
    "filter_",
    [
        "display_name",
        'display_name = "a" AND',
        '(display_name = "a"',
        'display_name = "a")',
        "OR",
        "(" * 200 + "x",
        'no_field = "x"',
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(filter_: str) -> None:
    with pytest.raises(ApiError, match="Field filter"):
        found(filter_)
