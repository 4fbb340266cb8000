"""`apply` against the emulator's REST wire: all or nothing, found again by name, ids put where markers were."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.emulator.alerting.suite import Alerting
from app.emulator.dashboards.service import DashboardsService
from app.emulator.definitions import DefinitionError, apply, data_root, load
from app.emulator.logging.suite import CloudLogging
from app.emulator.monitoring.service import MetricService
from app.emulator.monitoring.store import MetricStore
from app.emulator.project import Context
from app.emulator.services.service import ServiceMonitoringService
from app.emulator.transport.rest import rest_route
from app.emulator.uptime.service import UptimeCheckService
from support.alerting import Source
from support.provenance import our_choice

VARIABLES = {
    "service": "items",
    "environment": "production",
    "project": "demo",
    "location": "europe-west1",
    "host": "items.example.com",
    "runbook_base_url": "https://example.com/runbooks",
}


class Wire(httpx.BaseTransport):
    """The REST application without a socket; `refuse` makes one call fail."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app)
        self.calls: list[tuple[str, str]] = []
        self.refuse: tuple[str, str] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = (request.method, request.url.path)
        self.calls.append(call)
        dry = "validateOnly" in str(request.url)
        if self.refuse is not None and call[0] == self.refuse[0] and self.refuse[1] in call[1] and not dry:
            return httpx.Response(500, json={"error": {"code": 500, "message": "planted"}})

        async def answer() -> httpx.Response:
            response = await self._app.handle_async_request(request)
            return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

        request.stream = httpx.ByteStream(request.read())
        return asyncio.run(answer())

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]


class Bench:
    def __init__(self) -> None:
        context, store = Context(), MetricStore()
        self.alerting = Alerting(context, store, Source())
        logging = CloudLogging(context, store)
        services = (
            self.alerting.services
            | logging.services
            | {
                "google.monitoring.v3.ServiceMonitoringService": ServiceMonitoringService(context, store),
                "google.monitoring.v3.MetricService": MetricService(context, store),
                "google.monitoring.dashboard.v1.DashboardsService": DashboardsService(context),
                "google.monitoring.v3.UptimeCheckService": UptimeCheckService(context, self.alerting.policies.policies),
            }
        )
        self.wire = Wire(Starlette(routes=[*self.alerting.routes(), rest_route(services)]))
        self.client = httpx.Client(transport=self.wire)

    def apply(
        self,
        path: Path,
        channels: dict[str, str] | None = None,
        variables: dict[str, Any] = VARIABLES,
        **options: Any,
    ) -> list[tuple[str, str]]:
        definitions = load(path, variables)
        applied = apply(definitions, "127.0.0.1:1", "demo", channels=channels, client=self.client, **options)
        return [(one.kind, one.action) for one in applied]

    def get(self, path: str) -> Any:
        return self.client.get(f"http://x/{path}").json()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with bench.client:
        yield bench


def policy(name: str, query: str = "m > 1", **fields: Any) -> dict[str, Any]:
    condition = {
        "displayName": "C",
        "conditionPrometheusQueryLanguage": {"query": query, "disableMetricValidation": True},
    }
    return {"displayName": name, "combiner": "OR", "conditions": [condition]} | fields


def uptime(name: str) -> dict[str, Any]:
    resource = {"type": "uptime_url", "labels": {"host": "example.com"}}
    return {"displayName": name, "monitoredResource": resource, "httpCheck": {"path": "/health"}, "timeout": "10s"}


def folder(root: Path, **files: Any) -> Path:
    for name, data in files.items():
        kind, _, stem = name.partition("__")
        path = root / kind / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
    return root


def test_our_own_files_apply_and_a_second_time_nothing_changes(bench: Bench) -> None:
    first = bench.apply(data_root(), {"webhook": "http://127.0.0.1:9/hook"})
    assert ("channel", "created") in first
    assert ("policy", "created") in first
    bench.wire.calls.clear()
    second = bench.apply(data_root(), {"webhook": "http://127.0.0.1:9/hook"})
    assert {action for _, action in second} == {"unchanged"}
    assert [call for call in bench.wire.writes if not call[1].endswith("/dashboards")] == []


def test_markers_become_the_ids_of_the_created_checks(bench: Bench, tmp_path: Path) -> None:
    marked = policy("P", 'm{check_id="@uptime:public"} == 0')
    bench.apply(folder(tmp_path, policies__p=marked, uptime_checks__public=uptime("U")))
    (check,) = bench.get("v3/projects/demo/uptimeCheckConfigs")["uptimeCheckConfigs"]
    (stored,) = bench.alerting.policies.policies()
    query = stored.conditions[0].condition_prometheus_query_language.query
    assert query == f'm{{check_id="{check["name"].rpartition("/")[2]}"}} == 0'


def test_an_unknown_marker_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    marked = policy("P", 'm{check_id="@uptime:publc"} == 0')
    with pytest.raises(DefinitionError, match="@uptime:publc names no uptime check; did you mean public"):
        bench.apply(folder(tmp_path, policies__p=marked, uptime_checks__public=uptime("U")))
    assert bench.wire.writes == []


def test_what_changed_is_updated_in_place_and_keeps_its_names(bench: Bench, tmp_path: Path) -> None:
    bench.apply(folder(tmp_path, policies__p=policy("P"), policies__q=policy("Q")))
    before = {one.display_name: one for one in bench.alerting.policies.policies()}
    assert bench.apply(folder(tmp_path, policies__p=policy("P", "m > 2"))) == [
        ("policy", "updated"),
        ("policy", "unchanged"),
    ]
    after = {one.display_name: one for one in bench.alerting.policies.policies()}
    assert after["P"].name == before["P"].name
    assert after["P"].conditions[0].name == before["P"].conditions[0].name
    assert after["P"].conditions[0].condition_prometheus_query_language.query == "m > 2"
    assert after["Q"] == before["Q"]


def test_channels_reach_policies_by_their_route(bench: Bench, tmp_path: Path) -> None:
    labels = {"priority": "p1", "team": "shop"}
    files = folder(tmp_path, policies__p=policy("P", userLabels=labels), policies__q=policy("Q"))
    bench.apply(files, {"a": "http://127.0.0.1/a", "b": "http://127.0.0.1/b"}, routes={"p1": {"default": ["b"]}})
    channels = {
        one["displayName"]: one["name"]
        for one in bench.get("v3/projects/demo/notificationChannels")["notificationChannels"]
    }
    by_name = {one.display_name: list(one.notification_channels) for one in bench.alerting.policies.policies()}
    assert by_name == {"P": [channels["b"]], "Q": []}


def test_without_routes_every_policy_gets_every_channel_but_its_own_come_first(bench: Bench, tmp_path: Path) -> None:
    bench.apply(folder(tmp_path, policies__p=policy("P")), {"webhook": "http://127.0.0.1/"})
    (own,) = bench.alerting.policies.policies()
    assert len(own.notification_channels) == 1
    listed = policy("Q", notificationChannels=[own.notification_channels[0]])
    bench.apply(folder(tmp_path, policies__q=listed), {"webhook": "http://127.0.0.1/", "second": "http://127.0.0.1/2"})
    stored = {one.display_name: list(one.notification_channels) for one in bench.alerting.policies.policies()}
    assert stored["Q"] == list(own.notification_channels)
    assert len(stored["P"]) == 2


def test_a_route_to_nowhere_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="leads to webhok, which is no channel; did you mean webhook"):
        bench.apply(
            folder(tmp_path, policies__p=policy("P")),
            {"webhook": "http://127.0.0.1/"},
            routes={"default": {"default": ["webhok"]}},
        )
    assert bench.wire.writes == []


@our_choice("a half-loaded set of alerts is worse than none: what was written before a failure is taken back")
@pytest.mark.parametrize("refused", [("POST", "alertPolicies"), ("POST", "dashboards"), ("PATCH", "alertPolicies")])
def test_a_failing_write_leaves_everything_as_it_was(bench: Bench, tmp_path: Path, refused: tuple[str, str]) -> None:
    bench.apply(folder(tmp_path, policies__old=policy("Old"), uptime_checks__u=uptime("U")))
    before = {one.display_name: one for one in bench.alerting.policies.policies()}
    changed = folder(
        tmp_path,
        policies__old=policy("Old", "m > 2"),
        policies__aaa=policy("New"),
        uptime_checks__u=uptime("U") | {"timeout": "20s"},
        dashboards__d={"displayName": "D", "gridLayout": {"widgets": [{"text": {"content": "x"}}]}},
    )
    bench.wire.refuse = refused
    with pytest.raises(DefinitionError, match="planted"):
        bench.apply(changed, {"webhook": "http://127.0.0.1/"})
    bench.wire.refuse = None
    after = {one.display_name: one for one in bench.alerting.policies.policies()}
    assert after.keys() == before.keys()
    assert after["Old"].conditions == before["Old"].conditions
    (check,) = bench.get("v3/projects/demo/uptimeCheckConfigs")["uptimeCheckConfigs"]
    assert check["timeout"] == "10s"
    assert bench.get("v3/projects/demo/notificationChannels").get("notificationChannels", []) == []
    assert bench.get("v1/projects/demo/dashboards").get("dashboards", []) == []


def test_a_metric_that_nobody_wrote_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    condition = {"displayName": "C", "conditionPrometheusQueryLanguage": {"query": "never_seen > 1"}}
    strict = policy("P") | {"conditions": [condition]}
    with pytest.raises(DefinitionError, match="never_seen does not exist"):
        bench.apply(folder(tmp_path, policies__p=strict, uptime_checks__u=uptime("U")))
    assert bench.wire.writes == []


def test_two_objects_of_one_name_on_the_server_are_refused(bench: Bench, tmp_path: Path) -> None:
    for _ in range(2):
        bench.client.post("http://x/v3/projects/demo/alertPolicies", json=policy("P"))
    bench.wire.calls.clear()
    with pytest.raises(DefinitionError, match="several objects of this name"):
        bench.apply(folder(tmp_path, policies__p=policy("P")))
    assert bench.wire.writes == []


def test_a_server_that_is_not_there_is_told_with_the_next_step(tmp_path: Path) -> None:
    definitions = load(folder(tmp_path, policies__p=policy("P")))
    with pytest.raises(DefinitionError, match=r"127\.0\.0\.1:1 does not answer .* is `cloudops up` running"):
        apply(definitions, "127.0.0.1:1", "demo")


# Objectives and log-based metrics


def objective(goal: float = 0.99) -> dict[str, Any]:
    filters = {
        "goodServiceFilter": 'metric.type="run.googleapis.com/request_count" metric.labels.response_code_class="2xx"',
        "totalServiceFilter": 'metric.type="run.googleapis.com/request_count"',
    }
    return {
        "displayName": "Availability",
        "goal": goal,
        "rollingPeriod": "2592000s",
        "serviceLevelIndicator": {"requestBased": {"goodTotalRatio": filters}},
    }


def counted(text: str = "boom") -> dict[str, Any]:
    return {"name": "items/failures", "filter": f'textPayload:"{text}"'}


def test_an_objective_gets_a_service_and_both_are_found_again_by_their_ids(bench: Bench, tmp_path: Path) -> None:
    files = folder(tmp_path, slos__first_answer=objective())
    assert bench.apply(files) == [("service", "created"), ("slo", "created")]
    service = bench.get("v3/projects/demo/services/items-production")
    assert service["displayName"] == "items-production"
    assert service["userLabels"] == {"environment": "production", "service": "items"}
    (made,) = bench.get(f"v3/{service['name']}/serviceLevelObjectives")["serviceLevelObjectives"]
    assert made["name"].endswith("/serviceLevelObjectives/items-production-first-answer")
    assert bench.apply(files) == [("service", "unchanged"), ("slo", "unchanged")]
    assert bench.apply(folder(tmp_path, slos__first_answer=objective(0.5)))[1] == ("slo", "updated")
    assert bench.get(f"v3/{made['name']}")["goal"] == 0.5


def test_an_objective_goes_below_a_service_that_exists(bench: Bench, tmp_path: Path) -> None:
    place = {"type": "CLOUD_RUN", "service_name": "items", "location": "europe-west1"}
    body = {"displayName": "Items", "cloudRun": {"serviceName": place["service_name"], "location": place["location"]}}
    bench.client.post("http://x/v3/projects/demo/services?serviceId=theirs", json=body).raise_for_status()
    given = {**VARIABLES, "slo_service": "projects/demo/services/theirs"}
    assert bench.apply(folder(tmp_path, slos__a=objective()), variables=given) == [("slo", "created")]
    assert bench.get("v3/projects/demo/services/theirs/serviceLevelObjectives")["serviceLevelObjectives"]


def test_an_objective_of_nobody_is_refused_before_anything_is_written(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="an objective belongs to a service: give it --var service="):
        bench.apply(folder(tmp_path, slos__a=objective(), policies__p=policy("P")), variables={})
    assert bench.wire.writes == []


def test_a_log_based_metric_is_found_again_by_its_name_with_its_slash(bench: Bench, tmp_path: Path) -> None:
    files = folder(tmp_path, log_metrics__failures=counted())
    assert bench.apply(files) == [("log_metric", "created")]
    assert bench.apply(files) == [("log_metric", "unchanged")]
    assert bench.apply(folder(tmp_path, log_metrics__failures=counted("bang"))) == [("log_metric", "updated")]
    (metric,) = bench.get("v2/projects/demo/metrics")["metrics"]
    assert metric["filter"] == 'textPayload:"bang"'


def test_a_policy_may_read_a_log_based_metric_of_the_same_files(bench: Bench, tmp_path: Path) -> None:
    filter_ = 'metric.type="logging.googleapis.com/user/items/failures" resource.type="cloud_run_revision"'
    condition = {
        "displayName": "C",
        "conditionThreshold": {
            "filter": filter_,
            "comparison": "COMPARISON_GT",
            "duration": "0s",
            "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"}],
        },
    }
    reading = policy("P") | {"conditions": [condition]}
    with pytest.raises(DefinitionError, match="Cannot find metric"):
        bench.apply(folder(tmp_path / "alone", policies__p=reading))
    files = folder(tmp_path / "both", policies__p=reading, log_metrics__failures=counted())
    assert bench.apply(files) == [("log_metric", "created"), ("policy", "created")]


def test_what_came_before_a_refusal_is_undone_for_objectives_and_metrics_too(bench: Bench, tmp_path: Path) -> None:
    bench.wire.refuse = ("POST", "serviceLevelObjectives")
    with pytest.raises(DefinitionError, match="planted"):
        bench.apply(folder(tmp_path, slos__a=objective(), log_metrics__failures=counted()))
    assert not bench.get("v3/projects/demo/services").get("services")
    assert not bench.get("v2/projects/demo/metrics").get("metrics")
