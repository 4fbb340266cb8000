"""The keys that checks.tf lets through are the fields of Google's messages, but for those named here."""

import re
from typing import Any

import pytest
from google.cloud.logging_v2.types import LogMetric
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import AlertPolicy, ServiceLevelObjective, UptimeCheckConfig

from support.provenance import known_from
from support.terraform import MODULE

# What the server fills in, what a data file must not say, and what the module does not offer.
LEFT_OUT = {
    "alertStrategy": {"notificationChannelStrategy"},
    "conditions": {"conditionMonitoringQueryLanguage", "conditionSql", "name"},
    "dashboard": {"annotations", "etag", "name"},
    "httpCheck": {"authInfo"},
    "logMetric": {"createTime", "resourceName", "updateTime", "version"},
    "metricDescriptor": {"description", "launchStage", "metadata", "monitoredResourceTypes", "name", "type"},
    "policy": {"creationRecord", "mutationRecord", "name", "notificationChannels", "validity"},
    "slo": {"name"},
    "uptimeCheck": {
        "disabled",
        "internalCheckers",
        "isInternal",
        "name",
        "resourceGroup",
        "syntheticMonitor",
    },
}
# cloud.google.com/logging/docs/reference/v2/rest/v2/projects.locations.savedQueries: no message is published.
WITHOUT_MESSAGE = {
    "loggingQuery": {"filter", "summaryFieldEnd", "summaryFieldStart", "summaryFields"},
    "savedQuery": {"description", "displayName", "loggingQuery", "visibility"},
    "summaryFields": {"field"},
}
# Arguments of the provider that the published message does not have yet.
NEWER = {"uptimeCheck": {"logCheckFailures"}}

_POLICY = AlertPolicy.pb(AlertPolicy()).DESCRIPTOR
_SLO = ServiceLevelObjective.pb(ServiceLevelObjective()).DESCRIPTOR
_METRIC = LogMetric.pb(LogMetric()).DESCRIPTOR
_CHECK = UptimeCheckConfig.pb(UptimeCheckConfig()).DESCRIPTOR


def inner(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = {field.json_name: field for field in message.fields}[name].message_type
    return message


_WINDOWS = "serviceLevelIndicator.windowsBased"
MESSAGES = {
    "acceptedResponseStatusCodes": inner(_CHECK, "httpCheck.acceptedResponseStatusCodes"),
    "aggregations": inner(_POLICY, "conditions.conditionThreshold.aggregations"),
    "alertStrategy": inner(_POLICY, "alertStrategy"),
    "conditionAbsent": inner(_POLICY, "conditions.conditionAbsent"),
    "conditionMatchedLog": inner(_POLICY, "conditions.conditionMatchedLog"),
    "conditionPrometheusQueryLanguage": inner(_POLICY, "conditions.conditionPrometheusQueryLanguage"),
    "conditionThreshold": inner(_POLICY, "conditions.conditionThreshold"),
    "conditions": inner(_POLICY, "conditions"),
    "contentMatchers": inner(_CHECK, "contentMatchers"),
    "dashboard": Dashboard.pb(Dashboard()).DESCRIPTOR,
    "denominatorAggregations": inner(_POLICY, "conditions.conditionThreshold.denominatorAggregations"),
    "documentation": inner(_POLICY, "documentation"),
    "forecastOptions": inner(_POLICY, "conditions.conditionThreshold.forecastOptions"),
    "httpCheck": inner(_CHECK, "httpCheck"),
    "jsonPathMatcher": inner(_CHECK, "contentMatchers.jsonPathMatcher"),
    "links": inner(_POLICY, "documentation.links"),
    "monitoredResource": inner(_CHECK, "monitoredResource"),
    "notificationRateLimit": inner(_POLICY, "alertStrategy.notificationRateLimit"),
    "pingConfig": inner(_CHECK, "httpCheck.pingConfig"),
    "policy": _POLICY,
    "serviceAgentAuthentication": inner(_CHECK, "httpCheck.serviceAgentAuthentication"),
    "tcpCheck": inner(_CHECK, "tcpCheck"),
    "trigger": inner(_POLICY, "conditions.conditionThreshold.trigger"),
    "availability": inner(_SLO, "serviceLevelIndicator.basicSli.availability"),
    "basicSli": inner(_SLO, "serviceLevelIndicator.basicSli"),
    "bucketOptions": inner(_METRIC, "bucketOptions"),
    "distributionCut": inner(_SLO, "serviceLevelIndicator.requestBased.distributionCut"),
    "explicitBuckets": inner(_METRIC, "bucketOptions.explicitBuckets"),
    "exponentialBuckets": inner(_METRIC, "bucketOptions.exponentialBuckets"),
    "goodTotalRatio": inner(_SLO, "serviceLevelIndicator.requestBased.goodTotalRatio"),
    "goodTotalRatioThreshold": inner(_SLO, f"{_WINDOWS}.goodTotalRatioThreshold"),
    "labels": inner(_METRIC, "metricDescriptor.labels"),
    "latency": inner(_SLO, "serviceLevelIndicator.basicSli.latency"),
    "linearBuckets": inner(_METRIC, "bucketOptions.linearBuckets"),
    "logMetric": _METRIC,
    "metricDescriptor": inner(_METRIC, "metricDescriptor"),
    "metricRange": inner(_SLO, f"{_WINDOWS}.metricMeanInRange"),
    "range": inner(_SLO, "serviceLevelIndicator.requestBased.distributionCut.range"),
    "requestBased": inner(_SLO, "serviceLevelIndicator.requestBased"),
    "serviceLevelIndicator": inner(_SLO, "serviceLevelIndicator"),
    "slo": _SLO,
    "windowsBased": inner(_SLO, _WINDOWS),
    "uptimeCheck": _CHECK,
}


def known() -> dict[str, set[str]]:
    (body,) = re.findall(r"  _known = {\n(.*?)\n  }", (MODULE / "checks.tf").read_text(), re.DOTALL)
    lists = re.findall(r"^    (\w+) += \[(.*)\]$", body, re.MULTILINE)
    return {name: set(re.findall(r'"(\w+)"', keys)) for name, keys in lists}


def test_every_kind_of_object_is_compared() -> None:
    assert known().keys() == MESSAGES.keys() | WITHOUT_MESSAGE.keys()
    assert WITHOUT_MESSAGE.items() <= known().items()


@known_from(proto="google/monitoring/v3/alert.proto, uptime.proto; google/monitoring/dashboard/v1/dashboard.proto")
@pytest.mark.parametrize("kind", MESSAGES)
def test_the_keys_of_an_object_are_the_fields_of_its_message(kind: str) -> None:
    fields = {field.json_name for field in MESSAGES[kind].fields}
    assert known()[kind] - NEWER.get(kind, set()) == fields - LEFT_OUT.get(kind, set())
