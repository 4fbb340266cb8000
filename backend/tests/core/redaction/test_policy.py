import copy
import dataclasses
import datetime as dt
import uuid
from enum import Enum
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from app.core.redaction import MASK, RULES, Redaction
from support.provenance import our_choice

RANDOM = "7f3a9c0d2b41e5a6"


class Colour(Enum):
    RED = "ada@example.com"


@dataclasses.dataclass
class User:
    name: str
    password: str


class Account(BaseModel):
    name: str
    api_key: str
    pin: SecretStr = SecretStr("1234")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _cycle():
    ring: dict[str, object] = {"n": 1}
    ring["ring"] = [ring]
    return ring


def test_values_beneath_secret_keys_are_masked_at_any_depth():
    fields = {
        "user": {"password": "a", "n": 1, "tags": ["x", {"apiKey": {"nested": 1}}]},
        "Authorization": b"Bearer x",
        "pin": 1234,
        "tokens": ["a"],
    }
    assert Redaction().fields(fields) == {
        "user": {"password": MASK, "n": 1, "tags": ["x", {"apiKey": MASK}]},
        "Authorization": MASK,
        "pin": MASK,
        "tokens": MASK,
    }


@our_choice("None, flags and empty texts are no secrets, and tell whether one was given at all")
def test_what_tells_nothing_stays_beneath_a_secret_key():
    fields = {"password": None, "has_token": True, "secret": "", "max_tokens": 4096, "rate_tokens": 0.5}
    assert Redaction().fields(fields) == fields


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ada@example.com", MASK),
        (b"ada@example.com", MASK),
        (bytearray(b"plain"), "plain"),
        (4111111111111111, MASK),
        (-4111111111111111, -4111111111111111),
        (1763686528000000000, 1763686528000000000),
        (2**70, 2**70),
        (1.5, 1.5),
        (None, None),
        (("a", "ada@example.com"), ["a", MASK]),
        ({"ada@example.com"}, [MASK]),
        ((b"cookie", b"a=b"), ["cookie", MASK]),
        ([("x-api-key", "k"), ("accept", "*")], [["x-api-key", MASK], ["accept", "*"]]),
        (Colour.RED, MASK),
        (User("ada", "a b"), f"User(name='ada', password='{MASK}')"),
        (Account(name="ada", api_key="k"), f"Account(name='ada', api_key='{MASK}', pin={MASK})"),
        (ValueError(f"no {RANDOM} of ada@example.com"), f"no {MASK} of {MASK}"),
        (httpx.URL("https://u:p@h/x?token=t"), f"https://{MASK}@h/x?token={MASK}"),
        (httpx.Headers({"authorization": "Bearer x", "accept": "*"}), {"authorization": MASK, "accept": "*"}),
        (dt.date(2026, 1, 2), dt.date(2026, 1, 2)),
        (uuid.UUID(int=7), uuid.UUID(int=7)),
        (Hostile(), "<Hostile without a text: RuntimeError>"),
        ({1: "x", ("a",): 2}, {"1": "x", "('a',)": 2}),
        ({"ada@example.com": 1}, {MASK: 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_value_comes_out_plain_and_without_secrets(value, expected):
    redaction = Redaction()
    for _again in range(2):  # what was learnt of the first entry must not let a second one through
        assert redaction.fields({"value": value}) == {"value": expected}


def test_the_input_stays_as_it_was():
    fields = {"password": "x", "deep": {"token": "y", "list": [{"pin": 1}]}}
    before = copy.deepcopy(fields)
    Redaction().fields(fields)
    assert fields == before


def test_a_clean_entry_is_copied():
    redaction, fields = Redaction(), {"message": "hello", "n": 1}
    assert redaction.fields(fields) is not fields
    assert redaction.fields(fields) is not fields


def test_a_text_known_as_a_value_is_not_known_as_a_key():
    redaction = Redaction()
    for _again in range(2):
        redaction.fields({"field": "password"})
        assert redaction.fields({"password": "x", "field": "password"}) == {"password": MASK, "field": "password"}


def test_a_secret_in_a_later_entry_of_the_same_form_is_found():
    redaction = Redaction()
    for mail in ("nobody", "ada@example.com"):
        shown = redaction.fields({"to": mail, "n": {"to": mail}})
        expected = mail if mail == "nobody" else MASK
        assert shown == {"to": expected, "n": {"to": expected}}


def test_cycles_depth_and_size_are_bounded():
    redaction = Redaction()
    assert redaction.fields(_cycle()) == {"n": 1, "ring": [{"n": 1, "ring": "[cycle]"}]}
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    assert "[too deep]" in str(redaction.fields({"deep": deep}))
    wide = redaction.fields({"wide": list(range(100_000)), "after": {"password": "x"}})
    assert len(str(wide)) < 100_000
    assert "'password': 'x'" not in str(wide)


def test_a_text_longer_than_an_entry_is_cut_without_showing_half_a_secret():
    text = "x: " + "a " * 131_060 + "4111 1111 1111 1111 " * 100 + "ada@example.com " * 1000
    shown = Redaction().text(text)
    assert shown.endswith("more characters]")
    assert len(shown) < 262_200
    assert "4111" not in shown
    assert "@" not in shown


PLAIN = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary()


def _nested(inner):
    return st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)


@given(st.recursive(PLAIN, _nested))
def test_nothing_makes_it_raise(value):
    redaction = Redaction()
    redaction.fields({"value": value, "password": value})
    redaction.value(value, "x")


def test_hostile_mappings_and_texts_fail_closed():
    class Text(str):
        __slots__ = ()

        def encode(self, *_args: object) -> bytes:
            raise RuntimeError

    class Map(dict[str, object]):
        def items(self):
            raise RuntimeError

    redaction = Redaction()
    assert redaction.text(Text("ada@example.com")) == MASK
    assert redaction.fields(Map(password="x")) == {"redacted": MASK}
    hostile: Any = Map(password="x")
    assert redaction.headers(hostile) == {"redacted": MASK}
    assert redaction.fields({"to": Text("ada@example.com"), "password": Text("x")}) == {"to": MASK, "password": MASK}


def test_lone_surrogates_are_no_obstacle():
    assert Redaction().text("\udcff ada@example.com") == f"\udcff {MASK}"
    assert Redaction(mode="hash").hash("\udcff").startswith("h:")


def test_hashes_are_keyed_and_equal_for_equal_values():
    one, same, other = (Redaction(mode="hash", hash_key=key) for key in (b"a", b"a", b"b"))
    shown = one.fields({"password": "x", "text": "to ada@example.com"})
    assert shown == same.fields({"password": "x", "text": "to ada@example.com"})
    assert shown["password"] == one.hash("x") != other.hash("x")
    assert shown["text"] == f"to {one.hash('ada@example.com')}"
    assert len(one.hash("x")) == 18
    assert one.text(str(shown["text"])) == shown["text"]
    assert Redaction().hash("x") == Redaction().hash("x") != one.hash("x")


def test_dropped_keys_are_gone_and_dropped_texts_empty():
    redaction = Redaction(mode="drop")
    assert redaction.fields({"password": "x", "to": "a ada@example.com b"}) == {"to": "a  b"}
    assert redaction.headers({"Cookie": "a=b", "accept": "*"}) == {"accept": "*"}


def test_each_rule_has_its_own_mode():
    redaction = Redaction(mode={"default": "mask", "email": "keep", "key": "drop"})
    assert redaction.fields({"password": "x", "to": "ada@example.com Bearer abcd"}) == {
        "to": f"ada@example.com Bearer {MASK}"
    }
    for rule in RULES:
        Redaction(mode={rule: "keep"}).text("x: ada@example.com")


def test_the_domain_of_an_address_may_stay():
    redaction = Redaction(keep_email_domain=True)
    assert redaction.text("to ada@example.com, bob%40example.org") == f"to {MASK}@example.com, {MASK}@example.org"


@pytest.mark.parametrize("mode", ["hide", {"keys": "mask"}, {"email": "hide"}])
def test_an_unknown_mode_or_rule_is_refused(mode):
    with pytest.raises(ValueError, match=r"is no (rule|mode) of redaction; there are"):
        Redaction(mode=mode)


def test_extra_and_kept_keys():
    redaction = Redaction(extra_keys=["customer_no"], keep_keys=["page_token"])
    fields = {"customerNo": "7", "pageToken": "p", "text": "customer_no=7 page_token=p"}
    assert redaction.fields(fields) == {
        "customerNo": MASK,
        "pageToken": "p",
        "text": f"customer_no={MASK} page_token=p",
    }


def test_headers_in_every_form():
    redaction = Redaction()
    expected = {"authorization": MASK, "accept": "*, text", "referer": f"http://h/?token={MASK}"}
    pairs = [("Authorization", "Bearer x"), ("Accept", "*"), ("accept", "text"), ("Referer", "http://h/?token=t")]
    assert redaction.headers(pairs) == expected
    assert redaction.headers([(name.encode(), value.encode()) for name, value in pairs]) == expected
    assert redaction.headers({"Cookie": "a"}) == {"cookie": MASK}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"/reset/{RANDOM}", f"/reset/{MASK}"),
        (f"/items/1042?q={RANDOM}&page=2&token=t", f"/items/1042?q={MASK}&page=2&token={MASK}"),
        (f"https://u:p@h:1/{RANDOM}/x#frag", f"https://{MASK}@h:1/{MASK}/x#frag"),
        ("/users/ada@example.com", f"/users/{MASK}"),
        (
            "/orders/123e4567-e89b-12d3-a456-426614174000/items",
            "/orders/123e4567-e89b-12d3-a456-426614174000/items",
        ),
        ("/a-long-slug-of-an-article-2026", "/a-long-slug-of-an-article-2026"),
    ],
)
def test_a_url_keeps_its_form(url, expected):
    assert Redaction().url(url) == expected


def test_the_memory_of_clean_texts_is_bounded():
    redaction = Redaction()
    for number in range(10_000):
        redaction.fields({f"key{number}": f"text {number}, not clean at once: "})
    assert len(redaction.known.keys) <= 2048
    assert len(redaction.known.texts) <= 2048
    assert len(redaction._judged) <= 2048
