import httpx
import pytest
from google.api import metric_pb2, monitored_resource_pb2
from starlette.applications import Starlette

from app.emulator.clock import NANOS, ManualClock
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context
from app.emulator.promql.cloud import CloudSource
from app.emulator.promql.http_api import routes
from support.provenance import known_from, our_choice

API = "prometheus.io/docs/prometheus/latest/querying/api"
T0 = 1_700_000_000
PATH = "/v1/projects/demo/location/global/prometheus/api/v1"
LABELS = {"monitored_resource": "prometheus_target", "project_id": "demo", "job": "api"}


@pytest.fixture
def client() -> httpx.AsyncClient:
    context = Context(clock=ManualClock((T0 + 300) * NANOS))
    store = MetricStore()
    for name, kind, step in (("requests", "counter", 60.0), ("up", "gauge", 0.0)):
        metric_type = f"prometheus.googleapis.com/{name}/{kind}"
        metric_kind = metric_pb2.MetricDescriptor.CUMULATIVE if kind == "counter" else metric_pb2.MetricDescriptor.GAUGE
        store.put_descriptor(
            metric_pb2.MetricDescriptor(
                type=metric_type,
                metric_kind=metric_kind,
                value_type=metric_pb2.MetricDescriptor.DOUBLE,
                unit="1",
                description=f"The {name}.",
            )
        )
        for code in ("200", "500"):
            series = store.find_or_create(
                metric_pb2.Metric(type=metric_type, labels={"code": code}),
                monitored_resource_pb2.MonitoredResource(type="prometheus_target", labels={"job": "api"}),
                "demo",
            )
            for minute in range(6):
                end = (T0 + 60 * minute) * NANOS
                series.append(T0 * NANOS - 1 if kind == "counter" else end, end, 1 + minute * step)
    app = Starlette(routes=routes(context, CloudSource(store, context)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://emulator")


@known_from(docs=API)
async def test_an_instant_query_answers_in_prometheus_envelope(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PATH}/query", params={"query": 'requests{code="500"}', "time": T0 + 60.5})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "requests", "code": "500", **LABELS}, "value": [T0 + 60.5, "61"]}],
        },
    }


@known_from(docs=API)
async def test_a_range_query_answers_by_get_and_by_post(client: httpx.AsyncClient) -> None:
    asked = {"query": "sum(rate(requests[2m]))", "start": str(T0 + 120), "end": "2023-11-14T22:18:20Z", "step": "1m"}
    by_get = await client.get(f"{PATH}/query_range", params=asked)
    by_post = await client.post(f"{PATH}/query_range", data=asked)
    assert by_get.json() == by_post.json()
    values = [[T0 + seconds, "2"] for seconds in (120, 180, 240, 300)]
    assert by_get.json()["data"] == {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}


@known_from(docs=API)
@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("1 / 0", {"resultType": "scalar", "result": [T0 + 300, "+Inf"]}),
        ("-0.00000001", {"resultType": "scalar", "result": [T0 + 300, "-1e-08"]}),
        ("1e21", {"resultType": "scalar", "result": [T0 + 300, "1e+21"]}),
        ("123456789.5", {"resultType": "scalar", "result": [T0 + 300, "123456789.5"]}),
        ("NaN", {"resultType": "scalar", "result": [T0 + 300, "NaN"]}),
        ('"text"', {"resultType": "string", "result": [T0 + 300, "text"]}),
        ("nothing", {"resultType": "vector", "result": []}),
    ],
)
async def test_without_a_time_the_clock_is_asked(client: httpx.AsyncClient, query: str, data: object) -> None:
    assert (await client.get(f"{PATH}/query", params={"query": query})).json()["data"] == data


@known_from(docs=API)
async def test_a_client_can_ask_what_there_is(client: httpx.AsyncClient) -> None:
    async def data(path: str, **asked: str) -> object:
        answer = await client.get(
            PATH + path, params={name.replace("match", "match[]"): text for name, text in asked.items()}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    names = ["__name__", "code", "job", "monitored_resource", "project_id"]
    assert await data("/labels") == names
    assert await data("/labels", match="up") == names
    assert await data("/label/__name__/values") == ["requests", "up"]
    assert await data("/label/code/values") == ["200", "500"]
    assert await data("/label/code/values", match='up{code!="200"}') == ["500"]
    assert await data("/series", match='up{code="500"}') == [{"__name__": "up", "code": "500", **LABELS}]
    assert await data("/series", match="up", end=str(T0 - 1)) == []
    assert await data("/metadata") == {
        "requests": [{"type": "counter", "help": "The requests.", "unit": "1"}],
        "up": [{"type": "gauge", "help": "The up.", "unit": "1"}],
    }
    assert await data("/metadata", metric="nothing") == {}


@known_from(docs=API)
@pytest.mark.parametrize(
    ("path", "asked", "message"),
    [
        ("/query", {}, "query"),
        ("/query", {"query": "sum("}, "never closed"),
        ("/query", {"query": "up", "time": "noon"}, 'cannot parse "noon"'),
        ("/query", {"query": "up", "time": "2023-11-14T22:18:20"}, "valid timestamp"),
        ("/query", {"query": "up", "time": "1e300"}, "out of bounds"),
        ("/query", {"query": "requests + on (job) up"}, "many-to-many"),
        ("/query", {"query": '{__name__=~"u.*"}'}, "exact match"),
        ("/query_range", {"query": "up", "start": "0", "end": "1"}, "step"),
        ("/query_range", {"query": "up", "start": "0", "end": "1", "step": "0"}, "zero or negative"),
        ("/query_range", {"query": "up", "start": "0", "end": "1", "step": "soon"}, "valid duration"),
        ("/query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}, "before its start"),
        ("/query_range", {"query": "up", "start": "0", "end": "11000", "step": "1"}, "11,000 points"),
        ("/series", {}, "match"),
        ("/series", {"match[]": "rate(up[5m])"}, "no series selector"),
        ("/labels", {"start": "2", "end": "1"}, "before start"),
    ],
)
async def test_what_cannot_be_answered_is_bad_data(
    client: httpx.AsyncClient, path: str, asked: dict[str, str], message: str
) -> None:
    for answer in (await client.get(PATH + path, params=asked), await client.post(PATH + path, data=asked)):
        body = answer.json()
        assert (answer.status_code, body["status"], body["errorType"]) == (400, "error", "bad_data")
        assert message in body["error"]


@our_choice("Google answers 403 or 404 for a project that is not yours; which of both is not published")
async def test_another_project_is_not_here(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH.replace("demo", "other") + "/query", params={"query": "up"})
    assert answer.status_code == 404
    assert answer.json()["error"] == "project other is not emulated here: this is demo"
    by_number = await client.get(PATH.replace("demo", "123456789012") + "/query", params={"query": "1"})
    assert by_number.status_code == 200
    regional = await client.get(PATH.replace("global", "europe-west1") + "/query", params={"query": "1"})
    assert regional.status_code == 400


@our_choice("a form is a query, not an upload")
async def test_an_endless_form_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{PATH}/query", content=b"query=" + b"1" * (1 << 21))
    assert answer.status_code == 400
    assert "form is larger" in answer.json()["error"]
