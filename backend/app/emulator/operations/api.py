"""A project's monitoring and logging configuration, by REST."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ..definitions.places import Held

Kind = Held
# kind -> host, path below the project, key of the list. Objectives lie below services, and are listed on their own.
_LISTS: Mapping[Kind, tuple[str, str, str]] = {
    "channel": ("monitoring", "v3/projects/{project}/notificationChannels", "notificationChannels"),
    "dashboard": ("monitoring", "v1/projects/{project}/dashboards", "dashboards"),
    "log_metric": ("logging", "v2/projects/{project}/metrics", "metrics"),
    "policy": ("monitoring", "v3/projects/{project}/alertPolicies", "alertPolicies"),
    "service": ("monitoring", "v3/projects/{project}/services", "services"),
    "uptime_check": ("monitoring", "v3/projects/{project}/uptimeCheckConfigs", "uptimeCheckConfigs"),
}
_SECONDS = 60.0


class ApiRefusedError(Exception):
    """The API does not answer, or says no; the message is for people."""


@dataclass(frozen=True)
class Deployed:
    """One object as the API tells it."""

    kind: Kind
    name: str
    """The whole name: `projects/ID/...`."""
    data: dict[str, Any]

    @property
    def display_name(self) -> str:
        return str(self.data.get("displayName") or self.data.get("name", ""))

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]


class Project:
    """Calls to one project: of Google's with a token, else of the emulator at `address`."""

    def __init__(
        self, project: str, address: str = "", *, token: Callable[[], str] = str, client: httpx.Client | None = None
    ) -> None:
        self.id = project
        self._address = address.rstrip("/")
        self._token = token
        # A proxy in the environment must not get between a laptop and its own emulator.
        self._client = client or httpx.Client(trust_env=not address, timeout=_SECONDS)

    def close(self) -> None:
        self._client.close()

    def call(
        self, verb: str, path: str, body: Any = None, query: Mapping[str, str] | None = None, host: str = "monitoring"
    ) -> dict[str, Any]:
        base = self._address or f"https://{host}.googleapis.com"
        headers = {"Authorization": f"Bearer {value}"} if (value := self._token()) else {}
        try:
            answer = self._client.request(verb, f"{base}/{path}", json=body, params=query, headers=headers)
            content = answer.json() if answer.content else {}
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiRefusedError(f"{base} does not answer: {error}") from error
        except ValueError as error:
            raise ApiRefusedError(f"{base}/{path} was answered {answer.status_code} without JSON") from error
        if answer.is_error or not isinstance(content, dict):
            reason = content.get("error", {}) if isinstance(content, dict) else {}
            told = reason.get("message", "") if isinstance(reason, dict) else str(reason)
            raise ApiRefusedError(f"{verb} {path} was refused: {told or answer.status_code}")
        return content

    def all(self, path: str, key: str, host: str = "monitoring", **query: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        found: list[dict[str, Any]] = []
        page = ""
        while True:
            asked = {**query, **({"pageToken": page} if page else {})}
            answer = self.call("GET", path, query=asked, host=host)
            found += answer.get(key, [])
            page = answer.get("nextPageToken", "")
            if not page:
                return found

    def deployed(self, kind: Kind) -> list[Deployed]:
        """Every object of a kind, by its name for people."""
        if kind == "slo":
            services = self.all(f"v3/projects/{self.id}/services", "services")
            items = [
                item
                for service in services
                for item in self.all(f"v3/{service['name']}/serviceLevelObjectives", "serviceLevelObjectives")
            ]
            found = [Deployed(kind, item["name"], item) for item in items]
        else:
            host, path, key = _LISTS[kind]
            path = path.format(project=self.id)
            items = self.all(path, key, host)
            # Cloud Logging tells a metric's name without its project.
            found = [Deployed(kind, _whole_name(item["name"], path), item) for item in items]
        return sorted(found, key=lambda one: (one.display_name, one.name))


def _whole_name(name: str, path: str) -> str:
    return name if name.startswith("projects/") else f"{path.partition('/')[2]}/{name}"
