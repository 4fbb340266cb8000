"""The built-in service writes what the catalogue and Google's lists know."""

import pytest

from app.emulator.lint.known import Metrics
from app.emulator.simulate.world import CHAOS, read_cases, read_world

PRIORITIES = {"a_blip", "a_quiet_night"}


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics()


def test_every_series_is_one_that_somebody_writes(metrics: Metrics) -> None:
    for series in read_world().series:
        metric = metrics.by_type(series.metric) if "/" in series.metric else metrics.by_query_name(series.metric)
        assert metric is not None, series.metric
        assert metric.kind == series.model, series.metric
        for label, value in series.labels.items():
            known = metric.labels.get(label, frozenset())
            assert known is None or value in known, f"{series.metric}: {label}={value}"


def test_every_label_of_the_catalogue_is_written(metrics: Metrics) -> None:
    for series in read_world().series:
        if "/" in series.metric:
            continue
        metric = metrics.by_query_name(series.metric)
        assert metric is not None
        assert series.labels.keys() == metric.labels.keys(), series.metric


def test_every_knob_does_something() -> None:
    world = read_world()
    text = world.path.read_text().partition("\nseries:")[2]
    assert [name for name in world.knobs if name not in text and name != "up"] == []


def test_cases_have_names_of_their_own_and_say_what_happens() -> None:
    cases = read_cases(CHAOS)
    assert len({case.name for case in cases}) == len(cases)
    assert [case.name for case in cases if not case.says] == []
    assert {case.name for case in cases if case.symptoms == 0} == PRIORITIES
    assert [case.name for case in cases if not case.expect and case.symptoms] == []
