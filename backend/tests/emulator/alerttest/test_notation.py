"""Series as scripts write them, and the points they become."""

import numpy as np
import pytest

from app.emulator.alerttest.distributions import DEFAULT_BOUNDS, histogram, observations
from app.emulator.alerttest.errors import ScriptError
from app.emulator.alerttest.notation import duration_text, expand, seconds_of
from app.emulator.alerttest.series import series_of
from app.emulator.alerttest.tester import AlertTester
from support.provenance import known_from, our_choice

PROMTOOL = "https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series"
PROMETHEUS = "prometheus.googleapis.com/"


@known_from(docs=PROMTOOL)
def test_the_notation_is_promtools() -> None:
    assert list(expand("1+2x3 4x2 5-1x1 _ _x2 7")) == [1, 3, 5, 7, 4, 4, 4, 5, 4, None, None, None, 7]
    assert list(expand("-1.5+.5x2 1e3 +2 0+-1x1")) == [-1.5, -1, -0.5, 1000, 2, 0, -1]
    assert list(expand("true falsex1")) == [1, 0, 0]


@pytest.mark.parametrize("broken", ["1++2", "x3", "1x", "stale", "{{count:1", "{{p50:1}}y3", "1..2"])
def test_what_is_not_in_the_notation_is_refused(broken: str) -> None:
    with pytest.raises(ScriptError):
        list(expand(broken))


def test_durations_are_read_and_written() -> None:
    assert [seconds_of(text) for text in ("1m30s", "2h", "1d", "250ms", 90, "0s")] == [90, 7200, 86_400, 0.25, 90, 0]
    assert [duration_text(value) for value in (0, 90, 7200, 90_061, 0.25)] == ["0s", "1m30s", "2h", "1d1h1m1s", "250ms"]
    for wrong in ("5 minutes", "m", "", "-5m", True):
        with pytest.raises(ScriptError):
            seconds_of(wrong)


@pytest.mark.parametrize(
    ("text", "buckets", "size", "mean"),
    [
        ("values:[0.5 1 1.5 9]", [1, 2, 1], 4, 3.0),
        ("values:[1, 2]", [0, 1, 1], 2, 1.5),
        ("buckets:[3 1]", [3, 1, 0], 4, None),
        ("buckets:[3 1] mean:0.7", [3, 1, 0], 4, 0.7),
        ("count:10 mean:1.5", [0, 10, 0], 10, 1.5),
        # A straight line from 0 to 4: a quarter below 1, half below 2.
        ("count:100 p50:2 p99:3.96 max:4", [25, 25, 50], 100, 2.0),
        ("p50:1 p100:2", None, None, None),
        ("", [0, 0, 0], 0, None),
    ],
)
def test_a_distribution_is_said_in_several_ways(
    text: str, buckets: list[int] | None, size: int | None, mean: float | None
) -> None:
    if buckets is None:
        with pytest.raises(ScriptError):
            observations(text)
        return
    made = histogram(observations(text), [1, 2])
    assert made.buckets.tolist() == buckets
    assert made.size == size
    if mean is not None:
        assert made.total / made.size == pytest.approx(mean)


@pytest.mark.parametrize(
    "text", ["p50:2 p95:1", "count:5", "values:[a]", "quantile:3", "buckets:[1 2 3 4]", "p50", "values:[1"]
)
def test_a_distribution_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ScriptError):
        histogram(observations(text), [1, 2])


@our_choice("buckets must be fine enough that a test reads back the quantile it wrote")
def test_quantiles_come_back_within_a_tenth() -> None:
    wanted = {50: 0.1, 95: 0.4, 99: 1.2}
    text = " ".join(f"p{percent}:{value}" for percent, value in wanted.items())
    made = histogram(observations(f"count:10000 {text}"), DEFAULT_BOUNDS)
    cumulative = np.cumsum(made.buckets) / made.size
    for percent, value in wanted.items():
        place = int(cumulative.searchsorted(percent / 100 - 1e-9))
        assert value / 1.2 <= DEFAULT_BOUNDS[place] <= value * 1.2


@pytest.mark.parametrize(
    ("metric", "more", "kind", "metric_type", "resource"),
    [
        ("http_request_total", {}, "CUMULATIVE", f"{PROMETHEUS}http_request_total/counter", "prometheus_target"),
        ("http_requests_in_flight", {}, "GAUGE", f"{PROMETHEUS}http_requests_in_flight/gauge", "prometheus_target"),
        ("jobs_total", {}, "CUMULATIVE", f"{PROMETHEUS}jobs_total/counter", "prometheus_target"),
        ("depth", {}, "GAUGE", f"{PROMETHEUS}depth/gauge", "prometheus_target"),
        ("depth", {"kind": "counter"}, "CUMULATIVE", f"{PROMETHEUS}depth/counter", "prometheus_target"),
        (f"{PROMETHEUS}x/gauge", {}, "GAUGE", f"{PROMETHEUS}x/gauge", "prometheus_target"),
        ("a.com/b", {"kind": "DELTA", "resource": {"type": "global"}}, "DELTA", "a.com/b", "global"),
    ],
)  # fmt: skip
def test_a_name_says_how_it_is_written(
    metric: str, more: dict[str, object], kind: str, metric_type: str, resource: str
) -> None:
    made = series_of(metric, "1", interval=60, variables={}, **more)  # type: ignore[arg-type]  # keywords of a table
    assert (made.kind, made.metric_type, made.resource_type) == (kind, metric_type, resource)


def test_labels_of_the_target_go_to_the_resource_and_variables_fill_it() -> None:
    made = series_of(
        'm_total{instance="7",code="500"}', "1", interval=60, variables={"service": "items", "environment": "prod"}
    )
    assert made.labels == {"code": "500"}
    assert made.resource_labels == {
        "location": "europe-west1", "cluster": "__run__", "namespace": "prod", "job": "items", "instance": "7",
    }  # fmt: skip


def test_another_domain_of_the_library_is_written_as_the_library_writes_it() -> None:
    made = series_of("m_total", "1", interval=60, variables={"metrics_domain": "custom", "service": "items"})
    assert (made.metric_type, made.resource_type) == ("custom.googleapis.com/cloudops/m_total", "generic_task")
    assert made.resource_labels["job"] == "items"


@pytest.mark.parametrize(
    ("metric", "more", "why"),
    [
        ("m{a=b}", {}, "is not a label"),
        ("m{", {}, "is not a metric"),
        ("run.googleapis.com/x", {"resource": {"type": "global"}}, "say its kind"),
        ("run.googleapis.com/x", {"kind": "gauge"}, "say its resource"),
        ("m", {"kind": "delta"}, "a counter, a gauge or a histogram"),
        ("m", {"kind": "summary"}, "kind is one of"),
        ("m", {"type": "float"}, "type is one of"),
        ("m", {"metadata": {"labels": {}}}, "userLabels and systemLabels"),
    ],
)
def test_a_series_that_says_too_little_is_refused(metric: str, more: dict[str, object], why: str) -> None:
    with pytest.raises(ScriptError, match=why):
        series_of(metric, "1", interval=60, variables={}, **more)  # type: ignore[arg-type]  # keywords of a table


@pytest.mark.parametrize(
    ("metric", "values", "more", "why"),
    [
        ("m_total", "5 4", {}, "falls from 5 to 4"),
        ("m_total", "5 {{values:[1]}}", {}, "is no distribution"),
        ("m", "1", {"labels": {"9": "x"}}, "was refused"),
    ],
)
def test_points_that_cannot_be_written_are_a_mistake_of_the_test(
    metric: str, values: str, more: dict[str, object], why: str
) -> None:
    tester = AlertTester()
    tester.write(metric, values, **more)  # type: ignore[arg-type]  # keywords of a table
    with pytest.raises(ScriptError, match=why):
        tester.clock.advance("5m")


def test_a_counter_may_fall_where_the_process_restarts() -> None:
    tester = AlertTester()
    tester.write("m_total", "0+60x5 0+60x5", resets=True)
    tester.clock.advance("10m")
    (series,) = tester._parts.store.series("prometheus.googleapis.com/m_total/counter")
    points = series.window(0, 2**62)
    assert len(set(points.starts.tolist())) == 2


@known_from(docs="https://prometheus.io/docs/concepts/metric_types/#histogram")
def test_distributions_add_up_where_the_metric_is_cumulative() -> None:
    tester = AlertTester()
    tester.write("m_seconds", "{{count:10 mean:2}}x2 0")
    tester.write("a.com/b", "{{count:10 mean:2}}x2 0", kind="delta", resource={"type": "global"})
    tester.clock.advance("5m")
    stored = {f"{PROMETHEUS}m_seconds/histogram": [10, 20, 30, 30], "a.com/b": [10, 10, 10, 0]}
    for metric_type, counts in stored.items():
        (series,) = tester._parts.store.series(metric_type)
        points = series.window(0, 2**62)
        assert points.distributions is not None
        assert points.distributions.counts.tolist() == counts
        assert points.values.tolist()[0] == 2
