"""What the emulator knows, asked over its public APIs."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from .shortened import key_of, shorten
from .stories import Incident

SERVICE = "items"
ENVIRONMENT = "demo"
_SCOPE = f'job="{SERVICE}",namespace="{ENVIRONMENT}"'
_USERS = f'{_SCOPE},endpoint!~"/health.*"'
_ACCESS = 'jsonPayload.logger="fastapi_cloudops.access" NOT jsonPayload.route:"/health"'


@dataclass(frozen=True)
class State:
    """One look at the emulator: `series` and `entries` of requests, shares and times over five minutes."""

    series: int = 0
    entries: int = 0
    error_ratio: float | None = None
    refused_ratio: float | None = None
    p95_seconds: float | None = None
    incidents: tuple[Incident, ...] = ()


class View:
    """Reads metrics, logs, incidents and dashboards over REST."""

    def __init__(self, http: str, project: str) -> None:
        self.http = http
        self._client = httpx.AsyncClient(base_url=http, timeout=10.0, trust_env=False)
        self._project = project
        self._policies: dict[str, Mapping[str, Any]] = {}
        self._dashboards: dict[str, str] = {}
        self._began = time.monotonic()

    async def read_definitions(self) -> list[str]:
        """Learn what was applied, and shorten it for the demo: lines that say how."""
        answer = await self._get(f"/v3/projects/{self._project}/alertPolicies")
        self._policies = {key_of(policy): policy for policy in answer.get("alertPolicies", [])}
        answer = await self._get(f"/v1/projects/{self._project}/dashboards")
        self._dashboards = {one["displayName"]: one["name"] for one in answer.get("dashboards", [])}
        return await shorten(self._client, self._policies)

    def dashboard_url(self, title: str) -> str:
        """The page of the dashboard whose display name begins so."""
        [name] = [name for shown, name in self._dashboards.items() if shown.startswith(title)]
        return f"{self.http}/#dashboard={name}"

    def runbook_url(self, policy: str) -> str:
        url: str = self._policies[policy]["documentation"]["links"][0]["url"]
        return url

    def display_name(self, policy: str) -> str:
        name: str = self._policies[policy]["displayName"]
        return name

    def key_of_display_name(self, shown: str) -> str:
        return next((key for key, policy in self._policies.items() if policy["displayName"] == shown), shown)

    async def look(self) -> State:
        requests = f"http_request_total{{{_USERS}}}"
        failures = f'http_request_total{{{_USERS},status_code=~"5.."}}'
        refused = f'http_request_total{{{_USERS},status_code="429"}}'
        buckets = f"http_time_to_first_byte_seconds_bucket{{{_USERS}}}"
        series = int(await self.number(f"count({requests})") or 0)
        return State(
            series=series,
            entries=await self._any_entry(),
            error_ratio=await self.number(
                f"(sum(increase({failures}[5m])) or vector(0)) / sum(increase({requests}[5m]))"
            ),
            refused_ratio=await self.number(
                f"(sum(increase({refused}[5m])) or vector(0)) / sum(increase({requests}[5m]))"
            ),
            p95_seconds=await self.number(f"histogram_quantile(0.95, sum by (le) (rate({buckets}[5m])))"),
            incidents=await self._incidents(),
        )

    async def number(self, query: str) -> float | None:
        """The value of a query with one result; None when it has none."""
        samples = await self.vector(query)
        return float(samples[0]["value"][1]) if samples else None

    async def vector(self, query: str) -> list[dict[str, Any]]:
        path = f"/v1/projects/{self._project}/location/global/prometheus/api/v1/query"
        answer = await self._get(path, query=query)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def totals(self) -> Counter[tuple[str, str, int]]:
        """Requests counted, by (endpoint, method, status), over all instances there were; health probes left out."""
        back = f"{time.monotonic() - self._began + 60:.0f}s"
        total = f"sum by (endpoint, method, status_code) (last_over_time(http_request_total{{{_USERS}}}[{back}]))"
        found: Counter[tuple[str, str, int]] = Counter()
        for one in await self.vector(total):
            labels = one["metric"]
            count = round(float(one["value"][1]))
            if count:
                found[labels["endpoint"], labels["method"], int(labels["status_code"])] = count
        return found

    async def entries_by_story(self) -> Counter[str]:
        """Access entries by the story that the driver wrote into its User-Agent."""
        found: Counter[str] = Counter()
        token = ""
        while True:
            page = await self._entries(1000, token)
            for entry in page.get("entries", ()):
                found[entry.get("httpRequest", {}).get("userAgent", "").removeprefix("demo/")] += 1
            token = page.get("nextPageToken", "")
            if not token:
                return found

    async def _any_entry(self) -> int:
        return len((await self._entries(1, "")).get("entries", ()))

    async def _entries(self, size: int, token: str) -> dict[str, Any]:
        answer = await self._client.post(
            "/v2/entries:list",
            json={
                "resourceNames": [f"projects/{self._project}"],
                "filter": _ACCESS,
                "pageSize": size,
                "pageToken": token,
            },
        )
        answer.raise_for_status()
        page: dict[str, Any] = answer.json()
        return page

    async def _incidents(self) -> tuple[Incident, ...]:
        answer = await self._get(f"/v3/projects/{self._project}/alerts")
        return tuple(self._incident(one) for one in answer.get("alerts", []))

    def _incident(self, alert: Mapping[str, Any]) -> Incident:
        closed = _seconds(alert["closeTime"]) if alert["state"] == "CLOSED" else None
        return Incident(self.key_of_display_name(alert["policy"]["displayName"]), _seconds(alert["openTime"]), closed)

    async def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = await self._client.get(path, params=parameters)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def close(self) -> None:
        await self._client.aclose()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
