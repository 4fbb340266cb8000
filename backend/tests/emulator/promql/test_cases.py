"""The tables in cases/: each case against its written answer, against promtool, and against a range of one step."""

from pathlib import Path

import pytest

from app.emulator.promql.evaluate import evaluate_range, instant
from app.emulator.promql.model import Labels, QueryError
from support import promtool
from support.promql_script import Case, close, millis, read
from support.provenance import known_from

CASES = [case for path in sorted(Path(__file__).parent.glob("cases/*.txt")) for case in read(path)]
ASKED = [(case, dialect) for case in CASES for dialect in case.dialects]
Samples = list[tuple[Labels, float]]


def ours(case: Case, dialect: str) -> Samples:
    return [
        (labels, value)
        for labels, value, _ in instant(case.query, case.load.source(), millis(case.at), dialect).samples
    ]


def assert_same(found: Samples, expected: Samples, *, ordered: bool = False) -> None:
    def key(sample: tuple[Labels, float]) -> list[tuple[str, str]]:
        return sorted(sample[0].items())

    if not ordered:
        found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert [labels for labels, _ in found] == [labels for labels, _ in expected]
    for (labels, value), (_, wanted) in zip(found, expected, strict=True):
        assert close(value, wanted), f"{labels}: {value!r}, expected {wanted!r}"


@pytest.mark.parametrize(("case", "dialect"), ASKED, ids=[f"{case.place}-{dialect}" for case, dialect in ASKED])
def test_a_query_gives_its_written_answer(case: Case, dialect: str) -> None:
    if case.fails is not None:
        with pytest.raises(QueryError, match=case.fails or None):
            ours(case, dialect)
    else:
        assert_same(ours(case, dialect), case.expected, ordered=case.ordered)


@pytest.fixture(scope="session")
def oracle() -> dict[str, promtool.Answer]:
    return promtool.answers([case for case in CASES if case.oracle])


@known_from(docs="prometheus.io/docs/prometheus/latest/querying (promtool test rules)")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.place) for case in CASES if case.oracle])
def test_promtool_gives_the_same_answer(case: Case, oracle: dict[str, promtool.Answer]) -> None:
    answer = oracle[case.place]
    if isinstance(answer, str):
        assert case.fails is not None, f"promtool refuses: {answer}"
        with pytest.raises(QueryError):
            ours(case, "prometheus")
    else:
        assert_same(ours(case, "prometheus"), answer)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.place) for case in CASES if case.fails is None])
def test_a_range_of_steps_holds_what_instant_queries_give(case: Case) -> None:
    at, step = millis(case.at), 30_000
    dialect = case.dialects[-1]
    source = case.load.source()
    if "start()" in case.query or "end()" in case.query or "[30s]" in case.query:
        start = end = at  # these see the whole range
    else:
        start, end = at - 3 * step, at + 2 * step
    found: dict[int, Samples] = {moment: [] for moment in range(start, end + 1, step)}
    for labels, times, values in evaluate_range(case.query, source, start, end, step, dialect).series:
        for moment, value in zip(times.tolist(), values.tolist(), strict=True):
            found[moment].append((labels, value))
    for moment, samples in found.items():
        single = instant(case.query, source, moment, dialect)
        assert_same(samples, [(labels, value) for labels, value, _ in single.samples])
