"""What Cloud Monitoring refuses in a policy, with its code and, where it is known, its words."""

from typing import Any

import pytest
from google.api import metric_pb2

from app.emulator.alerting.service import AlertPolicyService
from app.emulator.project import Context
from app.emulator.status import ApiError, Code
from support.alerting import Workbench, create_policy, promql_policy
from support.provenance import known_from, our_choice

PROTO = "google/monitoring/v3/alert.proto"
FILTER = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'


def threshold(**fields: Any) -> dict[str, Any]:
    body = {"filter": FILTER, "comparison": "COMPARISON_GT", "thresholdValue": 1, "duration": "60s"} | fields
    return {"displayName": "P", "combiner": "OR", "conditions": [{"displayName": "C", "conditionThreshold": body}]}


def absent(**fields: Any) -> dict[str, Any]:
    body = {"filter": FILTER, "duration": "300s"} | fields
    return {"displayName": "P", "combiner": "OR", "conditions": [{"displayName": "C", "conditionAbsent": body}]}


def log_match(**policy: Any) -> dict[str, Any]:
    condition = {"displayName": "C", "conditionMatchedLog": {"filter": "severity>=ERROR"}}
    return {"displayName": "P", "combiner": "OR", "conditions": [condition]} | policy


def refused(policy: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        Workbench().create(policy)
    return caught.value


@known_from(proto=PROTO)
def test_what_is_right_in_all_kinds_is_accepted() -> None:
    bench = Workbench()
    rate_limit = {"notificationRateLimit": {"period": "300s"}}
    for policy in (
        promql_policy(),
        threshold(),
        threshold(duration="0s"),
        absent(),
        log_match(alertStrategy=rate_limit),
    ):
        bench.create(policy)
    assert len(bench.policies.policies()) == 5


@known_from(proto=PROTO)
@pytest.mark.parametrize("count", [0, 7])
def test_a_policy_has_one_to_six_conditions(count: int) -> None:
    policy = threshold()
    policy["conditions"] = policy["conditions"] * count
    assert refused(policy).code is Code.INVALID_ARGUMENT


@known_from(proto=PROTO)
def test_a_promql_condition_stands_alone() -> None:
    policy = promql_policy()
    policy["conditions"].append(threshold()["conditions"][0])
    assert "exactly one condition" in refused(policy).message


@known_from(proto=PROTO)
@pytest.mark.parametrize("comparison", ["COMPARISON_GE", "COMPARISON_EQ", "COMPARISON_UNSPECIFIED"])
def test_only_greater_and_less_are_comparisons(comparison: str) -> None:
    error = refused(threshold(comparison=comparison))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith(
        "Field alert_policy.conditions[0].condition_threshold.comparison had an invalid value"
    )


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    "policy",
    [
        threshold(duration="90s"),
        absent(duration="60s"),
        absent(duration="150s"),
        promql_policy(evaluationInterval="45s"),
        promql_policy(evaluationInterval="0s"),
        promql_policy(duration="-1s"),
        promql_policy(alertRule="not a label"),
        promql_policy(labels={"not-a-label": "x"}),
        promql_policy(ruleGroup="x" * 2049),
        promql_policy(query="  "),
        threshold(trigger={"percent": 101}),
        threshold(forecastOptions={"forecastHorizon": "1800s"}),
        threshold(filter="x" * 2049),
        threshold(filter='resource.type="cloud_run_revision"'),
        threshold(aggregations=[{"alignmentPeriod": "30s", "perSeriesAligner": "ALIGN_RATE"}]),
        threshold(aggregations=[{"alignmentPeriod": "90060s", "perSeriesAligner": "ALIGN_RATE"}]),
        threshold(aggregations=[{"alignmentPeriod": "60s", "crossSeriesReducer": "REDUCE_SUM"}]),
        threshold(
            aggregations=[{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"}],
            denominatorFilter=FILTER,
            denominatorAggregations=[{"alignmentPeriod": "120s", "perSeriesAligner": "ALIGN_RATE"}],
        ),
        promql_policy() | {"displayName": "x" * 513},
        promql_policy() | {"userLabels": {"Team": "x"}},
        promql_policy() | {"userLabels": {"team": "x" * 64}},
        promql_policy() | {"userLabels": {f"k{i}": "v" for i in range(65)}},
        promql_policy() | {"documentation": {"content": "x" * 8193}},
        promql_policy() | {"documentation": {"content": "ä" * 5121}},
        promql_policy() | {"documentation": {"content": "x", "mimeType": "text/html"}},
        promql_policy() | {"documentation": {"links": [{"displayName": "l", "url": "u"}] * 4}},
        promql_policy() | {"documentation": {"links": [{"url": "u"}]}},
        promql_policy() | {"name": "projects/demo/alertPolicies/1"},
        promql_policy(strategy={"notificationPrompts": ["CLOSED"]}),
        log_match(),
    ],
)
def test_the_limits_of_the_published_message_hold(policy: dict[str, Any]) -> None:
    assert refused(policy).code is Code.INVALID_ARGUMENT


@known_from(issue="hashicorp/terraform-provider-google#16892")
def test_missing_data_needs_a_duration_in_googles_words() -> None:
    error = refused(threshold(duration="0s", evaluationMissingData="EVALUATION_MISSING_DATA_INACTIVE"))
    assert error.message == (
        "Field alert_policy.conditions[0].condition_threshold.evaluation_missing_data had an invalid value of "
        '"EVALUATION_MISSING_DATA_INACTIVE": Conditions setting evaluation_missing_data must have a non-zero duration.'
    )


@known_from(issue="hashicorp/terraform-provider-google#4165")
def test_a_filter_restricts_the_resource_type_in_googles_words() -> None:
    error = refused(threshold(filter='metric.type="run.googleapis.com/request_count"'))
    assert 'must specify a restriction on "resource.type" in the filter' in error.message
    assert error.code is Code.INVALID_ARGUMENT


@known_from(issue="chainguard-dev/terraform-infra-common#352")
def test_a_rate_limit_belongs_to_log_policies_only() -> None:
    error = refused(threshold() | {"alertStrategy": {"notificationRateLimit": {"period": "300s"}}})
    assert "metric-based alert policies must not specify a notification rate limit" in error.message


@known_from(issue="superserve-ai/superserve#370")
def test_unparsable_promql_is_refused() -> None:
    error = refused(promql_policy("sum(rate(m[5m])"))
    assert error.code is Code.INVALID_ARGUMENT
    assert "condition_prometheus_query_language.query" in error.message


class OneMetric:
    def descriptors(self) -> list[metric_pb2.MetricDescriptor]:
        histogram = metric_pb2.MetricDescriptor.DISTRIBUTION
        return [
            metric_pb2.MetricDescriptor(type="prometheus.googleapis.com/seen_total/counter"),
            metric_pb2.MetricDescriptor(type="prometheus.googleapis.com/seconds/histogram", value_type=histogram),
            metric_pb2.MetricDescriptor(type="custom.googleapis.com/cloudops/seen"),
        ]


@known_from(issue="hashicorp/terraform-provider-google#11102")
def test_a_threshold_on_a_metric_nobody_wrote_is_not_found() -> None:
    service = AlertPolicyService(Context(), OneMetric())
    policy = threshold(filter='metric.type="custom.googleapis.com/none" resource.type="global"')
    with pytest.raises(ApiError) as caught:
        service.create_alert_policy(create_policy(policy))
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.message.startswith('Cannot find metric(s) that match type = "custom.googleapis.com/none".')


@known_from(proto=PROTO)
@pytest.mark.parametrize(
    ("query", "known"),
    [
        ("rate(seen_total[5m])", True),
        ("rate(unseen_total[5m])", False),
        ("histogram_quantile(0.9, rate(seconds_bucket[5m]))", True),
        ("seconds", False),
        ("custom_googleapis_com:cloudops_seen", True),
        ("custom_googleapis_com:other", False),
        ('{"custom.googleapis.com/cloudops/seen"}', True),
        ("run_googleapis_com:request_count", True),
        ("vector(1)", True),
    ],
)
def test_promql_metrics_must_exist_unless_the_condition_says_otherwise(query: str, known: bool) -> None:
    service = AlertPolicyService(Context(), OneMetric())
    service.create_alert_policy(create_policy(promql_policy(query)))
    strict = promql_policy(query, disableMetricValidation=False)
    if known:
        service.create_alert_policy(create_policy(strict))
    else:
        with pytest.raises(ApiError, match="does not exist"):
            service.create_alert_policy(create_policy(strict))


@our_choice("a switch, so that samples and exports of other projects can be loaded into an empty emulator")
def test_metric_validation_can_be_switched_off() -> None:
    context = Context()
    context.switches.metric_validation = False
    strict = promql_policy("unseen_total", disableMetricValidation=False)
    AlertPolicyService(context, OneMetric()).create_alert_policy(create_policy(strict))


@known_from(issue="hashicorp/terraform-provider-google#25878")
def test_channels_must_look_like_channels_and_exist() -> None:
    assert refused(promql_policy() | {"notificationChannels": ["mail"]}).code is Code.INVALID_ARGUMENT
    missing = promql_policy() | {"notificationChannels": ["projects/demo/notificationChannels/1"]}
    assert refused(missing).code is Code.NOT_FOUND


@our_choice("the texts are not published; a filter that cannot be read would be silent for ever")
@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (threshold(filter=f"{FILTER} AND AND"), "syntax error"),
        (threshold(filter=f'{FILTER} AND metric.labels.x = monitoring.regex.full_match("(")'), "filter"),
        (absent(filter=f"{FILTER} AND nothing.at.all=1"), "is not a field of time series"),
        (
            log_match(alertStrategy={"notificationRateLimit": {"period": "300s"}})
            | {"conditions": [{"displayName": "C", "conditionMatchedLog": {"filter": "severity>=("}}]},
            "the filter cannot be read",
        ),
        (
            log_match(alertStrategy={"notificationRateLimit": {"period": "300s"}})
            | {
                "conditions": [
                    {
                        "displayName": "C",
                        "conditionMatchedLog": {"filter": "x", "labelExtractors": {"who": "jsonPayload.user"}},
                    }
                ]
            },
            "the extractor of who",
        ),
    ],
)
def test_a_filter_or_extractor_that_cannot_be_read_is_refused(policy: dict[str, Any], why: str) -> None:
    error = refused(policy)
    assert error.code == Code.INVALID_ARGUMENT
    assert why in error.message


@our_choice("what the emulator lacks may be right in the cloud: it is kept, and told when it is evaluated")
def test_a_filter_of_an_slo_is_kept() -> None:
    slo = 'select_slo_burn_rate("projects/demo/services/s/serviceLevelObjectives/o", "3600s")'
    bench = Workbench()
    bench.create(threshold(filter=slo))
    bench.evaluate()
    (condition,) = bench.evaluator.evaluations()[0]["conditions"]
    assert condition["state"] == "error"
    assert "select_slo_burn_rate" in condition["error"]
