"""A policy's documentation as a notification carries it, its variables filled.

The variables are those of cloud.google.com/monitoring/alerts/doc-variables.
"""

import re
from typing import Any

from ..project import Context
from .incidents import Incident
from .limits import seconds
from .messages import Raw
from .observed import metadata, without_metadata

_VARIABLE = re.compile(r"\$\{([^${}]+)\}")
_LONGEST_SUBJECT = 255
_NONE = "(none)"


def documentation(context: Context, policy: Raw, incident: Incident) -> dict[str, Any]:
    """The `documentation` object of notification format 1.2."""
    source = policy.documentation

    def render(text: str) -> str:
        return render_variables(text, context, policy, incident)

    subject = render(source.subject) or f"[ALERT] {incident.condition.display_name} in {context.project_id}"
    return {
        "content": render(source.content),
        "mime_type": source.mime_type or "text/markdown",
        "subject": cut(subject, _LONGEST_SUBJECT),
        "links": [{"displayName": link.display_name, "url": render(link.url)} for link in source.links],
    }


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, ending at a character (google/monitoring/v3/alert.proto, on `subject`)."""
    return text.encode()[:size].decode(errors="ignore")


def render_variables(text: str, context: Context, policy: Raw, incident: Incident) -> str:
    """Replace `${...}`; what names no variable, or a label that is not there, becomes `(none)`.

    "A document variable reference that does not match a variable will be rendered as "(none)"" (Google Cloud SDK, help
    of its translation of Prometheus rules).
    """
    resource = without_metadata(incident.resource_labels)
    metric_or_resource = incident.labels | resource | incident.metric_labels
    plain = {
        "condition.name": incident.condition.name,
        "condition.display_name": incident.condition.display_name,
        "metric.type": incident.metric_type or _NONE,
        "metric.display_name": incident.metric_type or _NONE,
        "metric_or_resource.labels": ", ".join(f"{key}={value}" for key, value in sorted(metric_or_resource.items())),
        "policy.name": policy.name,
        "policy.display_name": policy.display_name,
        # A PromQL condition has its threshold inside the query.
        "condition.threshold_value": _NONE if incident.threshold is None else f"{incident.threshold:g}",
        "condition.auto_close_duration": f"{seconds(policy.alert_strategy.auto_close):g}s",
        "project": context.project_id,
        "resource.type": incident.resource_type,
        "resource.project": context.project_id,
    }
    # PromQL results do not tell metric labels from resource labels, so both prefixes see all of them. The value of a
    # PromQL condition is `metric.label.value` (the same translation).
    keyed = {
        "metric.label": {"value": f"{incident.value:g}"} | incident.labels | incident.metric_labels,
        "resource.label": incident.labels | resource,
        "metric_or_resource.label": metric_or_resource,
        "policy.user_label": dict(policy.user_labels),
        "metadata.system_label": metadata(incident.resource_labels, "system_labels"),
        "metadata.user_label": metadata(incident.resource_labels, "user_labels"),
        "log.extracted_label": incident.extracted,
    }

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in plain:
            return str(plain[name])
        for prefix, values in keyed.items():
            # Both `resource.label.zone` and `resource.labels.zone` are in use.
            for spelled in (f"{prefix}.", f"{prefix}s."):
                if name.startswith(spelled):
                    return str(values.get(name.removeprefix(spelled)) or _NONE)
        return _NONE

    return _VARIABLE.sub(replace, text)
