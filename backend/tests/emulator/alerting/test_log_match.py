"""Log conditions: what matches, what is taken out, how often people are told."""

import pytest

from app.emulator.alerting.log_match import LogFeed, extractor
from app.emulator.alerting.observed import EvaluationError
from app.emulator.alerttest import AlertTester
from app.emulator.logging.record import LOG_ENTRY, Record
from support.alerting import log_match
from support.provenance import known_from, our_choice

INCIDENTS = "https://cloud.google.com/logging/docs/alerting/log-based-incidents"
METRICS = "google/logging/v2/logging_metrics.proto"
PROTO = "google/monitoring/v3/alert.proto"


def log_alerts(filter_: str = "severity>=ERROR", extractors: dict[str, str] | None = None, **more: str) -> AlertTester:
    made = AlertTester()
    made.add(log_match(filter_, extractors, **more))
    return made


@known_from(proto=PROTO)
def test_a_matching_entry_opens_an_incident_at_once_and_others_do_nothing() -> None:
    bench = log_alerts()
    bench.log(severity="INFO", textPayload="fine", delay="10s")
    bench.log(severity="ERROR", textPayload="boom", delay="20s", resource={"type": "cloud_run_revision"})
    bench.clock.advance("10s")
    bench.assert_silent("Policy")
    bench.clock.advance("10s")
    bench.assert_open("Policy")
    (told,) = bench.told("Policy")
    assert (told.at, told.incident["resource"]["type"]) == (20, "cloud_run_revision")
    assert (told.incident["observed_value"], told.incident["threshold_value"]) == ("", "")


@known_from(docs=INCIDENTS)
def test_further_entries_are_told_of_the_same_incident_once_a_period() -> None:
    bench = log_alerts()
    bench.log(severity="ERROR", textPayload="boom", every="60s", times=11)
    bench.clock.advance("15m")
    assert [(one.event, one.at) for one in bench.told("Policy")] == [
        ("opened", 0),
        ("reminder", 300),
        ("reminder", 600),
    ]
    assert len(bench.incidents("Policy")) == 1


@known_from(proto=PROTO)
def test_each_combination_of_labels_is_told_for_itself() -> None:
    bench = log_alerts(extractors={"user": "EXTRACT(jsonPayload.user)"})
    for user in ("ann", "bob", "ann"):
        bench.log(severity="ERROR", jsonPayload={"user": user})
    bench.clock.advance("1m")
    assert sorted(one.extracted["user"] for one in bench.incidents("Policy")) == ["ann", "bob"]
    assert len(bench.told("Policy")) == 2
    bench.assert_open("Policy", user="ann")


@known_from(docs=INCIDENTS)
def test_no_more_than_twenty_are_told_a_day() -> None:
    bench = log_alerts(extractors={"n": "EXTRACT(jsonPayload.n)"})
    for number in range(25):
        bench.log(severity="ERROR", jsonPayload={"n": number}, delay=number)
    bench.clock.advance("1h")
    assert len(bench.told("Policy")) == len(bench.incidents("Policy")) == 20
    assert "20 notifications" in bench.errors["Policy"]
    bench.log(severity="ERROR", jsonPayload={"n": 99}, delay="24h")
    bench.clock.advance("25h")
    assert len(bench.told("Policy")) == 21


@known_from(proto=PROTO)
def test_an_incident_closes_by_auto_close_after_its_last_entry_without_a_word() -> None:
    bench = log_alerts(autoClose="1800s")
    bench.log(severity="ERROR", textPayload="boom", every="10m", times=2)
    bench.clock.advance("39m")
    bench.assert_open("Policy")
    bench.clock.advance("2m")
    bench.assert_closed("Policy")
    assert {one.event for one in bench.told("Policy")} == {"opened", "reminder"}


@known_from(docs="https://cloud.google.com/monitoring/alerts/snooze")
def test_a_snooze_keeps_log_incidents_open_and_lets_no_new_one_open() -> None:
    bench = log_alerts(extractors={"n": "EXTRACT(jsonPayload.n)"})
    bench.log(severity="ERROR", jsonPayload={"n": "1"})
    bench.snooze("Policy", duration="1h", delay="5m")
    bench.log(severity="ERROR", jsonPayload={"n": "2"}, delay="10m")
    bench.clock.advance("20m")
    bench.assert_open("Policy", n="1")
    bench.assert_state("Policy", "none", n="2")


@known_from(docs="https://cloud.google.com/monitoring/alerts/doc-variables")
def test_extracted_labels_fill_the_documentation() -> None:
    bench = AlertTester()
    policy = log_match("severity>=ERROR", {"user": 'REGEXP_EXTRACT(textPayload, "user=([a-z]+)")'})
    policy["documentation"] = {"subject": "${log.extracted_label.user} failed", "content": "${log.extracted_label.x}"}
    bench.add(policy)
    bench.log(severity="ERROR", textPayload="user=ann code=7")
    bench.clock.advance("1s")
    bench.assert_notified("Policy", "ann failed", "(none)")


@known_from(proto=METRICS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("EXTRACT(jsonPayload.user)", "ann"),
        ("EXTRACT(jsonPayload.missing)", ""),
        ("EXTRACT(jsonPayload.count)", "3"),
        ("EXTRACT(jsonPayload.flag)", "true"),
        ("EXTRACT(jsonPayload.@type)", "T"),
        ("EXTRACT(resource.labels.zone)", "a"),
        ('EXTRACT(labels."run.googleapis.com/name")', "x"),
        ("EXTRACT(severity)", "ERROR"),
        ('REGEXP_EXTRACT(jsonPayload.path, "/items/([0-9]+)")', "42"),
        ('REGEXP_EXTRACT(jsonPayload.path, "/users/([0-9]+)")', ""),
        ('REGEXP_EXTRACT( jsonPayload.path , "(.)$" )', "x"),
    ],
)
def test_extractors_read_fields_and_match_patterns(text: str, value: str) -> None:
    entry = LOG_ENTRY(severity=500, labels={"run.googleapis.com/name": "x"})
    entry.resource.labels["zone"] = "a"
    payload = {"user": "ann", "count": 3, "flag": True, "@type": "T", "path": "/items/42/x"}
    entry.json_payload.update(payload)
    assert extractor(text, "label")(Record(entry, 0)) == value


@known_from(proto=METRICS)
@pytest.mark.parametrize(
    "text",
    ["jsonPayload.user", "EXTRACT(jsonPayload.user", "REGEXP_EXTRACT(jsonPayload.path)", "EXTRACT(nothing.at.all)",
     'REGEXP_EXTRACT(textPayload, "no group")', 'REGEXP_EXTRACT(textPayload, "(")'],
)  # fmt: skip
def test_an_extractor_that_cannot_be_read_is_the_policys_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="label"):
        extractor(text, "label")


@our_choice("memory is bounded also while no evaluation takes what arrives")
def test_entries_that_nobody_takes_give_way() -> None:
    feed = LogFeed()
    feed.put(Record(LOG_ENTRY(text_payload=str(number)), 0) for number in range(100_003))
    assert feed.lost == 3
    assert feed.take()[0].entry.text_payload == "3"
    assert feed.take() == []
