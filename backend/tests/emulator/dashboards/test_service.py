from typing import Any

import pytest
from google.cloud import monitoring_dashboard_v1

from app.emulator.dashboards.raw import unknown_fields
from app.emulator.dashboards.service import DashboardsService
from app.emulator.journal import SqliteJournal
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from app.emulator.transport.rest import JsonCall
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/dashboard/v1/dashboards_service.proto"
CHART = {
    "title": "Requests",
    "xyChart": {
        "dataSets": [
            {
                "timeSeriesQuery": {"prometheusQuery": "sum(rate(http_request_total[5m]))"},
                "plotType": "LINE",
                "breakdowns": [],
            }
        ],
        "displayHorizontal": False,
    },
}
DASHBOARD: dict[str, Any] = {
    "displayName": "Service",
    "mosaicLayout": {"columns": 48, "tiles": [{"width": 24, "height": 16, "widget": CHART}]},
    "labels": {"team": ""},
}
CREATED = ("name", "etag")


@pytest.fixture
def service() -> DashboardsService:
    return DashboardsService(Context())


def content(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key not in CREATED}


@our_choice("Google drops fields it does not publish; a stand-in that kept none could not draw exported dashboards")
def test_a_dashboard_is_kept_as_it_came(service: DashboardsService) -> None:
    created = service.create("projects/demo", DASHBOARD)
    assert content(created) == DASHBOARD
    assert service.get(created["name"]) == created
    assert created["name"].startswith("projects/demo/dashboards/")
    assert unknown_fields(created) == [
        "mosaicLayout.tiles[0].widget.xyChart.dataSets[0].breakdowns",
        "mosaicLayout.tiles[0].widget.xyChart.displayHorizontal",
    ]


@known_from(proto=PROTO)
def test_an_id_that_is_given_is_used_once(service: DashboardsService) -> None:
    named = DASHBOARD | {"name": f"projects/{service._context.project_number}/dashboards/main"}
    assert service.create("projects/demo", named)["name"] == "projects/demo/dashboards/main"
    with pytest.raises(ApiError) as caught:
        service.create("projects/demo", named)
    assert caught.value.code == Code.ALREADY_EXISTS


@known_from(docs="google.aip.dev/154")
def test_an_update_of_an_old_version_is_refused(service: DashboardsService) -> None:
    first = service.create("projects/demo", DASHBOARD)
    second = service.update(first["name"], first | {"displayName": "New"})
    assert second["etag"] != first["etag"]
    with pytest.raises(ApiError) as caught:
        service.update(first["name"], first | {"displayName": "Newer"})
    assert caught.value.code == Code.ABORTED
    assert service.get(first["name"])["displayName"] == "New"


@known_from(proto=PROTO)
def test_an_update_replaces_the_whole(service: DashboardsService) -> None:
    name = service.create("projects/demo", DASHBOARD)["name"]
    updated = service.update(name, {"displayName": "Bare", "gridLayout": {}})
    assert content(updated) == {"displayName": "Bare", "gridLayout": {}}


@known_from(proto=PROTO)
def test_validate_only_keeps_nothing(service: DashboardsService) -> None:
    body = DASHBOARD | {"name": "projects/demo/dashboards/a"}
    call = JsonCall({"parent": "projects/demo"}, [("validateOnly", "true")], body)
    assert content(service.create_dashboard_json(call)) == DASHBOARD
    assert service.all() == []
    service.create("projects/demo", body)
    change = JsonCall({"dashboard.name": body["name"]}, [("validateOnly", "true")], body | {"displayName": "x"})
    assert service.update_dashboard_json(change)["displayName"] == "x"
    assert service.get(body["name"])["displayName"] == "Service"


@known_from(proto="google/monitoring/dashboard/v1/dashboard.proto")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"displayName": ""}, "Request was missing field dashboard.displayName."),
        ({"mosaicLayout": {"columns": "many"}}, "Invalid JSON payload received."),
        ({"mosaicLayout": ["tile"]}, "Invalid JSON payload received."),
        ({"name": "projects/demo/charts/x"}, "Field name had an invalid value"),
        ({"name": "projects/demo"}, "Field name had an invalid value"),
        ({"name": 7}, "Invalid JSON payload received."),
    ],
)
def test_a_wrong_dashboard_is_refused(service: DashboardsService, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        service.create("projects/demo", DASHBOARD | change)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message.startswith(message)
    assert service.all() == []


@pytest.mark.parametrize("body", [[], "text", None, 1])
def test_a_dashboard_is_an_object(service: DashboardsService, body: Any) -> None:
    with pytest.raises(ApiError, match="must be a JSON object"):
        service.create_dashboard_json(JsonCall({"parent": "projects/demo"}, [], body))


def test_another_project_is_not_emulated(service: DashboardsService) -> None:
    with pytest.raises(ApiError, match="Project other is not emulated here"):
        service.create("projects/other", DASHBOARD)


@known_from(proto=PROTO)
def test_dashboards_are_listed_by_page(service: DashboardsService) -> None:
    for letter in "abc":
        service.create("projects/demo", DASHBOARD | {"name": f"projects/demo/dashboards/{letter}"})
    first = service.list_dashboards_json(JsonCall({"parent": "projects/demo"}, [("pageSize", "2")], None))
    assert [one["name"][-1] for one in first["dashboards"]] == ["a", "b"]
    query = [("pageSize", "2"), ("pageToken", first["nextPageToken"])]
    last = service.list_dashboards_json(JsonCall({"parent": "projects/demo"}, query, None))
    assert [one["name"][-1] for one in last["dashboards"]] == ["c"]
    assert "nextPageToken" not in last
    with pytest.raises(ApiError, match="Field pageSize had an invalid value"):
        service.list_dashboards_json(JsonCall({"parent": "projects/demo"}, [("pageSize", "two")], None))


@known_from(proto=PROTO)
def test_a_deleted_dashboard_is_gone(service: DashboardsService) -> None:
    name = service.create("projects/demo", DASHBOARD)["name"]
    service.delete_dashboard(monitoring_dashboard_v1.DeleteDashboardRequest.pb()(name=name))
    for call in (service.get, service.delete):
        with pytest.raises(ApiError) as caught:
            call(name)
        assert caught.value.code == Code.NOT_FOUND


def test_grpc_answers_what_the_published_proto_holds(service: DashboardsService) -> None:
    name = service.create("projects/demo", DASHBOARD)["name"]
    message = service.get_dashboard(monitoring_dashboard_v1.GetDashboardRequest.pb()(name=name))
    chart = message.mosaic_layout.tiles[0].widget.xy_chart
    assert chart.data_sets[0].time_series_query.prometheus_query == "sum(rate(http_request_total[5m]))"
    message.display_name = "Over gRPC"
    request = monitoring_dashboard_v1.UpdateDashboardRequest.pb()(dashboard=message)
    assert service.update_dashboard(request).display_name == "Over gRPC"
    listing = service.list_dashboards(monitoring_dashboard_v1.ListDashboardsRequest.pb()(parent="projects/demo"))
    assert [one.display_name for one in listing.dashboards] == ["Over gRPC"]


def test_dashboards_survive_a_restart(tmp_path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    service = DashboardsService(Context(journal=journal))
    kept = service.create("projects/demo", DASHBOARD)
    service.update(kept["name"], kept | {"displayName": "New"})
    service.delete(service.create("projects/demo", DASHBOARD)["name"])
    again = DashboardsService(Context())
    for kind, record in journal.replay():
        again.restore(kind, record)
    journal.close()
    assert again.all() == service.all()
    assert [one["displayName"] for one in again.all()] == ["New"]
