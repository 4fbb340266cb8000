"""Rules of alert policies that look beyond one field, and switches for those that are not published."""

from typing import Any

import pytest

from app.emulator.alerting.service import AlertPolicyService
from app.emulator.status import ApiError
from support.alerting import METRIC, PROJECT, Workbench, promql_policy, threshold
from support.monitoring import START, create, one
from support.provenance import known_from, our_choice

QUOTAS = "https://docs.cloud.google.com/monitoring/quotas"


def policy(*conditions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"displayName": "Policy", "combiner": "OR", "conditions": list(conditions), **fields}


def with_level(value: Any = 1) -> Workbench:
    """A bench that knows METRIC as a gauge."""
    bench = Workbench()
    resource = {"type": "gce_instance", "labels": {"instance_id": "1", "zone": "us-central1-a"}}
    start = bench.clock.now() // 10**9
    bench.metrics.create_time_series(create(one(value, start - START, metric=METRIC, resource=resource)))
    bench.policies = AlertPolicyService(bench.context, bench.store, bench.channels)
    return bench


@known_from(issue="hashicorp/terraform-provider-google#4165 and its like: the sentence on aligners, from policies")
@pytest.mark.parametrize("aligner", ["ALIGN_RATE", "ALIGN_DELTA", "ALIGN_PERCENTILE_99", "ALIGN_COUNT_TRUE"])
def test_an_aligner_that_does_not_fit_a_known_metric_is_refused_when_the_policy_is_made(aligner: str) -> None:
    with pytest.raises(ApiError) as caught:
        with_level().create(policy(threshold(aligner=aligner)))
    assert caught.value.message == (
        "Field alert_policy.conditions[0].condition_threshold.aggregations[0].per_series_aligner had an invalid value "
        f'of "{aligner}": The aligner cannot be applied to metrics with kind GAUGE and value type INT64.'
    )


@known_from(proto="google/monitoring/v3/common.proto")
def test_the_second_aggregation_is_held_against_what_the_first_one_leaves() -> None:
    steps = [
        {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN", "crossSeriesReducer": "REDUCE_SUM"},
        {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"},
    ]
    with pytest.raises(ApiError, match=r"aggregations\[1\].per_series_aligner .* kind GAUGE and value type DOUBLE"):
        with_level().create(policy(threshold(aggregations=steps)))
    steps[1]["perSeriesAligner"] = "ALIGN_MAX"
    assert with_level().create(policy(threshold(aggregations=steps))).name


@known_from(proto="google/monitoring/v3/alert.proto")
def test_both_sides_of_a_ratio_leave_the_same_labels() -> None:
    def side(*by: str) -> list[dict[str, Any]]:
        return [
            {
                "alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN", "crossSeriesReducer": "REDUCE_SUM",
                "groupByFields": list(by),
            }
        ]  # fmt: skip

    filter_ = f'metric.type="{METRIC}" resource.type="gce_instance"'
    ratio: dict[str, Any] = {"denominatorFilter": filter_, "aggregations": side("resource.label.zone")}
    with pytest.raises(ApiError, match="same labels"):
        with_level().create(policy(threshold(denominatorAggregations=side(), **ratio)))
    assert with_level().create(policy(threshold(denominatorAggregations=side("resource.label.zone"), **ratio))).name


@known_from(docs=QUOTAS)
def test_a_policy_has_at_most_sixteen_channels() -> None:
    bench = Workbench()
    names = [bench.channel(url="http://127.0.0.1/").name for _ in range(17)]
    with pytest.raises(ApiError, match="up to 16 channels"):
        bench.create(promql_policy() | {"notificationChannels": names})
    assert bench.create(promql_policy() | {"notificationChannels": names[:16]}).name.startswith(PROJECT)


@our_choice("the console's bounds are not the API's as far as is published: a switch")
def test_the_bounds_of_the_console_are_a_switch() -> None:
    short = {"autoClose": "60s"}
    assert Workbench().create(promql_policy(strategy=short)).name
    with pytest.raises(ApiError, match="between 30 minutes and 7 days"):
        Workbench(strategy_bounds=True).create(promql_policy(strategy=short))
    bench = Workbench(strategy_bounds=True)
    channel = bench.channel(url="http://127.0.0.1/").name
    often = {"notificationChannelStrategy": [{"notificationChannelNames": [channel], "renotifyInterval": "60s"}]}
    with pytest.raises(ApiError, match="between 30 minutes and 24 hours"):
        bench.create(promql_policy(strategy=often) | {"notificationChannels": [channel]})
