import asyncio
import json
import math
import subprocess
import threading

import pytest
from fastapi import FastAPI
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.core import SettingsError
from app.core.metrics import MetricsClient, catalogue
from app.core.metrics.catalogue import Metric
from app.core.metrics.cells import Exemplar, Store
from app.core.metrics.exposition import OPEN_METRICS, TEXT, Exposition, metrics_routes, negotiate, render
from app.core.settings import Settings
from support.provenance import known_from
from support.service import observed
from support.tools import tool
from support.waiting import wait_until_async

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def filled(store):
    metrics = MetricsClient(store)
    metrics.counter("cloudops_dropped_total", {"signal": "logs", "reason": "undelivered"}).add(3)
    metrics.gauge("process_resident_memory_bytes").set(1e9 + 0.5)
    histogram = metrics.histogram("cloudops_export_duration_seconds")
    for seconds in (0.005, 0.3, 99):
        histogram.observe(seconds)
    return store


def _samples(families):
    return {(sample.name, *sorted(sample.labels.items())): sample.value for one in families for sample in one.samples}


@pytest.mark.parametrize(("open_metrics", "parse"), [(False, parse_text), (True, parse_open_metrics)])
def test_prometheus_own_parser_reads_what_was_counted(filled, open_metrics, parse):
    families = list(parse(render(filled.peek(), open_metrics=open_metrics).decode()))
    samples = _samples(families)
    assert samples[("cloudops_dropped_total", ("reason", "undelivered"), ("signal", "logs"))] == 3
    assert samples[("process_resident_memory_bytes",)] == 1e9 + 0.5
    assert samples[("cloudops_export_duration_seconds_bucket", ("le", "0.005"))] == 1
    assert samples[("cloudops_export_duration_seconds_bucket", ("le", "0.5"))] == 2
    assert samples[("cloudops_export_duration_seconds_bucket", ("le", "+Inf"))] == 3
    assert samples[("cloudops_export_duration_seconds_count",)] == 3
    assert samples[("cloudops_export_duration_seconds_sum",)] == pytest.approx(99.305)
    assert {one.name: one.type for one in families} == {
        "cloudops_dropped": "counter",
        "process_resident_memory_bytes": "gauge",
        "cloudops_export_duration_seconds": "histogram",
    }


@known_from(docs="https://prometheus.io/docs/specs/om/open_metrics_spec/#unit")
def test_open_metrics_names_a_unit_only_where_the_name_ends_in_it(filled):
    page = render(filled.peek(), open_metrics=True).decode()
    assert "# UNIT cloudops_export_duration_seconds seconds\n" in page
    assert "# UNIT process_resident_memory_bytes bytes\n" in page
    assert page.count("# UNIT") == 2
    assert page.endswith("# EOF\n")
    assert "# UNIT" not in render(filled.peek(), open_metrics=False).decode()


@pytest.mark.parametrize(("open_metrics", "parse"), [(False, parse_text), (True, parse_open_metrics)])
@pytest.mark.parametrize("value", ['a "b" \\ c\nd', "ü€😀", "\\n", "}", 'x",y="z'])
def test_any_label_value_comes_back_as_it_was(store, open_metrics, parse, value):
    metric = Metric("jobs_total", "counter", "1", 'What "it" \\ is\nabout.', {"name": None})
    store.cell("", metric, (value,))[0] = 1
    [family] = parse(render(store.peek(), open_metrics=open_metrics).decode())
    assert family.samples[0].labels == {"name": value}
    assert family.documentation == 'What "it" \\ is\nabout.'


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, 2.0**60, math.inf, -math.inf, 0.1 + 0.2])
def test_any_number_comes_back_as_it_was(store, value):
    store.cell("", Metric("level", "gauge", "1", "Level.", {}), ())[0] = value
    [family] = parse_open_metrics(render(store.peek(), open_metrics=True).decode())
    assert family.samples[0].value == value


def test_no_number_is_told_as_none(store):
    store.cell("", Metric("level", "gauge", "1", "Level.", {}), ())[0] = math.nan
    assert b"\nlevel NaN\n" in render(store.peek(), open_metrics=False)


def test_an_exemplar_stands_at_the_bucket_of_its_value(filled):
    [series] = [one for one in filled.series if one.metric.kind == "histogram"]
    series.exemplar = Exemplar(0.3, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1_700_000_000_500_000_000)
    families = parse_open_metrics(render(filled.peek(), open_metrics=True).decode())
    samples = [sample for one in families for sample in one.samples]
    found = [(sample.labels["le"], sample.exemplar) for sample in samples if sample.exemplar is not None]
    [(le, exemplar)] = found
    assert le == "0.5"
    assert (exemplar.value, float(exemplar.timestamp)) == (0.3, 1_700_000_000.5)
    assert exemplar.labels == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}
    assert b"trace_id" not in render(filled.peek(), open_metrics=False)


def test_an_empty_label_is_left_out(store):
    store.cell("", Metric("jobs_total", "counter", "1", "Jobs.", {"a": None, "b": None}), ("x", ""))[0] = 1
    assert b'\njobs_total{a="x"} 1\n' in render(store.peek(), open_metrics=False)


def test_promtool_has_no_complaint_about_any_metric_of_the_catalogue(store):
    promtool = tool("promtool")
    for metric in catalogue.own().values():
        values = tuple(min(allowed) if allowed else "x" for allowed in metric.labels.values())
        store.cell("", metric, values)
    page = render(store.peek(), open_metrics=False)
    answer = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    complaints = [line for line in (answer.stderr + answer.stdout).decode().splitlines() if line]
    # The name of the first user's own plan; in milliseconds, and with the unit as an abbreviation.
    assert [line for line in complaints if not line.startswith("rate_limit_middleware_latency_ms ")] == []


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        (PROMETHEUS, OPEN_METRICS),
        ("application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=x;;=,,", TEXT),
    ],
)
def test_the_client_chooses_the_format(accept, wanted):
    assert negotiate(accept) == wanted


async def test_the_route_answers_in_both_formats_and_is_not_told_itself():
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> int:
        return item_id

    refreshed = []
    with observed(app, excluded_routes="/metrics") as service:
        exposition = Exposition(service.store, "items", lambda: refreshed.append(1))
        app.router.routes.extend(metrics_routes("/metrics", exposition))
        async with service.client() as client:
            await client.get("/items/7")
            for accept, content_type, parse in (
                ("", TEXT, parse_text),
                (PROMETHEUS, OPEN_METRICS, parse_open_metrics),
            ):
                answer = await client.get("/metrics", headers={"accept": accept})
                assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
                samples = _samples(parse(answer.text))
                endpoints = {
                    dict(key[1:])["endpoint"]: value for key, value in samples.items() if key[0] == "http_request_total"
                }
                assert endpoints == {"/items/{item_id}": 1}
            assert (await client.head("/metrics")).status_code == 200
        assert len(refreshed) == 3
        assert [entry["httpRequest"]["requestUrl"] for entry in service.access if "metrics" in json.dumps(entry)] == []


def test_without_a_path_there_is_no_route(store):
    assert metrics_routes("", Exposition(store, "items", lambda: None)) == []
    assert Settings.load().metrics_route == ""


@pytest.mark.parametrize("path", ["metrics", "/", "/a b", "/{item}", "/metrics/"])
def test_a_path_that_is_no_path_is_refused(path):
    with pytest.raises(SettingsError, match="METRICS_ROUTE"):
        Settings.load(metrics_route=path)


async def test_one_app_tells_its_own_requests_and_the_process(store):
    metric = Metric("jobs_total", "counter", "1", "Jobs.", {})
    for job in ("items", "admin", ""):
        store.cell(job, Metric(f"{job or 'process'}_total", "counter", "1", "Count.", {}), ())[0] = 1
    assert metric.name.encode() not in Exposition(store, "items", lambda: None).render(TEXT)
    page = Exposition(store, "items", lambda: None).render(TEXT)
    assert b"\nitems_total 1\n" in page
    assert b"\nprocess_total 1\n" in page
    assert b"admin" not in page


async def test_many_who_ask_at_once_get_one_page_and_the_loop_goes_on(filled):
    entered, leave, written = threading.Event(), threading.Event(), []

    def slow() -> None:
        written.append(1)
        entered.set()
        leave.wait(30)

    app = FastAPI()
    app.router.routes.extend(metrics_routes("/metrics", Exposition(filled, "items", slow)))
    with observed(app) as service:
        async with service.client() as client, asyncio.TaskGroup() as group:
            asked = [group.create_task(client.get("/metrics")) for _ in range(50)]
            await wait_until_async(entered.is_set)  # the loop is free while the page is written
            leave.set()
        assert {task.result().status_code for task in asked} == {200}
        assert len({task.result().text for task in asked}) == 1
    assert len(written) == 1


def test_without_an_exporter_the_guards_of_open_labels_settle_here(store):
    counter = MetricsClient(store).counter("rate_limit_hits_total")
    for number in range(300):
        counter.labels(endpoint="/login", ip_address=f"203.0.113.{number % 250}").add()
    told = 0.0
    for _ in range(3):
        page = Exposition(store, "items", lambda: None, alone=True).render(TEXT).decode()
        samples = _samples(parse_text(page))
        told = sum(value for key, value in samples.items() if key[0] == "rate_limit_hits_total")
    assert told == 300
    assert store._retired == []
