"""A test incident: a twin of a policy that always fires, told to the same people, gone at the end."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .api import Deployed, Project

MARK = "DRILL"
_EVERY_SECONDS = 2.0


class Drilled(NamedTuple):
    policy: str
    incidents: tuple[str, ...]
    """Names of the incidents that opened; none when the time was up first."""
    channels: tuple[str, ...]


def drill(
    project: Project,
    policy: Deployed,
    *,
    wait_seconds: float,
    told: Callable[[str], object] = lambda _: None,
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Drilled:
    """Make the twin, wait until its incident is open, take the twin away again, whatever happens.

    Deleting a policy closes its incidents, so who is told of the opening is told of the end too.

    Args:
        project: Where the policy is.
        policy: The policy whose route is tried.
        wait_seconds: How long an evaluation may take.
        told: Called with a line for people at each step.
        sleep: Waits between two looks.
        now: Seconds, for the end of the wait.
    """
    twin = project.call("POST", f"v3/projects/{project.id}/alertPolicies", twin_of(policy.data))
    told(f"{twin['displayName']}: {twin['name']}")
    channels = tuple(twin.get("notificationChannels", []))
    try:
        until = now() + wait_seconds
        while True:
            open_now = _incidents(project, twin["name"])
            if open_now or now() >= until:
                return Drilled(twin["name"], open_now, channels)
            sleep(_EVERY_SECONDS)
    finally:
        project.call("DELETE", f"v3/{twin['name']}")
        told("The test policy is deleted, which closes its incident.")


def twin_of(policy: dict[str, Any]) -> dict[str, Any]:
    """The same severity, labels and channels; a condition that is always met; marked wherever people read."""
    documentation = policy.get("documentation", {})
    strategy = {key: value for key, value in policy.get("alertStrategy", {}).items() if key == "autoClose"}
    body = {
        "displayName": f"{MARK}: {policy['displayName']}",
        "combiner": "OR",
        "conditions": [
            {
                "displayName": f"{MARK}: always met",
                "conditionPrometheusQueryLanguage": {
                    "query": "vector(1)",
                    "duration": "0s",
                    "evaluationInterval": "30s",
                },
            }
        ],
        "documentation": {
            **documentation,
            "mimeType": "text/markdown",
            "subject": f"{MARK}: {documentation.get('subject', policy['displayName'])}",
            "content": f"**This is a drill. Nothing is wrong.**\n\n{documentation.get('content', '')}"[:8_000],
        },
        "userLabels": {**policy.get("userLabels", {}), "drill": "true"},
        "notificationChannels": policy.get("notificationChannels", []),
        "severity": policy.get("severity"),
        "alertStrategy": strategy,
    }
    return {key: value for key, value in body.items() if value}


def _incidents(project: Project, policy: str) -> tuple[str, ...]:
    alerts = project.all(f"v3/projects/{project.id}/alerts", "alerts")
    return tuple(one["name"] for one in alerts if one.get("policy", {}).get("name") == policy)
