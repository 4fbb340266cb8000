"""What the emulator knows, asked over its public APIs."""

from dataclasses import dataclass, field
from typing import Any

import httpx

SERVICE = "items"
ENVIRONMENT = "demo"
_SCOPE = f'job="{SERVICE}",namespace="{ENVIRONMENT}"'


@dataclass
class State:
    """One look at the emulator."""

    series: int = 0
    entries: int = 0
    error_ratio: float | None = None
    p95_seconds: float | None = None
    incidents: list[dict[str, Any]] = field(default_factory=list)


class View:
    """Reads metrics, logs and incidents over REST."""

    def __init__(self, http: str, project: str) -> None:
        self._client = httpx.AsyncClient(base_url=http, timeout=5.0)
        self._project = project
        self._seen = 0

    async def look(self) -> State:
        requests = f"http_request_total{{{_SCOPE}}}"
        failures = f'http_request_total{{{_SCOPE},status_code=~"5.."}}'
        buckets = f"http_request_duration_seconds_bucket{{{_SCOPE}}}"
        return State(
            series=int(await self.number(f'count({{job="{SERVICE}",__name__="http_request_total"}})') or 0),
            entries=await self._count_entries(),
            error_ratio=await self.number(f"sum(increase({failures}[5m])) / sum(increase({requests}[5m]))"),
            p95_seconds=await self.number(f"histogram_quantile(0.95, sum by (le) (rate({buckets}[5m])))"),
            incidents=await self._incidents(),
        )

    async def number(self, query: str) -> float | None:
        """The value of a query with one result; None when it has none."""
        samples = await self.vector(query)
        return float(samples[0]["value"][1]) if samples else None

    async def vector(self, query: str) -> list[dict[str, Any]]:
        path = f"/v1/projects/{self._project}/location/global/prometheus/api/v1/query"
        answer = await self._client.get(path, params={"query": query})
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    async def totals(self) -> dict[tuple[str, str, int], int]:
        """Requests counted, by (endpoint, method, status), over all instances; health probes left out."""
        samples = await self.vector(f"sum by (endpoint, method, status_code) (http_request_total{{{_SCOPE}}})")
        labelled = [(one["metric"], float(one["value"][1])) for one in samples]
        return {
            (labels["endpoint"], labels["method"], int(labels["status_code"])): round(value)
            for labels, value in labelled
            if value and not labels["endpoint"].startswith("/health")
        }

    async def _incidents(self) -> list[dict[str, Any]]:
        answer = await self._client.get(f"/v3/projects/{self._project}/alerts")
        answer.raise_for_status()
        alerts: list[dict[str, Any]] = answer.json().get("alerts", [])
        return alerts

    async def _count_entries(self) -> int:
        """How many access entries there are; pages are read once, from where the last look ended."""
        count, token = 0, ""
        while True:
            answer = await self._client.post(
                "/v2/entries:list",
                json={
                    "resourceNames": [f"projects/{self._project}"],
                    "filter": 'jsonPayload.logger="fastapi_cloudops.access" NOT jsonPayload.route:"/health"',
                    "pageSize": 1000,
                    "pageToken": token,
                },
            )
            answer.raise_for_status()
            page = answer.json()
            count += len(page.get("entries", ()))
            token = page.get("nextPageToken", "")
            if not token:
                return count

    async def close(self) -> None:
        await self._client.aclose()
