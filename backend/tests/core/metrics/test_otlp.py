"""Metrics over OTLP: what a collector reads, what Google makes of it, and what a hostile one can do."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from app.core import Settings
from app.core.lifecycle import Worker
from app.core.metrics import MetricsClient
from app.core.metrics.catalogue import Metric
from app.core.metrics.cells import Exemplar, Series, Store
from app.core.metrics.connection import connect
from app.core.metrics.otlp import OtlpEncoding, read_answer
from app.core.metrics.otlp_transport import connect_otlp
from app.core.metrics.target import Target
from app.core.metrics.written import Item, Written
from app.emulator.project import Switches
from support.emulator import running_emulator
from support.provenance import known_from
from support.waiting import wait_until

START, END = 1_700_000_000_000_000_000, 1_700_000_060_500_000_000
TARGET = Target("shop", "europe-west1", "__run__", "test", "items", "i-0", "prometheus", "cloudops")
BOUNDS = (1.0, 5.0)


@pytest.fixture(autouse=True)
def _slots_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def _item(encoding: OtlpEncoding, kind: Any, cell: list[float], job: str = "") -> Item:
    metric = Metric(f"x_{kind}", kind, "s", "How long", {"a": None}, BOUNDS if kind == "histogram" else ())
    series = Series(job, metric, ("b",), cell)
    if kind == "histogram":
        series.exemplar = Exemplar(2.5, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", END)
    return Item(series, Written(encoding.prefix(series), START, cell), cell)


def _read(*items: tuple[Any, list[float], str], target: Target = TARGET) -> Any:
    encoding = OtlpEncoding(target)
    return ExportMetricsServiceRequest.FromString(
        encoding.request([_item(encoding, kind, cell, job) for kind, cell, job in items], END)
    )


def _attributes(attributes: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in attributes}


@known_from(proto="opentelemetry/proto/metrics/v1/metrics.proto")
def test_opentelemetrys_own_classes_read_every_kind():
    request = _read(("counter", [3.0], ""), ("gauge", [1.5], ""), ("histogram", [1.0, 2.0, 0.0, 4.5], ""))
    [resource] = request.resource_metrics
    counter, gauge, histogram = resource.scope_metrics[0].metrics
    assert counter.sum.is_monotonic
    assert counter.sum.aggregation_temporality == histogram.histogram.aggregation_temporality == 2
    [point] = counter.sum.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano, point.as_double) == (START, END, 3.0)
    assert _attributes(point.attributes) == {"a": "b"}
    assert gauge.gauge.data_points[0].as_double == 1.5
    assert (counter.name, counter.unit, counter.description) == ("x_counter", "s", "How long")
    [point] = histogram.histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts)) == (3, 4.5, [1, 2, 0])
    assert list(point.explicit_bounds) == list(BOUNDS)
    assert _attributes(point.attributes) == {"a": "b"}
    [exemplar] = point.exemplars
    assert (exemplar.as_double, exemplar.trace_id.hex()) == (2.5, "0af7651916cd43dd8448eb211c80319c")
    assert exemplar.span_id.hex() == "b7ad6b7169203331"


@known_from(docs="https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview")
def test_the_resource_names_the_labels_that_google_takes_first():
    request = _read(("counter", [3.0], ""), ("counter", [4.0], "another"))
    first, second = (_attributes(one.resource.attributes) for one in request.resource_metrics)
    wanted = {"location": "europe-west1", "cluster": "__run__", "namespace": "test", "job": "items", "instance": "i-0"}
    assert wanted.items() <= first.items()
    assert first["gcp.project_id"] == "shop"
    assert second["job"] == second["service.name"] == "another"


def test_another_domain_goes_with_the_name():
    target = Target("shop", "europe-west1", "", "test", "items", "i-0", "custom", "cloudops")
    [resource] = _read(("counter", [3.0], ""), target=target).resource_metrics
    assert resource.scope_metrics[0].metrics[0].name == "custom.googleapis.com/cloudops/x_counter"


@known_from(docs="https://opentelemetry.io/docs/specs/otlp/#partial-success")
def test_rejected_points_are_read_and_a_mere_remark_is_none():
    answer = ExportMetricsServiceResponse()
    assert read_answer(answer.SerializeToString()) is None
    answer.partial_success.error_message = "by the way"
    assert read_answer(answer.SerializeToString()) is None
    answer.partial_success.rejected_data_points = 3
    refused = read_answer(answer.SerializeToString())
    assert refused is not None
    assert (refused.partial, refused.points, refused.message) == (True, {"INVALID_ARGUMENT": 3}, "by the way")


@given(st.binary(max_size=100))
def test_any_answer_is_read_or_refused(body):
    try:
        read_answer(body)
    except ValueError:
        return


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_the_emulator_maps_it_to_the_series_of_the_other_way(wire):
    with running_emulator(switches=Switches(minimum_gap_seconds=0.0)) as emulator:
        for backend in ("api", "otlp"):
            store = Store()
            endpoint = emulator.http if wire == "http" else ""
            settings = Settings.load(
                service_name="items",
                environment="test",
                cloudops_emulator_host=emulator.grpc,
                metrics_backend=backend,
                otlp_metrics_endpoint=endpoint,
            )
            worker = Worker(store, interval=3600, gap=0.05)
            worker.start(settings, lambda runtime: None)
            MetricsClient(store).counter("cloudops_internal_errors_total").add(2)
            MetricsClient(store).histogram("http_background_duration_seconds", {"endpoint": "/x"}).observe(0.3)
            assert worker.flush(20)
            worker.stop()

        def seen(kind: str) -> list[tuple[dict[str, str], dict[str, str], float]]:
            return [
                (one.metric_labels, one.resource_labels, float(one.window(0, time.time_ns() + 10**10).values[-1]))
                for one in emulator.emulator.parts.store.series(f"prometheus.googleapis.com/{kind}")
            ]

        for kind in ("cloudops_internal_errors_total/counter", "http_background_duration_seconds/histogram"):
            (labels, resource, value), (other_labels, other, other_value) = emulator.call(partial(seen, kind))
            assert (labels, value) == (other_labels, other_value)
            slots = {resource.pop("instance").rpartition("-")[2], other.pop("instance").rpartition("-")[2]}
            assert slots == {"0", "1"}, "two exporters in one process"
            assert resource == other
        assert (resource["job"], resource["namespace"], resource["location"]) == ("items", "test", "global")


@contextmanager
def _http(answer: bytes | bytearray, status: int = 200, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_collector_gets_it_over_http_at_the_usual_path():
    with _http(b"") as (url, seen):
        connection = connect_otlp(url, "")
        assert connection.write(b"\x0a\x00", 5) is None
        assert connection.write(b"\x0a\x00", 5) is None
        connection.close()
    (path, headers, body), _ = seen
    assert (path, headers["content-type"], body) == ("/v1/metrics", "application/x-protobuf", b"\x0a\x00")
    assert "authorization" not in {name.lower() for name in headers}


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (418, "UNKNOWN")]
)
def test_a_status_of_http_becomes_one_of_googles(status, code):
    with _http(b"nonsense", status, Retry_After="7") as (url, _):
        refused = connect_otlp(url, "").write(b"", 5)
    assert refused is not None
    assert (refused.code, refused.retry_after) == (code, 7.0)


def test_a_redirect_is_not_followed():
    with _http(b"") as (elsewhere, seen), _http(b"", 307, Location=f"{elsewhere}/v1/metrics") as (url, _):
        refused = connect_otlp(url, "").write(b"", 5)
        assert refused is not None
        assert "redirect" in refused.message
        assert seen == []


def test_an_answer_without_an_end_is_read_for_some_kilobytes_and_left():
    with _http(b"x" * 5_000_000) as (url, _):
        refused = connect_otlp(url, "").write(b"", 5)
    assert refused is not None
    assert "longer than" in refused.message


@contextmanager
def _dripping(first: bytes) -> Iterator[str]:
    """A server that sends a byte now and then, for ever."""
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(first)
                while not over.wait(0.1):
                    connection.sendall(b"x")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join(10)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_an_answer_that_drips_ends_with_the_time_of_the_call(first):
    with _dripping(first) as url:
        began = time.monotonic()
        refused = connect_otlp(url, "").write(b"", 1.0)
        took = time.monotonic() - began
    assert refused is not None
    assert took < 30, "60,000 bytes at ten a second would be 100 minutes"


def test_nobody_there_is_unavailable():
    for scheme in ("grpc", "http"):
        connection = connect_otlp(f"{scheme}://127.0.0.1:9", "")
        refused = connection.write(b"", 5)
        assert refused is not None
        assert refused.code == "UNAVAILABLE"
        connection.close()


def test_points_that_a_collector_rejects_are_counted():
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 1
    answer.partial_success.error_message = "no"
    store = Store()
    counter = MetricsClient(store).counter("cloudops_internal_errors_total")
    body = bytearray(answer.SerializeToString())
    with _http(body) as (url, seen):
        settings = Settings.load(
            service_name="items", google_cloud_project="shop", metrics_backend="otlp", otlp_metrics_endpoint=url
        )
        worker = Worker(store, interval=0.3, gap=0.05)
        worker.start(settings, lambda runtime: None)
        counter.add()
        refused = MetricsClient(store).counter("cloudops_dropped_total", {"signal": "metrics", "reason": "refused"})
        assert refused is not None
        wait_until(lambda: len(seen) >= 3, 20, "three exports")
        body.clear()  # it takes all from now on, so that the end waits for nothing
        worker.stop()
    [series] = [one for one in store.series if one.values[:1] == ("refused",)]
    assert series.cell[0] >= 1


def test_the_backend_is_one_setting():
    settings = Settings.load(metrics_backend="otlp", cloudops_emulator_host="127.0.0.1:9")
    connection = connect(settings)
    assert type(connection).__module__.endswith("otlp_transport")
    connection.close()
