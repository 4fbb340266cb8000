"""The JSON of a notification, version 1.2, as webhooks and Pub/Sub carry it.

Fields as in cloud.google.com/monitoring/support/notification-options and in receivers such as target/goalert (gcp).
"""

from typing import Any

from google.protobuf import json_format

from ..clock import NANOS
from ..project import Context
from .conditions import LOG, kind_of
from .documentation import documentation
from .incidents import Incident
from .messages import AlertPolicy, Raw
from .observed import metadata, without_metadata

VERSION = "1.2"
# What names a resource to people, by what it has.
_NAMING = ("job", "service_name", "revision_name", "host", "instance_name", "pod_name", "instance_id")
_RESOURCE_NAMES = {"prometheus_target": "Prometheus Target", "global": "Global"}


def notification(context: Context, policy: Raw, incident: Incident, page: str) -> dict[str, Any]:
    """The body to send; `page` is the address of the console that shows the incident, without a slash at its end."""
    severity = AlertPolicy.Severity.Name(policy.severity) if policy.severity else ""
    resource_name = next((name for key in _NAMING if (name := incident.resource_labels.get(key))), context.project_id)
    where = ", ".join(f"{key}={value}" for key, value in sorted(incident.labels.items()))
    observed = "" if kind_of(incident.condition) == LOG else f"{incident.value:.3f}"
    state = "is open" if incident.state == "open" else "has closed"
    return {
        "version": VERSION,
        "incident": {
            "incident_id": incident.id,
            "scoping_project_id": context.project_id,
            "scoping_project_number": context.project_number,
            "url": incident_url(context, incident, page),
            "severity": severity.capitalize() or "no severity",
            "started_at": incident.opened_at // NANOS,
            "ended_at": None if incident.closed_at is None else incident.closed_at // NANOS,
            "state": incident.state,
            "resource_id": incident.resource_labels.get("instance", incident.resource_labels.get("instance_id", "")),
            "resource_name": resource_name,
            "resource_display_name": resource_name,
            "resource_type_display_name": _RESOURCE_NAMES.get(incident.resource_type, incident.resource_type),
            "resource": {"type": incident.resource_type, "labels": without_metadata(incident.resource_labels)},
            "metric": {
                "type": incident.metric_type,
                "displayName": incident.metric_type,
                "labels": incident.metric_labels,
            },
            "metadata": {
                "system_labels": metadata(incident.resource_labels, "system_labels"),
                "user_labels": metadata(incident.resource_labels, "user_labels"),
            },
            "policy_name": policy.display_name,
            "policy_user_labels": dict(policy.user_labels),
            "condition_name": incident.condition.display_name,
            "condition": json_format.MessageToDict(incident.condition),
            # A PromQL condition has its threshold inside the query, a log condition has none.
            "threshold_value": "" if incident.threshold is None else f"{incident.threshold:g}",
            "observed_value": observed,
            "documentation": documentation(context, policy, incident),
            "summary": f"{incident.condition.display_name} of {policy.display_name} {state}"
            + (f" for {where}" if where else "")
            + (f", observed value {observed}." if observed else "."),
        },
    }


def incident_url(context: Context, incident: Incident, page: str) -> str:
    if page:
        return f"{page}/?incident={incident.id}"
    return f"https://console.cloud.google.com/monitoring/alerting/incidents/{incident.id}?project={context.project_id}"
