import subprocess
import sys
from pathlib import Path

import pytest

from app.emulator.promql import syntax
from app.emulator.promql.dialect import CLOUD, PROMETHEUS
from app.emulator.promql.model import Matcher, QueryError
from app.emulator.promql.parse import parse
from support.provenance import known_from, our_choice

PROMQL = "docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql"
DIFFERENCES = "docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences"


@known_from(docs=PROMQL)
@pytest.mark.parametrize(
    "query",
    [
        '{"kubernetes.io/container/cpu/limit_utilization", pod_name="foo"}',
        '{__name__="kubernetes.io/container/cpu/limit_utilization", pod_name="foo"}',
        '{"__name__"="kubernetes.io/container/cpu/limit_utilization", "pod_name"="foo"}',
    ],
)
def test_the_three_spellings_of_a_utf8_name_are_one(query: str) -> None:
    assert parse(query, CLOUD) == syntax.Selector(
        (
            Matcher("__name__", "=", "kubernetes.io/container/cpu/limit_utilization"),
            Matcher("pod_name", "=", "foo"),
        ),
        syntax.Shift(),
    )


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/basics")
def test_a_query_becomes_our_own_tree() -> None:
    assert parse('sum by (a) (rate(m{b=~"c.*"}[5m] offset 1m)) > bool on (a) group_left ("d.e") n @ -1.5', CLOUD) == (
        syntax.Binary(
            ">",
            syntax.Aggregate(
                "sum",
                syntax.Call(
                    "rate",
                    (
                        syntax.Window(
                            syntax.Selector(
                                (Matcher("__name__", "=", "m"), Matcher("b", "=~", "c.*")), syntax.Shift(60_000)
                            ),
                            300_000,
                        ),
                    ),
                ),
                None,
                ("a",),
                without=False,
            ),
            syntax.Selector((Matcher("__name__", "=", "n"),), syntax.Shift(0, -1500)),
            syntax.Matching(("a",), on=True, many="left", include=("d.e",)),
            as_bool=True,
        )
    )


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/basics")
@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r"'a\'b\n'", "a'b\n"),
        (r"`a\d`", r"a\d"),
        (r'"\x41\101\u00e9\U0001F600"', "AAé😀"),
        (r'"\xc3\xa9"', "é"),
        ('"# no comment"', "# no comment"),
        ('"17" # a comment with a "', "17"),
    ],
)
def test_string_literals_follow_gos_rules(literal: str, value: str) -> None:
    assert parse(literal, CLOUD) == syntax.Text(value)


@our_choice("the wording and the places are ours: promql-parser gives no positions")
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sum(rate(m[5m]) = 0", 'the "=" at character|"=" at character 17 is only for label matchers'),
        ("sum(rate(m[5m])", 'the "\\(" at character 4 is never closed'),
        ("sum(m))", 'the "\\)" at character 7 closes nothing'),
        ('m{a="b}', "begins at character 5 has no closing"),
        (r'm{a="\d"}', r"unknown escape \\d in the string at character 5"),
        ('m{a=~"(b"}', 'missing \\) in the regular expression "\\(b"'),
        ('m{a=~"(?=b)"}', "lookahead"),
        ("1 + rat(m[5m])", "unknown function with name 'rat' \\(at character 5\\)"),
        ("rate(m)", "expected type matrix in call to function 'rate', got vector"),
        ("rate(m[5m], 1)", "expected 1 argument"),
        ("m offset", "expected duration"),
        ("m{a=b}", "unexpected identifier 'b'"),
        ("m[0s]", "duration must be greater than 0"),
        ("m @ 1e300", "out of bounds"),
        ('m["a"]', "unexpected character"),
        ("", "no expression"),
        ("foo bar", "bar at character 5 cannot stand there"),
        ("sum(m) by (a) by (b)", "by at character 15 cannot stand there"),
        ('rate(m{a="b",,}[5m]) / rate(n[5m])', ", at character 14 cannot stand there"),
        ('m{a="b" c="d"}', "c at character 9 cannot stand there"),
        ("m > 1 and or n > 2", "n at character 14 cannot stand there"),
        ("1 + * 2", "\\* at character 5 cannot stand there"),
        ("sum by (a) (m) / on (a) group_left n n", "n at character 38 cannot stand there"),
        ("m; n", "unexpected character: ';' \\(at character 2\\)"),
        ("sum(m) /", "ends too early: sum\\(m\\) /"),
        ("m and", "ends too early"),
        ('{a=~".*"}', "does not match the empty value"),
        ('m{__name__="n"}', "set twice"),
        ('m{a="b" or c="d"}', "2.44"),
        ('sum by ("a.b") (m{"c.d"="e"}', "never closed"),
        ('count_values("v" m)', "m at character 18 cannot stand there"),
    ],
)
def test_a_broken_query_is_told_what_and_where(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse(query, CLOUD)


@known_from(docs=DIFFERENCES)
@pytest.mark.parametrize(
    "query", ['{__name__=~"http_.*"}', '{__name__!="a",job="b"}', '{job="b"}', 'sum({__name__=~"a|b"})']
)
def test_cloud_monitoring_takes_exact_metric_names_only(query: str) -> None:
    with pytest.raises(QueryError, match="exact match"):
        parse(query, CLOUD)
    parse(query, PROMETHEUS)


@known_from(docs=DIFFERENCES)
@pytest.mark.parametrize(
    "query",
    ["mad_over_time(m[5m])", 'sort_by_label(m, "a")', "limitk(1, m)", "double_exponential_smoothing(m[5m], 0.1, 0.1)"],
)
def test_what_came_after_version_2_44_is_refused_by_name(query: str) -> None:
    with pytest.raises(QueryError, match=r"newer than Prometheus 2\.44"):
        parse(query, CLOUD)


HOSTILE = """
import threading
from app.emulator.promql.dialect import CLOUD
from app.emulator.promql.model import QueryError
from app.emulator.promql.parse import parse
queries = ["(" * 90000, "(" * 40000 + "m" + ")" * 40000, "-" * 90000 + "m", "+".join(["1"] * 40000), "abs(" * 20000]
# the deepest of what is parsed in the calling thread
queries += ["(" * 19 + "m" + ")" * 19, "-" * 38 + "m", "+".join(["1"] * 39), "2^" * 38 + "1"]
queries += ["abs(" * 13 + "m" + ")" * 13]
# the deepest of all
queries += ["(" * 100 + "m" + ")" * 100, "-" * 200 + "m", " + ".join(["m"] * 200), "m[5m]" * 10000]
queries += ["abs(-" * 99 + "m" + ")" * 99, "max_over_time(" * 49 + "m" + "[1m:1m])" * 49]
def ask():
    for query in queries:
        try:
            parse(query, CLOUD)
        except QueryError:
            pass
threading.stack_size(512 * 1024)
thread = threading.Thread(target=ask)
thread.start()
thread.join()
print("alive")
"""


@our_choice("promql-parser overflows the stack on such text, which ends the process")
def test_hostile_nesting_does_not_end_the_process() -> None:
    backend = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", HOSTILE], cwd=backend, capture_output=True, text=True, check=False)
    assert done.stdout == "alive\n", done.stderr[-500:]
