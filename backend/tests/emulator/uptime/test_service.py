"""The configurations of uptime checks: what the server fills in, masks, keeps and refuses."""

from typing import Any

import pytest
from google.cloud.monitoring_v3 import types
from google.protobuf import json_format

from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from app.emulator.uptime.messages import UptimeCheckConfig
from app.emulator.uptime.service import UptimeCheckService
from support.alerting import PROJECT, Journalled, Workbench, promql_policy
from support.provenance import known_from, our_choice

UPTIME = "google/monitoring/v3/uptime.proto"


def uptime(**fields: Any) -> Any:
    config = {
        "displayName": "public",
        "monitoredResource": {"type": "uptime_url", "labels": {"host": "example.com"}},
        "httpCheck": {"useSsl": True, "path": "health"},
        "timeout": "10s",
    } | fields
    config = {key: value for key, value in config.items() if value is not None}
    parsed = json_format.ParseDict(config, UptimeCheckConfig())
    return types.CreateUptimeCheckConfigRequest.pb()(parent=PROJECT, uptime_check_config=parsed)


@known_from(proto=UPTIME)
def test_the_server_fills_the_defaults_of_an_uptime_check() -> None:
    config = UptimeCheckService(Context()).create_uptime_check_config(uptime())
    assert config.name.startswith(f"{PROJECT}/uptimeCheckConfigs/public-")
    assert (config.http_check.port, config.http_check.path, config.period.seconds) == (443, "/health", 60)
    assert config.monitored_resource.labels["project_id"] == "demo"
    assert config.checker_type == UptimeCheckConfig.CheckerType.STATIC_IP_CHECKERS
    assert config.http_check.request_method == UptimeCheckConfig.HttpCheck.RequestMethod.GET


@known_from(proto=UPTIME)
@pytest.mark.parametrize(
    "fields",
    [
        {"displayName": ""},
        {"period": "61s"},
        {"timeout": "61s"},
        {"monitoredResource": {"type": "toaster"}},
        {"selectedRegions": ["EUROPE", "ASIA_PACIFIC"]},
        {"contentMatchers": [{"content": "x" * 1025}]},
        {"httpCheck": {"contentType": "URL_ENCODED"}},
        {"httpCheck": {"requestMethod": "POST"}},
        {"httpCheck": {"port": 65536}},
        {"selectedRegions": ["USA_IOWA", "USA_OREGON"]},
        {"selectedRegions": ["REGION_UNSPECIFIED"]},
        {"isInternal": True, "selectedRegions": ["USA"]},
        {"internalCheckers": [{}]},
        {"monitoredResource": {"type": "uptime_url"}},
        {"checkerType": "VPC_CHECKERS"},
        {"contentMatchers": [{"content": "(", "matcher": "MATCHES_REGEX"}]},
        {"contentMatchers": [{"content": "x", "matcher": "MATCHES_JSON_PATH"}]},
        {"contentMatchers": [{"content": "x", "jsonPathMatcher": {"jsonPath": "$.a"}}]},
        {"contentMatchers": [{"matcher": "MATCHES_JSON_PATH", "jsonPathMatcher": {"jsonPath": "a"}}]},
        {"httpCheck": {"acceptedResponseStatusCodes": [{"statusValue": 99}]}},
        {"httpCheck": {"acceptedResponseStatusCodes": [{}]}},
        {"httpCheck": {"authInfo": {"password": "p"}}},
        {"httpCheck": {"headers": {f"h{i}": "x" for i in range(101)}}},
        {"httpCheck": {"requestMethod": "POST", "contentType": "USER_PROVIDED"}},
        {"httpCheck": {"requestMethod": "POST", "contentType": "URL_ENCODED", "customContentType": "text/plain"}},
        {"httpCheck": None, "tcpCheck": {}},
        {"httpCheck": None},
        {"monitoredResource": None},
        {"monitoredResource": None, "resourceGroup": {"resourceType": "INSTANCE"}},
        {"userLabels": {"Upper": "x"}},
        {"httpCheck": {"pingConfig": {"pingsCount": 4}}},
    ],
)
def test_an_uptime_check_outside_the_published_limits_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        UptimeCheckService(Context()).create_uptime_check_config(uptime(**fields))
    assert caught.value.code is Code.INVALID_ARGUMENT


@known_from(proto=UPTIME)
def test_masked_headers_and_passwords_of_a_check_are_shown_as_stars() -> None:
    check = {"maskHeaders": True, "headers": {"x-key": "secret"}, "authInfo": {"username": "u", "password": "secret"}}
    config = UptimeCheckService(Context()).create_uptime_check_config(uptime(httpCheck=check))
    assert "secret" not in str(config)


@known_from(
    docs="https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/monitoring_uptime_check_config"
)
def test_an_uptime_check_that_a_policy_names_is_not_deleted() -> None:
    bench = Workbench()
    service = UptimeCheckService(bench.context, bench.policies.policies)
    config = service.create_uptime_check_config(uptime())
    identifier = config.name.rpartition("/")[2]
    policy = bench.create(promql_policy(f'm{{check_id="{identifier}"}} == 0'))
    delete = types.DeleteUptimeCheckConfigRequest.pb()(name=config.name)
    with pytest.raises(ApiError, match="alerting policies is using it"):
        service.delete_uptime_check_config(delete)
    bench.delete(policy)
    service.delete_uptime_check_config(delete)


@known_from(proto=UPTIME)
@pytest.mark.parametrize("regions", [[], ["USA"], ["EUROPE", "USA_IOWA", "SOUTH_AMERICA"], ["USA", "USA_IOWA"]])
def test_regions_with_three_places_or_more_are_taken(regions: list[str]) -> None:
    created = UptimeCheckService(Context()).create_uptime_check_config(uptime(selectedRegions=regions))
    assert len(created.selected_regions) == len(regions)


@our_choice("a client that reads, changes and writes back must not lose the secrets it could not read")
def test_secrets_survive_being_written_back_as_stars() -> None:
    service = UptimeCheckService(Context())
    check = {"maskHeaders": True, "headers": {"x-key": "secret"}, "authInfo": {"username": "u", "password": "other"}}
    shown = service.create_uptime_check_config(uptime(httpCheck=check))
    shown.display_name = "changed"
    service.update_uptime_check_config(types.UpdateUptimeCheckConfigRequest.pb()(uptime_check_config=shown))
    (kept,) = service.checks()
    assert (kept.http_check.headers["x-key"], kept.http_check.auth_info.password) == ("secret", "other")
    assert kept.display_name == "changed"


@our_choice("what was acknowledged survives kill -9")
def test_checks_come_back_from_the_journal() -> None:
    journal = Journalled()
    service = UptimeCheckService(Context(journal=journal))
    kept = service.create_uptime_check_config(uptime())
    gone = service.create_uptime_check_config(uptime())
    service.delete_uptime_check_config(types.DeleteUptimeCheckConfigRequest.pb()(name=gone.name))
    restored = UptimeCheckService(Context())
    for kind, record in journal.kept:
        restored.restore(kind, record)
    assert restored.checks() == [kept]


@known_from(proto="google/monitoring/v3/uptime_service.proto")
def test_every_region_tells_from_where_it_calls() -> None:
    answer = UptimeCheckService(Context()).list_uptime_check_ips(None)
    regions = types.UptimeCheckRegion
    assert {regions(one.region).name for one in answer.uptime_check_ips} == {
        "USA_OREGON", "USA_IOWA", "USA_VIRGINIA", "EUROPE", "SOUTH_AMERICA", "ASIA_PACIFIC",
    }  # fmt: skip
    assert {one.ip_address for one in answer.uptime_check_ips} == {"127.0.0.1"}
