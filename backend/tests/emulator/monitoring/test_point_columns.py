"""What the journal keeps of points is what was stored, whatever they are made of."""

from typing import Any

import pytest
from google.api import distribution_pb2

from app.emulator.journal import VolatileJournal
from app.emulator.monitoring.point_columns import Loader
from support.monitoring import GAUGE, Metrics, count, create, latencies, one

OTHER = {"explicitBuckets": {"bounds": [1.0, 3.0]}}


def distribution(counts: list[int], at: int, **changes: Any) -> dict[str, Any]:
    found = latencies(counts, at)
    value = found["points"][0]["value"]["distributionValue"]
    value.update(changes)
    return found


def after_a_restart(metrics: Metrics, journal: VolatileJournal) -> Metrics:
    again = Metrics()
    for record in journal.records():
        again.service.restore(record.kind, record.body)
    again.service.settle()
    return again


def everything(metrics: Metrics) -> list[Any]:
    found = []
    for descriptor in metrics.store.descriptors():
        for series in metrics.store.series(descriptor.type):
            points = series.slice(0, series.size)
            columns = [points.starts.tolist(), points.ends.tolist(), [repr(value) for value in points.values.tolist()]]
            if points.distributions is not None:
                columns += [column.tolist() for column in points.distributions]
            exemplars = {place: [each.value for each in given] for place, given in series.exemplars.items()}
            found.append(
                (series.metric_type, series.metric_labels, series.resource_labels, columns, points.texts, exemplars,
                 series.last_end, series.last_start, series.bucket_options.SerializeToString())
            )  # fmt: skip
    return found


@pytest.mark.parametrize(
    "written",
    [
        [one(1.5, 0), one(float("nan"), 60), one(-0.0, 120)],
        [one(7, 0), one(2**53, 60)],
        [one(True, 0), one(False, 60)],
        [one("on", 0), one("", 60), one("an", 120)],
        [count(1, 0), count(5, 60), count(2, 120, since=90)],
        [latencies([1, 2], 0), latencies([1, 2, 3], 60), latencies([], 120)],
        [
            latencies([1], 0),
            distribution([1, 2], 60, bucketOptions=OTHER, bucketCounts=["1", "2"]),
            latencies([3], 120),
        ],
        [latencies([1], 0), distribution([1, 2], 60, exemplars=[{"value": 2.0}]), latencies([3], 120)],
        [one(1.0, 0, labels={"a": "1"}), one(2.0, 0, labels={"a": "2"}), one(3.0, 60, labels={"a": "1"})],
    ],
    ids=["numbers", "integers", "booleans", "texts", "counters", "histograms", "buckets", "exemplars", "series"],
)
def test_points_come_back_as_they_were(written: list[dict[str, Any]]) -> None:
    journal = VolatileJournal()
    metrics = Metrics(journal)
    for series in written:
        # Google's own services may write texts too.
        metrics.service.create_service_time_series(create(series))
    again = after_a_restart(metrics, journal)
    assert everything(again) == everything(metrics)
    assert again.store.descriptors() == metrics.store.descriptors()


def test_writing_goes_on_after_a_restart() -> None:
    journal = VolatileJournal()
    metrics = Metrics(journal)
    metrics.write(latencies([1], 0), one(1.0, 0))
    again = after_a_restart(metrics, journal)
    again.service._context.journal = journal
    again.write(latencies([1, 2], 60), one(2.0, 60, labels={"new": "series"}))
    third = after_a_restart(again, journal)
    assert everything(third) == everything(again)
    assert [series.size for series in third.store.series(GAUGE)] == [1, 1]


def test_a_series_of_a_deleted_metric_is_a_new_one_afterwards() -> None:
    journal = VolatileJournal()
    metrics = Metrics(journal)
    metrics.write(one(1.0, 0))
    journal.append("monitoring.descriptor_deleted", GAUGE.encode())
    metrics.store.delete_descriptor(GAUGE)
    metrics.write(one(2.0, 0))
    again = after_a_restart(metrics, journal)
    assert everything(again) == everything(metrics)


@pytest.mark.parametrize("record", [b"N\x05\x00\x00\x00", b"X\x00\x00\x00\x00", b"N"])
def test_a_record_that_is_no_record_is_refused(record: bytes) -> None:
    loader = Loader()
    with pytest.raises(Exception, match=r"buffer|unknown block|unpack"):  # struct.error and ValueError
        loader.read(record)


def test_points_of_an_unknown_series_are_refused() -> None:
    journal = VolatileJournal()
    Metrics(journal).write(one(1.0, 0))
    loader = Loader()
    for record in journal.records():
        if record.kind == "monitoring.points":
            loader.read(record.body)
    with pytest.raises(ValueError, match="names series 1, which no record defines"):
        loader.finish()


def test_a_distribution_without_bounds_is_one_too() -> None:
    value = distribution_pb2.Distribution(count=2, mean=1.5)
    assert value.bucket_options.WhichOneof("options") is None
    journal = VolatileJournal()
    metrics = Metrics(journal)
    for at in (0, 60):
        plain = latencies([1], at)
        plain["points"][0]["value"]["distributionValue"] = {"count": "2", "mean": 1.5}
        metrics.write(plain)
    assert everything(after_a_restart(metrics, journal)) == everything(metrics)
