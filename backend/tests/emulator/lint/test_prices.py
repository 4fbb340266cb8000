"""What a policy costs, by the published rules."""

from typing import Any

import pytest
from google.protobuf import json_format

from app.emulator.alerting.messages import AlertPolicy
from app.emulator.lint.known import Metrics
from app.emulator.lint.prices import A_MILLION_POINTS, A_REFERENCE, metric_price, policy_price
from support.provenance import known_from, our_choice

MONTH = 43_200
"""Evaluations of a month of 30 days, one a minute."""


def priced(query: str, interval: str = "60s") -> Any:
    condition = {"conditionPrometheusQueryLanguage": {"query": query, "evaluationInterval": interval}}
    data = {"displayName": "p", "combiner": "OR", "conditions": [{"displayName": "c", **condition}]}
    return policy_price(json_format.ParseDict(data, AlertPolicy()), Metrics(), instances=3)


@known_from(docs="https://docs.cloud.google.com/monitoring/alerts/cost-control")
@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("sum(rate(http_request_total[5m])) > 1", 1),
        # "splitting on every >, <, >=, <=, ==, !=, AND, OR, and UNLESS operator": two clauses with a metric.
        ("sum(rate(http_request_total[5m])) > 1 and sum(rate(http_request_total[5m])) > 2", 2),
        ("sum by (instance) (rate(http_request_total[5m])) > 1", 3),
        ("sum(rate(http_request_total[5m])) / sum(rate(http_request_total[5m])) > 1", 1),
        ("sum by (outcome) (rate(http_request_total[5m])) > 1", 7),
    ],
)
def test_each_clause_returns_its_points(query: str, points: int) -> None:
    assert priced(query).points == points * MONTH


@known_from(docs="https://cloud.google.com/products/observability/pricing")
def test_the_price_has_two_parts() -> None:
    found = priced("sum(rate(http_request_total[5m])) > 1")
    assert found.dollars == pytest.approx(A_REFERENCE + MONTH / 1e6 * A_MILLION_POINTS)


@known_from(docs="https://docs.cloud.google.com/monitoring/alerts/cost-control")
def test_twice_as_often_costs_twice_the_points() -> None:
    query = "sum(rate(http_request_total[5m])) > 1"
    assert priced(query, "30s").points == 2 * priced(query).points


@our_choice("a query of two metrics is counted as two references, the higher reading of the published price")
def test_each_metric_is_a_reference() -> None:
    assert priced("sum(rate(http_request_total[5m])) > 1 and sum(rate(errors_total[5m])) > 1").references == 2


def test_log_conditions_are_free() -> None:
    condition = {"displayName": "c", "conditionMatchedLog": {"filter": "severity>=ERROR"}}
    data = {"displayName": "p", "combiner": "OR", "conditions": [condition]}
    assert policy_price(json_format.ParseDict(data, AlertPolicy()), Metrics(), 3).dollars == 0


def test_a_histogram_costs_more_than_a_counter() -> None:
    metrics = {one.name: one for one in Metrics().all()}
    histogram, counter = metrics["db_pool_wait_seconds"], metrics["cold_starts_total"]
    assert metric_price(histogram, buckets=13).dollars > metric_price(counter).dollars
    assert metric_price(counter).samples == MONTH
