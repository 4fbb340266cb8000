"""Services and SLOs through Google's own client: their life, their names, their refusals."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3
from google.protobuf import field_mask_pb2

from support.provenance import known_from, our_choice
from support.slo import DAY, PROJECT, RATIO, Slos, only, slos

SERVICES = "google/monitoring/v3/service_service.proto"
OBJECTS = "google/monitoring/v3/service.proto"
RUN: dict[str, Any] = {
    "basic_service": {
        "service_type": "CLOUD_RUN",
        "service_labels": {"service_name": "shop", "location": "europe-west1"},
    }
}


@pytest.fixture
def bench() -> Iterator[Slos]:
    with slos() as running:
        yield running


@known_from(proto=SERVICES)
def test_services_and_slos_live_through_googles_client(bench: Slos) -> None:
    service = bench.service(display_name="Shop", custom={}, telemetry={"resource_name": "//run/shop"})
    assert service.name == f"{PROJECT}/services/shop"
    service.display_name = "The shop"
    mask = field_mask_pb2.FieldMask(paths=["display_name"])
    updated = bench.services.update_service(request={"service": service, "update_mask": mask})
    assert (updated.display_name, updated.telemetry.resource_name) == ("The shop", "//run/shop")
    slo = bench.slo(service, identifier="availability")
    assert slo.name == f"{service.name}/serviceLevelObjectives/availability"
    slo.goal = 0.99
    mask = field_mask_pb2.FieldMask(paths=["goal"])
    changed = bench.services.update_service_level_objective(
        request={"service_level_objective": slo, "update_mask": mask}
    )
    assert changed.goal == 0.99
    assert bench.services.get_service_level_objective(name=slo.name) == changed
    assert [one.name for one in bench.services.list_service_level_objectives(parent=service.name)] == [slo.name]
    everywhere = bench.services.list_service_level_objectives(parent=f"{PROJECT}/services/-")
    assert [one.name for one in everywhere] == [slo.name]
    bench.services.delete_service(name=service.name)
    for gone in (bench.services.get_service, bench.services.get_service_level_objective):
        with pytest.raises(exceptions.NotFound):
            gone(name=service.name if gone == bench.services.get_service else slo.name)


@known_from(proto=SERVICES)
def test_a_server_made_id_a_taken_id_and_a_bad_id(bench: Slos) -> None:
    assert bench.service("").name.startswith(f"{PROJECT}/services/")
    bench.service("shop")
    with pytest.raises(exceptions.AlreadyExists):
        bench.service("shop")
    for identifier in ("Shop!", "x" * 64):
        with pytest.raises(exceptions.InvalidArgument, match="service_id"):
            bench.service(identifier)


@known_from(proto=SERVICES)
def test_services_are_listed_by_their_kind_and_in_pages(bench: Slos) -> None:
    for number in range(3):
        bench.service(f"custom-{number}")
    bench.service("run", **RUN)
    listed = bench.services.list_services(request={"parent": PROJECT, "filter": 'identifier_case = "CLOUD_RUN"'})
    assert [one.name.rpartition("/")[2] for one in listed] == ["run"]
    assert len(list(bench.services.list_services(request={"parent": PROJECT, "page_size": 1}))) == 4


def sli(**request_based: Any) -> dict[str, Any]:
    return {"request_based": request_based}


def windows(period: int = 300, **criterion: Any) -> dict[str, Any]:
    return {"windows_based": {"window_period": {"seconds": period}, **criterion}}


FILTER = only("custom.googleapis.com/x")


@known_from(proto=OBJECTS)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"goal": 0}, "greater than 0"),
        ({"goal": 1.0}, "0.9999"),
        ({"rolling_period": {"seconds": DAY + 1}}, "multiple of 1 day"),
        ({"rolling_period": {"seconds": 31 * DAY}}, "at most 30 days"),
        ({"calendar_period": "YEAR"}, "DAY, WEEK, FORTNIGHT, MONTH"),
        ({"sli": {"basic_sli": {}}}, "basic SLI needs a service of a known type"),
        ({"sli": sli()}, "method"),
        ({"sli": sli(good_total_ratio={"total_service_filter": FILTER})}, "exactly two"),
        (
            {
                "sli": sli(
                    good_total_ratio=dict.fromkeys(
                        ("good_service_filter", "bad_service_filter", "total_service_filter"), FILTER
                    )
                )
            },
            "exactly two",
        ),
        ({"sli": sli(distribution_cut={"range_": {"max_": 1}})}, "distribution_filter"),
        (
            {"sli": sli(distribution_cut={"distribution_filter": FILTER, "range_": {"min_": 5, "max_": 1}})},
            "less than max",
        ),
        ({"sli": sli(distribution_cut={"distribution_filter": 'resource.type="global"'})}, "metric.type"),
        ({"sli": windows(59, good_bad_metric_filter=FILTER)}, "at least 60s"),
        ({"sli": windows(7_000, good_bad_metric_filter=FILTER)}, "fraction of a day"),
        ({"sli": windows()}, "window_criterion"),
        ({"sli": windows(good_total_ratio_threshold={"threshold": 2})}, "between 0 and 1"),
        ({"sli": windows(metric_mean_in_range={})}, "time_series"),
        ({"user_labels": {"Upper": "x"}}, "lowercase"),
        ({"identifier": "a/b"}, "service_level_objective_id"),
        ({"sli": {}}, "type"),
    ],
)
def test_an_slo_outside_the_published_rules_is_refused(bench: Slos, fields: dict[str, Any], message: str) -> None:
    service = bench.service()
    chosen = dict(fields)
    indicator = chosen.pop("sli", RATIO)
    body = {"goal": 0.9, "rolling_period": {"seconds": DAY}, "service_level_indicator": indicator} | chosen
    if "calendar_period" in chosen:
        del body["rolling_period"]
    identifier = body.pop("identifier", "")
    with pytest.raises(exceptions.InvalidArgument, match=message):
        bench.services.create_service_level_objective(
            request={
                "parent": service.name, "service_level_objective_id": identifier, "service_level_objective": body,
            }
        )  # fmt: skip


@known_from(proto=OBJECTS)
def test_an_sli_whose_metric_has_the_wrong_kind_is_refused(bench: Slos) -> None:
    bench.write({"metric": "custom.googleapis.com/level", "kind": "GAUGE", "value": {"double_value": 1.0}})
    level = only("custom.googleapis.com/level")
    service = bench.service()
    ratio = {"good_service_filter": level, "total_service_filter": level}
    for indicator in (
        sli(good_total_ratio=ratio),
        sli(distribution_cut={"distribution_filter": level, "range_": {"max_": 1}}),
        windows(good_bad_metric_filter=level),
    ):
        with pytest.raises(exceptions.InvalidArgument, match="the metric must be of kind"):
            bench.slo(service, indicator)
    assert bench.slo(service, windows(metric_mean_in_range={"time_series": level, "range_": {"max_": 5}})).name


@known_from(proto=OBJECTS)
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"display_name": "no identifier"}, "identifier"),
        ({"basic_service": {"service_type": "TOASTER"}}, "must be one of"),
        ({"basic_service": {"service_type": "CLOUD_RUN", "service_labels": {"service_name": "x"}}}, "location"),
        (
            {"basic_service": {"service_type": "APP_ENGINE", "service_labels": {"module_id": "x", "y": "z"}}},
            "no such label",
        ),
    ],
)
def test_a_service_that_is_none_is_refused(bench: Slos, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=message):
        bench.service(**fields)


@known_from(proto=OBJECTS)
def test_the_explicit_view_tells_what_a_basic_sli_stands_for(bench: Slos) -> None:
    service = bench.service(**RUN)
    slo = bench.slo(service, {"basic_sli": {"latency": {"threshold": {"seconds": 1}}}})
    view = monitoring_v3.ServiceLevelObjective.View.EXPLICIT
    shown = bench.services.get_service_level_objective(request={"name": slo.name, "view": view})
    cut = shown.service_level_indicator.request_based.distribution_cut
    assert 'metric.type="run.googleapis.com/request_latencies"' in cut.distribution_filter
    assert 'resource.labels.service_name="shop"' in cut.distribution_filter
    assert cut.range_.max_ == 1000


@our_choice("REST and gRPC end in one service object; Terraform sends leaves of the mask whose values are absent")
def test_rest_takes_what_terraform_sends(bench: Slos) -> None:
    with httpx.Client(base_url=bench.emulator.http) as http:
        assert http.post("/v3/projects/demo/services", params={"serviceId": "tf"}, json={"custom": {}}).is_success
        body = {
            "goal": 0.99,
            "rollingPeriod": "2419200s",
            "serviceLevelIndicator": {
                "requestBased": {"goodTotalRatio": {"goodServiceFilter": FILTER, "totalServiceFilter": FILTER}}
            },
        }
        path = "/v3/projects/demo/services/tf/serviceLevelObjectives"
        created = http.post(path, params={"serviceLevelObjectiveId": "a"}, json=body)
        assert created.is_success, created.text
        prefix = "serviceLevelIndicator.requestBased"
        leaves = [
            f"{prefix}.goodTotalRatio.badServiceFilter", f"{prefix}.goodTotalRatio.goodServiceFilter",
            f"{prefix}.goodTotalRatio.totalServiceFilter",
        ]  # fmt: skip
        body["serviceLevelIndicator"]["requestBased"]["goodTotalRatio"] = {  # type: ignore[index]  # JSON
            "badServiceFilter": FILTER, "totalServiceFilter": FILTER,
        }  # fmt: skip
        changed = http.patch(f"{path}/a", params={"updateMask": ",".join(leaves)}, json=body)
        assert changed.is_success, changed.text
        assert "goodServiceFilter" not in changed.text
        assert http.delete(f"{path}/a").is_success
        assert http.get(f"{path}/a").status_code == 404
