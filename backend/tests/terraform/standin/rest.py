"""The HTTP calls of the provider: every answer of the API, and every refusal, as it came."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

_DEFAULT_ENDPOINT = "https://monitoring.googleapis.com/"
_SECONDS = 30.0


class Refused(Exception):  # noqa: N818  # reads as what happened: the API refused
    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error {status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Api:
    """One endpoint; the path's version (`v1`, `v3`) belongs to each call."""

    endpoint: str = _DEFAULT_ENDPOINT
    access_token: str = ""
    project: str = ""

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        url = urllib.parse.urlsplit(self.endpoint)
        if url.scheme != "http":
            raise Refused(
                0,
                f"the stand-in provider calls nothing but http://, and monitoring_custom_endpoint is {url.geturl()!r}",
            )
        connection = http.client.HTTPConnection(url.netloc, timeout=_SECONDS)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.access_token}"}
        target = f"{url.path.rstrip('/')}/{path}?{urllib.parse.urlencode({'alt': 'json', **(query or {})})}"
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
        except OSError as error:
            raise Refused(0, f"{method} {self.endpoint}{path}: {error}") from error
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(response.status, _message(text))
        answer: dict[str, Any] = json.loads(text or "{}")
        return answer


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text
