"""The HTTP calls of the provider: every answer of the API, and every refusal, as it came."""

import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Where each product answers; the version in the path belongs to the base, but for Monitoring's, which has two.
DEFAULT_ENDPOINTS = {
    "billing_budgets": "https://billingbudgets.googleapis.com/v1/",
    "cloud_run_v2": "https://run.googleapis.com/v2/",
    "logging": "https://logging.googleapis.com/v2/",
    "monitoring": "https://monitoring.googleapis.com/",
    "pubsub": "https://pubsub.googleapis.com/v1/",
    "resource_manager": "https://cloudresourcemanager.googleapis.com/v1/",
    "service_usage": "https://serviceusage.googleapis.com/v1/",
}
_SECONDS = 30.0
# What the provider tries again, whatever the resource; how long it waits is not played.
_AGAIN = {429, 500, 502, 503}
_CONCURRENT = ("too many concurrent edits", "could not fulfill the request")
_TRIES = 6
_WAIT_SECONDS = 0.05


class Refused(Exception):  # noqa: N818  # reads as what happened: the API refused
    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error {status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Api:
    endpoints: Mapping[str, str] = field(default_factory=lambda: DEFAULT_ENDPOINTS)
    access_token: str = ""
    project: str = ""

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        api: str = "monitoring",
    ) -> dict[str, Any]:
        for attempt in range(1, _TRIES):
            try:
                return self._once(method, path, body, query, api)
            except Refused as refusal:
                if attempt == _TRIES - 1 or not _try_again(refusal, path):
                    raise
                time.sleep(_WAIT_SECONDS * attempt)
        raise AssertionError("unreachable: the last try answers or raises")

    def _once(
        self, method: str, path: str, body: dict[str, Any] | None, query: dict[str, str] | None, api: str
    ) -> dict[str, Any]:
        url = urllib.parse.urlsplit(self.endpoints[api])
        if url.scheme != "http":
            raise Refused(
                0, f"the stand-in provider calls nothing but http://, and {api}_custom_endpoint is {url.geturl()!r}"
            )
        connection = http.client.HTTPConnection(url.netloc, timeout=_SECONDS)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.access_token}"}
        target = f"{url.path.rstrip('/')}/{path}?{urllib.parse.urlencode({'alt': 'json', **(query or {})})}"
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
        except OSError as error:
            raise Refused(0, f"{method} {url.geturl()}{path}: {error}") from error
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(response.status, _message(text))
        answer: dict[str, Any] = json.loads(text or "{}")
        return answer


def _try_again(refusal: Refused, path: str) -> bool:
    if refusal.status == http.HTTPStatus.CONFLICT:
        return any(words in str(refusal).lower() for words in _CONCURRENT)
    # Quota errors of alert policies are fatal: trying again would use up more of the quota.
    return refusal.status in _AGAIN and not (refusal.status == http.HTTPStatus.TOO_MANY_REQUESTS and "alertPol" in path)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text
