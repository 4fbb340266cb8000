import contextlib
import time

import pytest
from opentelemetry import metrics as otel
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider

from app.core import Settings, guard
from app.core.lifecycle import Worker
from app.core.metrics import MetricsClient
from app.core.metrics.cells import Store
from app.core.metrics.exposition import render
from app.core.metrics.opentelemetry_names import labels_of, metric_name
from app.core.metrics.opentelemetry_reader import OpenTelemetryReader
from app.core.metrics.sources import refreshers
from app.emulator.project import Switches
from support.emulator import running_emulator
from support.provenance import known_from, our_choice
from support.waiting import wait_until


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def read(store):
    """Cells by label values of a metric, after the reader was asked."""

    def cells(name: str) -> dict[tuple[str, ...], list[float]]:
        refreshers(store)()
        return {series.values: cell for series, cell in store.peek() if series.metric.name == name}

    return cells


@pytest.fixture
def warnings(monkeypatch):
    told: list[dict[str, object]] = []
    monkeypatch.setattr(guard, "warn", lambda message, **fields: told.append(fields))
    return told


@pytest.fixture
def meter(store):
    with _provider(store) as provider:
        yield provider.get_meter("test")


@contextlib.contextmanager
def _provider(store, **options):
    limit = options.pop("series_per_metric", 200)
    reader = OpenTelemetryReader(MetricsClient(store), series_per_metric=limit)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False, **options)
    yield provider
    provider.shutdown()


def test_a_counter_keeps_its_total_over_collections(meter, read):
    counter = meter.create_counter("app.orders", unit="{order}")
    counter.add(2, {"shop.kind": "web"})
    assert read("app_orders_total") == {("web",): [2]}
    counter.add(3, {"shop.kind": "web"})
    counter.add(1, {"shop.kind": "till"})
    assert read("app_orders_total") == {("web",): [5], ("till",): [1]}
    assert read("app_orders_total") == {("web",): [5], ("till",): [1]}


def test_an_observed_total_that_begins_again_is_counted_on(meter, read):
    totals = iter([10, 15, 4, 6])
    meter.create_observable_counter("disk.reads", [lambda _: [otel.Observation(next(totals))]])
    assert [read("disk_reads_total")[()] for _ in range(4)] == [[10], [15], [19], [21]]


def test_what_goes_up_and_down_is_a_gauge(meter, read):
    sessions = meter.create_up_down_counter("sessions")
    sessions.add(5)
    read("sessions")
    sessions.add(-2)
    assert read("sessions") == {(): [3]}
    level = meter.create_gauge("tank.level", unit="1")
    level.set(0.5)
    assert read("tank_level_ratio") == {(): [0.5]}
    assert read("tank_level_ratio") == {(): [0.5]}
    level.set(0.25)
    assert read("tank_level_ratio") == {(): [0.25]}


def test_a_histogram_keeps_its_buckets_and_sum(meter, read, store):
    histogram = meter.create_histogram("work.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1])
    for seconds in (0.1, 0.5, 7):
        histogram.record(seconds)
    assert read("work_duration_seconds") == {(): [1, 1, 1, pytest.approx(7.6)]}
    histogram.record(7)
    assert read("work_duration_seconds") == {(): [1, 1, 2, pytest.approx(14.6)]}
    [series] = [one for one in store.series if one.metric.name == "work_duration_seconds"]
    assert (series.metric.kind, series.metric.unit, series.metric.buckets) == ("histogram", "s", (0.1, 1.0))


@our_choice("exponential buckets move, our series cannot: each counts where its middle is")
def test_an_exponential_histogram_is_counted_in_fixed_buckets(store, read):
    view = View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())
    with _provider(store, views=[view]) as provider:
        histogram = provider.get_meter("test").create_histogram("work.duration", unit="s")
        values = [0, 0.0004, 0.002, 0.03, 0.03, 0.7, 4, 4000]
        for seconds in values:
            histogram.record(seconds)
        [cell] = read("work_duration_seconds").values()
        for _ in range(3):
            histogram.record(1e-9)
        [later] = read("work_duration_seconds").values()
    assert sum(cell[:-1]) == len(values)
    assert cell[-1] == pytest.approx(sum(values))
    assert cell[:-1] == [2, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1]
    assert sum(later[:-1]) == len(values) + 3


def test_labels_that_come_later_join_without_a_second_series(meter, read, store):
    counter = meter.create_counter("jobs")
    counter.add(1, {"a": "x"})
    read("jobs_total")
    counter.add(1, {"b": "x"})
    counter.add(1, {"a": "x"})
    counter.add(1, {"a": "x", "b": ""})
    read("jobs_total")
    page = render(store.peek(), open_metrics=False).decode()
    assert 'jobs_total{a="x"} 3\n' in page
    assert 'jobs_total{b="x"} 1\n' in page
    assert page.count("\njobs_total{") == 2


def test_two_meters_of_one_name_add_up(store, read):
    with _provider(store) as provider:
        for scope in ("one", "two"):
            provider.get_meter(scope).create_counter("jobs").add(2)
        assert read("jobs_total") == {(): [4]}
        for scope in ("one", "two"):
            provider.get_meter(scope).create_counter("jobs").add(2)
        assert read("jobs_total") == {(): [8]}


@our_choice("a metric has at most so many series; more are added up as `other` with totals exact")
def test_labels_without_an_end_are_folded_and_totals_stay_exact(store, read):
    with _provider(store, series_per_metric=10) as provider:
        counter = provider.get_meter("test").create_counter("visits")
        for round_ in range(3):
            for number in range(5000):
                counter.add(1, {"user": f"{round_}-{number}"})
            cells = read("visits_total")
    assert len(cells) == 10
    assert sum(cell[0] for cell in cells.values()) == 15_000
    assert cells[("other",)][0] == 15_000 - 9
    trips = {one.values: one.cell[0] for one in store.series if one.metric.name == "cloudops_guard_trips_total"}
    assert trips[("visits_total",)] > 0


@known_from(docs="https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute")
def test_what_the_sdk_folds_itself_is_other_too(meter, read):
    counter = meter.create_counter("visits")
    counter.add(1, {"user": "a"})
    counter.add(5, {"otel.metric.overflow": True})
    assert read("visits_total") == {("a",): [1], ("other",): [5]}


def test_totals_observed_for_more_labels_than_there_is_room_for_stay_exact(store, read):
    with _provider(store, series_per_metric=3) as provider:
        totals = {str(number): 10 for number in range(6)}

        def observe(_options: object) -> list[otel.Observation]:
            return [otel.Observation(total, {"disk": disk}) for disk, total in totals.items()]

        provider.get_meter("test").create_observable_counter("reads", [observe])
        assert read("reads_total") == {("0",): [10], ("1",): [10], ("other",): [40]}
        totals.update(dict.fromkeys(totals, 15))
        assert read("reads_total") == {("0",): [15], ("1",): [15], ("other",): [60]}


def test_gauges_beyond_the_limit_are_left_out_and_counted(store, read, warnings):
    with _provider(store, series_per_metric=3) as provider:
        gauge = provider.get_meter("test").create_gauge("temperature")
        for room in range(5):
            gauge.set(20, {"room": str(room)})
        assert read("temperature") == {("0",): [20], ("1",): [20]}
        assert read("cloudops_dropped_total")[("overflow", "metrics")] == [6]  # three points at each collection
    assert [told["metric"] for told in warnings] == ["temperature"]


def test_a_gauge_that_nobody_tells_any_more_ends_and_may_come_back(store, read):
    with _provider(store, series_per_metric=4) as provider:
        rooms = ["a", "b"]

        def observe(_options: object) -> list[otel.Observation]:
            return [otel.Observation(20, {"room": room}) for room in rooms]

        for scope in ("one", "two"):  # the same metric from two scopes is one collection
            provider.get_meter(scope).create_observable_gauge("temperature", [observe])
        assert set(read("temperature")) == {("a",), ("b",)}
        rooms[:] = ["b", "c"]
        assert set(read("temperature")) == {("b",), ("c",)}
        assert [series.values for series, _ in store.snapshot() if series.retired] == [("a",)]
        rooms[:] = []
        assert read("temperature") == {}
        rooms[:] = ["a"]
        assert read("temperature") == {("a",): [20]}


def test_a_name_that_means_two_things_is_left_out_and_told_once(store, read, warnings):
    with _provider(store) as provider:
        provider.get_meter("one").create_gauge("jobs").set(1)
        provider.get_meter("two").create_histogram("jobs").record(1)
        provider.get_meter("two").create_counter("http.request").add(1)  # http_request_total is the catalogue's
        for _ in range(2):
            assert read("jobs") == {(): [1]}
            provider.get_meter("two").create_histogram("jobs").record(1)
    assert [told["metric"] for told in warnings] == ["jobs", "http_request_total"]
    assert read("http_request_total") == {}
    assert read("cloudops_dropped_total")[("unsupported", "metrics")] == [4]


def test_an_instrument_that_raises_holds_up_nobody(store, read, internal_failures, caplog):
    with _provider(store) as provider:
        meter = provider.get_meter("test")

        def broken(_options: object) -> list[otel.Observation]:
            raise ValueError("planted")

        meter.create_observable_gauge("broken", [broken])
        meter.create_counter("jobs").add(1)
        assert read("jobs_total") == {(): [1]}
    assert internal_failures == []


def test_the_newest_exemplar_carries_its_trace(store, read):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with _provider(store, exemplar_filter=AlwaysOnExemplarFilter()) as provider:
        histogram = provider.get_meter("test").create_histogram("work.duration", unit="s")
        with tracer.start_as_current_span("work") as span:
            histogram.record(0.3)
        read("work_duration_seconds")
    [series] = [one for one in store.series if one.metric.kind == "histogram"]
    assert series.exemplar is not None
    assert (series.exemplar.value, series.exemplar.trace_id) == (0.3, f"{span.get_span_context().trace_id:032x}")


def test_shutting_the_provider_down_reads_for_the_last_time(store):
    with _provider(store) as provider:
        provider.get_meter("test").create_counter("jobs").add(1)
    assert [series.cell for series in store.series if series.metric.name == "jobs_total"] == [[1]]
    assert not refreshers(store)._functions


def test_no_global_provider_is_set(meter):
    assert isinstance(otel.get_meter_provider(), otel._internal._ProxyMeterProvider)


@known_from(docs="https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/")
@pytest.mark.parametrize(
    ("name", "unit", "kind", "told"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("system.filesystem.usage", "By", "gauge", "system_filesystem_usage_bytes"),
        ("system.network.dropped", "{packets}", "gauge", "system_network_dropped"),
        ("system.network.dropped", "packets", "counter", "system_network_dropped_packets_total"),
        ("system.memory.utilization", "1", "gauge", "system_memory_utilization_ratio"),
        ("hits", "1", "counter", "hits_total"),
        ("total.hits", "", "counter", "hits_total"),
        ("storage.time_seconds", "s", "gauge", "storage_time_seconds"),
        ("astro.light.speed", "m/s", "gauge", "astro_light_speed_meters_per_second"),
        ("flow", "{request}/s", "gauge", "flow_per_second"),
        ("(lambda).function.executions(#)", "", "gauge", "lambda_function_executions"),
        ("3d.prints", "", "counter", "_3d_prints_total"),
    ],
)
def test_names_are_those_of_managed_prometheus(name, unit, kind, told):
    assert metric_name(name, unit, kind) == told


def test_attributes_become_labels_that_every_back_end_takes():
    assert labels_of(
        {
            "http.route": "/a",
            "http_route": "/b",
            "9lives": True,
            "_own": 1,
            "job": "x",
            "list": ["a", "b"],
            "empty": "",
            "long": "x" * 2000,
        }
    ) == {
        "exported_job": "x",
        "http_route": "/a;/b",
        "key_9lives": "true",
        "key_own": "1",
        "list": '["a","b"]',
        "long": "x" * 1024,
    }
    assert labels_of(None) == {}


def test_a_real_instrumentation_ends_in_the_emulator(store):
    instrumentor = SystemMetricsInstrumentor(config={"process.memory.usage": None, "process.cpu.time": ["user"]})
    with running_emulator(switches=Switches(minimum_gap_seconds=0.0)) as emulator, _provider(store) as provider:
        instrumentor.instrument(meter_provider=provider)
        provider.get_meter("shop").create_histogram("order.value", unit="{EUR}").record(40, {"kind": "web"})
        worker = Worker(store, interval=0.2, gap=0.05)
        worker.before_export(refreshers(store))
        settings = Settings.load(service_name="shop", environment="test", cloudops_emulator_host=emulator.grpc)
        worker.start(settings, lambda runtime: None)

        def newest(metric_type: str) -> list[float]:
            def look() -> list[float]:
                found = emulator.emulator.parts.store.series(f"prometheus.googleapis.com/{metric_type}")
                windows = [series.window(0, time.time_ns() + 10**10) for series in found]
                return [float(window.values[-1]) for window in windows if len(window.values)]

            return emulator.call(look)

        try:
            wait_until(lambda: newest("process_memory_usage_bytes/gauge"), 20, "the process's memory")
            wait_until(lambda: newest("process_cpu_time_seconds_total/counter"), 20, "the process's time")
            assert newest("process_memory_usage_bytes/gauge")[0] > 10**6
            wait_until(lambda: newest("order_value/histogram") == [40.0], 20, "the mean of the orders")
        finally:
            worker.stop()
            instrumentor.uninstrument()
