"""Silence for policies, for a time and with a reason."""

import datetime as dt
from collections.abc import Sequence

from ..definitions.errors import closest
from .api import ApiRefusedError, Deployed, Project
from .export import key_of

# google/monitoring/v3/snooze.proto: "There is a limit of 16 policies per snooze".
_MOST_POLICIES = 16


def find_policies(project: Project, wanted: Sequence[str]) -> list[Deployed]:
    """Policies by name (`projects/...`), display name, or the name of their file, which their runbook carries.

    Raises:
        ApiRefusedError: One is not found, or several answer to a name.
    """
    deployed = project.deployed("policy")
    found: list[Deployed] = []
    for name in wanted:
        ways = (
            [one for one in deployed if name in {one.name, one.display_name}],
            [one for one in deployed if _runbook(one) == name],
            [one for one in deployed if key_of(one.display_name).startswith(key_of(name))],
        )
        matching = next((way for way in ways if way), [])
        if not matching:
            known = [known for one in deployed for known in (one.display_name, _runbook(one)) if known]
            raise ApiRefusedError(f"there is no policy {name} in projects/{project.id}{closest(name, known)}")
        if len(matching) > 1:
            shown = ", ".join(f'"{one.display_name}"' for one in matching)
            raise ApiRefusedError(f"{name} may be any of {shown}: write one of these names")
        found += [one for one in matching if one not in found]
    return found


def snooze(
    project: Project, policies: Sequence[Deployed], seconds: float, reason: str, now: dt.datetime
) -> list[Deployed]:
    """Snoozes from now on; as many as the API's limit of policies asks for."""
    until = now + dt.timedelta(seconds=seconds)
    made: list[Deployed] = []
    for start in range(0, len(policies), _MOST_POLICIES):
        body = {
            "displayName": reason,
            "criteria": {"policies": [one.name for one in policies[start : start + _MOST_POLICIES]]},
            "interval": {"startTime": _rfc3339(now), "endTime": _rfc3339(until)},
        }
        answer = project.call("POST", f"v3/projects/{project.id}/snoozes", body)
        made.append(Deployed("policy", answer["name"], answer))
    return made


def _runbook(policy: Deployed) -> str:
    """`high_error_rate` of a link to `.../high_error_rate.md`."""
    links = [link.get("url", "") for link in policy.data.get("documentation", {}).get("links", [])]
    named = [link.rpartition("/")[2].removesuffix(".md") for link in links if link.endswith(".md")]
    return named[0] if named else ""


def _rfc3339(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
