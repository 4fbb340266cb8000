"""What the demo has shorter than production, and how: by settings, switches and API calls that everybody has.

Thresholds, windows and guards of the policies stay as they are.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

import httpx

#: The shortest interval that Cloud Monitoring allows; 60 s in production.
EXPORT_SECONDS: Final = 10
EVALUATE_EVERY: Final = "2s"
#: How long a condition has to hold, by policy: the API call that a person's change in the console makes too.
PENDING: Final[Mapping[str, str]] = {"database_connections": "4s", "performance_degradation": "4s"}
#: The service's setting RATE_LIMITS. An address has 3000 requests a minute otherwise, and 20 logins.
RATE_LIMITS: Final = {"default": "300/minute", "login": "600/minute"}


def key_of(policy: Mapping[str, Any]) -> str:
    """The name of the policy's file, which is its runbook's too."""
    links = policy.get("documentation", {}).get("links", [])
    return links[0]["url"].rpartition("/")[2].removesuffix(".md") if links else ""


def with_pending(policy: Mapping[str, Any], duration: str) -> dict[str, Any]:
    """The policy, each of its conditions pending for so long."""
    changed: dict[str, Any] = copy.deepcopy(dict(policy))
    for condition in changed["conditions"]:
        condition["conditionPrometheusQueryLanguage"]["duration"] = duration
    return changed


def pending_of(policy: Mapping[str, Any]) -> str:
    found: str = policy["conditions"][0]["conditionPrometheusQueryLanguage"].get("duration", "0s")
    return found


async def shorten(client: httpx.AsyncClient, policies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Shorten the pending times of those policies that are there.

    Args:
        client: Whose base URL is the emulator's.
        policies: By key.

    Returns:
        Lines that say what was changed.
    """
    told = []
    for key, duration in PENDING.items():
        if key in policies:
            policy = policies[key]
            changed = with_pending(policy, duration)
            answer = await client.patch(f"/v3/{policy['name']}", params={"updateMask": "conditions"}, json=changed)
            answer.raise_for_status()
            told.append(f"{policy['displayName']}: pending for {duration} ({pending_of(policy)} in production)")
    return told


def spoken() -> str:
    limits = ", ".join(f"{limit} ({name})" for name, limit in RATE_LIMITS.items())
    return (
        f"Shortened: metrics go out every {EXPORT_SECONDS} s (60 s in production), policies are evaluated every"
        f" {EVALUATE_EVERY} (60 s); lower or higher limits for one address: {limits}."
        " Thresholds, windows and guards of the policies are the real ones."
    )
