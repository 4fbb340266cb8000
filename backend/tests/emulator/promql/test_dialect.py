"""Each switch of dialect.py, seen from both sides."""

import pytest

from app.emulator.promql.evaluate import evaluate_range, instant
from app.emulator.promql.model import QueryError, Result
from support.promql_script import Load, MemorySource, millis
from support.provenance import known_from, our_choice

DIFFERENCES = "docs.cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences"


def source(*lines: tuple[str, str]) -> MemorySource:
    return Load("1m", list(lines)).source()


def values(result: Result) -> list[float]:
    return [value for _, value, _ in result.samples]


@known_from(docs=DIFFERENCES)
def test_the_cloud_knows_no_staleness_markers() -> None:
    held = source(("m", "1 2 stale"))
    assert values(instant("present_over_time(m[1m] offset 1m)", held, millis("3m"), "prometheus")) == [1]
    assert values(instant("m", held, millis("3m"), "prometheus")) == []
    unmarked = source(("m", "1 2"))
    assert values(instant("m", unmarked, millis("3m"), "cloud")) == [2]


@known_from(docs=DIFFERENCES)
@pytest.mark.parametrize("function", ["rate", "increase", "irate"])
def test_windows_shorter_than_the_step_are_raised_to_the_step(function: str) -> None:
    held = source(("m", "0+60x60"))
    query = f"{function}(m[30s])"
    cloud = evaluate_range(query, held, 0, millis("1h"), millis("10m"), "cloud")
    assert [len(times) for _, times, _ in cloud.series] == [6]
    assert evaluate_range(query, held, 0, millis("1h"), millis("10m"), "prometheus").series == []
    assert evaluate_range("delta(m[30s])", held, 0, millis("1h"), millis("10m"), "cloud").series == []


@known_from(docs=DIFFERENCES)
def test_a_quantile_of_nothing_is_nothing_in_the_cloud() -> None:
    held = source(('b{le="1"}', "0x5"), ('b{le="+Inf"}', "0x5"))
    assert values(instant("histogram_quantile(0.5, b)", held, 0, "cloud")) == []
    assert [value != value for value in values(instant("histogram_quantile(0.5, b)", held, 0, "prometheus"))] == [True]  # noqa: PLR0124  # NaN


@known_from(docs=DIFFERENCES)
def test_label_names_may_be_utf8_in_the_cloud() -> None:
    held = source(('m{a="b"}', "1"))
    query = 'label_replace(m, "k8s.pod", "$1", "a", "(.*)")'
    assert instant(query, held, 0, "cloud").samples[0][0] == {"__name__": "m", "a": "b", "k8s.pod": "b"}
    with pytest.raises(QueryError, match="no valid label name"):
        instant(query, held, 0, "prometheus")


@known_from(docs="prometheus.io/docs/prometheus/2.44/querying/basics")
def test_windows_hold_both_their_ends() -> None:
    held = source(("m", "1x10"))
    assert values(instant("count_over_time(m[5m])", held, millis("5m"))) == [6]
    assert values(instant("m", source(("m", "1")), millis("5m"))) == [1]


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/api")
@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [(0, 10, 0, "step"), (10, 0, 1, "end"), (0, 11_000, 1, "11,000 points")],
)
def test_a_range_that_makes_no_sense_is_refused(start: int, end: int, step: int, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        evaluate_range("m", source(), start, end, step)


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/api")
def test_a_range_query_takes_no_range_vector_and_no_text() -> None:
    for query in ("m[5m]", '"text"', "m[5m:1m]"):
        with pytest.raises(QueryError, match="must be Scalar or instant Vector"):
            evaluate_range(query, source(), 0, 10, 1)


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/basics")
def test_an_instant_query_may_give_a_matrix_or_text() -> None:
    held = source(("m", "1+1x10"))
    found = instant("m[2m]", held, millis("5m"))
    assert [(labels, times.tolist(), found.tolist()) for labels, times, found in found.series] == [
        ({"__name__": "m"}, [180_000, 240_000, 300_000], [4, 5, 6])
    ]
    assert instant('"text"', held, 0) == Result("string", text="text")
    assert instant("1 + 1", held, 7) == Result("scalar", samples=[({}, 2.0, 7)])


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/basics")
def test_at_start_and_end_name_the_ends_of_the_whole_query() -> None:
    held = source(("m", "1+1x10"))
    for query, expected in (
        ("m @ start()", [3, 3, 3]),
        ("m @ end()", [5, 5, 5]),
        ("sum_over_time((m @ end())[2m:1m])", [15, 15, 15]),
    ):
        found = evaluate_range(query, held, millis("2m"), millis("4m"), millis("1m"))
        assert found.series[0][2].tolist() == expected, query


@known_from(docs="prometheus.io/docs/prometheus/latest/querying/basics")
def test_a_dialect_that_does_not_exist_is_told() -> None:
    with pytest.raises(QueryError, match='no dialect "mql"; there are cloud, prometheus'):
        instant("m", source(), 0, "mql")


@our_choice("a bound that no dashboard reaches")
def test_one_query_cannot_take_all_memory() -> None:
    held = source(*((f'm{{n="{number}"}}', "1x3") for number in range(50)))
    with pytest.raises(QueryError, match="more than this emulator computes at once"):
        instant("count_over_time(m[11d:1s])", held, millis("1m"))
    with pytest.raises(QueryError, match="too large"):
        instant("count_over_time(m[365d:1ms])", held, millis("1m"))
