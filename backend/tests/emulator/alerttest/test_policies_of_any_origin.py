"""Where policies come from: data files, exports, Terraform plans."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.emulator.alerttest.errors import ScriptError
from app.emulator.alerttest.policies import chosen, read_policies
from support.alerting import log_match, policy_of, promql_policy, threshold
from support.provenance import known_from

PLAN = "https://developer.hashicorp.com/terraform/internals/json-format"

# As terraform-provider-google plans it: messages are lists of one, absent attributes null.
RESOURCE: dict[str, Any] = {
    "combiner": "OR",
    "display_name": "Errors",
    "enabled": True,
    "severity": "ERROR",
    "project": "demo",
    "timeouts": None,
    "user_labels": {"team": "platform"},
    "alert_strategy": [{"auto_close": "1800s", "notification_rate_limit": [], "notification_channel_strategy": []}],
    "documentation": [{"content": "Look.", "mime_type": "text/markdown", "links": [], "subject": None}],
    "notification_channels": None,
    "conditions": [
        {
            "display_name": "C",
            "condition_absent": [],
            "condition_prometheus_query_language": [],
            "condition_threshold": [
                {
                    "filter": 'metric.type="a.googleapis.com/b" resource.type="global"',
                    "comparison": "COMPARISON_GT",
                    "threshold_value": 5,
                    "duration": "60s",
                    "denominator_filter": "",
                    "evaluation_missing_data": "",
                    "aggregations": [
                        {
                            "alignment_period": "60s",
                            "per_series_aligner": "ALIGN_MEAN",
                            "cross_series_reducer": None,
                            "group_by_fields": None,
                        }
                    ],
                    "trigger": [{"count": 1, "percent": None}],
                    "forecast_options": [],
                }
            ],
        }
    ],
}


def plan(values: dict[str, Any], **top: Any) -> dict[str, Any]:
    resource = {"mode": "managed", "type": "google_monitoring_alert_policy", "values": values}
    other = {"mode": "managed", "type": "google_project_service", "address": "x", "values": {}}
    module = {"resources": [{**resource, "address": 'module.m.google_monitoring_alert_policy.this["errors"]'}, other]}
    planned = {"root_module": {"child_modules": [module]}}
    return {"format_version": "1.2", "terraform_version": "1.9.8", "planned_values": planned, **top}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@known_from(docs=PLAN)
def test_the_policies_of_a_plan_are_those_of_the_api(tmp_path: Path) -> None:
    (policy,) = read_policies([written(tmp_path / "plan.json", plan(RESOURCE))], {})
    assert policy.key == 'module.m.google_monitoring_alert_policy.this["errors"]'
    message = policy.message
    (condition,) = message.conditions
    body = condition.condition_threshold
    assert (message.display_name, body.threshold_value, body.duration.seconds) == ("Errors", 5, 60)
    assert (body.trigger.count, body.aggregations[0].alignment_period.seconds) == (1, 60)
    assert message.alert_strategy.auto_close.seconds == 1800
    assert message.documentation.content == "Look."
    assert dict(message.user_labels) == {"team": "platform"}


@known_from(docs=PLAN)
def test_a_state_is_read_as_a_plan_is(tmp_path: Path) -> None:
    content = plan(RESOURCE)
    content["values"] = content.pop("planned_values")
    assert len(read_policies([written(tmp_path / "state.json", content)], {})) == 1


@known_from(docs=PLAN)
def test_a_filter_that_is_known_only_after_apply_is_told(tmp_path: Path) -> None:
    values = json.loads(json.dumps(RESOURCE))
    del values["conditions"][0]["condition_threshold"][0]["filter"]
    with pytest.raises(ScriptError, match="known only after apply"):
        read_policies([written(tmp_path / "plan.json", plan(values))], {})


@pytest.mark.parametrize("form", ["list", "answer", "one"])
def test_exports_of_the_api_lose_what_the_server_filled(form: str, tmp_path: Path) -> None:
    exported = promql_policy() | {"name": "projects/p/alertPolicies/1", "creationRecord": {"mutatedBy": "x"}}
    exported["conditions"][0]["name"] = "projects/p/alertPolicies/1/conditions/2"
    content = {"list": [exported], "answer": {"alertPolicies": [exported]}, "one": exported}[form]
    (policy,) = read_policies([written(tmp_path / "export.json", content)], {})
    assert policy.message.name == policy.message.conditions[0].name == ""
    assert policy.display_name == "Policy"


@pytest.mark.parametrize(
    "data", [promql_policy("m >"), promql_policy() | {"combine": "OR"}, log_match("x") | {"alertStrategy": {}}]
)
def test_an_export_that_the_api_would_refuse_is_refused(data: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"p\.json"):
        read_policies([written(tmp_path / "p.json", [data])], {})


def test_a_policy_is_found_by_file_name_and_by_display_name(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", policy_of(threshold()) | {"displayName": "First"})
    two = written(tmp_path / "two.json", policy_of(threshold()) | {"displayName": "Second"})
    policies = read_policies([one, two], {})
    assert chosen(policies, "one") == chosen(policies, "First") == policies[0]
    with pytest.raises(ScriptError, match=r"no policy Secnd; did you mean Second\? \(there are one, two\)"):
        chosen(policies, "Secnd")


def test_the_projects_own_policies_are_read_without_a_word(tmp_path: Path) -> None:
    own = read_policies([], {"service": "items"})
    assert "high_error_rate" in {policy.key for policy in own}
    assert any("items" in policy.display_name for policy in own)
    with pytest.raises(ScriptError, match="no such file"):
        read_policies([tmp_path / "nothing"], {})
