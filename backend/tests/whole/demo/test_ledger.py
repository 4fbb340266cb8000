"""What was sent against what arrived, and what is drawn from dice."""

import random
from collections import Counter

from demo.ledger_check import compare
from demo.traffic import ITEMS, ORDINARY, Ledger, draw, visitor

ROWS = Counter({("normal", ITEMS, "GET", 200): 5, ("flood", ITEMS, "GET", 200): 2, ("flood", ITEMS, "GET", 429): 9})


def test_what_arrived_as_it_was_sent_is_equal():
    found = compare(Ledger(ROWS), {(ITEMS, "GET", 200): 7, (ITEMS, "GET", 429): 9}, {"normal": 5, "flood": 11})
    assert not found.differences
    assert str(found) == "requests answered 16, counted by metrics 16, access entries 16: equal"


def test_one_request_too_few_is_named():
    found = compare(Ledger(ROWS), {(ITEMS, "GET", 200): 6, (ITEMS, "GET", 429): 9}, {"normal": 5, "flood": 11})
    assert found.differences == ("/api/v1/items GET 200: sent 7, counted 6",)
    assert str(found).endswith("NOT equal")


def test_a_request_that_nobody_sent_is_named():
    counted = {(ITEMS, "GET", 200): 7, (ITEMS, "GET", 429): 9, ("/other", "GET", 200): 1}
    found = compare(Ledger(ROWS), counted, {"normal": 5, "flood": 11})
    assert found.differences == ("/other GET 200: sent 0, counted 1",)


def test_an_entry_of_the_wrong_story_is_named():
    found = compare(Ledger(ROWS), {(ITEMS, "GET", 200): 7, (ITEMS, "GET", 429): 9}, {"normal": 6, "flood": 10})
    assert found.differences == (
        "story flood: sent 11, access entries 10",
        "story normal: sent 5, access entries 6",
    )


def test_refused_requests_are_compared_without_the_route_that_they_never_had():
    found = compare(Ledger(ROWS), {(ITEMS, "GET", 200): 7, ("_unmatched", "GET", 429): 9}, {"normal": 5, "flood": 11})
    assert not found.differences
    lost = compare(Ledger(ROWS), {(ITEMS, "GET", 200): 7, ("_unmatched", "GET", 429): 8}, {"normal": 5, "flood": 11})
    assert lost.differences == ("any route GET 429: sent 9, counted 8",)


def test_requests_without_an_answer_are_told():
    found = compare(Ledger(ROWS, unanswered=2), {(ITEMS, "GET", 200): 7, (ITEMS, "GET", 429): 9}, {})
    assert "; 2 had no answer" in str(found)


def test_statuses_are_those_of_one_story_or_of_all():
    ledger = Ledger(ROWS, unanswered=1)
    assert ledger.statuses("flood") == {200: 2, 429: 9}
    assert ledger.statuses() == {200: 7, 429: 9}
    assert ledger.sent == 17


def test_the_same_seed_draws_the_same_requests():
    def drawn(seed: int) -> list[object]:
        dice = random.Random(seed)
        return [(draw(ORDINARY, dice, [1, 2, 3]), visitor(dice)) for _ in range(50)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
