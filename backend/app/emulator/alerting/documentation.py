"""A policy's documentation as a notification carries it, its variables filled.

The variables are those of cloud.google.com/monitoring/alerts/doc-variables.
"""

import re
from typing import Any

from ..project import Context
from .incidents import Incident
from .limits import seconds
from .messages import Raw

_VARIABLE = re.compile(r"\$\{([^${}]+)\}")
_LONGEST_SUBJECT = 255
# Google does not publish what stands for a label that the series does not have.
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
    """Replace `${...}`; a name that is no variable stays as it is, so that its author sees the mistake."""
    plain = {
        "condition.name": incident.condition.name,
        "condition.display_name": incident.condition.display_name,
        "metric.type": incident.metric_type,
        "metric.display_name": incident.metric_type,
        "policy.name": policy.name,
        "policy.display_name": policy.display_name,
        # A PromQL condition has its threshold inside the query.
        "condition.threshold_value": _NONE,
        "condition.auto_close_duration": f"{seconds(policy.alert_strategy.auto_close):g}s",
        "project": context.project_id,
        "resource.type": incident.resource_type,
        "resource.project": context.project_id,
    }
    # PromQL results do not tell metric labels from resource labels, so both prefixes see all of them.
    keyed = {
        "metric.label.": incident.labels | incident.metric_labels,
        "resource.label.": incident.labels | incident.resource_labels,
        "metric_or_resource.label.": incident.labels | incident.resource_labels | incident.metric_labels,
        "policy.user_label.": dict(policy.user_labels),
        "metadata.system_label.": {},
        "metadata.user_label.": {},
        "log.extracted_label.": {},
    }

    def replace(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in plain:
            return str(plain[name])
        for prefix, values in keyed.items():
            if name.startswith(prefix):
                return str(values.get(name.removeprefix(prefix), _NONE))
        return match[0]

    return _VARIABLE.sub(replace, text)
