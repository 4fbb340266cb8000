import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metrics.refusals import INTRODUCTION, Refused, places
from support.provenance import known_from

_NEW = (
    'timeSeries[0-2,5] (example metric.type="workload.googleapis.com/x", metric.labels={"k": "v"}): '
    "write for resource=generic_task{namespace:n,location:l,job:j,task_id:t} failed with: "
)


@known_from(issue="https://github.com/GoogleCloudPlatform/opentelemetry-operations-python/issues/431")
def test_ranges_at_the_begin_of_a_part_are_read():
    message = f"{INTRODUCTION}{_NEW}Reason one; timeSeries[7] (example): write for resource=x failed with: Reason two"
    found = places(Refused("INVALID_ARGUMENT", message, partial=True, points={"INVALID_ARGUMENT": 5}), 200)
    assert found is not None
    assert sorted(found) == [0, 1, 2, 5, 7]
    assert "Reason one" in found[5]
    assert "Reason two" in found[7]
    assert "Reason one" not in found[7]


@known_from(issue="https://github.com/GoogleCloudPlatform/prometheus-engine/issues/823")
@known_from(issue="https://github.com/micrometer-metrics/micrometer/issues/2160")
@pytest.mark.parametrize(
    "part",
    [
        "Points must be written in order.: prometheus_target{job:j} timeSeries[0-2]: prometheus.googleapis.com/x{a:b}",
        "Value type for metric x must be INT64, but is DOUBLE.: timeSeries[0-2]",
    ],
)
def test_places_after_the_reason_are_read_too(part):
    found = places(Refused("INVALID_ARGUMENT", INTRODUCTION + part, partial=True, points={"INVALID_ARGUMENT": 3}), 200)
    assert found is not None
    assert sorted(found) == [0, 1, 2]


@known_from(issue="https://github.com/Stackdriver/stackdriver-prometheus-sidecar/issues/251")
def test_a_field_of_one_series_is_read():
    message = 'Field timeSeries[100].metric.type had an invalid value of "x:y": The metric type must be URL-formatted.'
    found = places(Refused("INVALID_ARGUMENT", message), 200)
    assert found is not None
    assert sorted(found) == [100]


@pytest.mark.parametrize(
    ("message", "points"),
    [
        (f"{INTRODUCTION}{_NEW}Reason; and 3 more reasons", 40),
        ("Something else entirely", 1),
        ("timeSeries[500]: no such place", 1),
        (f'{INTRODUCTION}timeSeries[3] (example metric.labels={{"k": "; timeSeries[0-9] "}}): bad', 1),
    ],
)
def test_a_sentence_that_does_not_fit_its_number_blames_nobody(message, points):
    refused = Refused("INVALID_ARGUMENT", message, partial=True, points={"INVALID_ARGUMENT": points})
    assert places(refused, 200) is None


def test_a_call_with_one_series_needs_no_place():
    assert places(Refused("INVALID_ARGUMENT", f"{INTRODUCTION}bad"), 1) == {0: "bad"}


@given(st.text(max_size=300), st.integers(2, 200))
def test_any_sentence_names_places_within_the_call_or_none(message, length):
    found = places(Refused("INVALID_ARGUMENT", message), length)
    assert found is None or (found and max(found) < length)


def test_a_range_as_wide_as_the_world_costs_no_memory():
    assert places(Refused("INVALID_ARGUMENT", "timeSeries[0-99999999999999]"), 200) is None
