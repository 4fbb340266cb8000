import gzip
import json
from typing import Any

import httpx
import pytest
from google.api import metric_pb2
from google.cloud import monitoring_v3
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2
from starlette.applications import Starlette

from app.emulator.status import ApiError, Code
from app.emulator.transport.guard import LoopbackGuard, is_loopback
from app.emulator.transport.limits import MAX_BODY_BYTES
from app.emulator.transport.rest import JsonCall, rest_route
from support.provenance import known_from, our_choice

HTTP_PROTO = "google/api/http.proto"


class Service:
    """Keeps the last request, answers with what it is told to."""

    def __init__(self) -> None:
        self.request: Any = None
        self.reply: Any = empty_pb2.Empty()

    def _answer(self, request: Any) -> Any:
        self.request = request
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    get_metric_descriptor = delete_metric_descriptor = list_time_series = create_time_series = _answer
    update_alert_policy = create_alert_policy = send_notification_channel_verification_code = _answer
    delete_log = create_dashboard_json = _answer


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def http(service: Service) -> httpx.AsyncClient:
    names = ("MetricService", "AlertPolicyService", "NotificationChannelService")
    services: dict[str, object] = {f"google.monitoring.v3.{name}": service for name in names}
    services |= {
        "google.logging.v2.LoggingServiceV2": service,
        "google.monitoring.dashboard.v1.DashboardsService": service,
    }
    app = LoopbackGuard(Starlette(routes=[rest_route(services)]))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8086")


def error(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()["error"]
    assert body["code"] == response.status_code
    return response.status_code, body["status"], body["message"]


@known_from(proto=HTTP_PROTO)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("custom.googleapis.com/a/b", "custom.googleapis.com/a/b"),
        ("custom.googleapis.com%2Fa%2Fb", "custom.googleapis.com%2Fa%2Fb"),
        ("custom.googleapis.com/a%20b%C3%A9", "custom.googleapis.com/a bé"),
    ],
)
async def test_names_of_several_segments_keep_their_slashes(
    http: httpx.AsyncClient, service: Service, path: str, name: str
) -> None:
    response = await http.get(f"/v3/projects/demo/metricDescriptors/{path}")
    assert response.status_code == 200
    assert service.request.name == f"projects/demo/metricDescriptors/{name}"


async def test_a_log_name_keeps_its_encoded_slash(http: httpx.AsyncClient, service: Service) -> None:
    await http.delete("/v2/projects/demo/logs/run.googleapis.com%2Fstdout")
    assert service.request.log_name == "projects/demo/logs/run.googleapis.com%2Fstdout"


@known_from(proto=HTTP_PROTO)
async def test_query_parameters_fill_nested_and_repeated_fields(http: httpx.AsyncClient, service: Service) -> None:
    await http.get(
        "/v3/projects/demo/timeSeries",
        params=[
            ("filter", 'metric.type = "x"'),
            ("interval.endTime", "2026-01-01T00:00:00Z"),
            ("interval.start_time", "2025-01-01T00:00:00.5Z"),
            ("aggregation.alignmentPeriod", "60s"),
            ("aggregation.perSeriesAligner", "ALIGN_RATE"),
            ("aggregation.groupByFields", "metric.labels.a"),
            ("aggregation.groupByFields", "metric.labels.b"),
            ("view", "1"),
            ("pageSize", "7"),
            ("alt", "json"),
            ("key", "secret"),
            ("prettyPrint", "false"),
        ],
    )
    request = service.request
    assert request.name == "projects/demo"
    assert request.interval.end_time.seconds == 1_767_225_600
    assert request.interval.start_time.nanos == 500_000_000
    assert request.aggregation.per_series_aligner == monitoring_v3.Aggregation.Aligner.ALIGN_RATE
    assert list(request.aggregation.group_by_fields) == ["metric.labels.a", "metric.labels.b"]
    assert (request.view, request.page_size) == (1, 7)


@pytest.mark.parametrize("mask", ["displayName,alertStrategy.autoClose", "display_name,alert_strategy.auto_close"])
async def test_an_update_mask_comes_in_the_query(http: httpx.AsyncClient, service: Service, mask: str) -> None:
    response = await http.patch(
        "/v3/projects/demo/alertPolicies/1", params={"updateMask": mask}, json={"displayName": "x", "name": "ignored"}
    )
    assert response.status_code == 200
    assert list(service.request.update_mask.paths) == ["display_name", "alert_strategy.auto_close"]
    assert service.request.alert_policy.name == "projects/demo/alertPolicies/1"
    assert service.request.alert_policy.display_name == "x"


async def test_a_verb_after_a_colon_is_part_of_the_path(http: httpx.AsyncClient, service: Service) -> None:
    await http.post("/v3/projects/demo/notificationChannels/1:sendVerificationCode", json={})
    assert service.request.name == "projects/demo/notificationChannels/1"


@known_from(docs="cloud.google.com/apis/docs/system-parameters")
async def test_replies_are_indented_unless_told_otherwise(http: httpx.AsyncClient, service: Service) -> None:
    service.reply = metric_pb2.MetricDescriptor(name="x", type="a.b/c")
    path = "/v3/projects/demo/metricDescriptors/a.b/c"
    assert (await http.get(path)).text == '{\n  "name": "x",\n  "type": "a.b/c"\n}\n'
    compact = await http.get(path, params={"prettyPrint": "false"})
    assert compact.text == '{"name":"x","type":"a.b/c"}\n'
    assert compact.headers["content-type"] == "application/json; charset=UTF-8"


@known_from(docs="cloud.google.com/apis/design/errors")
async def test_an_error_has_googles_shape(http: httpx.AsyncClient, service: Service) -> None:
    service.reply = ApiError(Code.RESOURCE_EXHAUSTED, "Quota exceeded", error_details_pb2.ErrorInfo(reason="RATE"))
    response = await http.post("/v3/projects/demo/timeSeries", json={})
    assert response.status_code == 429
    assert response.json() == {
        "error": {
            "code": 429,
            "message": "Quota exceeded",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE"}],
        }
    }


@pytest.mark.parametrize(
    "path", ["/", "/v3/projects/demo/nothing", "/v3/nothing", "/v3/projects/demo/timeSeries/7", "/%ff"]
)
async def test_an_unknown_path_is_googles_404(http: httpx.AsyncClient, path: str) -> None:
    assert error(await http.get(path))[:2] == (404, "NOT_FOUND")


async def test_a_known_path_with_another_verb_is_a_404(http: httpx.AsyncClient) -> None:
    assert error(await http.delete("/v3/projects/demo/timeSeries"))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v3/projects/demo/groups", "google.monitoring.v3.GroupService.ListGroups"),
        ("/v3/projects/demo/metricDescriptors", "google.monitoring.v3.MetricService.ListMetricDescriptors"),
        ("/v2/projects/demo/sinks", "google.logging.v2.ConfigServiceV2.ListSinks"),
    ],
)
async def test_what_is_not_answered_is_named(http: httpx.AsyncClient, path: str, method: str) -> None:
    code, status, message = error(await http.get(path))
    assert (code, status) == (501, "UNIMPLEMENTED")
    assert method in message


async def test_a_bug_is_a_500_and_leaves_its_traceback(
    http: httpx.AsyncClient, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.reply = ZeroDivisionError("a bug of ours")
    code, status, message = error(await http.post("/v3/projects/demo/timeSeries", json={}))
    assert (code, status) == (500, "INTERNAL")
    assert "a bug of ours" not in message
    assert "ZeroDivisionError: a bug of ours" in capsys.readouterr().err


@known_from(issue="GoogleCloudPlatform/opentelemetry-operations-js#77")
async def test_a_label_that_is_no_string_is_refused_with_its_place(http: httpx.AsyncClient) -> None:
    body = {"timeSeries": [{"metric": {"type": "custom.googleapis.com/x", "labels": {"port": 3896}}}]}
    answer = error(await http.post("/v3/projects/demo/timeSeries", json=body))
    assert answer == (
        400,
        "INVALID_ARGUMENT",
        "Invalid value at 'time_series[0].metric.labels[0].value' (TYPE_STRING), 3896",
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Invalid JSON payload received."),
        (b"[]", "must be a JSON object"),
        (b'{"timeSeries": [{"metrix": 1}]}', "Unknown name \"metrix\" at 'time_series[0]': Cannot find field."),
        (b'{"timeSeries": 3}', "Invalid JSON payload received."),
        (b'{"timeSeries": [{"points": [{"interval": {"endTime": "yesterday"}}]}]}', "Invalid JSON payload received."),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "Invalid JSON payload received."),
        (b"\xff\xfe", "Invalid JSON payload received."),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(http: httpx.AsyncClient, body: bytes, why: str) -> None:
    code, status, message = error(await http.post("/v3/projects/demo/timeSeries", content=body))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert why in message


async def test_a_parameter_that_the_request_lacks_is_refused(http: httpx.AsyncClient) -> None:
    answer = error(await http.get("/v3/projects/demo/timeSeries", params={"intervall.endTime": "x"}))
    assert answer[2] == (
        'Invalid JSON payload received. Unknown name "intervall.endTime": Cannot bind query parameter. '
        "Field 'intervall.endTime' could not be found in request message."
    )


@our_choice("other encodings of replies exist in the cloud, no client of ours asks for them")
async def test_only_json_is_answered(http: httpx.AsyncClient) -> None:
    assert error(await http.get("/v3/projects/demo/timeSeries", params={"alt": "proto"}))[:2] == (501, "UNIMPLEMENTED")


async def test_a_compressed_body_is_read(http: httpx.AsyncClient, service: Service) -> None:
    body = gzip.compress(json.dumps({"displayName": "x"}).encode())
    await http.post("/v3/projects/demo/alertPolicies", content=body, headers={"Content-Encoding": "gzip"})
    assert service.request.alert_policy.display_name == "x"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b" " * (MAX_BODY_BYTES + 1), "identity"),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), "gzip"),
        (gzip.compress(b"{}")[:-9], "gzip"),
        (b"{}", "gzip"),
        (b"{}", "br"),
    ],
    ids=["large", "bomb", "cut", "plain", "unknown"],
)
async def test_bodies_are_bounded_after_decompression(http: httpx.AsyncClient, body: bytes, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    response = await http.post("/v3/projects/demo/timeSeries", content=body, headers=headers)
    assert error(response)[:2] == (400, "INVALID_ARGUMENT")


async def test_a_service_may_take_the_json_as_it_came(http: httpx.AsyncClient, service: Service) -> None:
    service.reply = {"any": ["thing", 1.5]}
    response = await http.post("/v1/projects/demo/dashboards?validateOnly=true", json={"unknownField": 1})
    assert response.json() == {"any": ["thing", 1.5]}
    assert service.request == JsonCall({"parent": "projects/demo"}, [("validateOnly", "true")], {"unknownField": 1})


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8086"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Host": "["},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
async def test_strangers_are_refused(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    code, status, _ = error(await http.get("/v3/projects/demo/timeSeries", headers=headers))
    assert (code, status) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8086"},
        {"Host": "[::1]:8086"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8086"},
    ],
    ids=str,
)
async def test_this_machine_is_let_in(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await http.get("/v3/projects/demo/timeSeries", headers=headers)).status_code == 200


def test_loopback_is_this_machine_and_nothing_else() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "example.com", "", "localhost.example.com", "::")))
