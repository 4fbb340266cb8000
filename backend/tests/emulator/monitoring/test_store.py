import numpy as np

from app.emulator.journal import SqliteJournal
from app.emulator.monitoring.model import Series
from app.emulator.status import ApiError
from support.monitoring import COUNTER, GAUGE, LATENCY, Metrics, count, latencies, one


def series() -> Series:
    return Series(
        metric_type=GAUGE,
        metric_labels={},
        resource_type="global",
        resource_labels={},
        kind="GAUGE",
        value_type="DOUBLE",
    )


def test_a_window_leaves_its_start_out_and_takes_its_end_in() -> None:
    one_series = series()
    for end in (10, 20, 30):
        one_series.append(end, end, end / 10)
    assert one_series.window(10, 30).values.tolist() == [2.0, 3.0]
    assert one_series.window(9, 29).values.tolist() == [1.0, 2.0]
    assert one_series.window(30, 10).values.tolist() == []
    assert one_series.window_with_previous(20, 30).values.tolist() == [2.0, 3.0]


def test_a_window_stays_what_it_was_while_the_series_grows() -> None:
    one_series = series()
    one_series.append(1, 1, 1.0)
    before = one_series.window(0, 10)
    for end in range(2, 5000):
        one_series.append(end, end, float(end))
    assert before.values.tolist() == [1.0]
    assert np.array_equal(one_series.window(0, 5000).values, np.arange(1.0, 5000.0))


def test_distributions_are_columns_too() -> None:
    metrics = Metrics()
    metrics.write(latencies([1, 2, 0, 0], 0))
    metrics.write(latencies([2, 2, 0, 5], 60))
    points = metrics.only_series(LATENCY).window(0, 2**62)
    assert points.distributions is not None
    assert points.distributions.counts.tolist() == [3, 9]
    assert points.distributions.bounds.tolist() == [1.0, 2.0, 4.0]
    assert points.values.tolist() == [2.0, 2.0]
    assert (points.ends - points.starts).tolist() == [60 * 10**9, 120 * 10**9]


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    metrics = Metrics(journal)
    metrics.write(one(1.0, 0, unit="By"), count(5, 0, labels={"a": "1"}), latencies([1, 2, 3, 4], 0))
    try:
        metrics.write(one(2.0, 60), one(9.0, 61))
    except ApiError as error:
        assert "Duplicate" in error.message  # noqa: PT017  # the other point of this call is what the test is about
    metrics.write(one(True, 0, metric="custom.googleapis.com/gone"))
    metrics.store.delete_descriptor("custom.googleapis.com/gone")
    journal.append("monitoring.descriptor_deleted", b"custom.googleapis.com/gone")

    again = Metrics()
    for kind, record in journal.replay():
        again.service.restore(kind, record)
    again.service.settle()
    journal.close()
    assert again.store.descriptors() == metrics.store.descriptors()
    for metric in (GAUGE, COUNTER, LATENCY):
        assert again.read(metric, -1, 100) == metrics.read(metric, -1, 100)
    assert again.values(GAUGE, -1, 100) == [[1.0, 2.0]]
