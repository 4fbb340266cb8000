"""Alert policies of a running emulator, or of a real project, by the API."""

import re
from collections.abc import Callable

import httpx

from .errors import ScriptError
from .policies import Policy, policies_of_export

GOOGLE = "https://monitoring.googleapis.com"
_SECONDS = 60.0
_PROJECT = re.compile(r"projects/([a-z0-9][a-z0-9.:-]{0,62})")
EMULATOR = "emulator"

Token = Callable[[], str]


def project_in(origin: str) -> str:
    """The id in `projects/ID`; empty where the origin is none."""
    match = _PROJECT.fullmatch(origin)
    return match[1] if match else ""


def fetch_policies(address: str, project: str, token: Token = str) -> list[Policy]:
    """Every policy of a project; their keys are their display names.

    Raises:
        ScriptError: The API does not answer, or refuses.
    """
    found: list[Policy] = []
    page = ""
    # A proxy in the environment must not get between a laptop and its own emulator.
    with httpx.Client(trust_env=address == GOOGLE, timeout=_SECONDS) as client:
        while True:
            headers = {"Authorization": f"Bearer {value}"} if (value := token()) else {}
            path = f"{address}/v3/projects/{project}/alertPolicies"
            try:
                answer = client.get(path, params={"pageToken": page} if page else {}, headers=headers)
                content = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                raise ScriptError(f"{address} does not answer: {error}") from error
            if answer.is_error:
                message = content.get("error", {}).get("message", "") if isinstance(content, dict) else ""
                raise ScriptError(f"{path} was refused: {message or answer.status_code}")
            found += policies_of_export(content, f"{address} projects/{project}")
            page = content.get("nextPageToken", "")
            if not page:
                break
    if not found:
        raise ScriptError(f"{address}: no alert policy in projects/{project}")
    return found
