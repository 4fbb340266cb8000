"""What is asked, in order: each call builds on what those before it wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

from .metric_probes import of_descriptors, of_reads, of_series
from .probe import LOGGING, METRICS, POLICIES, Probe, Run


def probes() -> Sequence[Probe]:
    return (*of_series(), *of_descriptors(), *of_reads(), *_logs(), *_policies())


def cleaning(run: Run, descriptors: Sequence[str], policies: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """The calls that take away what a run wrote."""
    found: list[tuple[str, Mapping[str, Any]]] = [
        (f"{METRICS}.DeleteMetricDescriptor", {"name": f"{run.parent}/metricDescriptors/{one}"}) for one in descriptors
    ]
    found += [(f"{POLICIES}.DeleteAlertPolicy", {"name": one}) for one in policies]
    return [*found, (f"{LOGGING}.DeleteLog", {"logName": run.log_name})]


def listing(run: Run) -> tuple[str, Mapping[str, Any]]:
    """The call that tells which descriptors of a run there are."""
    prefix = f'metric.type = starts_with("{run.prefix}/")'
    return f"{METRICS}.ListMetricDescriptors", {"name": run.parent, "filter": prefix}


def listing_of_policies(run: Run) -> tuple[str, Mapping[str, Any]]:
    return f"{POLICIES}.ListAlertPolicies", {"name": run.parent, "filter": f'display_name = "{run.policy_name}"'}


def _logs() -> Sequence[Probe]:
    def writing(run: Run, *entries: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
        return {"logName": run.log_name, "resource": {"type": "global"}, "entries": list(entries), **more}

    write, read = f"{LOGGING}.WriteLogEntries", f"{LOGGING}.ListLogEntries"
    return (
        Probe("a_log_entry", "written", write, lambda run: writing(run, {"textPayload": "hello"}), writes=True),
        Probe(
            "a_log_entry_without_a_name",
            "refused (logging.proto)",
            write,
            lambda run: {"resource": {"type": "global"}, "entries": [{"textPayload": run.name}]},
        ),
        Probe(
            "a_log_entry_without_a_resource",
            "refused (log_entry.proto)",
            write,
            lambda run: {"logName": run.log_name, "entries": [{"textPayload": "hello"}]},
            writes=True,
        ),
        Probe("a_dry_run", "nothing is written", write, lambda run: writing(run, {"textPayload": "dry"}, dryRun=True)),
        Probe(
            "a_log_entry_of_300_kb",
            "refused: log entry with size 300.0K exceeds maximum size of 256.0K (nodejs-logging#520)",
            write,
            lambda run: writing(run, {"textPayload": "x" * 300 * 1024}),
            writes=True,
        ),
        Probe(
            "a_search_that_is_none",
            "refused: where the text stops being a query",
            read,
            lambda run: {"resourceNames": [run.parent], "filter": "severity >= ("},
        ),
        Probe(
            "a_search_in_a_wrong_order",
            "refused (logging.proto)",
            read,
            lambda run: {"resourceNames": [run.parent], "orderBy": "severity desc", "filter": 'logName="x"'},
        ),
    )


def _policies() -> Sequence[Probe]:
    """All of them are refused, so that none has to be taken away."""

    def policy(run: Run, *conditions: Mapping[str, Any], **more: Any) -> Mapping[str, Any]:
        named = [{"displayName": "parity", **one} for one in conditions]
        body = {"displayName": run.policy_name, "combiner": "OR", "enabled": False, **more}
        return {"name": run.parent, "alertPolicy": {**body, "conditions": named}}

    method = f"{POLICIES}.CreateAlertPolicy"
    query = {"conditionPrometheusQueryLanguage": {"query": "up == 0", "disableMetricValidation": True}}
    return (
        Probe("a_policy_without_conditions", "refused (alert.proto)", method, policy),
        Probe(
            "two_promql_conditions",
            "refused: one condition a policy (alert.proto)",
            method,
            lambda run: policy(run, query, query),
        ),
        Probe(
            "a_query_that_is_none",
            "refused",
            method,
            lambda run: policy(run, {"conditionPrometheusQueryLanguage": {"query": "up = 0"}}),
        ),
        Probe(
            "an_evaluation_every_45_seconds",
            "refused: a multiple of 30 seconds (alert.proto)",
            method,
            lambda run: policy(
                run, {"conditionPrometheusQueryLanguage": {"query": "up == 0", "evaluationInterval": "45s"}}
            ),
        ),
        Probe(
            "a_threshold_without_a_resource_type",
            "refused (hashicorp/terraform-provider-google#4165)",
            method,
            lambda run: policy(
                run,
                {
                    "conditionThreshold": {
                        "filter": f'metric.type = "{run.prefix}/gauge"',
                        "comparison": "COMPARISON_GT",
                        "duration": "60s",
                    }
                },
            ),
        ),
        Probe(
            "a_duration_of_90_seconds",
            "refused: whole minutes (alert.proto)",
            method,
            lambda run: policy(
                run,
                {
                    "conditionThreshold": {
                        "filter": f'metric.type = "{run.prefix}/gauge" AND resource.type = "global"',
                        "comparison": "COMPARISON_GT",
                        "duration": "90s",
                    }
                },
            ),
        ),
        Probe(
            "a_policy_that_is_not_there",
            "not found",
            f"{POLICIES}.GetAlertPolicy",
            lambda run: {"name": f"{run.parent}/alertPolicies/1"},
        ),
    )
