import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulator.promql.regex import RegexError, full_matcher, groups_of
from support.provenance import known_from, our_choice

RE2 = "github.com/google/re2/wiki/Syntax"
TEXTS = [
    "",
    "a",
    "b",
    "aab",
    "ABC",
    "aB",
    "xx",
    "xxxx",
    "d1",
    "a.bb",
    "a{,2}",
    "foo",
    "foo bar",
    "]",
    "1-2",
    "a\nb",
    "É",
]


@known_from(docs=RE2)
@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a|b", ["a", "b"], ["ab", ""]),
        ("get|post", ["get", "post"], ["GET", "getpost"]),
        ("5..", ["500", "5xx"], ["50", "5000", "5\n0"]),
        ("(?i)get", ["GET", "get", "gEt"], ["gets"]),
        ("(?i:g)et", ["Get", "get"], ["gET"]),
        ("(?s).*", ["a\nb", ""], []),
        ("(?m)a$\n^b", ["a\nb"], ["ab"]),
        (r"\d{3}", ["123"], ["12", "1234", "١٢٣"]),
        (r"[[:alpha:]]+\pN", ["ab1"], ["1a"]),
        (r"[^\w-]+", ["!?"], ["a", "-"]),
        (r"\Qa.b*\E+", ["a.b*", "a.b**"], ["axb", "a.bb"]),
        (r"\bfoo\b.*", ["foo", "foo bar"], ["food"]),
        (r"\x41\x{42}\103", ["ABC"], ["abc"]),
        (r"\p{Lu}\PL", ["A1"], ["a1", "AB"]),
        ("a{,2}", ["a{,2}"], ["a", "aa"]),
        ("x{2,3}", ["xx", "xxx"], ["x", "xxxx"]),
        ("x{2,}?", ["xx", "xxxxx"], ["x"]),
        ("[]a]+", ["]a"], ["b"]),
        ("", [""], ["a"]),
    ],
)
def test_a_pattern_matches_whole_values_only(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = full_matcher(pattern)
    assert [text for text in matching if not matches(text)] == []
    assert [text for text in other if matches(text)] == []


@known_from(docs=RE2)
@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(?=b)", "lookahead"),
        ("(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreference"),
        ("a**", "repetition of a repetition"),
        ("*a", "nothing to repeat"),
        ("(a", "missing )"),
        ("a)", "unexpected )"),
        ("[a", "unexpected end"),
        ("[b-a]", "range of characters"),
        ("a{1001}", "outside 0..1000"),
        ("(?x)a", "unknown group"),
        (r"\y", "unknown escape"),
        ("((a{1000}){1000}){1000}", "too large"),
    ],
)
def test_what_re2_lacks_is_refused_with_its_name_and_place(pattern: str, reason: str) -> None:
    with pytest.raises(RegexError, match=re.escape(reason)):
        full_matcher(pattern)


@our_choice("scripts need tables that Python does not ship; general categories are enough for label values")
def test_unicode_scripts_are_refused_by_name() -> None:
    with pytest.raises(RegexError, match="Greek"):
        full_matcher(r"\p{Greek}")


@known_from(docs=RE2)
@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*(a*)*b", ".*.*.*.*.*.*b", "(?i)(a+)+b\\b"])
def test_time_grows_only_with_the_length_of_the_value(pattern: str) -> None:
    begin = time.perf_counter()
    assert not full_matcher(pattern)("a" * 5000)
    assert time.perf_counter() - begin < 5  # a backtracking engine needs longer than the universe has


@known_from(docs=RE2)
def test_groups_are_found_by_number_and_name() -> None:
    assert groups_of("(?P<left>[a-z]+)-(.*)(x)?", "ab-cd") == {
        "0": "ab-cd",
        "1": "ab",
        "2": "cd",
        "3": "",
        "left": "ab",
    }
    assert groups_of("(a+?)(a*)", "aaa") == {"0": "aaa", "1": "a", "2": "aa"}
    assert groups_of("(a|ab)(c|bcd)(d*)", "abcd") == {"0": "abcd", "1": "a", "2": "bcd", "3": ""}
    assert groups_of("(a)", "b") is None


PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "(a)", "(b|ab)", "a*", "b+?", "(ab)?", "a{1,2}", r"\w", "^", "$", r"\b"]
)


@given(st.lists(PIECES, max_size=6).map("".join), st.text(alphabet="ab \n", max_size=6))
def test_ordinary_patterns_agree_with_pythons_own_engine(pattern: str, text: str) -> None:
    expected = re.fullmatch(pattern, text, re.ASCII)
    if text.endswith("\n") and "$" in pattern:
        return  # Python's $ also matches before a last newline, RE2's does not
    assert full_matcher(pattern)(text) == (expected is not None)
    groups = groups_of(pattern, text)
    assert (groups is not None) == (expected is not None)
    if groups is not None and expected is not None:
        assert [groups[str(index + 1)] for index in range(len(expected.groups()))] == list(expected.groups(""))
