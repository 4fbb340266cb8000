"""The Logging query language, one row per rule: what matches, and how we know."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from app.emulator.logging.query import MAXIMUM_LENGTH, compile_query
from app.emulator.logging.record import LOG_ENTRY, Record
from app.emulator.logging.syntax import FilterError
from support.provenance import known_from, our_choice

LQL = "https://docs.cloud.google.com/logging/docs/view/logging-query-language"

ENTRY: dict[str, Any] = {
    "logName": "projects/demo/logs/run.googleapis.com%2Fstdout",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "items", "location": "europe-west1"}},
    "timestamp": "2026-11-20T12:00:00.250Z",
    "severity": "WARNING",
    "insertId": "abc",
    "labels": {"instanceId": "0012", "compute.googleapis.com/name": "vm-1"},
    "trace": "projects/demo/traces/0af7651916cd43dd8448eb211c80319c",
    "traceSampled": True,
    "httpRequest": {
        "requestMethod": "GET",
        "requestUrl": "/items/7",
        "status": 503,
        "latency": "0.250s",
        "remoteIp": "10.1.2.3",
        "responseSize": "512",
    },
    "jsonPayload": {
        "message": "Checkout FAILED for user ann@example.com: time-out",
        "attempt": 3,
        "ok": False,
        "nothing": None,
        "tags": ["slow", "eu"],
        "user": {"id": "7", "roles": [{"name": "admin"}, {"name": "staff"}]},
        "a.b": "dotted",
        "@type": "type.googleapis.com/x",
        "text_number": "5",
        "client": "192.168.7.9",
        "wide": "\uff26\uff35\uff2c\uff2c Straße",  # full-width letters
    },
}


def record(**changes: Any) -> Record:
    entry = ParseDict({**ENTRY, **changes}, LOG_ENTRY())
    return Record(entry, entry.ByteSize())


def matches(query: str, **changes: Any) -> bool:
    return compile_query(query).matches(record(**changes))


@known_from(docs=LQL)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("-- only a comment", True),
        # precedence: NOT, then OR, then AND; juxtaposition is AND
        ('severity=INFO OR severity=WARNING AND trace=""', False),
        ('trace="" AND severity=INFO OR severity=WARNING', False),
        ("severity=WARNING severity=INFO", False),
        ("severity=WARNING\nhttpRequest.status=503", True),
        ("NOT severity=INFO AND severity=WARNING", True),
        ("NOT severity=INFO OR nonsense", True),
        ("NOT (severity=INFO OR severity=WARNING)", False),
        ("-severity=INFO", True),
        ("NOT NOT severity=WARNING", True),
        ("severity=WARNING and severity=WARNING", False),  # lower-case `and` is a word to search for
        ("severity=WARNING -- the rest is a comment severity=INFO", True),
        # lists of values
        ("severity=(INFO OR WARNING)", True),
        ('jsonPayload.message:("checkout" AND "failed")', True),
        ('jsonPayload.message:("checkout" "succeeded")', False),
        ("severity=(NOT INFO)", True),
        ('insertId = "zzz" OR "abc"', True),  # the second is a search of its own
        # paths
        ('labels."compute.googleapis.com/name"="vm-1"', True),
        ('jsonPayload."a.b"=dotted', True),
        ('jsonPayload.@type=~"x$"', True),
        ("jsonPayload.user.id=7", True),
        ("jsonpayload.user.id=7", True),  # LogEntry's own fields: any case
        ("http_request.status=503", True),
        ("jsonPayload.User.id=7", False),  # payload keys: exactly
        ("resource.labels.service_name=items", True),
        ("jsonPayload.user.roles.name=staff", True),
        # text
        ('jsonPayload.message="checkout failed for user ANN@example.com: TIME-OUT"', True),
        ("jsonPayload.message:CHECKOUT", True),
        ("resource.type!=gce_instance", True),
        ('resource.type>"cloud"', True),
        ('jsonPayload.wide="full strasse"', True),
        ("jsonPayload.tags=eu", True),
        ("jsonPayload.tags=us", False),
        # regular expressions
        ('jsonPayload.message=~"FAILED for \\w+"', True),
        ('jsonPayload.message=~"failed"', False),
        ('jsonPayload.message=~"(?i)checkout failed"', True),
        ('jsonPayload.message=~"^FAILED"', False),
        ('jsonPayload.message!~"succeeded"', True),
        ('jsonPayload.missing!~"x"', False),
        ('jsonPayload.attempt=~"3"', False),
        ('jsonPayload.message=~("nothing" OR "time.out$")', True),
        # numbers, booleans, enumerations, times
        ("httpRequest.status>=500", True),
        ("httpRequest.status:503", True),
        ("httpRequest.status:50", False),
        ("httpRequest.responseSize<1e3", True),
        ("httpRequest.status=abc", False),
        ("jsonPayload.attempt>-1", True),
        ("jsonPayload.attempt<=3.0", True),
        ("jsonPayload.attempt=three", False),
        ("jsonPayload.text_number=5", True),
        ("jsonPayload.text_number<10", False),  # a text is compared as a text
        ("jsonPayload.ok=FALSE", True),
        ("traceSampled=true", True),
        ("jsonPayload.nothing=NULL_VALUE", True),
        ("jsonPayload.attempt=NULL_VALUE", False),
        ("severity>=warning", True),
        ("severity>400", False),
        ("severity>=ERROR", False),
        ("httpRequest.latency>200ms", True),
        ('httpRequest.latency<"0.3s"', True),
        ("httpRequest.latency>1m", False),
        ('timestamp>="2026-11-20T12:00:00Z"', True),
        ('timestamp>="2026-11-20T14:00:00+02:00" timestamp<"2026-11-20T12:00:01Z"', True),
        ('timestamp>"2026-11-20"', True),
        ('timestamp>="2026-11-20T14:00:00.250000+0200"', True),  # as google-cloud-logging writes it
        ('timestamp<"2026-11-20"', False),
        ('timestamp="2026-11-20T12:00:00.25Z"', True),
        # presence
        ("jsonPayload.user:*", True),
        ("jsonPayload.nobody:*", False),
        ("NOT jsonPayload.nobody:*", True),
        ("labels.instanceId:*", True),
        ("labels.other:*", False),
        ("httpRequest:*", True),
        ("operation:*", False),
        ("httpRequest.referer:*", False),
        # missing payload and label fields compare false, whatever the comparison
        ("jsonPayload.nobody=1", False),
        ("jsonPayload.nobody!=1", False),
        ("NOT jsonPayload.nobody=1", True),
        ("labels.other!=x", False),
        ("jsonPayload.message.deeper=1", False),
        # absent LogEntry fields have their default
        ('spanId=""', True),
        ("httpRequest.cacheHit=false", True),
        ("operation.first=false", True),
        ("textPayload!=x", True),
        # searches
        ("checkout", True),
        ('"ANN@example"', True),
        ("503", True),
        ("europe", True),
        ("refund", False),
        ("-refund", True),
        # functions
        ('log_id("run.googleapis.com/stdout")', True),
        ('log_id("run.googleapis.com%2Fstdout")', False),
        ("source(projects/demo)", True),
        ("source(projects/other)", False),
        ("sample(insertId, 1)", True),
        ("sample(jsonPayload.nobody, 1)", False),
        ('ip_in_net(httpRequest.remoteIp, "10.1.2.0/24")', True),
        ('ip_in_net(jsonPayload.client, "10.0.0.0/8")', False),
        ('ip_in_net(jsonPayload.message, "10.0.0.0/8")', False),
        ("cast(jsonPayload.text_number, INT64)<10", True),
        ("cast(jsonPayload.message, FLOAT64)<10", False),
        ('cast(httpRequest.status, STRING)=~"^5"', True),
        ('cast(timestamp, STRING, TIMEZONE("America/New_York"))=~"^2026-11-20T07:"', True),
        ('regexp_extract(jsonPayload.message, "user (\\\\S+):")="ann@example.com"', True),
        ('regexp_extract(jsonPayload.message, "order (\\\\d+)")=1', False),
        ('SEARCH("checkout user")', True),
        ('SEARCH("check")', False),  # whole tokens
        ('SEARCH("`failed for`")', True),
        ('SEARCH("`for failed`")', False),
        ('SEARCH(jsonPayload.message, "time out")', True),
        ('SEARCH(jsonPayload.message, "items")', False),
        ('NOT SEARCH("refund")', True),
    ],
)  # fmt: skip
def test_a_query_matches_as_documented(query, expected):
    assert matches(query) is expected


@known_from(docs=LQL)
def test_or_binds_tighter_than_and():
    """The page's own example: `"a" OR NOT "b" AND NOT "c" OR "d"`."""
    spelled = '("a1" OR (NOT "b1")) AND ((NOT "c1") OR "d1")'
    short = '"a1" OR NOT "b1" AND NOT "c1" OR "d1"'
    for words in ("a1", "b1", "c1", "d1", "b1 d1", "a1 c1", "b1 c1 d1", "a1 b1 c1 d1", "none"):
        payload = {"message": words}
        assert matches(short, jsonPayload=payload) is matches(spelled, jsonPayload=payload), words


@our_choice("a store looks only where a query can match")
@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ('timestamp>="1970-01-01T00:00:01Z" severity=INFO timestamp<"1970-01-01T00:00:02Z"', 1, 2),
        ('timestamp="1970-01-01T00:00:03Z"', 3, 3),
        ('timestamp<="1970-01-01T00:00:02Z" timestamp<"1970-01-01T00:00:01Z"', None, 1),
        ('timestamp>"1970-01-01T00:00:01Z" OR severity=INFO', None, None),
        ('NOT timestamp>"1970-01-01T00:00:01Z"', None, None),
        ('timestamp!="1970-01-01T00:00:01Z"', None, None),
        ('timestamp>"never"', None, None),
        ('receiveTimestamp>"1970-01-01T00:00:01Z"', None, None),
    ],
)
def test_comparisons_of_the_timestamp_bound_the_search(query, start, end):
    nanos, forever = 10**9, 2**63 - 1
    compiled = compile_query(query)
    assert compiled.start == (-forever if start is None else start * nanos)
    assert compiled.end == (forever if end is None else end * nanos)


@our_choice("the page shows `:` on single values only; inside an object any value may hold the text")
def test_colon_on_an_object_looks_at_every_value_inside():
    assert matches("jsonPayload:admin")
    assert not matches("jsonPayload:nobody")


@known_from(docs=LQL)
def test_sample_keeps_about_the_fraction_and_the_same_entries_each_time():
    query = compile_query("sample(insertId, 0.25)")
    kept = [query.matches(record(insertId=f"id-{number}")) for number in range(400)]
    assert 60 < sum(kept) < 140
    assert kept == [query.matches(record(insertId=f"id-{number}")) for number in range(400)]


@known_from(docs=LQL)
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("severity=", "line 1, column 10: unexpected end"),
        ("severity>=ERROR AND\n  AND trace:x", "line 2, column 3, token 'AND'"),
        ('textPayload="open', "line 1, column 13: the quotation mark is never closed"),
        ("(severity=INFO", "line 1, column 15: unexpected end"),
        ("severity=INFO)", "line 1, column 14, token ')'"),
        ("a=b=c", "line 1, column 4, token '='"),
        ("nonsense=1", "Field not found: 'nonsense'"),
        ("httpRequest.nonsense=1", "Field not found: 'httpRequest.nonsense'"),
        ("severity.deeper=1", "severity has no fields"),
        ('textPayload=~"("', "invalid regular expression"),
        ('textPayload=~"(?=x)"', "lookahead (which RE2 does not have)"),
        ('textPayload=~"(a)\\\\1"', "a backreference (which RE2 does not have)"),
        ("textPayload=~abc", "quotation marks"),
        ("severity>=*", "only `:` takes `*`"),
        ('log_idd("x")', "function log_idd() at line 1, column 1: there is no function of that name"),
        ("sample(insertId, 2)", "greater than 0 and at most 1"),
        ("sample(insertId)", "1 argument given, sample(field, fraction) expected"),
        ('ip_in_net(httpRequest.remoteIp, "10.1.2")', "'10.1.2' is not an IP address or a range"),
        ('regexp_extract(textPayload, "a")=b', "exactly one group, it has 0"),
        ("cast(textPayload, NUMBER)=1", "'NUMBER' is none of"),
        ('cast(timestamp, STRING, TIMEZONE("Mars/Base"))=1', "no time zone"),
        ('SEARCH("...")', "the query has no words"),
        ("cast(textPayload, STRING)", "compare its result with a value"),
        ('log_id("a")=b', "cannot be compared"),
    ],
)  # fmt: skip
def test_a_wrong_query_says_what_and_where(query, told):
    with pytest.raises(FilterError) as caught:
        compile_query(query)
    assert told in str(caught.value)


@known_from(docs=LQL)
def test_a_query_has_at_most_20000_characters_comments_included():
    compile_query("--" + "x" * (MAXIMUM_LENGTH - 2))
    with pytest.raises(FilterError, match="20000"):
        compile_query("--" + "x" * (MAXIMUM_LENGTH - 1))


@our_choice("a tree of thousands of levels would end in a crash of ours")
@pytest.mark.parametrize("query", ["(a OR (b AND " * 600 + "c" + "))" * 600, "NOT (a " * 2000 + ")" * 2000])
def test_a_query_that_is_nested_too_deeply_is_refused(query):
    with pytest.raises(FilterError, match="levels deep"):
        compile_query(query)


@our_choice("any text may arrive as a filter")
@given(st.text(alphabet='ab. =:!~<>()"-*,\\\n\0é1', max_size=40))
def test_any_text_is_a_query_or_an_error_for_the_user(text):
    try:
        query = compile_query(text)
    except FilterError:
        return
    query.matches(record())


@known_from(docs="https://github.com/google/re2/wiki/Syntax")
@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"a\z", "a", True),
        ("a$", "a\n", False),
        ("(?m)a$", "a\nb", True),
        (r"\d", "٣", False),
        (r"[\d]", "٣", False),
        (r"[\W]", "é", True),
        ("[[:alpha:]]+", "abc", True),
        ("[^[:space:]]", " ", False),
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b\E", "axb", False),
        ("[]a]", "]", True),
        ("(?P<n>x)(?<m>y)", "xy", True),
        (r"\x{41}", "A", True),
    ],
)
def test_a_pattern_means_what_it_means_in_re2(pattern, text, found):
    quoted = pattern.replace("\\", "\\\\")
    assert matches(f'jsonPayload.text=~"{quoted}"', jsonPayload={"text": text}) is found
